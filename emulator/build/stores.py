"""What stores that bridge periods change for the plan: the demand that it sees of each request.

With `keys.store_units` a plan sees bridged demands (`global_manager.provisioning.stores`): by the laws of
all periods in their order, of a long run the first `MOST_PERIODS_SEEN`.  What cannot be stated so is
refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from emulator.build.demand import as_scenarios, plan_profile_of
from emulator.build.environment import timeline_of
from emulator.build.faults import Mistakes
from emulator.build.setup import Setup
from global_manager.provisioning.model import Request
from global_manager.provisioning.stores import Law, bridged

MOST_PERIODS_SEEN = 2_000
MOST_LEVELS = 200
"""Of a store: the largest demand and what is kept beyond a period's units."""


def seen_through_stores(setup: Setup, law: Law) -> Law:
    """Return the demand that a plan sees if this is the law of every period."""
    beyond = setup.experiment.keys.bridging_units
    periods = min(timeline_of(setup).periods, MOST_PERIODS_SEEN)
    return bridged([law] * periods, beyond) if beyond else law


def with_stores(setup: Setup, requests: Sequence[Request]) -> tuple[Request, ...]:
    """Return requests of which each that has a law of its own has the demand seen through its store."""
    profile, timeline = plan_profile_of(setup), timeline_of(setup)
    if profile is None:
        return tuple(requests)
    begins_s = [timeline.begins_s(period) for period in range(timeline.periods)][:MOST_PERIODS_SEEN]

    @cache
    def seen(laws: tuple[Law, ...]) -> Law:
        return bridged(laws, setup.experiment.keys.bridging_units)

    def of(index: int, item: Request) -> Request:
        laws = [profile.law(index, at_s) for at_s in begins_s]
        own = tuple(as_scenarios(law) for law in laws if law is not None)
        return replace(item, scenarios=seen(own)) if own else item

    return tuple(of(index, item) for index, item in enumerate(requests))


def mistakes(setup: Setup) -> Mistakes:
    """Refuse stores whose worth for the plan is not known, or too much work."""
    experiment, demand = setup.experiment, setup.experiment.demand
    beyond = experiment.keys.bridging_units
    if not beyond:
        return
    others = {
        "limits": experiment.limits is not None,
        "uav.fleet": experiment.uav.fleet is not None,
        "demand.joint": demand.joint is not None,
        "demand.process": demand.process is not None,
        "demand.forecast": demand.forecast is not None,
        "plan.by_hour": experiment.plan.by_hour,
        "plan.look_every_periods": experiment.plan.look_every_periods > 0,
        "keys.lifetime_s": experiment.keys.lifetime_s is not None,
        "uav.weather": bool(demand.hours) and experiment.uav.weather is not None,
        "satellite.orbits": bool(demand.hours) and experiment.satellite.orbits is not None,
    }
    for field, is_there in others.items():
        if is_there:
            yield "keys.store_units", f"cannot be combined with {field} yet; leave out one of them"
            return
    if demand.scenarios - 1 + beyond > MOST_LEVELS:
        most = max(0, MOST_LEVELS + 1 - demand.scenarios)
        yield "keys.store_units", f"must be at most {most} with {demand.scenarios} scenarios"
