"""What can happen: on the wire as in the file, at its time, and to whom it concerns."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from controllers.fleet import Fleet, FleetConfig
from controllers.ports import Contact
from emulator.build.assembly import Assembly, assemble
from emulator.build.loading import ExperimentError, read
from emulator.build.schedule import events_of
from emulator.config.schedule import RandomEvent
from emulator.world.events import (
    DemandShift,
    Dimming,
    FiberCut,
    PowerCut,
    SatelliteLoss,
    Schedule,
    UavLoss,
    begun_at,
    read_back,
    write_down,
)
from emulator.world.satellite_links import SatelliteLinks
from protos.syntax import MediumCode

EVENTS: list[dict[str, Any]] = [
    {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 9, "until_s": 20},
    {"kind": "link-degraded", "link": ["A", "B"], "loss_db": 3, "at_s": 9},
    {"kind": "eavesdropper", "link": ["B", "C"], "fraction": 0.5, "at_s": 9},
    {"kind": "power-cut", "node": "A", "at_s": 9, "until_s": 20},
    {"kind": "satellite-loss", "at_s": 9, "until_s": 20},
    {"kind": "uav-loss", "at_s": 9, "until_s": 20},
    {"kind": "outage", "entity": "A", "at_s": 9},
    {"kind": "message-fault", "sources": ["A"], "drop": 0.1, "at_s": 9},
    {"kind": "partition", "groups": [["A"], ["B", "C"]], "at_s": 9},
    {"kind": "demand-shift", "from_period": 3, "mean_units": 2},
    {"kind": "classical-power", "link": ["B", "C"], "launch_dbm": -20, "channels": 4, "at_s": 9},
]


def happen(write_experiment: Any, event: dict[str, Any]) -> Any:
    (found,) = events_of(read(str(write_experiment(faults=[event]))))
    return found


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["kind"])
def test_what_happens_is_the_same_after_it_was_written_down(
    write_experiment: Any, event: Any
) -> None:
    found = happen(write_experiment, event)
    assert read_back(write_down(found)) == found


def test_what_comes_too_soon_is_put_off_and_lasts_as_long(tiny_assembly: Assembly) -> None:
    timeline = tiny_assembly.timeline
    cut = FiberCut("A", "B", 0.0, 60.0)
    assert begun_at(cut, 15.0, timeline) == FiberCut("A", "B", 15.0, 75.0)
    assert begun_at(FiberCut("A", "B", 40.0, 60.0), 15.0, timeline) == FiberCut(
        "A", "B", 40.0, 60.0
    )
    shift = DemandShift(0, ((1, 1.0),))
    now_s = timeline.begins_s(2) + 1
    assert begun_at(shift, now_s, timeline) == DemandShift(3, ((1, 1.0),))
    assert begun_at(shift, timeline.begins_s(2), timeline) == DemandShift(2, ((1, 1.0),))


def test_a_node_without_power_has_no_link_of_any_kind(tiny_assembly: Assembly) -> None:
    world = replace(tiny_assembly.world, schedule=Schedule((PowerCut("B", 10.0, 20.0),)))
    for medium in MediumCode:
        usable = [world.sample(medium, "A", "B", at_s).usable for at_s in (10.0, 20.0)]
        assert usable[0] is False
        assert usable[1] is tiny_assembly.world.sample(medium, "A", "B", 20.0).usable
    assert world.sample(MediumCode.UAV, "A", "C", 15.0).usable


def test_a_dimmed_fiber_yields_what_its_devices_make_of_the_loss(write_experiment: Any) -> None:
    dimming = happen(write_experiment, EVENTS[1])
    assert isinstance(dimming, Dimming)
    setup = read(str(write_experiment(faults=[EVENTS[1]])))
    world = assemble(setup).world
    before, during = (world.sample(MediumCode.FIBER, "A", "B", at_s) for at_s in (8.9, 9.0))
    assert during == dimming.offer
    assert 0 < during.skr_bps < 0.7 * before.skr_bps


def test_lost_satellites_and_uavs_serve_nobody(tiny_assembly: Assembly) -> None:
    lost = Schedule((SatelliteLoss(frozenset(), 0.0, 1e6), UavLoss(None, 0.0, 1e6)))
    world = replace(tiny_assembly.world, schedule=lost)
    times = [10.0 * n for n in range(40)]
    for medium in (MediumCode.SATELLITE, MediumCode.UAV):
        assert any(tiny_assembly.world.sample(medium, "A", "C", t).usable for t in times)
        assert not any(world.sample(medium, "A", "C", t).usable for t in times)


def test_losses_of_uavs_add_up_while_they_overlap(tiny_assembly: Assembly) -> None:
    some = Schedule((UavLoss(3, 0.0, 20.0), UavLoss(2, 10.0, 30.0)))
    world = replace(tiny_assembly.world, schedule=some)
    assert [world.lost_uavs(t, t) for t in (5.0, 10.0, 20.0, 30.0)] == [3, 5, 2, 0]
    assert world.lost_uavs(0.0, 40.0) == 5
    assert replace(world, schedule=Schedule((UavLoss(None, 0.0, 9.0),))).lost_uavs(5.0, 5.0) == inf


def test_lost_uavs_do_not_take_off() -> None:
    fleet = Fleet(FleetConfig(5, 100.0, 10.0, 10.0))
    fleet.lose(3)
    assert fleet.ready == 2
    assert fleet.try_assign(1, 3, 5.0, 0.0) is None
    assert fleet.try_assign(2, 2, 5.0, 0.0) is not None
    assert fleet.out_for(2) == (3, 4)


def test_a_loss_in_orbit_surprises_who_was_promised_before_and_nobody_after() -> None:
    contact = Contact("sat-1", ("A", "B"), 100.0, 120.0, 1000, 0.01)
    sky = SatelliteLinks(("A", "B"), (contact,), 600.0, None)
    assert sky.is_promised(contact, 50.0)
    hit = sky.with_event(SatelliteLoss(frozenset({"sat-1"}), 80.0, 200.0))
    assert hit.is_promised(contact, 79.0)
    assert not hit.is_promised(contact, 80.0)
    assert not hit.has_made(contact)
    assert sky.with_event(SatelliteLoss(frozenset({"sat-2"}), 80.0, 200.0)).has_made(contact)
    assert not sky.with_event(PowerCut("A", 105.0, 115.0)).has_made(contact)


def test_random_faults_are_drawn_from_the_seed_and_written_out(write_experiment: Any) -> None:
    chance = {"kind": "random", "count": 20, "kinds": ["fiber-cut", "outage", "power-cut"]}
    first = read(str(write_experiment(faults=[chance]))).experiment
    again = read(str(write_experiment(faults=[chance]))).experiment
    other = read(str(write_experiment(faults=[chance], seed=99))).experiment
    assert first.faults == again.faults != other.faults
    assert len(first.faults) == 20
    assert not any(isinstance(event, RandomEvent) for event in first.faults)
    times = [event.at_s for event in first.faults if hasattr(event, "at_s")]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (EVENTS[0] | {"link": ["A", "X"]}, "faults.0.link: no link A-X in the network"),
        (EVENTS[3] | {"node": "X"}, "faults.0.node: no node X in the network"),
        (
            EVENTS[4] | {"satellites": ["one"]},
            "faults.0.satellites: assumed satellites have no names",
        ),
        (EVENTS[6] | {"entity": "X"}, "faults.0.entity: no entity X; name a node, or one of"),
        (
            EVENTS[8] | {"groups": [["A"], ["kme-A"]]},
            "faults.0.groups: an entity can be named once",
        ),
        (EVENTS[0] | {"until_s": 3}, "faults.0.until_s: must be after at_s, 9"),
        ({"kind": "message-fault", "at_s": 0}, "faults.0: give one of drop"),
        (
            {"kind": "random", "count": 1, "kinds": ["storm"]},
            "faults.0.kinds: weather needs coordinates",
        ),
        (
            {"kind": "process", "actor": "X", "action": "kill", "at_s": 0},
            "faults.0.actor: no entity X",
        ),
    ],
)
def test_what_cannot_happen_is_named(write_experiment: Any, event: Any, problem: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(str(write_experiment(faults=[event])))
    assert problem in str(caught.value)


def test_the_action_on_a_process_may_still_be_called_its_deed(write_experiment: Any) -> None:
    former = {"kind": "process", "actor": "clock", "deed": "kill", "at_s": 1}
    (event,) = read(str(write_experiment(faults=[former]))).experiment.faults
    assert event.model_dump()["action"] == "kill"
    assert "deed" not in event.model_dump()
    with pytest.raises(ExperimentError) as caught:
        read(str(write_experiment(faults=[former | {"action": "stop"}])))
    assert "deed" in str(caught.value)
