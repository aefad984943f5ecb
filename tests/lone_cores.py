"""What tests say to a core alone, and what they read of its answer."""

from __future__ import annotations

from protos.core import (
    Message,
    Step,
)
from protos.mib import ReservationHopRow, ReservationRow, ReservationWavelengthRow, Row
from protos.pdu import Pdu, Verb
from protos.rows import encode
from protos.syntax import RowStatus


def set_of(source: str, request_id: int, *rows: Row) -> Message:
    """Return a Set of these rows."""
    binds = tuple(bind for row in rows for bind in encode(row))
    return Message(source, "anyone", request_id, Pdu(Verb.SET, request_id, binds))


def reservation(request: int, path: str, *colours: int) -> list[Row]:
    """Return the rows that reserve these wavelengths on a path whose nodes are letters."""
    go = RowStatus.CREATE_AND_GO
    head = ReservationRow(
        request, f"r{request}", path[0], path[-1], len(colours), 0, 60_000, 60_000, go
    )
    hops = [ReservationHopRow(request, place, node) for place, node in enumerate(path, 1)]
    tuned = [ReservationWavelengthRow(request, place, c) for place, c in enumerate(colours, 1)]
    return [head, *hops, *tuned]


def pdus(step: Step, destination: str) -> list[Pdu]:
    """Return what a step says to somebody by SNMP."""
    return [
        item.body
        for item in step.outbox
        if item.destination == destination and isinstance(item.body, Pdu)
    ]
