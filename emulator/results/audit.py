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
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controllers.key_store import key_name
from emulator.results import journal_queries
from emulator.runtime.envelopes import KEY_BITS, MANAGEMENT
from emulator.store import journal, journals
from protos.core import KEY_MANAGER_PREFIX, key_manager_of
from protos.facts import FactKind
from protos.mib import MediumCode

_COLUMNS = ("made", "delivered", "relayed", "expired", "destroyed", "stored")
_MADE, _DELIVERED, _RELAYED, _EXPIRED, _DESTROYED, _STORED = range(len(_COLUMNS))
_COLUMN = {
    FactKind.GENERATED: _MADE,
    FactKind.CREATED: _MADE,
    FactKind.DELIVERED: _DELIVERED,
    FactKind.RELAYED: _RELAYED,
    FactKind.EXPIRED: _EXPIRED,
    FactKind.DESTROYED: _DESTROYED,
    FactKind.STORED: _STORED,
}
"""The column of an account that each kind of fact about key is booked in."""
_COLUMN_OF = {kind.value: column for kind, column in _COLUMN.items()}
_FIBER_KINDS = (FactKind.GENERATED, FactKind.RELAYED, FactKind.EXPIRED, FactKind.STORED)
_FILLED = '"filled"'
_FULL = 1 - 1e-6  # a block; epochs add up to one but for rounding
_ON_LINKS = frozenset(kind.value for kind in _FIBER_KINDS)


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


_Block = tuple[int, str, int]
_Position = tuple[_Block, int]
_Account = list[int]  # bits by column
_Epoch = tuple[int, int]  # a request and the serial of an epoch
_Link = tuple[str, str]  # the nodes of a link, in order of their names
_MEDIUM = journal.COLUMNS.index("medium")
_Row = tuple[Any, ...]  # a fact as `journal_queries.everything` has it


class _ManagementBooks:
    """The stores of management keys, by the entity that noted them and its peer."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._rotations: set[tuple[str, str, int]] = set()
        self.repeated = 0

    def read(self, entity: str, rows: Iterable[_Row]) -> None:
        """Book what an entity noted about its stores."""
        noted = (row for row in rows if row[_MEDIUM] == MANAGEMENT)
        for _, kind, _, _, serial, _, peer, _, units, bits, *_ in noted:
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
    """Bits by account, deliveries by key, and what is in store, as the journals are read.

    A fiber block is shared by neighbours and known by its epoch, and has an account at either end of the
    link; other keys have one per request, medium and end, since deliveries are known by key, not by epoch.
    """

    def __init__(self) -> None:
        self.links: dict[tuple[int, int, _Link], dict[str, _Account]] = {}
        self.ends: dict[tuple[str, int], dict[str, _Account]] = defaultdict(dict)
        self.deliveries: dict[str, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        self.stored_bits: Counter[tuple[str, int, str]] = Counter()
        self.delivered_bits: Counter[tuple[int, int, str]] = Counter()
        self.sites: dict[tuple[int, str], str] = {}
        self.unknown_keys = 0
        self.void_deliveries = 0
        self.early_bits = 0
        self.peers: set[str] = set()

    def reader(self, entity: str) -> _Reader:
        """Return who books the facts of a key manager."""
        return _Reader(self, entity)

    def book(self, pool: str, request: int, end: str, column: int, bits: int) -> None:
        """Book bits of end-to-end key, or of a medium's."""
        sides = self.ends[pool, request]
        sides.setdefault(end, [0] * len(_COLUMNS))[column] += bits


