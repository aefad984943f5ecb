"""The MIB, its rows, its wire form, and the agent that answers for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smi import module_text

from controllers.snmp_agent import MAX_VARBINDS, Refusal, SnmpAgent, View
from protos import wire
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER, Message
from protos.gen.qsagin.v1 import keys_pb2
from protos.keys import (
    Ack,
    Assigned,
    Confirm,
    Delivered,
    Discard,
    KeyBundle,
    KeyTraffic,
    Relay,
)
from protos.mib import (
    BY_ROW,
    TABLES,
    ChannelRow,
    KeyBlockRow,
    KeyStoreRow,
    Row,
    ShortageRow,
    Table,
    TransceiverRow,
    UsageRow,
)
from protos.notifications import KEY_SHORTAGE, NOTIFICATION_TYPES, SYS_UP_TIME
from protos.pdu import ErrorStatus, Missing, Pdu, VarBind, Verb
from protos.pending_requests import PendingRequests
from protos.rows import VarBindError, decode, encode, instance, notified, notify, time_ticks
from protos.syntax import MediumCode, Syntax

NUMBERS = st.integers(min_value=0, max_value=2**31 - 1)
TEXTS = st.text(max_size=20)


@st.composite
def any_row(draw: st.DrawFn) -> Row:
    table: Table = draw(st.sampled_from(TABLES))
    named = {name: st.sampled_from(list(kind)) for name, kind in table.enumerations.items()}
    values = {
        field.name: draw(named.get(field.name, TEXTS if table.is_text[field.name] else NUMBERS))
        for field in fields(table.row)
    }
    return table.row(**values)


CHANNEL = ChannelRow(3, "", "B", "C", 4, 4000, 64000, 60000, 4)


def test_every_field_of_every_row_is_an_index_or_a_column_and_the_reverse() -> None:
    for table in TABLES:
        names = {field.name for field in fields(table.row)}
        assert set(table.index) | table.columns.keys() == names
        assert not set(table.index) & table.columns.keys()


def test_no_two_objects_share_a_name() -> None:
    names = [(*table.entry, column) for table in TABLES for column in table.columns.values()]
    names += [kind.oid for kind in NOTIFICATION_TYPES]
    assert len(set(names)) == len(names)


@given(any_row())
def test_decoding_undoes_encoding(row: Row) -> None:
    assert decode(encode(row)) == [row]


@given(st.lists(any_row(), max_size=4, unique_by=lambda row: (type(row), instance(row))))
def test_a_pdu_survives_the_wire(rows: list[Row]) -> None:
    varbinds = tuple(bind for row in rows for bind in encode(row))
    pdu = Pdu(
        Verb.SET, 7, (*varbinds, VarBind((1, 3), Missing.END_OF_MIB_VIEW), VarBind((1,), (1, 2)))
    )
    pdu = replace(pdu, error_status=ErrorStatus.TOO_BIG, error_index=2, oldest_open=5)
    message = Message("a", "b", 9, pdu)
    batch = wire.management_batch(5, [message])
    assert wire.management_messages(type(batch).FromString(batch.SerializeToString())) == [message]


_SMALL = st.integers(0, 2**31)
_MEDIA, _NAMES = st.sampled_from(list(MediumCode)), st.lists(st.text(max_size=4)).map(tuple)
_TRAFFIC: st.SearchStrategy[KeyTraffic] = st.one_of(
    st.builds(Relay, _SMALL, _SMALL, _SMALL, st.binary(max_size=40), _SMALL),
    st.builds(Confirm, _SMALL, _MEDIA, _SMALL, _SMALL, st.binary(max_size=16)),
    st.builds(Delivered, _SMALL, _MEDIA, _SMALL, _NAMES, _SMALL),
    st.builds(
        Assigned,
        _SMALL,
        st.text(max_size=4),
        _NAMES,
        _SMALL,
        _NAMES,
        _NAMES,
        st.binary(max_size=8),
        _SMALL,
    ),
    st.builds(Discard, _SMALL, _MEDIA, _SMALL, _SMALL),
    st.builds(Ack, _SMALL),
)


@given(st.lists(_TRAFFIC, min_size=1))
def test_key_traffic_survives_the_wire(items: list[KeyTraffic]) -> None:
    message = Message("kme-A", "kme-B", 1, KeyBundle.of(items))
    batch = wire.key_batch(0, [message])
    assert wire.key_messages(type(batch).FromString(batch.SerializeToString())) == [message]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda said: said.relays.ClearField("errors"), "columns of different lengths"),
        (lambda said: said.relays.n_bytes.append(1), "parts that do not make the whole"),
        (lambda said: said.confirms.medium.append(9), "9 is not a valid MediumCode"),
        (lambda said: said.ClearField("relays"), "is empty"),
        (lambda said: said.settled.append(2**63), "a number that is too large"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(
    spoil: Callable[[keys_pb2.KeyMessage], None], reason: str
) -> None:
    relays = KeyBundle((Relay(1, 2, 3, b"ab", 17), Relay(2, 2, 3, b"c", 0)))
    batch = wire.key_batch(0, [Message("kme-A", "kme-B", 1, relays)])
    spoil(batch.messages[0])
    with pytest.raises(ValueError, match=f"message 1 of kme-A.*{reason}"):
        wire.key_messages(batch)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ((1, 3, 6, 1), 1, ErrorStatus.NO_CREATION),
        ((*BY_ROW[ChannelRow].entry, 5, 3), "text", ErrorStatus.INCONSISTENT_NAME),
    ],
)
def test_a_varbind_that_is_no_column_or_row_is_refused(
    name: tuple[int, ...], value: int | str, status: ErrorStatus
) -> None:
    with pytest.raises(VarBindError) as caught:
        decode([VarBind(name, value)])
    assert caught.value.error_status is status


def test_a_column_of_the_wrong_type_is_named_by_its_index() -> None:
    varbinds = encode(CHANNEL)
    varbinds[3] = VarBind(varbinds[3].name, "four")
    with pytest.raises(VarBindError) as caught:
        decode(varbinds)
    assert (caught.value.error_status, caught.value.error_index) == (ErrorStatus.WRONG_TYPE, 4)


def test_a_notification_carries_time_name_and_row() -> None:
    pdu = notify(KEY_SHORTAGE, ShortageRow(1, 2, 3), 8, now_s=1.5, verb=Verb.INFORM)
    assert pdu.varbinds[0] == VarBind(SYS_UP_TIME, 150)
    assert notified(pdu) == (KEY_SHORTAGE, ShortageRow(1, 2, 3))


def test_the_smi_module_in_the_tree_is_the_one_that_the_tables_give() -> None:
    kept = Path(__file__).parents[2] / "protos" / "QSAGIN-MIB.txt"
    assert kept.read_text() == module_text()


class _Shelf:
    """A core that keeps channel rows, at most two."""

    def __init__(self) -> None:
        self.rows: list[Row] = [KeyStoreRow(1, "C", 2, 4), KeyStoreRow(2, "D", 0, 4)]
        self.agent = SnmpAgent(self._tables, self._accept)

    def _tables(self) -> dict[type[Row], Sequence[Row]]:
        kinds = {type(row) for row in self.rows}
        return {kind: [row for row in self.rows if type(row) is kind] for kind in kinds}

    def _accept(self, rows: Sequence[Row], _source: str, _now_s: float) -> Refusal | None:
        if len(rows) > 2:
            return Refusal(ErrorStatus.RESOURCE_UNAVAILABLE, row=2)
        self.rows += rows
        return None

    def ask(self, verb: Verb, *names: tuple[int, ...], **extra: int) -> Pdu:
        binds = tuple(VarBind(name) for name in names)
        return self.agent.answer(
            "nobody", Pdu(verb, extra.pop("request_id", 1), binds, **extra), 2.0
        )


def test_get_answers_what_is_there_and_says_what_is_not() -> None:
    shelf, store = _Shelf(), BY_ROW[KeyStoreRow].entry
    answer = shelf.ask(Verb.GET, SYS_UP_TIME, (*store, 3, 1), (*store, 3, 9), (1, 2))
    assert [bind.value for bind in answer.varbinds] == [
        200,
        2,
        Missing.NO_SUCH_INSTANCE,
        Missing.NO_SUCH_OBJECT,
    ]


def test_a_walk_with_get_next_sees_every_cell_once_and_in_order() -> None:
    shelf = _Shelf()
    seen, name = [], SYS_UP_TIME
    for request_id in range(1, 100):
        bind = shelf.ask(Verb.GET_NEXT, name, request_id=request_id).varbinds[0]
        if bind.value is Missing.END_OF_MIB_VIEW:
            break
        seen.append(bind)
        name = bind.name
    here = [cell for row in shelf.rows for cell in encode(row)]
    assert seen == sorted(here, key=lambda cell: cell.name)
    assert len(seen) == 6


def test_get_bulk_repeats_what_repeats_and_stops_at_the_end() -> None:
    shelf, store = _Shelf(), BY_ROW[KeyStoreRow].entry
    answer = shelf.ask(
        Verb.GET_BULK, (1,), (*store, 3), (*store, 4), non_repeaters=1, max_repetitions=2
    )
    assert [bind.value for bind in answer.varbinds] == [200, 2, 4, 0, 4]
    end = shelf.ask(Verb.GET_BULK, (*store, 4, 2), max_repetitions=5, request_id=2)
    assert [bind.value for bind in end.varbinds] == [Missing.END_OF_MIB_VIEW]


def test_a_set_takes_all_rows_or_none() -> None:
    shelf = _Shelf()
    rows = [replace(CHANNEL, request=request) for request in (5, 6, 7)]
    binds = tuple(bind for row in rows for bind in encode(row))
    refused = shelf.agent.answer(FIBER_CONTROLLER, Pdu(Verb.SET, 1, binds), 0.0)
    assert refused.error_status is ErrorStatus.RESOURCE_UNAVAILABLE
    assert refused.error_index == 1 + 2 * len(encode(CHANNEL))
    assert len(shelf.rows) == 2


def test_a_set_by_the_wrong_role_changes_nothing() -> None:
    shelf = _Shelf()
    for source in ("nobody", GLOBAL_MANAGER, "kme-A"):
        answer = shelf.agent.answer(source, Pdu(Verb.SET, 1, tuple(encode(CHANNEL))), 0.0)
        assert answer.error_status is ErrorStatus.NO_ACCESS
    read_only = Pdu(Verb.SET, 2, tuple(encode(KeyStoreRow(9, "Z", 1, 1))))
    answer = shelf.agent.answer(FIBER_CONTROLLER, read_only, 0.0)
    assert answer.error_status is ErrorStatus.NOT_WRITABLE
    assert len(shelf.rows) == 2


@pytest.mark.parametrize(
    ("row", "status", "column"),
    [
        (replace(CHANNEL, peer="x" * 256), ErrorStatus.WRONG_LENGTH, "peer"),
        (replace(CHANNEL, units=2**31), ErrorStatus.WRONG_VALUE, "units"),
    ],
)
def test_a_value_that_is_too_long_or_too_large_is_named_and_changes_nothing(
    row: ChannelRow, status: ErrorStatus, column: str
) -> None:
    shelf = _Shelf()
    answer = shelf.agent.answer(FIBER_CONTROLLER, Pdu(Verb.SET, 1, tuple(encode(row))), 0.0)
    place = list(BY_ROW[ChannelRow].columns).index(column) + 1
    assert (answer.error_status, answer.error_index) == (status, place)
    assert len(shelf.rows) == 2


def test_to_whom_may_not_read_a_table_it_is_not_there() -> None:
    shelf, store = _Shelf(), BY_ROW[KeyStoreRow].entry
    get = Pdu(Verb.GET, 1, (VarBind((*store, 3, 1)), VarBind(SYS_UP_TIME)))
    walk = Pdu(Verb.GET_BULK, 2, (VarBind(store),), max_repetitions=10)
    for source, seen in (("kme-A", False), (FIBER_CONTROLLER, True), ("grafana", True)):
        values = [bind.value for bind in shelf.agent.answer(source, get, 2.0).varbinds]
        assert values == [2 if seen else Missing.NO_SUCH_INSTANCE, 200]
        names = [bind.name for bind in shelf.agent.answer(source, walk, 2.0).varbinds]
        assert (len(names) > 1) is seen


def test_a_repeated_set_is_answered_alike_and_done_once() -> None:
    shelf = _Shelf()
    pdu = Pdu(Verb.SET, 4, tuple(encode(CHANNEL)))
    first = shelf.agent.answer(FIBER_CONTROLLER, pdu, 0.0)
    assert shelf.agent.answer(FIBER_CONTROLLER, pdu, 9.0) == first
    assert len(shelf.rows) == 3


def test_an_oversized_request_is_too_big() -> None:
    binds = tuple(bind for bind in encode(TransceiverRow(1, 1, 1)) * (MAX_VARBINDS + 1))
    answer = _Shelf().agent.answer(FIBER_CONTROLLER, Pdu(Verb.SET, 1, binds), 0.0)
    assert answer.error_status is ErrorStatus.TOO_BIG


def test_a_request_is_sent_again_until_it_is_answered_and_answered_once() -> None:
    exchange: PendingRequests[str] = PendingRequests(retry_after_s=10)
    sent = exchange.open("agent", Pdu(Verb.SET, 0), "context", now_s=0)
    assert exchange.overdue(9) == []
    assert exchange.overdue(10) == [("agent", sent)]
    assert exchange.overdue(11) == []
    assert exchange.close("stranger", sent.response()) is None
    assert exchange.close("agent", sent.response()) == "context"
    assert exchange.close("agent", sent.response()) is None
    assert exchange.wake_s is None


def test_a_walk_looks_only_at_the_tables_that_it_comes_to() -> None:
    def untouched() -> Iterator[Row]:
        raise AssertionError("nobody has asked for this table")
        yield

    store, transceiver = BY_ROW[KeyStoreRow].entry, BY_ROW[TransceiverRow].entry
    assert transceiver < store
    view = View([], {TransceiverRow: untouched(), KeyStoreRow: [KeyStoreRow(1, "C", 2, 4)]})
    assert next(view.after((*store, 3))).value == 2
    assert view.get((*store, 4, 1)).value == 4


def test_a_large_table_is_walked_in_order_whatever_the_order_of_its_rows() -> None:
    rows = [KeyStoreRow(place, "C", place, 9) for place in (300, 2, 10, 1)]
    column = (*BY_ROW[KeyStoreRow].entry, 3)
    found = islice(View([], {KeyStoreRow: rows}).after((*column, 1)), 3)
    assert [cell.value for cell in found] == [2, 10, 300]


def test_times_and_sums_have_room_for_a_century() -> None:
    century_ms = 100 * 366 * 86_400 * 1000
    channel = replace(CHANNEL, start_ms=century_ms, due_ms=century_ms + 1, period_ms=century_ms)
    used = UsageRow(1, 2**33, 2**40)
    block = KeyBlockRow(1, 1, "B", 2**32 - 1, 2**40, 2**33, 2**39)
    for row in (channel, used, block):
        assert decode(encode(row)) == [row]
    for row in (
        replace(channel, due_ms=-1),
        replace(used, periods=-1),
        replace(used, periods=2**63),
    ):
        with pytest.raises(VarBindError) as caught:
            decode(encode(row))
        assert caught.value.error_status is ErrorStatus.WRONG_VALUE


def test_only_numbers_of_a_count_that_no_run_reaches_are_of_32_bits() -> None:
    """What is measured in time or adds up over it is wider; the others are named here, with a reason."""
    narrow = {
        name
        for table in TABLES
        for name, syntax in table.syntax.items()
        if syntax in (Syntax.INTEGER32, Syntax.UNSIGNED32)
    }
    parts = {"request", "position", "fiber", "agent", "medium", "wavelength", "row_status"}
    parts |= {"entity", "summary", "node", "threshold", "planning", "engine"}
    states = {"is_source", "oper_status", "cause", "open_orders", "status", "action"}
    states |= {"qber_limit_ppm", "wait_to_restore_ms"}
    in_one_period = {"units", "available_units", "capacity_units"}
    one_at_a_time = {"order", "period", "epoch", "generation"}  # each costs rows of a journal
    assert narrow == parts | states | in_one_period | one_at_a_time


def test_sys_up_time_begins_again_as_time_ticks_do() -> None:
    after_s = 2**32 / 100
    assert [time_ticks(at_s) for at_s in (0.0, 1.5, after_s - 1, after_s, after_s + 1)] == [
        0,
        150,
        2**32 - 100,
        0,
        100,
    ]
