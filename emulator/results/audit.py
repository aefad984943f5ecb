"""The audit: adds up a run's journals by a path of its own, key by key and block by block.

It trusts no counter of the run.  Every bit that came into being is followed to where it went:

* link key (fiber blocks, and blocks brought by satellite or UAV) is counted where two neighbours
  share it; both ends must agree;
* a block that one end has made alone was never key if it has expired, or no key of its epoch was ever
  delivered: that end had not heard yet that the reservation was over or had begun again.  It is shown as
  half made;
* end-to-end key over fiber is counted from its creation at the source;
* generated = delivered + relayed + expired + destroyed + stored, or the rest is unaccounted for;
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
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controllers.key_store import key_name
from emulator.results import journal_queries
from emulator.results.journal_queries import KeyFact, ManagementFact
from emulator.runtime.envelopes import KEY_BITS
from emulator.store import journal, journals
from protos.core import KEY_MANAGER_PREFIX, key_manager_of
from protos.facts import FactKind
from protos.mib import MediumCode

_SPENT = {
    FactKind.DELIVERED: "delivered",
    FactKind.RELAYED: "relayed",
    FactKind.EXPIRED: "expired",
    FactKind.DESTROYED: "destroyed",
    FactKind.STORED: "stored",
}
_MADE = (FactKind.GENERATED, FactKind.CREATED)
_FIBER_KINDS = (FactKind.GENERATED, FactKind.RELAYED, FactKind.EXPIRED, FactKind.STORED)


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
            "totals": self.totals,
            "management": self.management,
            "cut_off": self.cut_off,
            "problems": self.problems,
        }


_Block = tuple[int, str, int]
_Position = tuple[_Block, int]


class _ManagementBooks:
    """The stores of management keys, by the entity that noted them and its peer."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._rotations: set[tuple[str, str, int]] = set()
        self.repeated = 0

    def read(self, entity: str, rows: Iterable[ManagementFact]) -> None:
        """Book what an entity noted about its stores."""
        for kind, serial, peer, units, bits in rows:
            account = self._accounts[entity, peer]
            if kind == FactKind.STORED:
                account["stored"] += bits
                continue
            self.repeated += (entity, peer, serial) in self._rotations
            self._rotations.add((entity, peer, serial))
            account.update(made=bits, used=KEY_BITS * units, overdue=int(not units))

    @property
    def unaccounted_bits(self) -> int:
        """What does not add up, or differs between the ends of a pair."""
        unaccounted = 0
        for (here, there), bits in self._accounts.items():
            unaccounted += abs(bits["made"] - bits["used"] - bits["stored"])
            other = self._accounts.get((there, here), Counter())
            if here < there or (there, here) not in self._accounts:
                unaccounted += abs(bits["made"] - other["made"]) + abs(bits["used"] - other["used"])
        return unaccounted

    @property
    def totals(self) -> dict[str, int]:
        """The sums over all pairs, as key managers told them."""
        totals: Counter[str] = Counter()
        for (here, _), bits in self._accounts.items():
            if here.startswith(KEY_MANAGER_PREFIX):
                totals.update(bits)
        names = {"generated_bits": "made", "used_bits": "used", "stored_bits": "stored"}
        return {name: totals[column] for name, column in (names | {"overdue": "overdue"}).items()}


