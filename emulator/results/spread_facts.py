"""Facts that speak of many things at once, spread: a row for each share of a link's key, or for each key.

A fact about the key of a link and epoch has the shares of all reservations (`protos.facts.Shares`); one
about keys that were delivered together names them all.  What such a fact says in sum is held against what
it says one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from emulator.results.accounts import Booked, columns_of
from emulator.results.fact_columns import ChosenFacts, Coded, FactColumns, Numbers
from emulator.store.journal import JournalError
from protos.facts import FactKind


class SpreadFacts:
    """Facts, each as many `times` as it has rows; some columns have what rows say of their `own`.

    `differing` is by how much facts and their rows differ in sum, `fact` the index of each row's fact.
    """

    def __init__(
        self, facts: ChosenFacts, times: Numbers, own: Mapping[str, Any], differing: int
    ) -> None:
        self._facts, self._own, self.differing = facts, own, differing
        self.fact = np.repeat(np.arange(facts.count), times)
        self.count = len(self.fact)

    def numbers(self, name: str) -> Any:
        """Return a column of numbers.  Raises `JournalError`."""
        return self._own[name] if name in self._own else self._facts.numbers(name)[self.fact]

    def words(self, name: str) -> Any:
        """Return a column of text as an Arrow array.  Raises `JournalError`."""
        if name in self._own:
            return self._own[name]
        return self._facts.words(name).take(pa.array(self.fact))

    def coded(self, name: str) -> Coded:
        """Return a column of text in which few values recur.  Raises `JournalError`."""
        coded = self._facts.coded(name)
        return Coded(coded.indices[self.fact], coded.names)


class LinkFacts(NamedTuple):
    """Facts about the key of links, and a row for each share of them; `discarded` are blocks of a fact."""

    facts: ChosenFacts
    shares: SpreadFacts
    discarded: Numbers


def of_links(facts: FactColumns) -> LinkFacts:
    """Return the facts about the key of links, which are taken apart once.  Raises `JournalError`."""
    return facts.once("key of links", _of_links)


def are_of_links(facts: FactColumns) -> NDArray[np.bool_]:
    """Tell which facts are about the key of links."""
    return facts.coded("kind").is_one_of(*_ON_LINKS) & facts.coded("medium").is_one_of("fiber")


def _of_links(facts: FactColumns) -> LinkFacts:
    chosen = facts.chosen(are_of_links(facts))
    documents = chosen.documents("details", _SHARES)
    shares = _by_reservation(chosen, documents)
    return LinkFacts(chosen, shares, _lengths(documents.column("discarded")))


_ON_LINKS = (FactKind.GENERATED, FactKind.RELAYED, FactKind.EXPIRED, FactKind.STORED)


def _by_reservation(facts: ChosenFacts, shares: pa.Table) -> SpreadFacts:
    """Return facts about the key of links, a row for each share; `differing` is in bits.

    `qber` and `filled` are not a number where nothing was told of them.
    """
    requests, bits = (shares.column(name) for name in ("requests", "bits"))
    times = _lengths(requests)
    if not np.array_equal(times, _lengths(bits)):
        raise JournalError(facts.source, "has shares of other reservations than bits")
    rows = np.repeat(np.arange(facts.count), times)
    own = {"request": _flat(requests, facts.source), "bits": _flat(bits, facts.source)}
    for name, nothing in _TOLD.items():
        own[name] = _told(shares.column(name), times, nothing, facts.source)
    sums = np.zeros(facts.count, dtype=np.int64)
    np.add.at(sums, rows, own["bits"])
    differing = int(np.abs(facts.numbers("bits") - sums).sum())
    return SpreadFacts(facts, times, own, differing)


def by_key(facts: ChosenFacts) -> SpreadFacts:
    """Return facts about keys, a row for each key that was delivered; `differing` is in keys."""
    is_delivered = columns_of(facts.coded("kind")) == Booked.DELIVERED
    names = pc.split_pattern(facts.words("key_id"), " ")
    times = _lengths(names)
    rows = np.repeat(np.arange(facts.count), times)
    units, bits = facts.numbers("units"), facts.numbers("bits")
    own = {
        "key_id": names.flatten(),
        "fingerprint": _cut(facts.words("fingerprint"), times, rows),
        "units": np.where(is_delivered, 1, units)[rows],
        "bits": np.where(is_delivered, bits // np.maximum(times, 1), bits)[rows],
    }
    differing = int(np.abs(times - units)[is_delivered].sum())
    return SpreadFacts(facts, times, own, differing)


_NUMBERS, _MEASURES = pa.list_(pa.int64()), pa.list_(pa.float64())
_SHARES = pa.schema(
    {
        "requests": _NUMBERS,
        "bits": _NUMBERS,
        "qber": _MEASURES,
        "discarded": _NUMBERS,
        "filled": _MEASURES,
        "distilled_bits": _NUMBERS,
    }
)
_TOLD = {"qber": np.nan, "filled": np.nan, "distilled_bits": 0}
"""What a column of shares has where nothing was told."""


def _lengths(lists: Any) -> Numbers:
    found: Numbers = pc.list_value_length(lists).fill_null(0).to_numpy().astype(np.int64)
    return found


def _flat(lists: Any, source: str) -> Any:
    values = lists.combine_chunks().flatten()
    if values.null_count:
        raise JournalError(source, "has shares that lack a number")
    return values.to_numpy()


def _told(lists: Any, times: Numbers, nothing: float, source: str) -> Any:
    """Return a column with a value for each share, also where a fact tells nothing."""
    told = _lengths(lists)
    is_told = told > 0
    if not np.array_equal(told[is_told], times[is_told]):
        raise JournalError(source, "has shares that tell of other reservations")
    found = np.full(int(times.sum()), nothing)
    found[np.repeat(is_told, times)] = lists.combine_chunks().flatten().fill_null(nothing)
    return found


def _cut(texts: Any, times: Numbers, rows: Numbers) -> Any:
    """Return each text in as many equal parts as told; the last has what is over."""
    begins = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset :][: len(texts) + 1]
    sizes = np.diff(begins) // np.maximum(times, 1)
    places = np.arange(len(rows)) - (np.cumsum(times) - times)[rows]
    offsets = np.append(begins[:-1][rows] + places * sizes[rows], begins[-1])
    buffers = (pa.py_buffer(offsets), texts.buffers()[2])
    return pa.LargeStringArray.from_buffers(len(rows), *buffers)
