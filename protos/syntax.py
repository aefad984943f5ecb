"""What the columns of the MIB can hold: SMIv2's types, and numbers that have names.

The types are those of RFC 2578 and 2579 and a few of our own, after their manner (textual conventions).
Times, and whatever adds up, have types in which a century of emulated time finds room.  Nothing here knows
any table.
"""

from __future__ import annotations

from enum import Enum, IntEnum

# The type of a column, where it is not Integer32: see `Syntax`.
Unsigned32 = int
Counter64 = int
Gauge64 = int
Milliseconds = int
DateAndTime = str


class Syntax(Enum):
    """What a column can hold: its name in SMIv2, and its least and largest number.

    Here a DateAndTime is text in ISO 8601.  Numbers end where those of a journal do.  SMIv2 has no number
    of 64 bits that can be written, so times are octets there (as floating point is in RFC 6340).
    """

    TEXT = ("SnmpAdminString", 0, 0)
    INTEGER32 = ("Integer32", -(2**31), 2**31 - 1)
    UNSIGNED32 = ("Unsigned32", 0, 2**32 - 1)
    COUNTER64 = ("Counter64", 0, 2**63 - 1)
    GAUGE64 = ("CounterBasedGauge64", 0, 2**63 - 1)
    MILLISECONDS = ("QsMilliseconds", 0, 2**63 - 1)
    DATE_AND_TIME = ("DateAndTime", 0, 0)

    def __init__(self, smi: str, least: int, most: int) -> None:
        self.smi, self.least, self.most = smi, least, most


SYNTAX = {
    "str": Syntax.TEXT,
    "int": Syntax.INTEGER32,
    "Unsigned32": Syntax.UNSIGNED32,
    "Counter64": Syntax.COUNTER64,
    "Gauge64": Syntax.GAUGE64,
    "Milliseconds": Syntax.MILLISECONDS,
    "DateAndTime": Syntax.DATE_AND_TIME,
}
"""By the name of a type; what has no name of these is an Integer32."""


class RowStatus(IntEnum):
    """RFC 2579; the values that are used here."""

    ACTIVE = 1
    NOT_READY = 3
    CREATE_AND_GO = 4
    DESTROY = 6


class TruthValue(IntEnum):
    """RFC 2579."""

    TRUE = 1
    FALSE = 2

    @classmethod
    def of(cls, is_so: bool) -> TruthValue:
        """Return the number of a truth."""
        return cls.TRUE if is_so else cls.FALSE


class OperStatus(IntEnum):
    """RFC 2863, ifOperStatus; the values that are used here."""

    UP = 1
    DOWN = 2


class DownCause(IntEnum):
    """Why a fiber makes no key: nothing comes through, or it is wrong too often."""

    NONE = 1
    LOSS = 2
    NOISE = 3
    ADMIN = 4  # an operator has taken it out of service


class AdminStatus(IntEnum):
    """RFC 2863, ifAdminStatus; the values that are used here."""

    UP = 1
    DOWN = 2


class PlanningAction(IntEnum):
    """What an operator asks of the global manager's planning; it reads as idle."""

    IDLE = 1
    REPLAN = 2


class MediumCode(IntEnum):
    """What carries key, as a number on the wire."""

    FIBER = 1
    SATELLITE = 2
    UAV = 3


_NAMED = (
    RowStatus,
    TruthValue,
    OperStatus,
    AdminStatus,
    DownCause,
    MediumCode,
    PlanningAction,
)
ENUMERATIONS: dict[str, type[IntEnum]] = {kind.__name__: kind for kind in _NAMED}
"""Named numbers, by the name of their type."""
MEDIUM_NAMES = {medium: medium.name.lower() for medium in MediumCode}
"""What media are called in facts and metrics."""
