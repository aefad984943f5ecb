"""The management vocabulary: every table, row and access right, as data.

A row is a frozen dataclass; its fields are columns, numbered in the order in which they are
written (append only: the numbers are the contract).  Fields named in `index` come first, are not
accessible by themselves, and end the instance name.  The SMIv2 form in QSAGIN-MIB.txt is generated
from here, from `syntax` and from `notifications`.  Nothing here knows who manages whom, or what a value
does.

The tree hangs under netSnmpPlaypen (1.3.6.1.4.1.8072.9999.9999), which is free for experiments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from functools import cached_property

from protos.pdu import Arcs
from protos.syntax import (
    ENUMERATIONS,
    SYNTAX,
    AdminStatus,
    Counter64,
    DateAndTime,
    DownCause,
    Gauge64,
    MediumCode,
    Milliseconds,
    OperStatus,
    PlanningAction,
    RowStatus,
    Syntax,
    TruthValue,
    Unsigned32,
)

PLAYPEN: Arcs = (1, 3, 6, 1, 4, 1, 8072, 9999, 9999)
QSAGIN: Arcs = (*PLAYPEN, 24)
OBJECTS: Arcs = (*QSAGIN, 1)
ENTRY_ARCS = len(OBJECTS) + 2  # how long the name of an entry is: its table, and 1


class AccessRole(StrEnum):
    """Who may do what; a role is bound to an entity, not to a message."""

    MANAGER = "manager"
    CONTROLLER = "controller"
    NODE = "node"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """Fiber controller: what one request has reserved.

    Key is made from `start_ms` on; the first epoch ends at `due_ms`, the others every `period_ms`.  A later
    `generation` takes the place of an earlier one, in whatever order they arrive.
    """

    request: int
    request_id: str
    source: str
    target: str
    units: int
    start_ms: Milliseconds
    due_ms: Milliseconds
    period_ms: Milliseconds
    row_status: RowStatus
    generation: Unsigned32 = 0


@dataclass(frozen=True, slots=True)
class ReservationHopRow:
    """Fiber controller: the `position`-th node (from 1) of the one path of a reservation."""

    request: int
    position: int
    node: str


@dataclass(frozen=True, slots=True)
class ReservationWavelengthRow:
    """Fiber controller: one wavelength (0-based colour), the same on every fiber of the path."""

    request: int
    position: int
    wavelength: int


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """Local key manager: its part in a reservation.

    An empty neighbour means that it is an end of the path; `peer` is the other end (empty between).
    """

    request: int
    upstream: str
    downstream: str
    peer: str
    units: int
    start_ms: Milliseconds
    due_ms: Milliseconds
    period_ms: Milliseconds
    row_status: RowStatus
    generation: Unsigned32 = 0


@dataclass(frozen=True, slots=True)
class TransceiverRow:
    """Local key manager: one wavelength that its transceivers tune to for a reservation."""

    request: int
    position: int
    wavelength: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """Local key manager: key that a satellite or UAV service has brought for one period."""

    order: Unsigned32
    request: int
    period: Unsigned32
    medium: MediumCode
    peer: str
    is_source: TruthValue
    units: int
    row_status: RowStatus


@dataclass(frozen=True, slots=True)
class KeyStoreRow:
    """Local key manager, read-only: one end-to-end key store."""

    request: int
    peer: str
    available_units: int
    capacity_units: int


@dataclass(frozen=True, slots=True)
class OrderRow:
    """Satellite or UAV controller: units bought on demand for one request and period."""

    order: Unsigned32
    request: int
    period: Unsigned32
    source: str
    target: str
    units: int
    row_status: RowStatus


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """Satellite or UAV controller, read-only: what it has done so far."""

    medium: int
    accepted_orders: Counter64
    refused_orders: Counter64
    open_orders: int
    failed_orders: Counter64


@dataclass(frozen=True, slots=True)
class OrderFailureRow:
    """Satellite or UAV controller, read-only: an order that was taken and has brought no key, and why."""

    order: Unsigned32
    request: int
    period: Unsigned32
    units: int
    reason: str


@dataclass(frozen=True, slots=True)
class ShortageRow:
    """Local key manager, read-only: units that an application asked for and did not get."""

    request: int
    period: Unsigned32
    units: int


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Local key manager, read-only: what an application has asked for since the start."""

    request: int
    periods: Counter64
    demanded_units: Counter64


