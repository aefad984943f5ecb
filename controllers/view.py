"""What a sender may read of an agent: scalars and tables, in the order of the MIB (RFC 3415, views).

A table is looked at only when a walk comes to it, and once; cells are made one at a time.  So reading a
little of a large table costs its rows, not its cells.  Nothing here knows what a row means.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from protos.mib import BY_ENTRY, BY_ROW, ENTRY_ARCS, Row
from protos.pdu import Arcs, Missing, VarBind
from protos.rows import instance

Tables = Mapping[type[Row], Iterable[Row]]


class View:
    """Scalars, all before the tables in the MIB, and tables by the type of their rows."""

    def __init__(self, scalars: Sequence[VarBind], tables: Tables) -> None:
        self._scalars = sorted(scalars, key=lambda cell: cell.name)
        self._tables = {BY_ROW[row].entry: rows for row, rows in tables.items()}
        self._sorted: dict[Arcs, tuple[list[Arcs], list[Row]]] = {}

    def get(self, name: Arcs) -> VarBind:
        """Return the cell of this name, or why there is none."""
        cell = next(self._cells(name), None)
        if cell is not None and cell.name == name:
            return cell
        is_column = name[:ENTRY_ARCS] in BY_ENTRY
        return VarBind(name, Missing.NO_SUCH_INSTANCE if is_column else Missing.NO_SUCH_OBJECT)

    def after(self, name: Arcs) -> Iterator[VarBind]:
        """Yield the cells that follow a name, which need not exist; then for ever that this is the end."""
        for cell in self._cells((*name, 0)):
            name = cell.name
            yield cell
        while True:
            yield VarBind(name, Missing.END_OF_MIB_VIEW)

    def _cells(self, start: Arcs) -> Iterator[VarBind]:
        """Yield all cells from a name on."""
        yield from (cell for cell in self._scalars if cell.name >= start)
        for entry in sorted(self._tables):
            if entry < start[:ENTRY_ARCS]:
                continue
            indices, rows = self._rows(entry)
            for field, column in BY_ENTRY[entry].columns.items():
                stem = (*entry, column)
                if stem < start[: len(stem)]:
                    continue
                first = bisect_left(indices, start[len(stem) :]) if stem <= start else 0
                for index, row in zip(indices[first:], rows[first:], strict=True):
                    yield VarBind((*stem, *index), getattr(row, field))

    def _rows(self, entry: Arcs) -> tuple[list[Arcs], list[Row]]:
        if entry not in self._sorted:
            rows = sorted(self._tables[entry], key=instance)
            self._sorted[entry] = [instance(row) for row in rows], rows
        return self._sorted[entry]
