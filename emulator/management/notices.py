"""The notifications of agents, as the manager's journal has them, for somebody outside.

An agent's notification to the manager is in the journal with the window in which it was read.  An inform
that is repeated until it is answered, or a message that arrives twice, is one.  Its name is the
same whoever reads the journal, and whenever: the agent, and the agent's own number of it.  Nothing here
knows how notifications are sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from emulator.management.objects import Cell, Type, date_and_time, typed
from emulator.runtime.message_faults import COPY
from emulator.store import journals
from protos import wire
from protos.core import GLOBAL_MANAGER, Message
from protos.mib import BY_ENTRY, ENTRY_ARCS
from protos.notifications import NOTICE_DATE, NOTICE_ENTITY, NOTICE_ID, SNMP_TRAP_OID, SYS_UP_TIME
from protos.pdu import Pdu, VarBind, Verb


@dataclass(frozen=True)
class Notice:
    """One notification: its name, the agent, the window in which it was read, and what it says."""

    id: str
    entity: str
    window: int
    said: tuple[VarBind, ...]

    def cells(self, epoch: datetime, window_s: float) -> list[Cell]:
        """Return what is sent of it; `epoch` is when the run began in emulated time."""
        found = [cell for cell in map(_cell, self.said) if cell is not None]
        date = epoch + timedelta(seconds=self.window * window_s)
        return [
            *found,
            Cell(NOTICE_ID, Type.OCTETS, self.id.encode()),
            Cell(NOTICE_ENTITY, Type.OCTETS, self.entity.encode()),
            Cell(NOTICE_DATE, Type.OCTETS, date_and_time(date)),
        ]


def notices_after(run_folder: Path, window: int) -> Iterator[tuple[int, list[Notice]]]:
    """Yield the notifications that were read in each committed window after this one.

    Raises `JournalError` while there is no journal.
    """
    for at, mail in journals.mail_of(run_folder, GLOBAL_MANAGER, window):
        yield at, [notice for item in wire.mail_pdus(mail) for notice in _notices(item, at)]


def _notices(message: Message, window: int) -> Iterator[Notice]:
    pdu = message.body
    if message.destination != GLOBAL_MANAGER or not isinstance(pdu, Pdu):
        return
    if pdu.verb is Verb.INFORM:
        yield Notice(
            f"{message.source}/inform/{pdu.request_id}", message.source, window, pdu.varbinds
        )
    elif pdu.verb is Verb.TRAP:
        number = message.sequence % COPY
        yield Notice(f"{message.source}/trap/{number}", message.source, window, pdu.varbinds)


def _cell(bind: VarBind) -> Cell | None:
    name, value = bind
    if name == SYS_UP_TIME and isinstance(value, int):
        return Cell(name, Type.TICKS, value)
    if name == SNMP_TRAP_OID and isinstance(value, tuple):
        return Cell(name, Type.NAME, value)
    table = BY_ENTRY.get(name[:ENTRY_ARCS])
    if table is None or not isinstance(value, int | str):
        return None
    field = next(field for field, at in table.columns.items() if at == name[ENTRY_ARCS])
    return Cell(name, *typed(table.syntax[field], value))