class _Reader:
    """Books the facts of one key manager, in their order."""

    def __init__(self, books: _Books, entity: str) -> None:
        self._books, self._entity = books, entity
        self._node = entity.removeprefix(KEY_MANAGER_PREFIX)
        self._links: dict[str, tuple[_Link, str]] = {}
        self._made: dict[str, _Position] = {}
        self._valid_units: Counter[_Block] = Counter()
        self._distilled_bits: dict[tuple[int, str], int] = {}

    def read(self, rows: Iterable[_Row]) -> None:
        """Book facts."""
        links, known = self._books.links, self._links
        for row in rows:
            _, kind, request, _, serial, medium, peer, _, _, bits, _, _, _, _ = row
            column = _COLUMN_OF.get(kind)
            if column is None or medium == MANAGEMENT:
                continue
            if medium == "fiber" and kind in _ON_LINKS:
                link, side = known[peer] if peer in known else self._meet(peer)
                sides = links.setdefault((request, serial, link), {})
                account = sides.get(side)
                if account is None:
                    account = sides[side] = [0] * len(_COLUMNS)
                account[column] += bits
                if column == _MADE and (
                    _FILLED in row[-1] or (request, peer) in self._distilled_bits
                ):
                    self._read_block(request, peer, bits, row[-1])
            else:
                self._read_key(column, row)

    def _read_block(self, request: int, peer: str, bits: int, details: str) -> None:
        """Hold what a link has for a reservation against the blocks that were full by then."""
        found = json.loads(details) if _FILLED in details else {}
        left_bits = self._distilled_bits.get((request, peer), 0) - bits
        if found.get("filled", 0.0) >= _FULL:
            left_bits += found["distilled_bits"]
        self._books.early_bits += max(0, -left_bits)
        self._distilled_bits[request, peer] = max(0, left_bits)

    def _meet(self, peer: str) -> tuple[_Link, str]:
        """Return the link with a peer, and which of its ends is here."""
        other = peer.removeprefix(KEY_MANAGER_PREFIX)
        self._books.peers |= {key_manager_of(other)} if peer else set()
        first, second = sorted((self._node, other))
        self._links[peer] = (first, second), "a" if self._node == first else "b"
        return self._links[peer]

    def _read_key(self, column: int, row: _Row) -> None:
        """Book a fact about keys that an application may get."""
        _, _, request, _, serial, medium, peer, end, units, bits, _, key_id, fingerprint, _ = row
        books, pool = self._books, _pool(medium)
        books.book(pool, request, end, column, bits)
        if peer and peer not in self._links:
            self._meet(peer)
        block = (request, pool, serial)
        if column == _MADE:
            self._made |= _names(block, units)
            self._valid_units[block] += units
        elif column == _DESTROYED:
            self._valid_units[block] -= units
        elif column == _STORED:
            books.stored_bits[self._entity, request, pool] += bits
        elif column == _DELIVERED:
            books.deliveries[key_id][end].append(fingerprint)
            if key_id in self._made:
                of_block, index = self._made[key_id]
                if pool == "end-to-end":
                    books.delivered_bits[request, of_block[2], end] += bits
                    books.sites[request, end] = self._node
                books.void_deliveries += index >= self._valid_units[of_block]
            else:
                books.unknown_keys += 1


def digest(run_folder: Path) -> str:
    """Return one SHA-256 over all that all entities noted, in their order.

    It does not depend on where entities ran.  Raises `JournalError`.
    """
    whole = hashlib.sha256()
    for entity in journals.entities(run_folder):
        whole.update(entity.encode())
        for rows in journal_queries.everything(run_folder, entity):
            whole.update(_text(rows))
    return whole.hexdigest()


def _text(rows: Iterable[_Row]) -> bytes:
    return "".join(map(repr, rows)).encode()


def audit(run_folder: Path, *, cut_off: bool = False, follow: bool = True) -> Audit:
    """Add up the journals of a run.  Raises `JournalError` if one cannot be read, or is missing.

    The digest is that of `digest`.  Who has just written the journals, as their only process, need not
    `follow` their hashes.
    """
    books, management, whole = _Books(), _ManagementBooks(), hashlib.sha256()
    if follow:
        journals.check(run_folder)
    entities = journals.entities(run_folder)
    for entity in entities:
        whole.update(entity.encode())
        reader = books.reader(entity) if entity.startswith(KEY_MANAGER_PREFIX) else None
        for rows in journal_queries.everything(run_folder, entity):
            whole.update(_text(rows))
            management.read(entity, rows)
            if reader is not None:
                reader.read(rows)
    missing = sorted(books.peers.difference(entities))
    if missing:
        raise journal.JournalError(str(run_folder), f"holds no journal of {', '.join(missing)}")
    totals, unaccounted, half_made = _balance(books)
    return Audit(
        digest=whole.hexdigest(),
        duplicate_deliveries=_duplicates(books.deliveries) + management.repeated,
        mismatched_keys=_mismatches(books.deliveries),
        unknown_keys=books.unknown_keys,
        void_deliveries=books.void_deliveries,
        unaccounted_bits=unaccounted
        + management.unaccounted_bits
        + _misplaced(run_folder, books.stored_bits),
        half_made_bits=half_made,
        early_bits=books.early_bits,
        totals=totals,
        management=management.totals,
        cut_off=cut_off,
        problems=journals.faults(run_folder) if follow else [],
    )


