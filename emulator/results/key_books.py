"""The books of keys that applications may get: over fiber from end to end, and of other media.

Keys over fiber are counted from their creation at the source.  Accounts are by request, medium and end,
since deliveries are known by key, not by epoch.  A key that is delivered must have been made before at that
end, and not been voided: of a block the last keys become void first, since they leave it oldest first.  A
key is delivered once at either end, with the same content.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from emulator.results.accounts import Booked, booked, columns_of, unaccounted_bits
from emulator.results.fact_columns import Numbers, grouped
from emulator.results.key_origins import Changes, Delivered, Origins, origins
from emulator.results.link_books import Epoch
from emulator.results.spread_facts import SpreadFacts
from protos.core import KEY_MANAGER_PREFIX
from protos.syntax import MediumCode

END_TO_END = "end-to-end"
_SOURCE, _TARGET = 0, 1


class KeyBalance(NamedTuple):
    """What keys add up to; `totals` are by column, of the accounts of sources."""

    totals: Numbers
    unaccounted_bits: int
    duplicate_deliveries: int
    mismatched_keys: int
    unknown_keys: int
    void_deliveries: int


class _Facts(NamedTuple):
    """What key managers noted about keys, a column each; `order` is that of facts, names are numbers."""

    order: Numbers
    entity: Numbers
    column: Numbers
    request: Numbers
    pool: Numbers
    serial: Numbers
    end: Numbers
    units: Numbers
    bits: Numbers

    def chosen(self, rows: NDArray[np.bool_]) -> _Facts:
        """Return some of the facts."""
        return _Facts(*(column[rows] for column in self))


class KeyBooks:
    """Takes what key managers noted, then adds it up."""

    def __init__(self) -> None:
        self._entities: dict[str, int] = {}
        self._pools = {END_TO_END: 0}
        self._ends = {"source": _SOURCE, "target": _TARGET}
        self._taken: list[_Facts] = []
        self._key_ids: list[Any] = []
        self._fingerprints: list[Any] = []
        self._count = 0

    def take(self, entity: str, facts: SpreadFacts) -> None:
        """Take facts of a key manager about keys, in order, a row for each key that was delivered."""
        number, medium, end = (
            _number(self._entities, entity),
            facts.coded("medium"),
            facts.coded("end"),
        )
        pools = [_number(self._pools, pool_of(name)) for name in medium.names]
        ends = [_number(self._ends, name) for name in end.names]
        column = columns_of(facts.coded("kind"))
        self._taken.append(
            _Facts(
                order=np.arange(self._count, self._count + facts.count),
                entity=np.full(facts.count, number, dtype=np.int64),
                column=column,
                request=facts.numbers("request"),
                pool=medium.translated(pools),
                serial=facts.numbers("serial"),
                end=end.translated(ends),
                units=facts.numbers("units"),
                bits=facts.numbers("bits"),
            )
        )
        is_delivered = pa.array(column == Booked.DELIVERED)
        self._key_ids.append(facts.words("key_id").filter(is_delivered))
        self._fingerprints.append(facts.words("fingerprint").filter(is_delivered))
        self._count += facts.count

    def balance(self) -> KeyBalance:
        """Add up all accounts, and look for what must not be."""
        facts = self._facts
        groups = grouped(facts.pool, facts.request, facts.end)
        accounts = booked(groups.count, groups.of_row, facts.column, facts.bits)
        is_source = facts.end[groups.first] == _SOURCE
        key, end = _indices(self._keys), self._delivered.end
        return KeyBalance(
            totals=accounts[is_source].sum(axis=0),
            unaccounted_bits=unaccounted_bits(accounts),
            duplicate_deliveries=len(key) - grouped(key, end).count,
            mismatched_keys=_mismatched(key, end, _indices(_encoded(self._fingerprints))),
            unknown_keys=int((~self._origins.is_known).sum()),
            void_deliveries=int(self._origins.is_void.sum()),
        )

    def stored_bits(self) -> Counter[tuple[str, int, str]]:
        """Return what is in store by entity, request and pool, as facts say."""
        facts, entities, pools = self._facts, list(self._entities), list(self._pools)
        found: Counter[tuple[str, int, str]] = Counter()
        for row in np.flatnonzero(facts.column == Booked.STORED).tolist():
            store = (entities[facts.entity[row]], int(facts.request[row]), pools[facts.pool[row]])
            found[store] += int(facts.bits[row])
        return found

    def bits_of(self, epoch: Epoch) -> int:
        """Return how much key over fiber was delivered of an epoch, at the end that got more."""
        return max(self._of_epochs[*epoch, _SOURCE], self._of_epochs[*epoch, _TARGET])

    def ends_of(self, request: int) -> tuple[str | None, str | None]:
        """Return the nodes at which a request got keys over fiber, source first."""
        return self._sites.get((request, _SOURCE)), self._sites.get((request, _TARGET))

    @cached_property
    def _facts(self) -> _Facts:
        if not self._taken:
            return _Facts(*[np.array([], dtype=np.int64)] * len(_Facts._fields))
        return _Facts(*(np.concatenate(column) for column in zip(*self._taken, strict=True)))

    @cached_property
    def _delivered(self) -> _Facts:
        return self._facts.chosen(self._facts.column == Booked.DELIVERED)

    @cached_property
    def _keys(self) -> Any:
        return _encoded(self._key_ids)

    @cached_property
    def _origins(self) -> Origins:
        column = self._facts.column
        gone = (column == Booked.DESTROYED) | (column == Booked.EXPIRED)
        change = self._facts.chosen((column == Booked.MADE) | gone)
        changes = Changes(
            change.order,
            change.entity,
            change.request,
            change.serial,
            change.pool,
            change.units,
            change.column == Booked.MADE,
        )
        delivered = Delivered(self._delivered.order, self._delivered.entity, self._keys)
        return origins(changes, delivered, [_MEDIUM_OF.get(name) for name in self._pools])

    @cached_property
    def _over_fiber(self) -> tuple[_Facts, Numbers]:
        """What was delivered of epochs of fibers, and the serials of these."""
        rows = self._origins.is_known & (self._delivered.pool == self._pools[END_TO_END])
        return self._delivered.chosen(rows), self._origins.serial[rows]

    @cached_property
    def _of_epochs(self) -> Counter[tuple[int, int, int]]:
        facts, serial = self._over_fiber
        found: Counter[tuple[int, int, int]] = Counter()
        columns = (facts.request, serial, facts.end, facts.bits)
        for *key, bits in zip(*(column.tolist() for column in columns), strict=True):
            found[key[0], key[1], key[2]] += bits
        return found

    @cached_property
    def _sites(self) -> dict[tuple[int, int], str]:
        facts, _ = self._over_fiber
        nodes = [name.removeprefix(KEY_MANAGER_PREFIX) for name in self._entities]
        groups = grouped(facts.request, facts.end, facts.entity).first.tolist()
        return {
            (int(facts.request[row]), int(facts.end[row])): nodes[facts.entity[row]]
            for row in groups
        }


def pool_of(medium: str) -> str:
    """Name what a fact about keys is about: end-to-end key over fiber, or the key of another medium."""
    return END_TO_END if medium in ("fiber", END_TO_END) else medium


_MEDIUM_OF = {pool_of(code.name.lower()): code for code in MediumCode}


def _number(numbers: dict[str, int], name: str) -> int:
    return numbers.setdefault(name, len(numbers))


def _encoded(portions: list[Any]) -> Any:
    whole = pa.chunked_array(portions, pa.large_string()).combine_chunks()
    return whole.dictionary_encode()


def _indices(encoded: Any) -> Numbers:
    found: Numbers = encoded.indices.to_numpy().astype(np.int64)
    return found


def _mismatched(key: Numbers, end: Numbers, content: Numbers) -> int:
    """Count keys that were not delivered at both ends with the same content."""
    rows = end <= _TARGET
    contents = grouped(key[rows], content[rows])
    is_at = np.zeros((contents.count, 2), dtype=bool)
    is_at[contents.of_row, end[rows]] = True
    differing = key[rows][contents.first][~is_at.all(axis=1)]
    return len(np.unique(differing))
