"""What operators are answered: by role, in the order of names, a walk from one window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyasn1.codec.ber import decoder

pytest.importorskip("pysnmp")
from pysnmp.proto import rfc1905

from emulator.build.snmp_users import SnmpUserError, users_of, variables_of
from emulator.config.access import Access, Snmp, SnmpUser
from emulator.config.experiment import Experiment
from emulator.management.answers import Answers, Bind, Request, Response
from emulator.management.ber import tlv
from emulator.management.objects import About, Absent, Cell, Type
from emulator.runtime.glances import Glance
from protos.core import Totals
from protos.mib import (
    BY_ROW,
    AccessRole,
    FiberStateRow,
    ReservationHopRow,
    Row,
    ServiceRow,
    UsageRow,
)
from protos.notifications import SYS_UP_TIME
from protos.pdu import Arcs, Missing, Verb

ABOUT = About("the engine")
IF_OPER_STATUS: Arcs = (1, 3, 6, 1, 2, 1, 2, 2, 1, 8)
_SMI = {kind.smi: kind.smi for kind in Type} | {"Integer": "Integer32", "Gauge32": "Unsigned32"}
_MISSING = {
    rfc1905.NoSuchObject: Missing.NO_SUCH_OBJECT,
    rfc1905.NoSuchInstance: Missing.NO_SUCH_INSTANCE,
    rfc1905.EndOfMibView: Missing.END_OF_MIB_VIEW,
}


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


def _read(response: Response | None) -> list[Bind]:
    """Return what an answer says, as pysnmp reads it."""
    assert response is not None
    octets = tlv(0x30, b"".join(response.binds))
    found, _ = decoder.decode(octets, asn1Spec=rfc1905.VarBindList())
    return [_bind(tuple(bind[0]), bind[1].getComponent(innerFlag=True)) for bind in found]


def _bind(name: Arcs, value: Any) -> Bind:
    if type(value) in _MISSING:
        return Absent(name, _MISSING[type(value)])
    kind = next(kind for kind in Type if kind.smi == _SMI.get(type(value).__name__))
    if kind is Type.OCTETS:
        return Cell(name, kind, bytes(value))
    return Cell(name, kind, tuple(value) if kind is Type.NAME else int(value))


def _walk(answers: Answers, agent: Agent, role: AccessRole, repetitions: int = 0) -> list[Cell]:
    found: list[Cell] = []
    name: Arcs = (1,)
    while True:
        agent.now_s += 1.0
        request = _ask(Verb.GET_BULK if repetitions else Verb.GET_NEXT, name, role=role)
        for bind in _read(answers.answer(replace(request, max_repetitions=repetitions))):
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


def test_a_bulk_has_what_is_to_be_repeated_in_turn_and_fits(answers: Answers, agent: Agent) -> None:
    cells = _walk(answers, agent, AccessRole.MANAGER)
    last = cells[-2].name
    asked = replace(_ask(Verb.GET_BULK, SYS_UP_TIME, (*IF_OPER_STATUS, 0), last), non_repeaters=1)
    once, *repeated = _read(answers.answer(replace(asked, max_repetitions=3)))
    assert once.name > SYS_UP_TIME
    assert [bind.name for bind in repeated[::2]][:2] == [(*IF_OPER_STATUS, at) for at in (1, 2)]
    end = Absent(cells[-1].name, Missing.END_OF_MIB_VIEW)
    assert [repeated[1].name, *repeated[3::2]] == [cells[-1].name, end, end]
    for room in (128, 400, 1_000):
        request = replace(_ask(Verb.GET_BULK, (1,)), max_repetitions=100, most_octets=room)
        response = answers.answer(request)
        assert response is not None
        size = sum(map(len, response.binds))
        assert len(response.binds) == 1 or size <= room - 128
        assert size + 128 + 100 > room


def test_rows_are_shown_in_order_and_go_when_they_are_gone(agent: Agent) -> None:
    rows: dict[type[Row], tuple[Row, ...]] = {}
    answers = Answers(
        lambda _: Glance(1, 1.0, rows, Totals(0, 0, 0, 0)),
        frozenset({"x"}),
        lambda: ABOUT,
        lambda: agent.now_s,
    )
    shown = (*BY_ROW[ReservationHopRow].entry, 3)

    def seen() -> list[tuple[Arcs, object]]:
        agent.now_s += 1.0
        request = replace(_ask(Verb.GET_BULK, shown), max_repetitions=9, most_octets=9_000)
        found = [bind for bind in _read(answers.answer(request)) if bind.name[:-2] == shown]
        return [(bind.name[-2:], bind.value) for bind in found if isinstance(bind, Cell)]

    hops = ((4, 5, "C"), (2, 5, "B"), (2, 4, "A"))
    rows[ReservationHopRow] = tuple(ReservationHopRow(*hop) for hop in hops)
    assert seen() == [((2, 4), b"A"), ((2, 5), b"B"), ((4, 5), b"C")]
    rows[ReservationHopRow] = (ReservationHopRow(4, 5, "D"),)
    assert seen() == [((4, 5), b"D")]


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
        asked = _ask(Verb.GET, SYS_UP_TIME, (1, 2), (*IF_OPER_STATUS, 1))
        first, second, third = _read(answers.answer(asked))
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
