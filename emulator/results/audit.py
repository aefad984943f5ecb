"""The audit: adds up a run's journals by a path of its own, key by key and block by block.

It trusts no counter of the run.  Every bit that came into being is followed to where it went:

* link key (fiber blocks, and blocks brought by satellite or UAV) is counted where two neighbours
  share it; both ends must agree;
* what one end of a link has made alone was never key if it has expired, or whatever was delivered of its
  epoch came over other link key, which both ends of every link on the way have relayed: one end had not
  heard yet that the reservation had begun, had moved or was over.  It is shown as half made;
* where keys are finite, no link has key that no full block has brought; an end that counts no errors (GG02)
  tells nothing of its blocks and is not held to it;
* end-to-end key over fiber is counted from its creation at the source;
* generated = delivered + relayed + expired + destroyed + stored, or the rest is unaccounted for;
* a fact that speaks of many reservations or keys says in sum what it says one by one;
* management keys have accounts of their own: what came into the store of a pair was withdrawn, key by key,
  or is left, and both ends agree.

A key delivered twice at one end, or with different content at the two ends, is a fault; so is one that
was never made there, or had been voided: of a block the last keys become void first, since they leave it
oldest first.  The key tables must hold exactly what facts say is stored; every entity that shared key must
have a journal; and every journal must hold what was committed, by its chain of hashes.

Of a run that was *cut off*, by a crash or a failure, one end of a key may tell what the other could not any
more.  So what does not add up there is shown and is no fault; what can never be is one all the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.results import journal_queries
from emulator.results.accounts import Booked, columns_of
from emulator.results.fact_columns import Coded, FactColumns
from emulator.results.key_books import KeyBooks, pool_of
from emulator.results.link_books import LinkBooks
from emulator.results.management_books import ManagementBooks, Noted
from emulator.results.spread_facts import are_of_links, by_key, of_links
from emulator.runtime.envelopes import MANAGEMENT
from emulator.store import journal, journals
from protos.core import KEY_MANAGER_PREFIX, key_manager_of

_TOTALS = {Booked.MADE: "generated"}


@dataclass
class Audit:
    """What the journals add up to."""

    digest: str = ""
    duplicate_deliveries: int = 0
    mismatched_keys: int = 0
    unknown_keys: int = 0
    void_deliveries: int = 0
    unaccounted_bits: int = 0
    half_made_bits: int = 0
    early_bits: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    management: dict[str, int] = field(default_factory=dict)
    cut_off: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        differing = self.mismatched_keys or self.unaccounted_bits
        return not (
            self.duplicate_deliveries
            or self.unknown_keys
            or self.void_deliveries
            or self.early_bits
            or self.problems
            or (differing and not self.cut_off)
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields under their public names."""
        return {
            "ok": self.ok,
            "digest": self.digest,
            "duplicate_deliveries": self.duplicate_deliveries,
            "mismatched_keys": self.mismatched_keys,
            "unknown_keys": self.unknown_keys,
            "void_deliveries": self.void_deliveries,
            "unaccounted_bits": self.unaccounted_bits,
            "half_made_bits": self.half_made_bits,
            "early_bits": self.early_bits,
            "totals": self.totals,
            "management": self.management,
            "cut_off": self.cut_off,
            "problems": self.problems,
        }


def digest(run_folder: Path) -> str:
    """Return one SHA-256 over all that all entities noted, in their order.

    It does not depend on where entities ran.  Raises `JournalError`.
    """
    book = _Digest()
    journal_queries.have_taken(run_folder, [book])
    return book.hexdigest()


