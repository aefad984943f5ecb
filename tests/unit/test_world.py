"""The emulated world: a pure function of the seed and the question."""

from __future__ import annotations

from dataclasses import replace
from math import inf, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.channel import fiber_channel
from controllers.ports import ChannelId, LinkSample
from emulator.build.assembly import Assembly, assemble
from emulator.build.loading import read
from emulator.build.quantum_links import link_between
from emulator.world.demand import Demand
from emulator.world.events import (
    Dimming,
    Eavesdropper,
    FiberCut,
    PowerCut,
    Schedule,
    WorldEvent,
)
from emulator.world.visibility import Site
from emulator.world.weather import Forecast, Sky
from emulator.world.weather_events import Event, EventKind, Named
from emulator.world.world import FreeSpace, World
from protos.core import Timeline
from protos.syntax import MediumCode

HOP = fiber_channel("A", "B", 3)
ORDER = ChannelId(MediumCode.SATELLITE, "A", "C", 3)


def test_every_process_gets_the_same_answers(tiny_assembly: Assembly) -> None:
    world, copy = tiny_assembly.world, replace(tiny_assembly.world)
    assert world.block(HOP, 1, 32) == copy.block(HOP, 1, 32)
    assert [world.demanded_units(r, p) for r in range(3) for p in range(9)] == [
        copy.demanded_units(r, p) for r in range(3) for p in range(9)
    ]


def test_no_two_questions_share_key(tiny_assembly: Assembly) -> None:
    world = tiny_assembly.world
    other = replace(world, seed=world.seed + 1)
    blocks = {
        world.block(HOP, 1, 32),
        world.block(HOP, 2, 32),
        world.block(HOP._replace(b="C"), 1, 32),
        world.block(HOP._replace(number=4), 1, 32),
        world.block(HOP._replace(generation=1), 1, 32),
        world.block(ORDER, 1, 32),
        world.block(ORDER._replace(a="C", b="A"), 1, 32),
        world.block(ORDER._replace(medium=MediumCode.UAV), 1, 32),
        world.fresh("A", 1, 1, 32),
        world.fresh("A", 1, 2, 32),
        world.fresh("B", 1, 1, 32),
        world.shared("management", "kme-A", "kme-B", 1, 32),
        world.shared("management", "kme-A", "global-manager", 1, 32),
        other.block(HOP, 1, 32),
    }
    assert len(blocks) == 14


def test_both_ends_of_a_fiber_get_the_same_block(tiny_assembly: Assembly) -> None:
    world = tiny_assembly.world
    back = HOP._replace(a="B", b="A")
    assert world.block(HOP, 1, 32) == world.block(back, 1, 32)
    assert world.errors([HOP], 1, [10_000], 0.02) == world.errors([back], 1, [10_000], 0.02)


def test_nobody_knows_anything_of_a_stranger(tiny_assembly: Assembly) -> None:
    world = tiny_assembly.world
    for ask in (
        lambda: world.block(HOP._replace(a="X"), 1, 32),
        lambda: world.errors([HOP._replace(b="X")], 1, [100], 0.02),
        lambda: world.fresh("X", 1, 1, 32),
        lambda: world.sample(MediumCode.SATELLITE, "A", "X", 0.0),
        lambda: world.sample(MediumCode.UAV, "X", "A", 0.0),
        lambda: world.sample(MediumCode.FIBER, "X", "A", 0.0),
    ):
        with pytest.raises(KeyError):
            ask()


@given(
    names=st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=12, unique=True),
    seed=st.integers(0, 9),
    places=st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 11)),
)
def test_renaming_nodes_changes_no_answer(
    names: list[str], seed: int, places: tuple[int, int, int]
) -> None:
    numbers = [str(number) for number in range(1, len(names) + 1)]
    assert answers(names, seed, places) == answers(numbers, seed, places)


