"""Facts by columns: an array for each field that is asked for, instead of an object for each value.

SQLite joins the values of a column to one text, and Arrow takes it apart again, both in compiled code; so
fields of details become columns too.  The number of values is checked: a column that lacks one, or has one
that it cannot have, raises `JournalError`.  Books that are given the same facts share what was taken apart.
What one row says of many things at once is spread into rows in `spread_facts`.  Nothing here knows a query,
or what facts mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from numpy.typing import NDArray

from emulator.store.journal import JournalError

Numbers = NDArray[np.int64]
Made = TypeVar("Made")
SEPARATOR = "\x1f"
"""What is between values; details and names have no such sign."""


@dataclass(frozen=True)
class Coded:
    """A column of words: the index of each value in `names`, which has each once."""

    indices: Numbers
    names: tuple[str, ...]

    def is_one_of(self, *names: str) -> NDArray[np.bool_]:
        """Tell which values are among some names."""
        return self.translated([name in names for name in self.names], bool)

    def chosen(self, rows: NDArray[np.bool_]) -> Coded:
        """Return some of the values, and the names of these only."""
        indices = self.indices[rows]
        is_used = np.bincount(indices, minlength=len(self.names)) > 0
        names = tuple(name for name, used in zip(self.names, is_used.tolist(), strict=True) if used)
        return Coded((np.cumsum(is_used) - 1)[indices], names)

    def numbered(self, names: Sequence[str]) -> Numbers:
        """Return the index of each value in a list of names, -1 if it is none of them."""
        number = {name: index for index, name in enumerate(names)}
        return self.translated([number.get(name, -1) for name in self.names])

    def translated(self, values: Sequence[Any], dtype: Any = np.int64) -> NDArray[Any]:
        """Return what stands for each value; `values` has one for every name."""
        return np.array(values, dtype=dtype)[self.indices]


@dataclass(frozen=True)
class FactColumns:
    """Some fields of facts, in the order of the facts; `source` is the journal, for errors."""

    source: str
    count: int
    texts: Mapping[str, str | None] = field(repr=False)
    _read: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def text(self, name: str) -> str:
        """Return all values of a column as one text, a separator after each; binary ones in hexadecimal."""
        return f"{self.texts[name]}{SEPARATOR}" if self.count else ""

    def numbers(self, name: str) -> Numbers:
        """Return a column of whole numbers.  Raises `JournalError`."""
        if name not in self._read:
            try:
                self._read[name] = self.words(name).cast(pa.int64()).to_numpy()
            except pa.ArrowInvalid as error:
                raise JournalError(self.source, f"has a {name} that is no whole number") from error
        found: Numbers = self._read[name]
        return found

    def words(self, name: str) -> Any:
        """Return a column of text as an Arrow array.  Raises `JournalError`."""
        if not self.count:
            return pa.array([], pa.large_string())
        joined = pa.array([self.texts[name]], pa.large_string())
        found = pc.split_pattern(joined, SEPARATOR).flatten()
        if len(found) != self.count:
            raise JournalError(
                self.source, f"has a fact with no {name}, or one that cannot be read"
            )
        return found

    def coded(self, name: str) -> Coded:
        """Return a column of text in which few values recur.  Raises `JournalError`."""
        if name not in self._read:
            found = self.words(name).dictionary_encode()
            indices = found.indices.to_numpy().astype(np.int64)
            self._read[name] = Coded(indices, tuple(found.dictionary.to_pylist()))
        coded: Coded = self._read[name]
        return coded

    def chosen(self, rows: NDArray[np.bool_]) -> ChosenFacts:
        """Return some of the facts."""
        return ChosenFacts(self, rows)

    def once(self, name: str, make: Callable[[FactColumns], Made]) -> Made:
        """Return what is made of these facts, by its name; it is made when it is first asked for."""
        if name not in self._read:
            self._read[name] = make(self)
        made: Made = self._read[name]
        return made


class ChosenFacts:
    """Some of the facts of a portion; columns are read when they are asked for."""

    def __init__(self, facts: FactColumns, rows: NDArray[np.bool_]) -> None:
        self._facts, self._rows = facts, rows
        self.source, self.count = facts.source, int(rows.sum())

    def numbers(self, name: str) -> Numbers:
        """Return a column of whole numbers.  Raises `JournalError`."""
        return self._facts.numbers(name)[self._rows]

    def words(self, name: str) -> Any:
        """Return a column of text as an Arrow array.  Raises `JournalError`."""
        return self._facts.words(name).filter(pa.array(self._rows))

    def coded(self, name: str) -> Coded:
        """Return a column of text in which few values recur.  Raises `JournalError`."""
        return self._facts.coded(name).chosen(self._rows)

    def documents(self, name: str, fields: pa.Schema) -> pa.Table:
        """Return a column of JSON objects as a table with these fields; null where there is nothing.

        Raises `JournalError`.
        """
        if not self.count:
            return fields.empty_table()
        texts = self.words(name)
        no_fields, nothing, end = (pa.scalar(text, texts.type) for text in ("{}", "", "\n"))
        objects = pc.if_else(pc.equal(texts, nothing), no_fields, texts)
        lines = pc.binary_join_element_wise(objects, nothing, end)
        text = lines.buffers()[2]
        try:
            found = pyarrow.json.read_json(
                pa.BufferReader(text),
                pyarrow.json.ReadOptions(use_threads=False, block_size=text.size + 1),
                pyarrow.json.ParseOptions(
                    explicit_schema=fields, unexpected_field_behavior="error"
                ),
            )
        except pa.ArrowInvalid as error:
            raise JournalError(self.source, f"has {name} that cannot be read") from error
        if found.num_rows != self.count:
            raise JournalError(self.source, f"has {name} that are not one object a fact")
        return found


@dataclass(frozen=True)
class Groups:
    """Which rows have the same keys: the group of each row, and a row of each group; by rising keys."""

    of_row: Numbers
    first: Numbers

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.first)

    def sums(self, values: Numbers) -> Numbers:
        """Return the sum of each group."""
        totals = np.zeros(self.count, dtype=np.int64)
        np.add.at(totals, self.of_row, values)
        return totals


def grouped(*keys: Numbers) -> Groups:
    """Group rows by keys, columns of equal length."""
    ids = _compact(keys[0])
    for key in keys[1:]:
        more = _compact(key)
        span = int(more.max(initial=0)) + 1
        if (int(ids.max(initial=0)) + 1) * span >= _MOST:
            ids, more = _ranked(ids), _ranked(more)
            span = int(more.max(initial=0)) + 1
        ids = ids * span + more
    _, first, of_row = np.unique(ids, return_index=True, return_inverse=True)
    return Groups(of_row, first)


_MOST = 2**62


def _compact(key: Numbers) -> Numbers:
    """Return numbers from 0 on in the same order; ranks where they are too far apart."""
    low, high = int(key.min(initial=0)), int(key.max(initial=0))
    return key.astype(np.int64) - low if high - low < _MOST else _ranked(key)


def _ranked(key: Numbers) -> Numbers:
    return np.unique(key, return_inverse=True)[1]