class _Digest:
    """A digest over what entities noted, column by column."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[str, Any]] = {}

    def take(self, entity: str, facts: FactColumns) -> None:
        """Take facts of an entity."""
        if entity not in self._columns:
            self._columns[entity] = {name: hashlib.sha256() for name in journal.COLUMNS}
        for name, column in self._columns[entity].items():
            column.update(facts.text(name).encode())

    def hexdigest(self) -> str:
        """Return the digest of what was taken."""
        whole = hashlib.sha256()
        for entity, columns in self._columns.items():
            own = hashlib.sha256(entity.encode())
            for column in columns.values():
                own.update(column.digest())
            whole.update(own.digest())
        return whole.hexdigest()


def audit(run_folder: Path, *, cut_off: bool = False, follow: bool = True) -> Audit:
    """Add up the journals of a run.  Raises `JournalError` if one cannot be read, or is missing.

    The digest is that of `digest`.  Who has just written the journals, as their only process, need not
    `follow` their hashes.
    """
    books = Books()
    if follow:
        journals.check(run_folder)
    journal_queries.have_taken(run_folder, [books])
    return balance(run_folder, books, cut_off=cut_off, follow=follow)


def balance(run_folder: Path, books: Books, *, cut_off: bool, follow: bool) -> Audit:
    """Return what the books of a run say, which have taken all; see `audit`."""
    entities = journals.entities(run_folder)
    missing = sorted(books.peers.difference(entities))
    if missing:
        raise journal.JournalError(str(run_folder), f"holds no journal of {', '.join(missing)}")
    keys, links = books.keys.balance(), books.links.balance(books.keys)
    totals = dict(zip(Booked, (keys.totals + links.totals).tolist(), strict=True))
    return Audit(
        digest=books.digest.hexdigest(),
        duplicate_deliveries=keys.duplicate_deliveries + books.management.repeated,
        mismatched_keys=keys.mismatched_keys,
        unknown_keys=keys.unknown_keys + books.differing_keys,
        void_deliveries=keys.void_deliveries,
        unaccounted_bits=keys.unaccounted_bits
        + links.unaccounted_bits
        + books.differing_bits
        + books.management.unaccounted_bits
        + _misplaced(run_folder, books.keys.stored_bits()),
        half_made_bits=links.half_made_bits,
        early_bits=books.links.early_bits,
        totals={
            f"{_TOTALS.get(column, column.name.lower())}_bits": bits
            for column, bits in totals.items()
        },
        management=books.management.totals,
        cut_off=cut_off,
        problems=journals.faults(run_folder) if follow else [],
    )


class Books:
    """All books of the audit: each fact about key is in one of them, and all facts are in the digest."""

    def __init__(self) -> None:
        self.digest = _Digest()
        self.links, self.keys, self.management = LinkBooks(), KeyBooks(), ManagementBooks()
        self.peers: set[str] = set()
        self.differing_bits = self.differing_keys = 0

    def take(self, entity: str, facts: FactColumns) -> None:
        """Book what an entity noted."""
        self.digest.take(entity, facts)
        kind, medium = facts.coded("kind"), facts.coded("medium")
        is_management = medium.is_one_of(MANAGEMENT)
        if is_management.any():
            self.management.take(entity, _managed(facts, kind, is_management))
        if not entity.startswith(KEY_MANAGER_PREFIX):
            return
        is_about_key = (columns_of(kind) >= 0) & ~is_management
        shares = of_links(facts).shares
        keys = by_key(facts.chosen(is_about_key & ~are_of_links(facts)))
        self.links.take(entity, shares)
        self.keys.take(entity, keys)
        self.differing_bits += shares.differing
        self.differing_keys += keys.differing
        peers = {*facts.chosen(is_about_key).coded("peer").names} - {""}
        self.peers |= {key_manager_of(name.removeprefix(KEY_MANAGER_PREFIX)) for name in peers}


def _managed(facts: FactColumns, kind: Coded, rows: NDArray[np.bool_]) -> Iterator[Noted]:
    """Yield facts about management keys."""
    peer = facts.coded("peer")
    numbers = [facts.numbers(name)[rows].tolist() for name in ("serial", "units", "bits")]
    words = [[each.names[index] for index in each.indices[rows]] for each in (kind, peer)]
    yield from zip(*words, *numbers, strict=True)


def _misplaced(run_folder: Path, stored_bits: Counter[tuple[str, int, str]]) -> int:
    """Return by how many bits key tables and facts differ, over all stores."""
    found: Counter[tuple[str, int, str]] = Counter()
    for entity, request, medium, *_, bits in journals.key_stores(run_folder):
        found[entity, request, pool_of(medium)] += bits
    return sum(abs(found[store] - stored_bits[store]) for store in found | stored_bits)
