"""What operators set: validated before anything is done, all or nothing; the agent itself answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from controllers.fiber import FiberController, FiberControllerConfig
from controllers.ports import LinkSample
from emulator.management.answers import Request, Response
from emulator.management.objects import Type
from emulator.management.sets import RepeatedSets, Sets, Setting
from emulator.runtime.glances import Glance
from emulator.runtime.injection import InjectionError
from emulator.runtime.operations import Operations
from emulator.store.injection_table import Injected
from emulator.world.events import OperatorSet, Schedule
from protos.core import GLOBAL_MANAGER, Message, Totals, operator_of
from protos.facts import FactKind
from protos.facts import Setting as Noted
from protos.mib import (
    BY_ROW,
    AccessRole,
    FiberAdminRow,
    FiberStateRow,
    FiberThresholdRow,
    NodeAdminRow,
    ReservationRow,
    ServiceRow,
)
from protos.pdu import Arcs, ErrorStatus, Missing, Pdu, VarBind, Verb
from protos.rows import column_of, notified
from protos.settings import named, spelt
from protos.syntax import AdminStatus

OPS = operator_of("ops", AccessRole.MANAGER)
FIBERS = (("A", "B", 2), ("B", "C", 2), ("A", "C", 2))
DOWN, UP = AdminStatus.DOWN, AdminStatus.UP


class _Sky:
    """Fibers that are good, and never change."""

    qber = 0.02

    def sample(self, *_about: object) -> LinkSample:
        return LinkSample(512.0, self.qber, sifted_bps=1e3)

    def may_change_s(self, _since_s: float) -> float:
        return float("inf")


def _fiber(sky: _Sky | None = None) -> FiberController:
    return FiberController(
        FiberControllerConfig(FIBERS, False, 30.0, 0.11, 10.0, 60.0), sky or _Sky()
    )


def _column(row: type, field: str, *index: int) -> Arcs:
    return (*column_of(row, field), *index)


FIBER = _column(FiberAdminRow, "status", 1)
NODE = _column(NodeAdminRow, "status", 2)
LIMIT = _column(FiberThresholdRow, "qber_limit_ppm", 1)


def _answered(
    fiber: FiberController,
    now_s: float,
    *binds: tuple[Arcs, object],
    who: str = OPS,
    number: int = 1,
) -> tuple[Pdu, list[object], list[Noted]]:
    """Return the answer, what the manager is informed of, and what is noted."""
    pdu = Pdu(Verb.SET, number, tuple(VarBind(*bind) for bind in binds))  # type: ignore[arg-type]
    step = fiber.step(now_s, [Message(who, fiber.name, number, pdu)])
    (answer,) = [item.body for item in step.outbox if item.destination == who]
    assert isinstance(answer, Pdu)
    told = [item.body for item in step.outbox if item.destination == GLOBAL_MANAGER]
    noted = [fact.details for fact in step.facts if fact.kind is FactKind.SET]
    return answer, [notified(pdu)[1] for pdu in told if isinstance(pdu, Pdu)], noted  # type: ignore[misc]


def test_a_fiber_that_is_taken_out_of_service_is_down_at_once_and_up_again_without_waiting() -> (
    None
):
    fiber = _fiber()
    answer, told, noted = _answered(fiber, 7.0, (FIBER, DOWN))
    assert answer.error_status is ErrorStatus.NO_ERROR
    assert told == [FiberStateRow(1, "B", "C", 2, 4)]
    assert noted == [Noted(("qsFiberAdminStatus.1",), (2,))]
    _, told, _ = _answered(fiber, 9.0, (FIBER, UP), number=2)
    assert told == [FiberStateRow(1, "B", "C", 1, 1)]


def test_a_node_that_is_drained_takes_its_fibers_with_it_but_not_what_was_out_by_itself() -> None:
    fiber = _fiber()
    _, told, _ = _answered(fiber, 1.0, (NODE, DOWN), (FIBER, DOWN))
    assert told == [FiberStateRow(1, "B", "C", 2, 4), FiberStateRow(2, "A", "C", 2, 4)]
    _, told, _ = _answered(fiber, 2.0, (NODE, UP), number=2)
    assert told == [FiberStateRow(2, "A", "C", 1, 1)]


def test_a_threshold_that_is_lowered_is_looked_at_at_once() -> None:
    sky = _Sky()
    sky.qber = 0.05
    fiber = _fiber(sky)
    _, told, _ = _answered(fiber, 1.0, (LIMIT, 40_000))
    assert [row.cause for row in told if isinstance(row, FiberStateRow)] == [3, 3, 3]
    (row,) = fiber.rows()[FiberThresholdRow]
    assert row == FiberThresholdRow(1, 40_000, 60_000)
    answer, told, _ = _answered(fiber, 2.0, (LIMIT, 2_000_000), number=2)
    assert (answer.error_status, answer.error_index) == (ErrorStatus.INCONSISTENT_VALUE, 1)
    assert fiber.rows()[FiberThresholdRow] == (row,)


READ_ONLY = _column(NodeAdminRow, "name", 2)
OTHERS = _column(ReservationRow, "units", 0)
COUNTED = _column(ServiceRow, "accepted_orders", 2)
SYS_LOCATION: Arcs = (1, 3, 6, 1, 2, 1, 1, 6, 0)


@pytest.mark.parametrize(
    ("bind", "status"),
    [
        ((FIBER, "2"), ErrorStatus.WRONG_TYPE),
        ((FIBER, Missing.NULL), ErrorStatus.WRONG_TYPE),
        ((FIBER, 3), ErrorStatus.WRONG_VALUE),
        ((LIMIT, -1), ErrorStatus.WRONG_VALUE),
        ((_column(FiberAdminRow, "status", 9), DOWN), ErrorStatus.NO_CREATION),
        ((_column(FiberAdminRow, "status", 1, 1), DOWN), ErrorStatus.NO_CREATION),
        ((READ_ONLY, "x"), ErrorStatus.NOT_WRITABLE),
        (((*FIBER[:-2], 7, 1), DOWN), ErrorStatus.NOT_WRITABLE),
        ((SYS_LOCATION, "x"), ErrorStatus.NOT_WRITABLE),
        ((COUNTED, 4), ErrorStatus.NOT_WRITABLE),
        ((OTHERS, 4), ErrorStatus.NO_ACCESS),
        ((NODE, DOWN), ErrorStatus.INCONSISTENT_NAME),
    ],
)
def test_a_set_with_one_wrong_variable_does_nothing_and_names_it(
    bind: tuple[Arcs, object], status: ErrorStatus
) -> None:
    fiber = _fiber()
    answer, told, noted = _answered(fiber, 1.0, (NODE, DOWN), bind)
    assert (answer.error_status, answer.error_index) == (status, 2)
    assert told == []
    assert noted[0].refused == status.name
    assert all(row.status == UP for row in fiber.rows()[NodeAdminRow])  # type: ignore[union-attr]


@pytest.mark.parametrize("role", [role for role in AccessRole if role is not AccessRole.MANAGER])
def test_other_roles_have_no_access(role: AccessRole) -> None:
    answer, told, _ = _answered(_fiber(), 1.0, (FIBER, DOWN), who=operator_of("eye", role))
    assert (answer.error_status, answer.error_index, told) == (ErrorStatus.NO_ACCESS, 1, [])


def test_names_are_read_as_they_are_written() -> None:
    for table in BY_ROW.values():
        for field in table.columns:
            name = (*table.entry, table.columns[field], *range(len(table.index)))
            assert named(spelt(name)) == name
    assert spelt(SYS_LOCATION) == "1.3.6.1.2.1.1.6.0"


def test_a_request_of_an_operator_is_due_in_the_window_of_its_time_and_once() -> None:
    item = OperatorSet("fiber-controller", OPS, (("qsFiberAdminStatus.1", 2),), 6.5)
    operations = Operations(Schedule((item, replace(item, start_s=99.0))), 2.0, last_window=20)
    assert operations.after(["fiber-controller", "x"], -1) == 4
    assert operations.after(["fiber-controller"], 4) is None  # the other one is too late
    assert operations.after(["x"], 0) is None
    (message,) = operations.due("fiber-controller", 4)
    assert message.body == Pdu(Verb.SET, 1, (VarBind(FIBER, 2),))
    assert operations.due("fiber-controller", 3) == []


class _Run:
    """A run with a fiber controller, which takes what is submitted in its next window."""

    def __init__(self) -> None:
        self.fiber, self.window = _fiber(), 10
        self.told: tuple[tuple[int, Message], ...] = ()
        self.entries: list[dict[str, object]] = []
        self.ends = False

    def look(self, _context: str) -> Glance:
        """Return what the controller shows."""
        rows = self.fiber.rows()
        return Glance(self.window, self.window * 1.0, rows, Totals(), self.told)

    def submit(self, entry: dict[str, object]) -> Injected:
        """Take an entry of the schedule."""
        if self.ends:
            raise InjectionError("the run has ended")
        self.entries.append(entry)
        self.window += 1
        values = entry["values"]
        assert isinstance(values, dict)
        item = OperatorSet("fiber-controller", OPS, tuple(values.items()), float(self.window))
        (message,) = Operations(Schedule((item,))).due("fiber-controller", self.window)
        step = self.fiber.step(float(self.window), [message])
        self.told = ((self.window, next(m for m in step.outbox if m.destination == OPS)),)
        return Injected(1, {}, "", self.window)


def _performed(run: _Run, *wanted: Setting, role: AccessRole = AccessRole.MANAGER) -> Response:
    names = tuple(item.name for item in wanted)
    sets = Sets(run.look, run.submit, Counter())
    found = sets.perform(Request("ops", role, "fiber-controller", Verb.SET, names), wanted)
    assert found is not None
    return found


def test_what_an_operator_sets_becomes_an_entry_of_the_schedule_and_the_agent_answers() -> None:
    run = _Run()
    response = _performed(
        run, Setting(FIBER, Type.INTEGER, 2), Setting(LIMIT, Type.UNSIGNED, 9_000)
    )
    assert (response.error_status, len(response.binds)) == (ErrorStatus.NO_ERROR, 2)
    (entry,) = run.entries
    assert entry["values"] == {"qsFiberAdminStatus.1": 2, "qsFiberThresholdQberLimitPpm.1": 9_000}
    assert run.fiber.rows()[FiberAdminRow][1] == FiberAdminRow(1, DOWN)


def test_a_set_that_only_the_agent_can_judge_is_answered_as_it_says() -> None:
    response = _performed(_Run(), Setting(LIMIT, Type.UNSIGNED, 2_000_000))
    assert (response.error_status, response.error_index) == (ErrorStatus.INCONSISTENT_VALUE, 1)


@pytest.mark.parametrize(
    ("wanted", "role", "status"),
    [
        (Setting(FIBER, Type.UNSIGNED, 2), AccessRole.MANAGER, ErrorStatus.WRONG_TYPE),
        (Setting(FIBER, Type.OCTETS, b"2"), AccessRole.MANAGER, ErrorStatus.WRONG_TYPE),
        (Setting(FIBER, None, 0), AccessRole.MANAGER, ErrorStatus.WRONG_TYPE),
        (Setting(FIBER, Type.INTEGER, 2), AccessRole.OBSERVER, ErrorStatus.NO_ACCESS),
    ],
)
def test_what_is_refused_at_the_door_is_logged_and_reaches_nobody(
    wanted: Setting, role: AccessRole, status: ErrorStatus, caplog: pytest.LogCaptureFixture
) -> None:
    run = _Run()
    assert _performed(run, wanted, role=role).error_status is status
    assert run.entries == []
    assert f"ops ({role}) may not set qsFiberAdminStatus.1 at fiber-controller" in caplog.text


def test_a_run_that_has_ended_takes_nothing() -> None:
    run = _Run()
    run.ends = True
    response = _performed(run, Setting(FIBER, Type.INTEGER, 2))
    assert response.error_status is ErrorStatus.RESOURCE_UNAVAILABLE


def test_a_set_that_comes_again_is_done_once_and_everybody_is_answered() -> None:
    repeated, heard = RepeatedSets(), list[Response | None]()
    answer = Response(())
    assert repeated.is_new(("ops", 1), heard.append)
    assert not repeated.is_new(("ops", 1), heard.append)
    assert repeated.is_new(("ops", 2), heard.append)
    repeated.done(("ops", 1), answer)
    assert heard == [answer, answer]
    assert not repeated.is_new(("ops", 1), heard.append)
    assert heard == [answer, answer, answer]
