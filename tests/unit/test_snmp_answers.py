"""What operators are answered: by role, in the order of names, a walk from one window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.build.snmp_users import SnmpUserError, users_of, variables_of
from emulator.config.access import Access, Snmp, SnmpUser
from emulator.config.experiment import Experiment
from emulator.management.answers import Absent, Answers, Request
from emulator.management.objects import About, Cell, Type
from emulator.runtime.glances import Glance
from protos.core import Totals
from protos.mib import BY_ROW, SYS_UP_TIME, AccessRole, FiberStateRow, Row, ServiceRow, UsageRow
from protos.pdu import Arcs, Missing, Verb

ABOUT = About("the engine")
IF_OPER_STATUS: Arcs = (1, 3, 6, 1, 2, 1, 2, 2, 1, 8)


class Agent:
    """An entity that lives on by a window at every look."""

    def __init__(self) -> None:
        self.window, self.is_out, self.is_busy = 0, False, False
        self.now_s = 0.0

    def look(self, _context: str) -> Glance | None:
        """Return what it shows."""
        if self.is_busy:
            raise TimeoutError
        if self.is_out:
            return None
        self.window += 1
        rows: dict[type[Row], tuple[Row, ...]] = {
            FiberStateRow: (FiberStateRow(0, "A", "B", 1, 1), FiberStateRow(1, "B", "C", 2, 2)),
            ServiceRow: (ServiceRow(2, self.window, 2**40, 0, 0),),
            UsageRow: (UsageRow(4, 5, 6),),
        }
        return Glance(self.window, self.window * 1.0, rows, Totals(3, 2, 1, 9))


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def answers(agent: Agent) -> Answers:
    return Answers(agent.look, frozenset({"x"}), lambda: ABOUT, lambda: agent.now_s)


def _ask(verb: Verb, *names: Arcs, role: AccessRole = AccessRole.MANAGER) -> Request:
    return Request("ops", role, "x", verb, names)


def _walk(answers: Answers, agent: Agent, role: AccessRole, repetitions: int = 0) -> list[Cell]:
    found: list[Cell] = []
    name: Arcs = (1,)
    while True:
        agent.now_s += 1.0
        request = _ask(Verb.GET_BULK if repetitions else Verb.GET_NEXT, name, role=role)
        response = answers.answer(replace(request, max_repetitions=repetitions))
        assert response is not None
        for bind in response.binds:
            if isinstance(bind, Absent):
                assert bind.why is Missing.END_OF_MIB_VIEW
                return found
            found.append(bind)
        name = found[-1].name


@pytest.mark.parametrize("repetitions", [0, 1, 7, 100])
def test_a_walk_is_in_order_and_of_one_window(
    answers: Answers, agent: Agent, repetitions: int
) -> None:
    cells = _walk(answers, agent, AccessRole.MANAGER, repetitions)
    names = [cell.name for cell in cells]
    assert names == sorted(set(names))
    assert agent.window == 1
    values = {cell.name: cell for cell in cells}
    service = BY_ROW[ServiceRow]
    accepted = (*service.entry, service.columns["refused_orders"], 2)
    assert values[accepted] == Cell(accepted, Type.COUNTER64, 2**40)
    assert [values[*IF_OPER_STATUS, index].value for index in (1, 2)] == [1, 2]


def test_who_may_not_read_a_table_does_not_see_it(answers: Answers, agent: Agent) -> None:
    usage = BY_ROW[UsageRow].entry

    def sees(role: AccessRole) -> bool:
        return any(cell.name[: len(usage)] == usage for cell in _walk(answers, agent, role))

    assert sees(AccessRole.MANAGER)
    assert not sees(AccessRole.OBSERVER)
    fibers = [c for c in _walk(answers, agent, AccessRole.NODE) if c.name[:-1] == IF_OPER_STATUS]
    assert fibers == []


def test_a_get_sees_the_latest_window_and_tells_what_is_not_there(
    answers: Answers, agent: Agent
) -> None:
    ticks = []
    for _ in range(2):
        agent.now_s += 1.0
        response = answers.answer(_ask(Verb.GET, SYS_UP_TIME, (1, 2), (*IF_OPER_STATUS, 1)))
        assert response is not None
        first, second, third = response.binds
        assert isinstance(first, Cell)
        assert second == Absent((1, 2), Missing.NO_SUCH_OBJECT)
        assert isinstance(third, Cell)
        ticks.append(first.value)
    assert ticks == [100, 200]


def test_an_agent_that_is_out_does_not_answer_and_a_busy_one_is_shown_as_it_was(
    answers: Answers, agent: Agent
) -> None:
    before = answers.answer(_ask(Verb.GET, SYS_UP_TIME))
    agent.now_s, agent.is_busy = 10.0, True
    assert before is not None
    assert answers.answer(_ask(Verb.GET, SYS_UP_TIME)) == before
    agent.is_busy, agent.is_out = False, True
    assert answers.answer(_ask(Verb.GET, SYS_UP_TIME)) is None


def _experiment(user: SnmpUser) -> Experiment:
    return Experiment.model_construct(access=Access(snmp=Snmp(users=[user])))


def test_pass_phrases_come_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable, secret in zip(variables_of("o.p"), ("hush-hush", "psst-psst"), strict=True):
        monkeypatch.setenv(variable, secret)
    (user,) = users_of(_experiment(SnmpUser(name="o.p"))).users
    assert (user.authentication_secret, user.privacy_secret) == ("hush-hush", "psst-psst")
    assert "hush" not in repr(user)
    path = tmp_path / "secrets"
    path.write_text("first-phrase\nsecond-phrase\n")
    (user,) = users_of(_experiment(SnmpUser(name="f", secrets=str(path)))).users
    assert (user.authentication_secret, user.privacy_secret) == ("first-phrase", "second-phrase")


@pytest.mark.parametrize("text", ["one-line-only\n", "short\nlong-enough\n"])
def test_pass_phrases_that_cannot_be_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets"
    path.write_text(text)
    with pytest.raises(SnmpUserError, match=r"access\.snmp\.users\.0\.secrets"):
        users_of(_experiment(SnmpUser(name="f", secrets=str(path))))
    with pytest.raises(SnmpUserError, match="set QSAGIN_SNMP_NOBODY_AUTH"):
        users_of(_experiment(SnmpUser(name="nobody")))