@dataclass(frozen=True, slots=True)
class FiberStateRow:
    """Fiber controller, read-only: whether a fiber makes key (RFC 2863: up 1, down 2), and why not."""

    fiber: int
    a: str
    b: str
    oper_status: OperStatus
    cause: DownCause


@dataclass(frozen=True, slots=True)
class KeyBlockRow:
    """Local key manager, read-only: the block shared with the `position`-th neighbour on a path.

    Both ends counted `errors` in `sifted_bits`; a block with too many has no `key_bits`.
    """

    request: int
    position: int
    peer: str
    epoch: Unsigned32
    sifted_bits: Gauge64
    errors: Gauge64
    key_bits: Gauge64


@dataclass(frozen=True, slots=True)
class AgentRow:
    """Any agent, read-only: how often it has been out and come back."""

    agent: int
    restarts: Counter64


@dataclass(frozen=True, slots=True)
class EntityRow:
    """Management engine, read-only: an entity, whose name is that of its SNMP context."""

    entity: int
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """Management engine, read-only: running totals of a context; the empty one is the whole network.

    `late_units` were missing when they were asked for, `shortfall_units` for good.  `date` is emulated.
    """

    summary: int
    window: Counter64
    demanded_units: Counter64
    late_units: Counter64
    shortfall_units: Counter64
    cost: Gauge64
    date: DateAndTime


@dataclass(frozen=True, slots=True)
class FiberAdminRow:
    """Fiber controller: whether a fiber is in service; reservations are moved off one that is not."""

    fiber: int
    status: AdminStatus


@dataclass(frozen=True, slots=True)
class NodeAdminRow:
    """Fiber controller: whether a node is in service; one that is not is drained, with all its fibers."""

    node: int
    name: str
    status: AdminStatus


@dataclass(frozen=True, slots=True)
class FiberThresholdRow:
    """Fiber controller: QBER (parts per million) above which a fiber is down; time to be good until up."""

    threshold: int
    qber_limit_ppm: Unsigned32
    wait_to_restore_ms: Unsigned32


@dataclass(frozen=True, slots=True)
class PlanningRow:
    """Global manager: to ask for a plan, and how many have come into force or could not be made."""

    planning: int
    action: PlanningAction
    plans: Counter64
    failed_plans: Counter64


@dataclass(frozen=True, slots=True)
class EngineRow:
    """Management engine, read-only: messages dropped in a flood, Sets refused, requests unanswered."""

    engine: int
    dropped_messages: Counter64
    refused_sets: Counter64
    unanswered_requests: Counter64


Row = (
    ReservationRow
    | ReservationHopRow
    | ReservationWavelengthRow
    | ChannelRow
    | TransceiverRow
    | DeliveryRow
    | KeyStoreRow
    | OrderRow
    | ServiceRow
    | ShortageRow
    | UsageRow
    | FiberStateRow
    | OrderFailureRow
    | KeyBlockRow
    | AgentRow
    | EntityRow
    | SummaryRow
    | FiberAdminRow
    | NodeAdminRow
    | FiberThresholdRow
    | PlanningRow
    | EngineRow
)


@dataclass(frozen=True)
class Table:
    """A conceptual table: its place in the tree, its row type, and who may write and read it.

    To whom may not read it, it is as if it were not there (RFC 3415, views).  `settable` are columns that
    can be set one by one, by an operator too, in rows that exist; rows of other tables are set whole.
    """

    name: str
    arc: int
    row: type[Row]
    index: tuple[str, ...]
    writable_by: frozenset[AccessRole]
    readable_by: frozenset[AccessRole]
    settable: frozenset[str] = frozenset()

    def column_name(self, field: str) -> str:
        """Return the name of a column in the MIB."""
        return self.name + "".join(part.capitalize() for part in field.split("_"))

    @cached_property
    def entry(self) -> Arcs:
        """The name of the conceptual row object."""
        return (*OBJECTS, self.arc, 1)

    @cached_property
    def columns(self) -> dict[str, int]:
        """Accessible columns: field name to column number, in order."""
        names = [field.name for field in fields(self.row)]
        return {name: number for number, name in enumerate(names, 1) if name not in self.index}

    @cached_property
    def syntax(self) -> dict[str, Syntax]:
        """What each field can hold."""
        return {
            field.name: SYNTAX.get(str(field.type), Syntax.INTEGER32) for field in fields(self.row)
        }

    @cached_property
    def enumerations(self) -> dict[str, type[IntEnum]]:
        """The named numbers of each column that has no others."""
        kinds = {field.name: str(field.type) for field in fields(self.row)}
        return {name: ENUMERATIONS[kind] for name, kind in kinds.items() if kind in ENUMERATIONS}

    @cached_property
    def is_text(self) -> dict[str, bool]:
        """Whether a column holds text (an SnmpAdminString: UTF-8, or a date) rather than an integer."""
        texts = (Syntax.TEXT, Syntax.DATE_AND_TIME)
        return {name: syntax in texts for name, syntax in self.syntax.items()}


