"""The emulated world: a pure function of the seed and the question."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from emulator.build.assembly import Assembly
from emulator.build.quantum_links import link_between
from emulator.nature.happenings import Eavesdropper, FiberCut, Schedule
from protos.mib import MediumCode


def test_every_process_gets_the_same_answers(tiny_assembly: Assembly) -> None:
    world, copy = tiny_assembly.world, replace(tiny_assembly.world)
    assert world.block("x", 1, 32) == copy.block("x", 1, 32)
    assert [world.demanded_units(r, p) for r in range(3) for p in range(9)] == [
        copy.demanded_units(r, p) for r in range(3) for p in range(9)
    ]


def test_no_two_questions_share_key(tiny_assembly: Assembly) -> None:
    world = tiny_assembly.world
    other = replace(world, seed=world.seed + 1)
    blocks = {
        world.block("x", 1, 32),
        world.block("x", 2, 32),
        world.block("y", 1, 32),
        world.fresh("x", 1, 1, 32),
        world.fresh("x", 1, 2, 32),
        other.block("x", 1, 32),
    }
    assert len(blocks) == 6


@pytest.mark.parametrize("correlated", [True, False])
def test_demand_follows_its_distribution(tiny_assembly: Assembly, correlated: bool) -> None:
    world, periods = replace(tiny_assembly.world, correlated=correlated), 20_000
    draws = [world.demanded_units(0, period) for period in range(periods)]
    for units, probability in world.demand:
        share = draws.count(units) / periods
        assert abs(share - probability) < 4 * sqrt(probability * (1 - probability) / periods)


def test_correlated_demand_is_one_draw_for_all(tiny_assembly: Assembly) -> None:
    one = replace(tiny_assembly.world, correlated=True)
    each = replace(tiny_assembly.world, correlated=False)
    assert all(one.demanded_units(0, p) == one.demanded_units(1, p) for p in range(200))
    assert any(each.demanded_units(0, p) != each.demanded_units(1, p) for p in range(200))


def test_a_satellite_is_usable_as_often_as_stated_and_alike_from_both_ends(
    tiny_assembly: Assembly,
) -> None:
    world, periods = tiny_assembly.world, 4_000
    begins_s = world.timeline.begins_s
    up = 0
    for period in range(periods):
        sample = world.sample(MediumCode.SATELLITE, "A", "C", begins_s(period) + 2)
        assert sample == world.sample(MediumCode.SATELLITE, "C", "A", begins_s(period) + 7)
        up += sample.usable
    assert abs(up / periods - 0.5) < 4 * 0.5 / sqrt(periods)


def test_a_block_has_the_errors_of_all_the_time_in_which_it_was_made(
    tiny_assembly: Assembly,
) -> None:
    link = link_between(tiny_assembly.links, "A", "B")
    rates = tuple(link.tapped(step / 4).skr_bps for step in range(5))
    worst = link.tapped(1.0).qber or 0.0
    thief = Eavesdropper("B", "A", 0.5, 100.0, 200.0, rates, worst)
    world = replace(tiny_assembly.world, schedule=Schedule((thief,)))

    def qber(since_s: float, now_s: float) -> float:
        return world.sample(MediumCode.FIBER, "A", "B", now_s, since_s).qber

    quiet = link.sample.qber
    assert qber(0, 100) == qber(200, 300) == quiet
    assert qber(110, 190) == qber(100, 200) == pytest.approx(quiet + (worst - quiet) / 2)
    assert qber(150, 250) == pytest.approx(quiet + (worst - quiet) / 4)
    assert world.sample(MediumCode.FIBER, "A", "B", 99.0).qber == quiet
    assert world.sample(MediumCode.FIBER, "A", "B", 199.0).qber == qber(100, 200)
    assert world.sample(MediumCode.FIBER, "B", "C", 150.0).qber < qber(100, 200)
    shares = [world.sample(MediumCode.FIBER, "A", "B", now, 0.0).skr_bps for now in (100, 110, 120)]
    assert shares == [rates[0], rates[1], rates[1]]


def test_a_cut_fiber_carries_nothing_to_count_errors_in(tiny_assembly: Assembly) -> None:
    world = replace(tiny_assembly.world, schedule=Schedule((FiberCut("A", "B", 10.0, 20.0),)))
    cut = world.sample(MediumCode.FIBER, "A", "B", 15.0)
    assert (cut.skr_bps, cut.sifted_bps, cut.usable) == (0.0, 0.0, False)
