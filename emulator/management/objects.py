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
from operator import attrgetter, gt
from typing import NamedTuple

from emulator.management.ber import absent, variable, variables, written_name
from emulator.runtime.glances import Glance
from protos.mib import (
    BY_ROW,
    QSAGIN,
    AccessRole,
    EngineRow,
    EntityRow,
    FiberStateRow,
    Row,
    SummaryRow,
    Table,
)
from protos.notifications import SYS_UP_TIME
from protos.pdu import Arcs, Missing
from protos.rows import instance, time_ticks
from protos.syntax import Syntax

_SYSTEM: Arcs = (1, 3, 6, 1, 2, 1, 1)
_INTERFACES: Arcs = (1, 3, 6, 1, 2, 1, 2)
_IF_ENTRY: Arcs = (*_INTERFACES, 2, 1)
_IF_X_ENTRY: Arcs = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
_IF_OPTICAL_CHANNEL = 195  # IANAifType-MIB
_SERVICES = 72  # RFC 3418, sysServices: end to end, and applications
_UP = 1  # RFC 2863, ifAdminStatus


_QUIET = EngineRow(1, 0, 0, 0)


class Type(Enum):
    """How a value is encoded: its name and its tag in RFC 2578 and 3416."""

    INTEGER = ("Integer32", 0x02)
    UNSIGNED = ("Unsigned32", 0x42)
    COUNTER32 = ("Counter32", 0x41)
    COUNTER64 = ("Counter64", 0x46)
    GAUGE32 = ("Gauge32", 0x42)
    TICKS = ("TimeTicks", 0x43)
    OCTETS = ("OctetString", 0x04)
    NAME = ("ObjectIdentifier", 0x06)

    def __init__(self, smi: str, tag: int) -> None:
        self.smi, self.tag = smi, tag


class Cell(NamedTuple):
    """An object instance: its name, the type of its value, and the value."""

    name: Arcs
    type: Type
    value: int | bytes | Arcs

    def octets(self) -> bytes:
        """Return it as a variable with its value."""
        return variable(self.name, self.type.tag, self.value)


class Absent(NamedTuple):
    """What is said of a name instead of a value."""

    name: Arcs
    why: Missing

    def octets(self) -> bytes:
        """Return it as a variable without a value."""
        return absent(self.name, self.why)


class Column(NamedTuple):
    """Instances of one object type in order: their names, as they are and as octets, and their values."""

    names: Sequence[Arcs]
    written: Sequence[bytes]
    type: Type
    values: Sequence[int | bytes | Arcs]

    def cell(self, at: int) -> Cell:
        """Return an instance."""
        return Cell(self.names[at], self.type, self.values[at])

    def octets(self) -> list[bytes]:
        """Return all instances as variables with their values, as octets."""
        return variables(self.written, self.type.tag, self.values)


class Names:
    """The names of all instances of a table, made again only if other rows are there than before."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, type[Row]], tuple[_Instances, list[_Named]]] = {}

    def of(self, context: str, kind: type[Row], instances: _Instances) -> list[_Named]:
        """Return the names of a table of a context, column by column."""
        table = BY_ROW[kind]
        before, named = self._made.get((context, kind), (None, []))
        if before != instances:
            heads = [(*table.entry, column) for column in table.columns.values()]
            names = [[head + index for index in instances] for head in heads]
            named = [(column, list(map(written_name, column))) for column in names]
            self._made[context, kind] = instances, named
        return named


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
_Instances = tuple[Arcs, ...]
_Named = tuple[list[Arcs], list[bytes]]


def columns_of(
    context: str, glance: Glance, role: AccessRole, about: About, names: Names
) -> list[Column]:
    """Return all that a role may see of an entity, in the order of names."""
    rows: dict[type[Row], tuple[Row, ...]] = dict(glance.rows)
    rows |= {SummaryRow: (_summary(glance, about.epoch),), EngineRow: (about.row,)}
    seen = {
        kind: found for kind, found in rows.items() if found and role in BY_ROW[kind].readable_by
    }
    columns = [_alone(cell) for cell in (*_system(context, glance, about), *about.cells)]
    columns += _interfaces(
        [row for row in seen.get(FiberStateRow, ()) if isinstance(row, FiberStateRow)]
    )
    for kind, found in seen.items():
        columns += _table(context, kind, found, names)
    return sorted(columns, key=lambda column: column.names[0])


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


def _alone(cell: Cell) -> Column:
    return Column((cell.name,), (written_name(cell.name),), cell.type, (cell.value,))


def _interfaces(fibers: Sequence[FiberStateRow]) -> Iterator[Column]:
    """Yield ifTable and ifXTable, with a row for each fiber; ifIndex is its number, from 1 on."""
    if not fibers:
        return
    yield _alone(Cell((*_INTERFACES, 1, 0), Type.INTEGER, len(fibers)))
    texts = [f"{fiber.a}-{fiber.b}".encode() for fiber in fibers]
    indices = [fiber.fiber + 1 for fiber in fibers]
    columns: tuple[tuple[Arcs, Type, list[int] | list[bytes]], ...] = (
        ((*_IF_ENTRY, 1), Type.INTEGER, indices),
        ((*_IF_ENTRY, 2), Type.OCTETS, [b"fiber " + text for text in texts]),
        ((*_IF_ENTRY, 3), Type.INTEGER, [_IF_OPTICAL_CHANNEL] * len(fibers)),
        ((*_IF_ENTRY, 7), Type.INTEGER, [_UP] * len(fibers)),
        ((*_IF_ENTRY, 8), Type.INTEGER, [int(fiber.oper_status) for fiber in fibers]),
        ((*_IF_X_ENTRY, 1), Type.OCTETS, texts),
    )
    for head, kind, values in columns:
        names = [(*head, index) for index in indices]
        yield Column(names, list(map(written_name, names)), kind, values)


def _table(context: str, kind: type[Row], rows: Sequence[Row], names: Names) -> Iterator[Column]:
    """Yield a table column by column, each in the order of instances."""
    table = BY_ROW[kind]
    instances = _instances(table, rows)
    if any(map(gt, instances, instances[1:])):
        rows = sorted(rows, key=instance)
        instances = _instances(table, rows)
    named = names.of(context, kind, instances)
    for field, (column, written) in zip(table.columns, named, strict=True):
        syntax, values = table.syntax[field], map(attrgetter(field), rows)
        if plain := _TYPE_OF.get(syntax):
            yield Column(column, written, plain, list(map(int, values)))
        else:
            octets = [typed(syntax, value)[1] for value in values]
            yield Column(column, written, Type.OCTETS, octets)


def _instances(table: Table, rows: Sequence[Row]) -> _Instances:
    first, *others = table.index
    if others:
        return tuple(map(attrgetter(first, *others), rows))
    return tuple((index,) for index in map(attrgetter(first), rows))


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
