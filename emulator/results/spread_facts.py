"""Facts that speak of many things at once, spread: a row for each share of a link's key, or for each key.

A fact about the key of a link and epoch has the shares of all reservations (`protos.facts.Shares`); one
about keys that were delivered together names them all.  What such a fact says in sum is held against what
it says one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emulator.results.accounts import Booked, columns_of
from emulator.results.fact_columns import ChosenFacts, Coded, Numbers


class SpreadFacts:
    """Facts, each as many `times` as it has rows; some columns have what rows say of their `own`.

    `differing` is by how much facts and their rows differ in sum.
    """

    def __init__(
        self, facts: ChosenFacts, times: Numbers, own: Mapping[str, Any], differing: int
    ) -> None:
        self._facts, self._own, self.differing = facts, own, differing
        self._rows = np.repeat(np.arange(facts.count), times)
        self.count = len(self._rows)

    def numbers(self, name: str) -> Any:
        """Return a column of numbers.  Raises `JournalError`."""
        return self._own[name] if name in self._own else self._facts.numbers(name)[self._rows]

    def words(self, name: str) -> Any:
        """Return a column of text as an Arrow array.  Raises `JournalError`."""
        if name in self._own:
            return self._own[name]
        return self._facts.words(name).take(pa.array(self._rows))

    def coded(self, name: str) -> Coded:
        """Return a column of text in which few values recur.  Raises `JournalError`."""
        coded = self._facts.coded(name)
        return Coded(coded.indices[self._rows], coded.names)

    def may_say(self, name: str, part: str) -> bool:
        """Tell whether any fact of the portion has a text in a column."""
        return self._facts.may_say(name, part)


def by_reservation(facts: ChosenFacts) -> SpreadFacts:
    """Return facts about the key of links, a row for each share; `differing` is in bits.

    `filled` is not a number where nothing was told of a block.
    """
    shares = [
        json.loads(text) if text else _NO_SHARES for text in facts.words("details").to_pylist()
    ]
    times = np.array([len(item["requests"]) for item in shares], dtype=np.int64)
    own = {
        "request": _joined(shares, "requests", 0, np.int64),
        "bits": _joined(shares, "bits", 0, np.int64),
        "filled": _joined(shares, "filled", None, np.float64),
        "distilled_bits": _joined(shares, "distilled_bits", 0, np.int64),
    }
    sums = np.array([sum(item["bits"]) for item in shares], dtype=np.int64)
    differing = int(np.abs(facts.numbers("bits") - sums).sum())
    return SpreadFacts(facts, times, own, differing)


def by_key(facts: ChosenFacts) -> SpreadFacts:
    """Return facts about keys, a row for each key that was delivered; `differing` is in keys."""
    is_delivered = columns_of(facts.coded("kind")) == Booked.DELIVERED
    names = pc.split_pattern(facts.words("key_id"), " ")
    times = pc.list_value_length(names).to_numpy().astype(np.int64)
    rows = np.repeat(np.arange(facts.count), times)
    units, bits = facts.numbers("units"), facts.numbers("bits")
    own = {
        "key_id": names.flatten(),
        "fingerprint": _cut(facts.words("fingerprint").to_pylist(), times.tolist()),
        "units": np.where(is_delivered, 1, units)[rows],
        "bits": np.where(is_delivered, bits // np.maximum(times, 1), bits)[rows],
    }
    differing = int(np.abs(times - units)[is_delivered].sum())
    return SpreadFacts(facts, times, own, differing)


_NO_SHARES: dict[str, list[Any]] = {"requests": [], "bits": []}


def _joined(shares: list[dict[str, list[Any]]], name: str, default: Any, dtype: Any) -> Any:
    """Return a column of all shares, one after the other."""
    found: list[Any] = []
    for item in shares:
        found += item.get(name) or [default] * len(item["requests"])
    return np.array(found, dtype=dtype)


def _cut(texts: list[str], times: list[int]) -> Any:
    """Return each text in as many equal parts as told."""
    parts: list[str] = []
    for text, count in zip(texts, times, strict=True):
        size = len(text) // count
        parts += [text[size * number : size * (number + 1)] for number in range(count)]
    return pa.array(parts, pa.large_string())