def _pool(medium: str) -> str:
    """Name what a fact about keys is about: end-to-end key over fiber, or the key of another medium."""
    return "end-to-end" if medium in ("fiber", "end-to-end") else medium


def _names(block: _Block, units: int) -> dict[str, _Position]:
    """Return the keys of a block, by name, with their indices in it."""
    request, pool, serial = block
    medium = MediumCode.FIBER if pool == "end-to-end" else MediumCode[pool.upper()]
    return {key_name(request, medium, serial, n): (block, n) for n in range(units)}


def _misplaced(run_folder: Path, stored_bits: Counter[tuple[str, int, str]]) -> int:
    """Return by how many bits key tables and facts differ, over all stores."""
    found: Counter[tuple[str, int, str]] = Counter()
    for entity, request, medium, *_, bits in journals.key_stores(run_folder):
        found[entity, request, _pool(medium)] += bits
    return sum(abs(found[store] - stored_bits[store]) for store in found | stored_bits)


def _balance(books: _Books) -> tuple[dict[str, int], int, int]:
    """Add up one end of every account; count what does not balance or differs, and half-made blocks."""
    totals = [0] * len(_COLUMNS)
    unaccounted = 0
    alone: list[tuple[_Epoch, int, int]] = []
    for account in books.ends.values():
        unaccounted += sum(_imbalance(bits) for bits in account.values())
        _add_to(totals, account.get("source", _NOTHING))
    for (request, serial, _), sides in books.links.items():
        unaccounted += sum(_imbalance(bits) for bits in sides.values())
        most = max(sides.values(), key=_most)
        _add_to(totals, most)
        differing = abs(sides.get("a", _NOTHING)[_MADE] - sides.get("b", _NOTHING)[_MADE])
        if differing:
            alone.append(((request, serial), differing, most[_EXPIRED]))
    carried = _carried(books, {epoch for epoch, _, _ in alone})
    half_made = sum(bits for epoch, bits, expired in alone if epoch in carried or bits <= expired)
    unaccounted += sum(bits for _, bits, _ in alone) - half_made
    names = {"generated_bits": totals[_MADE]}
    spent = {
        f"{name}_bits": totals[column] for column, name in enumerate(_COLUMNS) if column != _MADE
    }
    return names | spent, unaccounted, half_made


def _carried(books: _Books, epochs: set[_Epoch]) -> set[_Epoch]:
    """Return the epochs of which nothing was delivered but what both ends of every link have relayed."""
    links: dict[_Epoch, list[tuple[_Link, int]]] = {epoch: [] for epoch in epochs}
    for (request, serial, link), sides in books.links.items():
        if (request, serial) in links and len(sides) == len(link):
            bits = min(account[_RELAYED] for account in sides.values())
            links[request, serial].append((link, bits))
    return {epoch for epoch, found in links.items() if _joined(books, epoch, found)}


def _joined(books: _Books, epoch: _Epoch, links: list[tuple[_Link, int]]) -> bool:
    """Tell whether links that relayed all that was delivered of an epoch join the ends of its request."""
    request, serial = epoch
    delivered = max(books.delivered_bits[request, serial, end] for end in ("source", "target"))
    if not delivered:
        return True
    wide = [set(link) for link, bits in links if bits >= delivered]
    reached = {books.sites.get((request, "source"))}
    for _ in wide:
        reached.update(*(link for link in wide if link & reached))
    return books.sites.get((request, "target")) in reached


_NOTHING: _Account = [0] * len(_COLUMNS)


def _imbalance(bits: _Account) -> int:
    """Return by how much what was made differs from what became of it."""
    return abs(2 * bits[_MADE] - sum(bits))


def _most(bits: _Account) -> tuple[int, int, int]:
    """Return what decides which end of a link totals count: the one that made most."""
    return bits[_MADE], bits[_RELAYED], bits[_EXPIRED]


def _add_to(totals: _Account, bits: _Account) -> None:
    for column, number in enumerate(bits):
        totals[column] += number


def _duplicates(deliveries: dict[str, dict[str, list[bytes]]]) -> int:
    return sum(len(tags) - 1 for ends in deliveries.values() for tags in ends.values())


def _mismatches(deliveries: dict[str, dict[str, list[bytes]]]) -> int:
    """Count keys that were not delivered at both ends with the same content."""
    return sum(
        set(ends.get("source", [])) != set(ends.get("target", [])) for ends in deliveries.values()
    )
