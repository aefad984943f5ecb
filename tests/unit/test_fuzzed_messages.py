"""Nonsense from anybody ends nobody: cores answer or reject whatever arrives, and go on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.build.manager_role import actors_of
from emulator.build.roles import Role
from protos import wire
from protos.core import (
    FIBER_CONTROLLER,
    GLOBAL_MANAGER,
    SATELLITE_CONTROLLER,
    UAV_CONTROLLER,
    Message,
    role_of,
)
from protos.facts import FactKind
from protos.gen.qsagin.v1 import keys_pb2, management_pb2
from protos.keys import Assigned, Confirm, Delivered, Discard, KeyBundle, Relay
from protos.mib import BY_ROW, TABLES, ChannelRow, DeliveryRow, OrderRow, ShortageRow, Table
from protos.notifications import KEY_SHORTAGE, NOTIFICATION_TYPES, SNMP_TRAP_OID, SYS_UP_TIME
from protos.pdu import ErrorStatus, Missing, Pdu, VarBind, Verb
from protos.rows import encode, notify
from protos.syntax import MediumCode, RowStatus

SOURCES = (GLOBAL_MANAGER, FIBER_CONTROLLER, SATELLITE_CONTROLLER, "kme-A", "kme-B", "stranger")
small = st.integers(0, 5)
values = st.one_of(
    small,
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(["", "A", "B", "C", "Z", "r1", "x" * 300]),
    st.sampled_from(list(Missing)),
    st.lists(small, max_size=4).map(tuple),
)
cells = st.builds(
    lambda table, column, index: (*table.entry, column, *index),
    st.sampled_from(TABLES),
    st.integers(0, 10),
    st.lists(small, max_size=3),
)
names = st.one_of(cells, st.lists(st.integers(0, 2**32 - 1), max_size=20).map(tuple))
varbinds = st.builds(VarBind, names, values)


@st.composite
def whole_rows(draw: st.DrawFn, of: Table | None = None) -> list[VarBind]:
    """A row that has all of its columns, with values of the right type."""
    table = of or draw(st.sampled_from(TABLES))
    index = draw(st.lists(small, min_size=len(table.index), max_size=len(table.index)))
    texts = st.sampled_from(["A", "B", "C", "Z", ""])
    return [
        VarBind((*table.entry, column, *index), draw(texts if table.is_text[name] else small))
        for name, column in table.columns.items()
    ]


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    """A PDU of any verb: nonsense, whole rows, or a notification that carries one."""
    verb = draw(st.sampled_from(list(Verb)))
    rows = draw(st.lists(whole_rows(), max_size=3))
    binds = [bind for row in rows for bind in row] + draw(st.lists(varbinds, max_size=2))
    if draw(st.booleans()):
        kind = draw(st.sampled_from(NOTIFICATION_TYPES)).oid
        binds = [VarBind(SYS_UP_TIME, 1), VarBind(SNMP_TRAP_OID, kind), *binds]
    status = draw(st.sampled_from(list(ErrorStatus)))
    return Pdu(verb, draw(small), tuple(binds), status, draw(small), draw(small), draw(small))


@st.composite
def plausible(draw: st.DrawFn) -> tuple[str, Pdu]:
    """A Set by somebody who may, or a notification with a row of its own kind."""
    number = draw(small)
    if draw(st.booleans()):
        notification = draw(st.sampled_from(NOTIFICATION_TYPES))
        row = draw(whole_rows(of=BY_ROW[notification.row]))
        head = [VarBind(SYS_UP_TIME, 1), VarBind(SNMP_TRAP_OID, notification.oid)]
        verb = draw(st.sampled_from([Verb.INFORM, Verb.TRAP]))
        return draw(st.sampled_from(SOURCES)), Pdu(verb, number, (*head, *row))
    table = draw(st.sampled_from([table for table in TABLES if table.writable_by]))
    writers = [source for source in SOURCES if role_of(source) in table.writable_by]
    rows = draw(st.lists(whole_rows(of=table), min_size=1, max_size=3))
    binds = tuple(bind for row in rows for bind in row)
    return draw(st.sampled_from(writers)), Pdu(Verb.SET, number, binds)


media = st.sampled_from(list(MediumCode))
traffic = st.one_of(
    st.builds(Relay, small, small, small, st.binary(max_size=80)),
    st.builds(Confirm, small, media, small, small, st.binary(max_size=16)),
    st.builds(Delivered, small, media, small, st.lists(st.text(max_size=4)).map(tuple)),
    st.builds(Discard, small, media, small),
    st.builds(
        Assigned,
        small,
        st.text(max_size=4),
        st.lists(st.text(max_size=4)).map(tuple),
        small,
        st.lists(st.text(max_size=4)).map(tuple),
        st.lists(st.text(max_size=4)).map(tuple),
        st.binary(max_size=80),
        small,
    ),
)
bundles = st.lists(traffic, max_size=4).map(KeyBundle.of)
anything = st.tuples(st.sampled_from(SOURCES), st.one_of(pdus(), bundles))
bodies = st.lists(st.one_of(plausible(), anything), max_size=6)


@cache
def _roles() -> dict[str, Role]:
    setup = read("tiny")
    cast = actors_of(setup.experiment, assemble(setup))
    return {role.entity: role for role in cast.everybody}


@pytest.mark.parametrize(
    "entity", [GLOBAL_MANAGER, FIBER_CONTROLLER, SATELLITE_CONTROLLER, UAV_CONTROLLER, "kme-A"]
)
@settings(max_examples=60)
@example(inboxes=[[(GLOBAL_MANAGER, Pdu(Verb.SET, 0, ()))]])
@given(inboxes=st.lists(bodies, min_size=1, max_size=4))
def test_no_message_ends_a_core(entity: str, inboxes: list[list[tuple[str, Pdu]]]) -> None:
    core = _roles()[entity].build()
    core.step(0.0, [])
    delivered = 0
    for window, inbox in enumerate(inboxes, 1):
        messages = [
            Message(source, entity, 10 * window + place, body)
            for place, (source, body) in enumerate(inbox)
        ]
        step = core.step(float(window), messages)
        answered = {m.destination for m in step.outbox if isinstance(m.body, Pdu)}
        asked = {
            source
            for source, body in inbox
            if isinstance(body, Pdu) and body.verb in (Verb.GET, Verb.SET, Verb.GET_NEXT)
        }
        assert asked <= answered
        delivered += sum(fact.kind is FactKind.DELIVERED for fact in step.facts)
    assert delivered == 0
    core.close()


@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused_as_such(data: bytes) -> None:
    for kind, decode in (
        (management_pb2.ManagementBatch, wire.management_messages),
        (keys_pb2.KeyBatch, wire.key_messages),
    ):
        try:
            messages = decode(kind.FromString(data))  # type: ignore[operator]
        except (DecodeError, ValueError):
            continue
        assert all(isinstance(message, Message) for message in messages)


@pytest.mark.parametrize(
    "change",
    [
        {"upstream": "", "downstream": ""},
        {"downstream": "Z"},
        {"downstream": "A"},
        {"units": 0},
        {"period_ms": 0},
        {"due_ms": 0},
    ],
)
def test_an_impossible_channel_is_refused(change: dict[str, Any]) -> None:
    row = ChannelRow(1, "", "B", "C", 2, 0, 60_000, 60_000, RowStatus.CREATE_AND_GO.value)
    for wanted, status in (
        (row, ErrorStatus.NO_ERROR),
        (replace(row, **change), ErrorStatus.INCONSISTENT_VALUE),
    ):
        core = _roles()["kme-A"].build()
        pdu = Pdu(Verb.SET, 1, tuple(encode(wanted)))
        step = core.step(1.0, [Message(FIBER_CONTROLLER, "kme-A", 1, pdu)])
        (answer,) = [message.body for message in step.outbox]
        assert isinstance(answer, Pdu)
        assert answer.error_status is status


@pytest.mark.parametrize(
    ("source", "row"),
    [
        ("kme-A", ShortageRow(99, 0, 1)),
        ("kme-A", ShortageRow(-1, 0, 1)),
        ("kme-A", ShortageRow(0, 9_999, 1)),
        ("kme-Z", ShortageRow(0, 0, 1)),
    ],
)
def test_the_manager_buys_nothing_for_who_may_not_ask(source: str, row: ShortageRow) -> None:
    manager = _roles()[GLOBAL_MANAGER].build()
    manager.step(0.0, [])
    inform = notify(KEY_SHORTAGE, row, 7, 1.0, Verb.INFORM)
    facts = manager.step(1.0, [Message(source, GLOBAL_MANAGER, 1, inform)]).facts
    assert [fact.kind for fact in facts] == [FactKind.REJECTED]


@pytest.mark.parametrize(
    ("source", "entity", "row"),
    [
        (GLOBAL_MANAGER, SATELLITE_CONTROLLER, OrderRow(1, 0, 0, "A", "Z", 1, 4)),
        (GLOBAL_MANAGER, UAV_CONTROLLER, OrderRow(1, 0, 0, "Z", "A", 1, 4)),
        (UAV_CONTROLLER, "kme-A", DeliveryRow(1, 0, 0, MediumCode.UAV, "Z", 1, 1, 4)),
    ],
)
def test_nothing_is_brought_to_a_node_that_does_not_exist(
    source: str, entity: str, row: OrderRow | DeliveryRow
) -> None:
    core = _roles()[entity].build()
    step = core.step(1.0, [Message(source, entity, 1, Pdu(Verb.SET, 1, tuple(encode(row))))])
    (answer,) = [message.body for message in step.outbox if isinstance(message.body, Pdu)]
    assert answer.error_status is ErrorStatus.INCONSISTENT_VALUE
