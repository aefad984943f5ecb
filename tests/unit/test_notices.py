"""Which notifications a journal has for somebody outside, and who has taken them."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from emulator.build.loading import read
from emulator.build.snmp_users import SnmpUserError
from emulator.commands.management import trap_target
from emulator.commands.options import UsageError
from emulator.config.access import Access
from emulator.config.experiment import Experiment
from emulator.management.notices import notices_after
from emulator.management.objects import Type, date_and_time
from emulator.runtime.message_faults import COPY
from emulator.store.journal import FOLDER, Journal
from emulator.store.notice_table import NoticeTable
from protos import wire
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER, Message
from protos.mib import AgentRow, FiberStateRow
from protos.notifications import COLD_START, LINK_DOWN, NOTICE_DATE
from protos.pdu import Pdu, Verb
from protos.rows import notify

DOWN = notify(LINK_DOWN, FiberStateRow(0, "A", "B", 2, 2), 7, 60.0, Verb.INFORM)
COLD = notify(COLD_START, AgentRow(1, 0), 0, 0.0, Verb.TRAP)


def _journal(folder: Path, *windows: tuple[int, list[Message]]) -> None:
    (folder / FOLDER).mkdir()
    with closing(Journal(folder, GLOBAL_MANAGER, [GLOBAL_MANAGER])) as book:
        for window, messages in windows:
            book.commit(window, {}, wire.mail([wire.management_batch(window - 1, messages)]))


def test_an_inform_that_is_repeated_and_a_message_that_is_doubled_are_one(tmp_path: Path) -> None:
    trap = Message("kme-A", GLOBAL_MANAGER, 1, COLD)
    inform = Message(FIBER_CONTROLLER, GLOBAL_MANAGER, 9, DOWN)
    doubled = Message("kme-A", GLOBAL_MANAGER, 1 + COPY, COLD)
    again = Message(FIBER_CONTROLLER, GLOBAL_MANAGER, 12, DOWN)
    answer = Message("kme-A", GLOBAL_MANAGER, 2, Pdu(Verb.RESPONSE, 3))
    other = Message("kme-A", "kme-B", 5, COLD)
    _journal(tmp_path, (1, [trap, answer]), (5, [inform, doubled, other]), (8, [again]))
    found = [[item.id for item in notices] for _, notices in notices_after(tmp_path, -1)]
    named = ["kme-A/trap/1", "fiber-controller/inform/7"]
    assert found == [named[:1], [named[1], named[0]], named[1:]]
    assert [window for window, _ in notices_after(tmp_path, 1)] == [5, 8]


def test_a_notification_says_what_the_agent_said_and_when(tmp_path: Path) -> None:
    _journal(tmp_path, (61, [Message(FIBER_CONTROLLER, GLOBAL_MANAGER, 9, DOWN)]))
    ((_, (notice,)),) = notices_after(tmp_path, -1)
    cells = notice.cells(datetime(2030, 1, 1, tzinfo=UTC), 2.0)
    assert [cell.type for cell in cells[:2]] == [Type.TICKS, Type.NAME]
    assert [cell.value for cell in cells[2:7]] == [b"A", b"B", 2, 2, notice.id.encode()]
    assert {cell.name: cell.value for cell in cells}[NOTICE_DATE] == bytes.fromhex(
        "07ee0101000202002b0000"
    )


def test_dates_are_those_of_rfc_2579() -> None:
    """Its example: Tuesday May 26, 1992 at 1:30:15 PM EDT, here in UTC."""
    at = datetime(1992, 5, 26, 13, 30, 15, tzinfo=timezone(timedelta(hours=-4)))
    assert date_and_time(at) == bytes((1992 >> 8, 1992 & 255, 5, 26, 17, 30, 15, 0, ord("+"), 0, 0))


def test_what_was_taken_stays_taken(tmp_path: Path) -> None:
    with closing(NoticeTable(tmp_path)) as table:
        assert (table.window, table.is_taken("a")) == (-1, False)
        table.take("a")
        table.take("a")
        table.reach(4)
    with closing(NoticeTable(tmp_path)) as table:
        assert (table.window, table.is_taken("a"), table.is_taken("b")) == (4, True, False)


def _experiment(**snmp: object) -> Experiment:
    return read("paper").experiment.model_copy(
        update={"access": Access.model_validate({"snmp": snmp})}
    )


OPS = {"name": "ops", "role": "manager"}


@pytest.mark.parametrize("target", ["nowhere", "127.0.0.1", ":162", "127.0.0.1:0", "127.0.0.1:x"])
def test_who_is_to_be_told_is_a_host_and_a_port(target: str) -> None:
    with pytest.raises(UsageError, match="must be HOST:PORT"):
        trap_target(_experiment(communities=[OPS]), target, volatile=False)


def test_only_who_may_see_all_is_told_and_a_community_on_loopback_only() -> None:
    experiment = _experiment(communities=[OPS])
    assert trap_target(experiment, "127.0.0.1:162", volatile=False) == ("127.0.0.1", 162)
    with pytest.raises(UsageError, match="leave out --volatile"):
        trap_target(experiment, "127.0.0.1:162", volatile=True)
    for wrong, target in (
        (experiment, "192.0.2.1:162"),
        (_experiment(communities=[OPS | {"role": "observer"}]), "127.0.0.1:162"),
    ):
        with pytest.raises(SnmpUserError, match="no user of the role manager"):
            trap_target(wrong, target, volatile=False)
