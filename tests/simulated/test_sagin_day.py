"""The built-in day: all media are used, by the hours and under the weather that it has."""

from __future__ import annotations

from collections import Counter

import pytest
from network import simulate

from emulator.build.environment import sky_of
from emulator.build.loading import read
from protos.facts import Fact, FactKind
from protos.syntax import MediumCode

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def day() -> tuple[list[Fact], object]:
    setup = read("sagin-day")
    network, assembly = simulate(setup)
    return network.all_facts(), assembly


def test_all_three_media_serve_and_what_none_can_serve_stays_a_shortfall(day) -> None:
    facts, _ = day
    served: Counter[str] = Counter()
    for fact in facts:
        if fact.kind is FactKind.DELIVERED and fact.end == "source":
            served[fact.medium] += fact.units
    demanded = sum(fact.units for fact in facts if fact.kind is FactKind.DEMANDED)
    lapsed = sum(fact.units for fact in facts if fact.kind is FactKind.LAPSED)

    assert demanded == served.total() + lapsed
    assert min(served["fiber"], served["satellite"], served["uav"], lapsed) > demanded / 500


def test_no_uav_takes_off_where_fog_or_storm_forbids_it(day) -> None:
    facts, assembly = day
    setup = read("sagin-day")
    sky, timeline, requests = (
        sky_of(setup),
        assembly.timeline,
        assembly.problem.requests,
    )
    period_s = timeline.period_s
    grounded = bought = 0
    for fact in facts:
        if fact.medium != "uav" or fact.kind not in (FactKind.BOUGHT, FactKind.REFUSED):
            continue
        ends = (requests[fact.request].source, requests[fact.request].target)
        start_s = timeline.begins_s(fact.period)
        over = [
            {event.kind for node in ends for event in sky.events_over(node, at_s)}
            for at_s in (start_s, start_s + period_s)
        ]
        if all(over):
            grounded += 1
            bought += fact.kind is FactKind.BOUGHT
    assert grounded > 0 == bought


def test_no_uav_could_take_off_in_any_hour_of_fog_or_storm(day) -> None:
    _, assembly = day
    sky, timeline, world = sky_of(read("sagin-day")), assembly.timeline, assembly.world
    grounded = 0
    for request in assembly.problem.requests:
        ends = request.source, request.target
        if request.on_demand.uav_cost == request.on_demand.shortfall_cost:
            continue  # too far apart
        for at_s in map(timeline.begins_s, range(timeline.periods)):
            kinds = {event.kind for node in ends for event in sky.events_over(node, at_s)}
            assert world.sample(MediumCode.UAV, *ends, at_s).usable != bool(kinds)
            grounded += bool(kinds)
    assert grounded > 100
