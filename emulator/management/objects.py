"""What an entity shows, as object instances of the MIB in their order.

Beside the tables of `protos.mib` there are the groups of the standards: system (RFC 3418), interfaces for
fibers (RFC 2863) and the engine's own (RFC 3411, 3414).  Who may not read a table does not see it
(RFC 3415).  Nothing here knows how requests come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from operator import attrgetter, itemgetter
from typing import NamedTuple

from emulator.runtime.glances import Glance
from protos.mib import (
    BY_ROW,
    QSAGIN,
    SYS_UP_TIME,
    AccessRole,
    EngineRow,
    EntityRow,
    FiberStateRow,
    Row,
    SummaryRow,
    Syntax,
)
from protos.pdu import Arcs
from protos.rows import instance, time_ticks

_SYSTEM: Arcs = (1, 3, 6, 1, 2, 1, 1)
_INTERFACES: Arcs = (1, 3, 6, 1, 2, 1, 2)
_IF_X_ENTRY: Arcs = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
_IF_OPTICAL_CHANNEL = 195  # IANAifType-MIB
_SERVICES = 72  # RFC 3418, sysServices: end to end, and applications
_UP = 1  # RFC 2863, ifAdminStatus


_QUIET = EngineRow(1, 0, 0, 0)


class Type(Enum):
    """How a value is encoded, as RFC 2578 and 3416 name it."""

    INTEGER = "Integer32"
    UNSIGNED = "Unsigned32"
    COUNTER32 = "Counter32"
    COUNTER64 = "Counter64"
    GAUGE32 = "Gauge32"
    TICKS = "TimeTicks"
    OCTETS = "OctetString"
    NAME = "ObjectIdentifier"


class Cell(NamedTuple):
    """An object instance: its name, the type of its value, and the value."""

    name: Arcs
    type: Type
    value: int | bytes | Arcs


@dataclass(frozen=True)
class About:
    """What the engine says of itself in every context: its software, and cells of its own groups.

    `epoch` is when the run began in emulated time, `row` what the engine counts.
    """

    description: str
    cells: tuple[Cell, ...] = ()
    epoch: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    row: EngineRow = _QUIET


_TYPE_OF = {
    Syntax.INTEGER32: Type.INTEGER,
    Syntax.UNSIGNED32: Type.UNSIGNED,
    Syntax.COUNTER64: Type.COUNTER64,
    Syntax.GAUGE64: Type.COUNTER64,
}
_MILLISECONDS_OCTETS = 8


def cells_of(context: str, glance: Glance, role: AccessRole, about: About) -> list[Cell]:
    """Return all that a role may see of an entity, in the order of names."""
    rows: dict[type[Row], tuple[Row, ...]] = dict(glance.rows)
    rows |= {SummaryRow: (_summary(glance, about.epoch),), EngineRow: (about.row,)}
    seen = {kind: found for kind, found in rows.items() if role in BY_ROW[kind].readable_by}
    cells = [*_system(context, glance, about), *about.cells]
    cells += _interfaces(
        [row for row in seen.get(FiberStateRow, ()) if isinstance(row, FiberStateRow)]
    )
    for kind, found in seen.items():
        cells += _table(kind, found)
    return sorted(cells, key=itemgetter(0))


def entity_rows(roles: Mapping[str, AccessRole]) -> dict[type[Row], tuple[Row, ...]]:
    """Return the rows that name all entities, in order."""
    rows = (EntityRow(number, name, role) for number, (name, role) in enumerate(roles.items(), 1))
    return {EntityRow: tuple(rows)}


def _summary(glance: Glance, epoch: datetime) -> SummaryRow:
    totals, date = glance.totals, epoch + timedelta(seconds=glance.now_s)
    return SummaryRow(
        1,
        glance.window,
        totals.demanded_units,
        totals.late_units,
        totals.shortfall_units,
        max(0, totals.cost),
        date.isoformat(),
    )


def _system(context: str, glance: Glance, about: About) -> Iterator[Cell]:
    texts = {1: about.description, 4: "", 5: context or "network", 6: ""}
    for arc, text in texts.items():
        yield Cell((*_SYSTEM, arc, 0), Type.OCTETS, text.encode())
    yield Cell((*_SYSTEM, 2, 0), Type.NAME, QSAGIN)
    yield Cell(SYS_UP_TIME, Type.TICKS, time_ticks(glance.now_s))
    yield Cell((*_SYSTEM, 7, 0), Type.INTEGER, _SERVICES)


def _interfaces(fibers: Sequence[FiberStateRow]) -> Iterator[Cell]:
    """Yield a row of ifTable and one of ifXTable for each fiber; ifIndex is its number, from 1 on."""
    if not fibers:
        return
    yield Cell((*_INTERFACES, 1, 0), Type.INTEGER, len(fibers))
    for fiber in fibers:
        index, name = fiber.fiber + 1, f"{fiber.a}-{fiber.b}".encode()
        columns = (
            (1, Type.INTEGER, index),
            (2, Type.OCTETS, b"fiber " + name),
            (3, Type.INTEGER, _IF_OPTICAL_CHANNEL),
            (7, Type.INTEGER, _UP),
            (8, Type.INTEGER, int(fiber.oper_status)),
        )
        for column, kind, value in columns:
            yield Cell((*_INTERFACES, 2, 1, column, index), kind, value)
        yield Cell((*_IF_X_ENTRY, 1, index), Type.OCTETS, name)


def _table(kind: type[Row], rows: Sequence[Row]) -> Iterator[Cell]:
    """Yield a table column by column, which is its order if rows are in theirs."""
    table = BY_ROW[kind]
    instances = [instance(row) for row in rows]
    for field, column in table.columns.items():
        head, syntax = (*table.entry, column), table.syntax[field]
        values = map(attrgetter(field), rows)
        if plain := _TYPE_OF.get(syntax):
            for index, value in zip(instances, values, strict=True):
                yield Cell(head + index, plain, int(value))
        else:
            for index, value in zip(instances, values, strict=True):
                yield Cell(head + index, *typed(syntax, value))


def type_of(syntax: Syntax) -> Type:
    """Return how a column's values are encoded."""
    return _TYPE_OF.get(syntax, Type.OCTETS)


def date_and_time(at: datetime) -> bytes:
    """Return a time as DateAndTime (RFC 2579), in UTC."""
    in_utc = at.astimezone(UTC)
    date = (in_utc.month, in_utc.day, in_utc.hour, in_utc.minute, in_utc.second)
    return bytes((*in_utc.year.to_bytes(2), *date, in_utc.microsecond // 100_000, ord("+"), 0, 0))


def typed(syntax: Syntax, value: int | str) -> tuple[Type, int | bytes]:
    """Return the type and the value of a column as they are encoded."""
    if isinstance(value, str) and syntax is Syntax.DATE_AND_TIME:
        return Type.OCTETS, date_and_time(datetime.fromisoformat(value))
    if isinstance(value, str):
        return Type.OCTETS, value.encode()
    if syntax is Syntax.MILLISECONDS:
        return Type.OCTETS, value.to_bytes(_MILLISECONDS_OCTETS)
    return _TYPE_OF[syntax], int(value)
