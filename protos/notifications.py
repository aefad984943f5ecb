"""Notifications of the management vocabulary: their names in the tree, and the row that each carries.

What is told by SNMP is a trap or an inform (RFC 3416); what is added for somebody outside the network has
names here, too.  Nothing here knows who tells whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from protos.mib import (
    QSAGIN,
    AgentRow,
    FiberStateRow,
    OrderFailureRow,
    OrderRow,
    ReservationRow,
    Row,
    ShortageRow,
)
from protos.pdu import Arcs

NOTIFICATIONS: Arcs = (*QSAGIN, 0)
NOTICES: Arcs = (*QSAGIN, 3)
NOTICE_ID: Arcs = (*NOTICES, 1, 0)
NOTICE_ENTITY: Arcs = (*NOTICES, 2, 0)
NOTICE_DATE: Arcs = (*NOTICES, 3, 0)
"""What is added to a notification for somebody outside: its name, its agent, and when in emulated time."""
SYS_UP_TIME: Arcs = (1, 3, 6, 1, 2, 1, 1, 3, 0)
SNMP_TRAP_OID: Arcs = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
SNMP_TRAPS: Arcs = (1, 3, 6, 1, 6, 3, 1, 1, 5)


@dataclass(frozen=True)
class Notification:
    """A trap or inform: its place in the tree, and the row that it carries.

    What SNMPv2-MIB (RFC 3418) defines keeps its place there, under `snmpTraps`.
    """

    name: str
    arc: int
    row: type[Row]
    root: Arcs = NOTIFICATIONS

    @cached_property
    def oid(self) -> Arcs:
        """The value of snmpTrapOID.0."""
        return (*self.root, self.arc)


KEY_SHORTAGE = Notification("qsKeyShortage", 1, ShortageRow)
RESERVATION_UP = Notification("qsReservationUp", 2, ReservationRow)
ORDER_COMPLETE = Notification("qsOrderComplete", 3, OrderRow)
LINK_DOWN = Notification("qsLinkDown", 4, FiberStateRow)
ORDER_FAILED = Notification("qsOrderFailed", 5, OrderFailureRow)
LINK_UP = Notification("qsLinkUp", 6, FiberStateRow)
COLD_START = Notification("coldStart", 1, AgentRow, SNMP_TRAPS)
NOTIFICATION_TYPES: tuple[Notification, ...] = (
    KEY_SHORTAGE,
    RESERVATION_UP,
    ORDER_COMPLETE,
    LINK_DOWN,
    ORDER_FAILED,
    LINK_UP,
    COLD_START,
)
BY_NOTIFICATION: dict[Arcs, Notification] = {item.oid: item for item in NOTIFICATION_TYPES}