def answers(names: list[str], seed: int, places: tuple[int, int, int]) -> list[object]:
    """Return what a ring of nodes, to which something happens, is told of all its links and nodes."""
    first, second, third = (names[place % len(names)] for place in places)
    ring = [(a, b) for a, b in zip(names, names[1:] + names[:1], strict=True)]
    sites = tuple(Site(name, 30.0 + n, -100.0 + n) for n, name in enumerate(names))
    storm = Event(EventKind.STORM, Named(frozenset({first})), 0.0, 3_600.0)
    sky, forecast = Sky(seed, sites, events=(storm,)), Forecast(seed, 0.5, 7_200.0)
    schedule = Schedule((
        PowerCut(second, 0.0, 50.0),
        FiberCut(*ring[places[0] % len(ring)], 40.0, 200.0),
        Eavesdropper(*ring[places[1] % len(ring)], 0.5, 0.0, 90.0, (100.0, 40.0, 0.0), 0.2),
    ))  # fmt: skip
    world = World(
        seed=seed,
        timeline=Timeline(100.0, 50.0, 4),
        nodes=tuple(names),
        fibers=tuple((a, b, LinkSample(100.0, 0.02, sifted_bps=300.0)) for a, b in ring),
        satellite=FreeSpace(1_000.0, 0.01, 0.5),
        uav=FreeSpace(500.0, 0.03, 0.7),
        demand=Demand(((1, 0.5), (2, 0.3), (5, 0.2)), correlation=0.0),
        sky=sky,
        schedule=schedule,
    )
    told: list[object] = [world.demanded_units(request, 1) for request in range(5)]
    for at_s in (10.0, 120.0):
        told += [world.sample(MediumCode.FIBER, a, b, at_s) for a, b in ring]
        for medium in (MediumCode.SATELLITE, MediumCode.UAV):
            pairs = [(a, b) for a in names for b in (first, third)]
            told += [world.sample(medium, a, b, at_s) for a, b in pairs]
    for a, b in ring:
        hop, order = fiber_channel(a, b, 3, 1), ChannelId(MediumCode.UAV, b, a, 7)
        told += [world.errors([hop], 1, [1_000], 0.3), world.errors([order], 1, [1_000], 0.3)]
        told += [world.block(hop, 2, 16), world.block(order, 2, 16)]
        told += [world.shared("management", f"kme-{a}", f"kme-{b}", 1, 16)]
    for name in names:
        told += [world.fresh(name, 3, 1, 16), world.is_dark(name, 10.0), sky.opaque(name, 7_200.0)]
        told += [forecast.expects_clear(sky, name, 3_600.0 * lead, 600.0) for lead in range(1, 9)]
    return told


def sharing(world: World, correlation: float) -> World:
    """Return the world in which requests share their draws so far."""
    return replace(world, demand=replace(world.demand, correlation=correlation))


@pytest.mark.parametrize("correlated", [True, False])
def test_demand_follows_its_distribution(tiny_assembly: Assembly, correlated: bool) -> None:
    world, periods = sharing(tiny_assembly.world, float(correlated)), 20_000
    draws = [world.demanded_units(0, period) for period in range(periods)]
    for units, probability in world.demand.law:
        share = draws.count(units) / periods
        assert abs(share - probability) < 4 * sqrt(probability * (1 - probability) / periods)


def test_correlated_demand_is_one_draw_for_all(tiny_assembly: Assembly) -> None:
    one, each = (sharing(tiny_assembly.world, rho) for rho in (1.0, 0.0))
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


_SPANS = st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda it: (it[0], it[0] + it[1]))


@given(st.lists(st.tuples(st.sampled_from(["cut", "dim", "tap", "dark"]), _SPANS), max_size=5))
def test_a_fiber_offers_the_same_until_it_may_change(events: list[Any]) -> None:
    offer = LinkSample(1_000.0, 0.02, sifted_bps=2_000.0)
    world = assemble(read("tiny")).world
    for kind, (start_s, end_s) in events:
        event: WorldEvent = {
            "cut": FiberCut("A", "B", start_s, end_s),
            "dim": Dimming("A", "B", start_s, end_s, replace(offer, skr_bps=1.0)),
            "tap": Eavesdropper("B", "C", 0.5, start_s, end_s, (1_000.0, 0.0), 0.3),
            "dark": PowerCut("C", start_s, end_s),
        }[kind]
        world = world.with_event(event)

    def offers(at_s: float) -> list[LinkSample]:
        return [world.sample(MediumCode.FIBER, a, b, at_s) for a, b in (("A", "B"), ("B", "C"))]

    for now_s in range(110):
        if world.may_change_s(now_s) > now_s + 1:
            assert offers(now_s + 1) == offers(now_s)
            assert offers(now_s + 0.5) == offers(now_s)
    assert world.may_change_s(101) == inf