_MANAGER, _CONTROLLER = frozenset({AccessRole.MANAGER}), frozenset({AccessRole.CONTROLLER})
_NOBODY: frozenset[AccessRole] = frozenset()
_STATIONS = _MANAGER | _CONTROLLER
_ANYBODY_BUT_NODES = _STATIONS | {AccessRole.OBSERVER}

TABLES: tuple[Table, ...] = (
    Table("qsReservation", 1, ReservationRow, ("request",), _MANAGER, _MANAGER),
    Table("qsReservationHop", 2, ReservationHopRow, ("request", "position"), _MANAGER, _MANAGER),
    Table(
        "qsReservationWavelength",
        3,
        ReservationWavelengthRow,
        ("request", "position"),
        _MANAGER,
        _MANAGER,
    ),
    Table("qsChannel", 4, ChannelRow, ("request",), _CONTROLLER, _STATIONS),
    Table("qsTransceiver", 5, TransceiverRow, ("request", "position"), _CONTROLLER, _STATIONS),
    Table("qsDelivery", 6, DeliveryRow, ("order",), _CONTROLLER, _STATIONS),
    Table("qsKeyStore", 7, KeyStoreRow, ("request",), _NOBODY, _ANYBODY_BUT_NODES),
    Table("qsOrder", 8, OrderRow, ("order",), _MANAGER, _MANAGER),
    Table("qsService", 9, ServiceRow, ("medium",), _NOBODY, _ANYBODY_BUT_NODES),
    Table("qsShortage", 10, ShortageRow, ("request", "period"), _NOBODY, _STATIONS),
    Table("qsUsage", 11, UsageRow, ("request",), _NOBODY, _MANAGER),
    Table("qsFiberState", 12, FiberStateRow, ("fiber",), _NOBODY, _ANYBODY_BUT_NODES),
    Table("qsKeyBlock", 13, KeyBlockRow, ("request", "position"), _NOBODY, _STATIONS),
    Table("qsOrderFailure", 14, OrderFailureRow, ("order",), _NOBODY, _STATIONS),
    Table("qsAgent", 15, AgentRow, ("agent",), _NOBODY, _ANYBODY_BUT_NODES),
    Table("qsEntity", 16, EntityRow, ("entity",), _NOBODY, _ANYBODY_BUT_NODES),
    Table("qsSummary", 17, SummaryRow, ("summary",), _NOBODY, _ANYBODY_BUT_NODES),
    Table(
        "qsFiberAdmin",
        18,
        FiberAdminRow,
        ("fiber",),
        _MANAGER,
        _ANYBODY_BUT_NODES,
        frozenset({"status"}),
    ),
    Table(
        "qsNodeAdmin",
        19,
        NodeAdminRow,
        ("node",),
        _MANAGER,
        _ANYBODY_BUT_NODES,
        frozenset({"status"}),
    ),
    Table(
        "qsFiberThreshold",
        20,
        FiberThresholdRow,
        ("threshold",),
        _MANAGER,
        _ANYBODY_BUT_NODES,
        frozenset({"qber_limit_ppm", "wait_to_restore_ms"}),
    ),
    Table(
        "qsPlanning",
        21,
        PlanningRow,
        ("planning",),
        _MANAGER,
        _ANYBODY_BUT_NODES,
        frozenset({"action"}),
    ),
    Table("qsEngine", 22, EngineRow, ("engine",), _NOBODY, _ANYBODY_BUT_NODES),
)
BY_ROW: dict[type[Row], Table] = {table.row: table for table in TABLES}
BY_ENTRY: dict[Arcs, Table] = {table.entry: table for table in TABLES}
