"""Management keys: both ends agree, keys come out of stores that fibers fill, and their lack is seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.build.assembly import Assembly
from emulator.runtime.envelopes import CENTRE, KEY_BITS, ManagementKeys
from emulator.world.events import FiberCut, Schedule
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER, Timeline
from protos.facts import FactKind

END_S = 5_000.0


@pytest.fixture
def keys(tiny_assembly: Assembly) -> ManagementKeys:
    """The row A, B, C: what its fibers make in a rotation is more than stores can hold."""
    world = replace(tiny_assembly.world, sky=None, timeline=Timeline(0.0, 20.0, int(END_S / 20)))
    return ManagementKeys(world, window_s=1.0, rotation_s=100.0)


def _with(keys: ManagementKeys, *cuts: FiberCut) -> ManagementKeys:
    return replace(keys, world=replace(keys.world, schedule=Schedule(cuts)))


def _in_force(keys: ManagementKeys, upto: int) -> list[int]:
    return [keys.serial(GLOBAL_MANAGER, "kme-A", due) for due in range(upto + 1)]


def test_a_key_is_replaced_when_its_time_is_over(keys: ManagementKeys) -> None:
    assert [keys.due(window) for window in (0, 99, 100, 399)] == [0, 0, 1, 3]
    assert _in_force(keys, 3) == [0, 1, 2, 3]
    assert len({keys.key(GLOBAL_MANAGER, "kme-A", serial) for serial in range(4)}) == 4
    assert keys.key("kme-A", GLOBAL_MANAGER, 2) == keys.key(GLOBAL_MANAGER, "kme-A", 2)
    assert keys.key("kme-B", GLOBAL_MANAGER, 2) != keys.key(GLOBAL_MANAGER, "kme-A", 2)


def test_a_node_without_a_fiber_lives_on_its_store_and_then_keeps_its_old_key(
    keys: ManagementKeys,
) -> None:
    isolated = _with(keys, FiberCut("A", "B", 150.0, 850.0))
    assert _in_force(isolated, 9) == [0, 1, 2, 3, 4, 4, 4, 4, 4, 9]
    assert _in_force(replace(isolated, stored_keys=1), 9) == [0, 1, 1, 1, 1, 1, 1, 1, 1, 9]
    assert [isolated.serial(GLOBAL_MANAGER, "kme-B", due) for due in range(10)] == list(range(10))
    overdue = [fact.serial for fact in isolated.rotations("kme-A", 0, 9) if fact.text == "overdue"]
    assert overdue == [n for n in (5, 6, 7, 8) for _ in CENTRE]


def test_a_share_that_does_not_make_a_key_a_rotation_makes_one_now_and_then(
    keys: ManagementKeys,
) -> None:
    (_, _, offer) = keys.world.fibers[0]
    of_a_key = 0.41 * KEY_BITS * len(CENTRE) / (offer.skr_bps * keys.rotation_s)
    assert _in_force(replace(keys, share=of_a_key), 10) == [0, 0, 0, 3, 3, 5, 5, 5, 8, 8, 10]
    assert _in_force(replace(keys, share=0.0), 3) == [0, 0, 0, 0]


def test_noise_above_the_limit_fills_no_store(keys: ManagementKeys) -> None:
    noisy = tuple((a, b, replace(offer, qber=0.2)) for a, b, offer in keys.world.fibers)
    assert _in_force(replace(keys, world=replace(keys.world, fibers=noisy)), 3) == [0, 0, 0, 0]


def test_nothing_rotates_after_the_last_period(keys: ManagementKeys) -> None:
    assert keys.due(10**6) == END_S / keys.rotation_s
    assert keys.next_window(None) == 100
    assert keys.next_window(100) == 200
    assert keys.next_window(int(END_S) - 1) == END_S
    assert keys.next_window(int(END_S)) is None


cuts = st.lists(
    st.builds(
        lambda ends, start, lasts: FiberCut(*ends, start, start + lasts),
        st.sampled_from([("A", "B"), ("B", "C")]),
        st.floats(0, END_S),
        st.floats(1, END_S / 2),
    ),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=cuts,
    share=st.floats(0, 0.2),
    stored_keys=st.integers(1, 9),
    rotation_s=st.floats(7, 700),
    stops=st.sets(st.integers(1, int(END_S)), max_size=9),
)
def test_every_bit_that_came_into_a_store_was_withdrawn_or_is_left_at_both_ends_alike(  # noqa: PLR0917
    keys: ManagementKeys,
    cuts: list[FiberCut],
    share: float,
    stored_keys: int,
    rotation_s: float,
    stops: set[int],
) -> None:
    """Whoever notes rotations at whatever windows, and whether the cuts were known from the start."""
    keys = replace(keys, share=share, stored_keys=stored_keys, rotation_s=rotation_s)
    cut, last = _with(keys, *cuts), keys.due(int(END_S))
    seen: dict[frozenset[str], list[tuple[int, int, int, int]]] = {}
    for entity in (*CENTRE, "kme-A", "kme-B", "kme-C"):
        dues = [0, *(keys.due(window) for window in sorted(stops)), last]
        noted = [f for a, b in pairwise(dues) for f in cut.rotations(entity, a, b)]
        left = Counter({fact.peer: fact.bits for fact in cut.stored(entity, last)})
        for peer in {fact.peer for fact in noted}:
            here = [(f.serial, f.bits, f.units) for f in noted if f.peer == peer]
            assert [serial for serial, _, _ in here] == list(range(1, last + 1))
            used = KEY_BITS * sum(units for _, _, units in here)
            assert sum(bits for _, bits, _ in here) == used + left[peer]
            assert left[peer] <= stored_keys * KEY_BITS
            rows = [(*row, left[peer]) for row in here]
            assert seen.setdefault(frozenset((entity, peer)), rows) == rows
    learned = keys
    for item in cuts:
        learned.serial(FIBER_CONTROLLER, "kme-B", keys.due(int(min(item.start_s, END_S))))
        learned = learned.with_event(item)
    assert [learned.serial(FIBER_CONTROLLER, "kme-B", due) for due in range(last + 1)] == [
        cut.serial(FIBER_CONTROLLER, "kme-B", due) for due in range(last + 1)
    ]
    assert {f.kind for f in cut.rotations("kme-B", 0, last)} <= {FactKind.ROTATED}
