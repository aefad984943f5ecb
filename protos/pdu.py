"""Management messages as values: SNMP protocol data units (RFC 3416).

All are frozen.  Nothing here knows protobuf or gRPC: see `protos.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

Arcs = tuple[int, ...]
TRACE_BYTES = 16


class Verb(IntEnum):
    """The PDU types of RFC 3416 that are used here; numbers as in management.proto."""

    GET = 1
    GET_NEXT = 2
    GET_BULK = 3
    SET = 4
    RESPONSE = 5
    TRAP = 6
    INFORM = 7


class ErrorStatus(IntEnum):
    """RFC 3416, section 3."""

    NO_ERROR = 0
    TOO_BIG = 1
    GEN_ERR = 5
    NO_ACCESS = 6
    WRONG_TYPE = 7
    WRONG_LENGTH = 8
    WRONG_VALUE = 10
    NO_CREATION = 11
    INCONSISTENT_VALUE = 12
    RESOURCE_UNAVAILABLE = 13
    COMMIT_FAILED = 14
    AUTHORIZATION_ERROR = 16
    NOT_WRITABLE = 17
    INCONSISTENT_NAME = 18


class Missing(Enum):
    """What a varbind says instead of a value; numbers as in management.proto.  Not an integer."""

    NULL = 1
    NO_SUCH_OBJECT = 2
    NO_SUCH_INSTANCE = 3
    END_OF_MIB_VIEW = 4


Value = int | str | Arcs | Missing


class VarBind(NamedTuple):
    """The name of an object instance, and its value."""

    name: Arcs
    value: Value = Missing.NULL


@dataclass(frozen=True, slots=True)
class Pdu:
    """One protocol data unit.  `error_index` is 1-based; 0 means the PDU as a whole.

    `trace_id` (16 bytes, or none) tells what it is part of, the same for all that follows from one thing.
    `oldest_open` is the least request-id for which the sender still waits for an answer of the same
    receiver: nothing before it will be sent again.  0: the sender does not say.
    """

    verb: Verb
    request_id: int
    varbinds: tuple[VarBind, ...] = ()
    error_status: ErrorStatus = ErrorStatus.NO_ERROR
    error_index: int = 0
    non_repeaters: int = 0
    max_repetitions: int = 0
    trace_id: bytes = b""
    oldest_open: int = 0

    def response(
        self,
        varbinds: tuple[VarBind, ...] | None = None,
        error_status: ErrorStatus = ErrorStatus.NO_ERROR,
        error_index: int = 0,
    ) -> Pdu:
        """Return the Response to this request; by default it repeats the request's varbinds."""
        answered = self.varbinds if varbinds is None else varbinds
        return Pdu(
            Verb.RESPONSE,
            self.request_id,
            answered,
            error_status,
            error_index,
            trace_id=self.trace_id,
        )
