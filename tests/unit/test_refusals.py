"""Reservations that are refused: when they are asked for again, and how often."""

from __future__ import annotations

from pathlib import Path

from emulator.results import journal_queries
from emulator.store.journal import FOLDER, Journal
from global_manager.reservations import Refusals
from protos.core import GLOBAL_MANAGER
from protos.facts import Fact, FactKind, Reason


def test_a_reservation_that_is_refused_again_and_again_is_asked_for_ever_less_often() -> None:
    refusals, now_s, asked_s = Refusals(wait_s=10.0), 0.0, []
    refusals.ask_later(3, now_s)
    while len(asked_s) < 12:
        assert refusals.wake_s is not None
        now_s = refusals.wake_s
        assert refusals.due(now_s - 1) == []
        assert refusals.due(now_s) == [3]
        asked_s.append(now_s)
        refusals.ask_later(3, now_s)
    waits = [later - sooner for sooner, later in zip([0.0, *asked_s], asked_s, strict=False)]
    assert waits == [10.0 * 2**times for times in range(8)] + [2_560.0] * 4
    assert refusals.waiting == 1


def test_a_reservation_that_is_there_or_not_wanted_is_asked_for_no_more() -> None:
    refusals = Refusals(wait_s=10.0)
    for now_s in (0.0, 10.0):
        refusals.ask_later(3, now_s)
        refusals.ask_later(4, now_s)
    refusals.forget(3)
    assert (refusals.due(1e9), refusals.waiting, refusals.wake_s) == ([4], 1, None)
    refusals.ask_later(3, 1e9)
    assert refusals.wake_s == 1e9 + 10


def test_what_has_been_asked_for_again_may_be_refused_again() -> None:
    refusals = Refusals(wait_s=10.0)
    refusals.ask_later(3, 0.0)
    assert (refusals.due(10.0), refusals.due(10.0), refusals.wake_s) == ([3], [], None)
    refusals.ask_later(3, 12.0)
    assert refusals.wake_s == 32.0


def test_refused_reservations_are_told_from_all_else_that_is_rejected(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    why = Reason("because")
    book = Journal(tmp_path, GLOBAL_MANAGER, [GLOBAL_MANAGER])
    refused = Fact(FactKind.REJECTED, request=0, details=why)
    late_shortage = Fact(FactKind.REJECTED, request=0, period=3, details=why)
    strange_message = Fact(FactKind.REJECTED, peer="kme-A", details=why)
    book.commit(1, {GLOBAL_MANAGER: [refused, late_shortage, strange_message]})
    book.commit(2, {GLOBAL_MANAGER: [refused]})
    book.close()
    assert journal_queries.refused_reservations(tmp_path) == 2
