"""Up to which window nobody lacks anything, by hand and against a barrier clock that loses journals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emulator.store.cut import Standing, last_common_window

A, B = frozenset({"a"}), frozenset({"b"})


def test_who_wants_nothing_and_was_written_nothing_keeps_nobody_back() -> None:
    assert last_common_window([Standing(A, 90, 91), Standing(B, 3, None)], {}) == 90


def test_who_wanted_to_run_before_the_others_ended_lacks_that_window() -> None:
    assert last_common_window([Standing(A, 90, 91), Standing(B, 3, 40)], {}) == 39


def test_who_was_written_to_lacks_the_window_in_which_it_was_to_read_that() -> None:
    assert last_common_window([Standing(A, 90, 91), Standing(B, 3, None)], {"b": 50}) == 50


def test_who_was_to_hear_of_something_lacks_the_window_from_which_on_it_holds() -> None:
    actors = [Standing(A, 90, 91), Standing(B, 3, None)]
    assert last_common_window(actors, {}, [2, 60, 70]) == 59


def test_who_never_ran_lacks_the_first_window() -> None:
    assert last_common_window([Standing(A, 90, 91), Standing(B)], {}) == -1
    assert last_common_window([Standing(A, 90, 91), Standing(B)], {"b": 7}) == -1


@st.composite
def _runs(draw: st.DrawFn) -> list[list[tuple[int, int | None, set[int]]]]:
    """Draw what a barrier clock has actors do: (window, when to run next, to whom it writes) for each."""
    count, windows = draw(st.integers(1, 4)), draw(st.integers(1, 25))
    due: list[int | None] = [0] * count
    mail: set[int] = set()
    done: list[list[tuple[int, int | None, set[int]]]] = [[] for _ in range(count)]
    for window in range(windows):
        reading, mail = mail, set()
        for actor in range(count):
            at = due[actor]
            if actor in reading or (at is not None and at <= window):
                wake = draw(st.none() | st.integers(window + 1, window + 8))
                wrote = draw(st.sets(st.integers(0, count - 1), max_size=2))
                done[actor].append((window, wake, wrote))
                due[actor], mail = wake, mail | wrote
    return done


@given(_runs(), st.data())
def test_the_cut_lacks_nothing_and_loses_no_more_than_was_lost(
    done: list[list[tuple[int, int | None, set[int]]]], data: st.DataObject
) -> None:
    kept = [items[: data.draw(st.integers(0, len(items)))] for items in done]
    names = [frozenset({str(actor)}) for actor in range(len(done))]
    actors = [
        Standing(name, *items[-1][:2]) if items else Standing(name)
        for name, items in zip(names, kept, strict=True)
    ]
    first: dict[str, int] = {}
    for items in kept:
        for window, _, wrote in items:
            for other in wrote:
                if window >= actors[other].last:
                    first[str(other)] = min(window, first.get(str(other), window))
    common = last_common_window(actors, first)
    lost = [
        items[len(left)][0]
        for items, left in zip(done, kept, strict=True)
        if len(left) < len(items)
    ]
    reached = max((actor.last for actor in actors), default=-1)
    assert common == min([reached, *(window - 1 for window in lost)])
