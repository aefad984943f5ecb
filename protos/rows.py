"""Rows of the MIB to varbinds and back.

`decode(encode(row)) == row` for every row; a varbind that names no column, or that has the wrong
type, raises `VarBindError` with the RFC's error-status and the 1-based index of the varbind.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import cast

from protos.mib import BY_ENTRY, BY_ROW, ENTRY_ARCS, Row, Table
from protos.notifications import BY_NOTIFICATION, SNMP_TRAP_OID, SYS_UP_TIME, Notification
from protos.pdu import TRACE_BYTES, Arcs, ErrorStatus, Pdu, Value, VarBind, Verb

MOST_OCTETS = 255  # of an SnmpAdminString, RFC 3411


class VarBindError(Exception):
    """A varbind that cannot be what it claims to be."""

    def __init__(self, error_status: ErrorStatus, error_index: int) -> None:
        super().__init__(error_status, error_index)
        self.error_status, self.error_index = error_status, error_index

    def __str__(self) -> str:
        return f"varbind {self.error_index}: {self.error_status.name}"


def instance(row: Row) -> Arcs:
    """Return the index arcs of a row."""
    return tuple(getattr(row, name) for name in BY_ROW[type(row)].index)


def encode(row: Row) -> list[VarBind]:
    """Return one varbind for each accessible column of the row, in column order."""
    table = BY_ROW[type(row)]
    entry, index = table.entry, instance(row)
    return [
        VarBind((*entry, column, *index), getattr(row, name))
        for name, column in table.columns.items()
    ]


def decode(varbinds: Sequence[VarBind]) -> list[Row]:
    """Return the rows that the varbinds spell, in order of first mention.

    Every accessible column must be there.  Raises `VarBindError`.
    """
    found: dict[tuple[Arcs, Arcs], dict[int, Value]] = {}
    first: dict[tuple[Arcs, Arcs], int] = {}
    for position, varbind in enumerate(varbinds, 1):
        entry, column, index = _split(varbind.name, position)
        key = (entry, index)
        first.setdefault(key, position)
        found.setdefault(key, {})[column] = varbind.value
    return [_row(*key, values, first[key]) for key, values in found.items()]


def command(*rows: Row) -> Pdu:
    """Return a Set of rows."""
    return Pdu(
        Verb.SET, 0, tuple(bind for row in rows for bind in encode(row)), trace_id=trace_of(*rows)
    )


def trace_of(*rows: Row) -> bytes:
    """Return the trace that rows are part of: that of a request's need in a period, or of a request.

    All entities derive the same trace for the same need, so none has to pass it on.
    """
    for row in rows:
        request = getattr(row, "request", None)
        if request is not None:
            return trace_id(request, getattr(row, "period", -1))
    return b""


def trace_id(request: int, period: int = -1) -> bytes:
    """Return the trace of a request's need in a period; of its reservation without one."""
    about = f"{request}/{period}".encode()
    return blake2b(about, digest_size=TRACE_BYTES, person=b"qsagin-trace").digest()


def notify(kind: Notification, row: Row, request_id: int, now_s: float, verb: Verb) -> Pdu:
    """Return a Trap or Inform PDU: sysUpTime.0, snmpTrapOID.0, then the row (RFC 3416, 4.2.6)."""
    head = (VarBind(SYS_UP_TIME, time_ticks(now_s)), VarBind(SNMP_TRAP_OID, kind.oid))
    return Pdu(verb, request_id, (*head, *encode(row)), trace_id=trace_of(row))


def time_ticks(now_s: float) -> int:
    """Return a time as TimeTicks (RFC 2578, 7.1.8): hundredths of a second, from 0 again after 497 days."""
    return round(now_s * 100) % 2**32


def notified(pdu: Pdu) -> tuple[Notification, Row]:
    """Return what a Trap or Inform says.  Raises `VarBindError`."""
    if len(pdu.varbinds) < 3 or pdu.varbinds[1].name != SNMP_TRAP_OID:
        raise VarBindError(ErrorStatus.GEN_ERR, min(2, len(pdu.varbinds)))
    kind = BY_NOTIFICATION.get(cast("Arcs", pdu.varbinds[1].value))
    if kind is None:
        raise VarBindError(ErrorStatus.GEN_ERR, 2)
    return kind, decode(pdu.varbinds[2:])[0]


def _split(name: Arcs, position: int) -> tuple[Arcs, int, Arcs]:
    if len(name) <= ENTRY_ARCS + 1 or name[:ENTRY_ARCS] not in BY_ENTRY:
        raise VarBindError(ErrorStatus.NO_CREATION, position)
    return name[:ENTRY_ARCS], name[ENTRY_ARCS], name[ENTRY_ARCS + 1 :]


def _row(entry: Arcs, index: Arcs, values: dict[int, Value], position: int) -> Row:
    table: Table = BY_ENTRY[entry]
    if len(index) != len(table.index) or values.keys() != set(table.columns.values()):
        raise VarBindError(ErrorStatus.INCONSISTENT_NAME, position)
    named: dict[str, Value] = dict(zip(table.index, index, strict=True))
    for offset, (name, column) in enumerate(table.columns.items()):
        value = values[column]
        status = check_value(table, name, value)
        if status is not ErrorStatus.NO_ERROR:
            raise VarBindError(status, position + offset)
        named[name] = value
    return table.row(**named)  # type: ignore[arg-type]


def check_value(table: Table, field: str, value: Value) -> ErrorStatus:
    """Return whether a column can hold a value: noError, wrongType, wrongLength or wrongValue."""
    expected = str if table.is_text[field] else int
    if not isinstance(value, expected):
        return ErrorStatus.WRONG_TYPE
    if isinstance(value, str) and len(value.encode()) > MOST_OCTETS:
        return ErrorStatus.WRONG_LENGTH
    if isinstance(value, int):
        syntax, named = table.syntax[field], table.enumerations.get(field)
        fits = syntax.least <= value <= syntax.most and (named is None or value in set(named))
        return ErrorStatus.NO_ERROR if fits else ErrorStatus.WRONG_VALUE
    return ErrorStatus.NO_ERROR


def column_of(row: type[Row], field: str) -> Arcs:
    """Return the name of a column."""
    table = BY_ROW[row]
    return (*table.entry, table.columns[field])
