"""The SNMP agent inside a controller or a local key manager.

It answers Get, GetNext and GetBulk from those rows of its core that the sender may read (its view, RFC
3415), and hands the rows of a Set to its core after checking their form and the sender's rights.  A Set
is atomic: all of its rows are taken or none is.  A repeated Set gets the answer it got before, and
changes nothing.  A table is read only when a walk comes to it, and once; cells are made one at a time, so
reading a little of a large table costs its rows, not its cells.  Nothing here knows what a row means.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from protos.core import is_operator, role_of
from protos.mib import BY_ENTRY, BY_ROW, ENTRY_ARCS, Row
from protos.notifications import SYS_UP_TIME
from protos.pdu import Arcs, ErrorStatus, Missing, Pdu, VarBind, Verb
from protos.rows import VarBindError, decode, encode, instance, time_ticks
from protos.settings import is_setting, settings

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


MAX_VARBINDS = 2_000
_REMEMBERED_REQUESTS = 4_096


@dataclass(frozen=True)
class Refusal:
    """Why a core does not take a Set, and the 0-based position of the row at fault."""

    error_status: ErrorStatus
    row: int = 0


class SnmpAgent:
    """Answers requests on behalf of a core.

    `tables` returns the rows that can be read, by their type; `accept` takes all rows of a Set, sent by an
    entity at `now_s`, or says why not.
    """

    def __init__(
        self,
        tables: Callable[[], Tables],
        accept: Callable[[Sequence[Row], str, float], Refusal | None],
    ) -> None:
        self._tables = tables
        self._accept = accept
        self._done: OrderedDict[tuple[str, int, bytes], tuple[ErrorStatus, int]] = OrderedDict()

    def answer(self, source: str, pdu: Pdu, now_s: float) -> Pdu:
        """Return the Response to a request."""
        if len(pdu.varbinds) > MAX_VARBINDS:
            return pdu.response((), ErrorStatus.TOO_BIG)
        match pdu.verb:
            case Verb.SET:
                return self._set_once(source, pdu, now_s)
            case Verb.GET:
                view = self._view(source, now_s)
                return pdu.response(tuple(view.get(bind.name) for bind in pdu.varbinds))
            case Verb.GET_NEXT:
                view = self._view(source, now_s)
                return pdu.response(tuple(next(view.after(bind.name)) for bind in pdu.varbinds))
            case Verb.GET_BULK:
                return pdu.response(_bulk(self._view(source, now_s), pdu))
            case _:
                return pdu.response((), ErrorStatus.GEN_ERR)

    def _view(self, source: str, now_s: float) -> View:
        """Return what the sender may see."""
        role = role_of(source)
        tables = {
            kind: rows for kind, rows in self._tables().items() if role in BY_ROW[kind].readable_by
        }
        return View([VarBind(SYS_UP_TIME, time_ticks(now_s))], tables)

    def _set_once(self, source: str, pdu: Pdu, now_s: float) -> Pdu:
        """Do a Set, or tell how it ended if it comes again."""
        what = (source, pdu.request_id, _fingerprint(pdu.varbinds))
        if what not in self._done:
            self._done[what] = self._set(source, pdu.varbinds, now_s)
            if len(self._done) > _REMEMBERED_REQUESTS:
                self._done.popitem(last=False)
        return pdu.response(None, *self._done[what])

    def _set(
        self, source: str, varbinds: Sequence[VarBind], now_s: float
    ) -> tuple[ErrorStatus, int]:
        """Do a Set; return its error-status and error-index."""
        try:
            if is_operator(source) or any(is_setting(bind.name) for bind in varbinds):
                return self._set_columns(source, varbinds, now_s)
            rows = decode(varbinds)
        except VarBindError as error:
            return error.error_status, error.error_index
        for index, row in enumerate(rows):
            allowed = BY_ROW[type(row)].writable_by
            if role_of(source) not in allowed:
                status = ErrorStatus.NO_ACCESS if allowed else ErrorStatus.NOT_WRITABLE
                return status, _first_varbind(rows, index)
        refusal = self._accept(rows, source, now_s)
        if refusal is None:
            return ErrorStatus.NO_ERROR, 0
        return refusal.error_status, _first_varbind(rows, refusal.row)

    def _set_columns(
        self, source: str, varbinds: Sequence[VarBind], now_s: float
    ) -> tuple[ErrorStatus, int]:
        """Set columns in rows that exist.  Raises `VarBindError`."""
        rows = settings(varbinds, role_of(source), self._tables())
        refusal = self._accept(rows, source, now_s) if rows else None
        return (ErrorStatus.NO_ERROR, 0) if refusal is None else (refusal.error_status, 1)


def _fingerprint(varbinds: Sequence[VarBind]) -> bytes:
    """Tell one Set from another under the same request-id."""
    return blake2b(repr([tuple(bind) for bind in varbinds]).encode(), digest_size=8).digest()


def _first_varbind(rows: Sequence[Row], index: int) -> int:
    return 1 + sum(len(encode(row)) for row in rows[:index])


def _bulk(view: View, pdu: Pdu) -> tuple[VarBind, ...]:
    """RFC 3416, section 4.2.3; repetitions end early at the size limit."""
    once, repeated = pdu.varbinds[: pdu.non_repeaters], pdu.varbinds[pdu.non_repeaters :]
    answers = [next(view.after(bind.name)) for bind in once]
    walks = [view.after(bind.name) for bind in repeated]
    for _ in range(pdu.max_repetitions if walks else 0):
        if len(answers) + len(walks) > MAX_VARBINDS:
            break
        row = [next(walk) for walk in walks]
        answers += row
        if all(cell.value is Missing.END_OF_MIB_VIEW for cell in row):
            break
    return tuple(answers)