class _Books:
    """Bits by account, deliveries by key, and what is in store, as the journals are read."""

    def __init__(self) -> None:
        self.accounts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        self.deliveries: dict[str, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        self.stored_bits: Counter[tuple[str, int, str]] = Counter()
        self.used: set[tuple[str, str]] = set()
        self.unknown_keys = 0
        self.void_deliveries = 0
        self.peers: set[str] = set()

    def read(self, entity: str, rows: Iterable[KeyFact]) -> None:
        """Book the facts of a key manager, in their order."""
        made: dict[str, _Position] = {}
        valid_units: Counter[_Block] = Counter()
        for row in rows:
            kind, request, serial, medium, peer, end, bits, key_id, fingerprint, units = row
            if kind not in _MADE and kind not in _SPENT:
                continue
            pool = _pool(kind, medium)
            self._book(_account(entity, pool, row), kind, bits)
            if peer:
                self.peers.add(key_manager_of(peer.removeprefix(KEY_MANAGER_PREFIX)))
            if pool == "link":
                continue
            block = (request, pool, serial)
            if kind in _MADE:
                made |= _names(block, units)
                valid_units[block] += units
            elif kind == FactKind.DESTROYED:
                valid_units[block] -= units
            elif kind == FactKind.STORED:
                self.stored_bits[entity, request, pool] += bits
            elif kind == FactKind.DELIVERED:
                self.deliveries[key_id][end].append(fingerprint)
                if key_id in made:
                    of_block, index = made[key_id]
                    self.used.add((str(request), str(of_block[2])))
                    self.void_deliveries += index >= valid_units[of_block]
                else:
                    self.unknown_keys += 1

    def _book(self, account: tuple[str, ...], kind: str, bits: int) -> None:
        column = "made" if kind in _MADE else _SPENT[FactKind(kind)]
        self.accounts[account][column] += bits


def digest(run_folder: Path) -> str:
    """Return one SHA-256 over all that all entities noted, in their order.

    It does not depend on where entities ran.  Raises `JournalError`.
    """
    whole = hashlib.sha256()
    for entity in journals.entities(run_folder):
        whole.update(entity.encode())
        for row in journal_queries.everything(run_folder, entity):
            whole.update(repr(row).encode())
    return whole.hexdigest()


def audit(run_folder: Path, *, cut_off: bool = False) -> Audit:
    """Add up the journals of a run.  Raises `JournalError` if one cannot be read, or is missing."""
    books = _Books()
    journals.check(run_folder)
    entities = journals.entities(run_folder)
    management = _ManagementBooks()
    for entity in entities:
        management.read(entity, journal_queries.management_facts(run_folder, entity))
        if entity.startswith(KEY_MANAGER_PREFIX):
            books.read(entity, journal_queries.key_facts(run_folder, entity))
    missing = sorted(books.peers.difference(entities))
    if missing:
        raise journal.JournalError(str(run_folder), f"holds no journal of {', '.join(missing)}")
    totals, unaccounted, half_made = _balance(books.accounts, books.used)
    return Audit(
        digest=digest(run_folder),
        duplicate_deliveries=_duplicates(books.deliveries) + management.repeated,
        mismatched_keys=_mismatches(books.deliveries),
        unknown_keys=books.unknown_keys,
        void_deliveries=books.void_deliveries,
        unaccounted_bits=unaccounted
        + management.unaccounted_bits
        + _misplaced(run_folder, books.stored_bits),
        half_made_bits=half_made,
        totals=totals,
        management=management.totals,
        cut_off=cut_off,
        problems=journals.faults(run_folder),
    )


def _pool(kind: str, medium: str) -> str:
    """Name what a fact is about: key of a link, end-to-end key over fiber, or of another medium."""
    if medium == "fiber" and kind in _FIBER_KINDS:
        return "link"
    return "end-to-end" if medium in ("fiber", "end-to-end") else medium


def _account(entity: str, pool: str, row: KeyFact) -> tuple[str, ...]:
    """Name the account of a fact: what was shared, then at which end it was noted.

    A fiber block is shared by neighbours and known by its epoch; other keys have one account per
    request, medium and end, since deliveries are known by key and not by epoch.
    """
    request, serial, peer, end = row.request, row.serial, row.peer, row.end
    if pool == "link":
        here = entity.removeprefix(KEY_MANAGER_PREFIX)
        first, second = sorted((here, peer.removeprefix(KEY_MANAGER_PREFIX)))
        return (pool, str(request), str(serial), first, second, "a" if here == first else "b")
    return (pool, str(request), end)


def _names(block: _Block, units: int) -> dict[str, _Position]:
    """Return the keys of a block, by name, with their indices in it."""
    request, pool, serial = block
    medium = MediumCode.FIBER if pool == "end-to-end" else MediumCode[pool.upper()]
    return {key_name(request, medium, serial, n): (block, n) for n in range(units)}


def _misplaced(run_folder: Path, stored_bits: Counter[tuple[str, int, str]]) -> int:
    """Return by how many bits key tables and facts differ, over all stores."""
    found: Counter[tuple[str, int, str]] = Counter()
    for entity, request, medium, *_, bits in journals.key_stores(run_folder):
        found[entity, request, _pool("", medium)] += bits
    return sum(abs(found[store] - stored_bits[store]) for store in found | stored_bits)


def _balance(
    accounts: dict[tuple[str, ...], Counter[str]], used: set[tuple[str, str]]
) -> tuple[dict[str, int], int, int]:
    """Add up one end of every account; count what does not balance or differs, and half-made blocks.

    `used` names the (request, epoch) of which keys were delivered.
    """
    totals: Counter[str] = Counter()
    unaccounted = half_made = 0
    ends: dict[tuple[str, ...], dict[str, Counter[str]]] = defaultdict(dict)
    for account, bits in accounts.items():
        ends[account[:-1]][account[-1]] = bits
    for shared, sides in ends.items():
        totals.update(_one_end(sides))
        for bits in sides.values():
            spent = sum(number for column, number in bits.items() if column != "made")
            unaccounted += abs(bits["made"] - spent)
        if shared[0] == "link":
            one, other = sides.get("a", Counter()), sides.get("b", Counter())
            differing = abs(one["made"] - other["made"])
            expired = max(one, other, key=lambda bits: bits["made"])["expired"]
            never_key = len(sides) == 1 and (shared[1], shared[2]) not in used
            if never_key or differing <= expired:
                half_made += differing
            else:
                unaccounted += differing
    return _named(totals), unaccounted, half_made


def _one_end(sides: Mapping[str, Counter[str]]) -> Counter[str]:
    """Return the end of an account that totals count: the source, or of a link the end that made most."""
    if sides.keys() <= {"a", "b"}:
        return max(
            sides.values(), key=lambda bits: (bits["made"], bits["relayed"], bits["expired"])
        )
    return sides.get("source", Counter())


def _named(totals: Counter[str]) -> dict[str, int]:
    names = {"generated_bits": totals["made"]}
    return names | {f"{column}_bits": totals[column] for column in _SPENT.values()}


def _duplicates(deliveries: dict[str, dict[str, list[bytes]]]) -> int:
    return sum(len(tags) - 1 for ends in deliveries.values() for tags in ends.values())


def _mismatches(deliveries: dict[str, dict[str, list[bytes]]]) -> int:
    """Count keys that were not delivered at both ends with the same content."""
    return sum(
        set(ends.get("source", [])) != set(ends.get("target", [])) for ends in deliveries.values()
    )
