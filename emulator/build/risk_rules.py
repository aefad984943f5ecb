"""Rules about what a plan minds beside the mean cost; each yields (field, what would be right)."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from emulator.build.demand import requests_of
from emulator.build.faults import Mistakes
from emulator.build.run_limits import MOST_RECOURSE
from emulator.build.service import HEEDLESS
from emulator.build.setup import Setup
from emulator.config.cost_sharing import SharingMethod
from emulator.config.experiment import Experiment
from emulator.config.risk import RiskOptions, WassersteinOptions
from global_manager.provisioning.model import Policy

LEAST_TAIL = 5
"""Futures in the tail of a plan with a risk."""
MOST_RISKY = 2_000_000
"""Requests times futures of a plan with a risk."""


def risk(setup: Setup) -> Mistakes:
    """Refuse what does not go with a risk, and what cannot be computed."""
    experiment, asked = setup.experiment, setup.experiment.plan.risk
    if asked is None:
        return
    for field in _apart(experiment, asked):
        yield field, "does not go with plan.risk; leave one of them out"
    if experiment.plan.policy is Policy.DETERMINISTIC:
        yield "plan.policy", "deterministic weighs no risk; leave out plan.risk"
    sharing = experiment.demand.cost_sharing
    if sharing is not None and sharing.method is SharingMethod.SHAPLEY:
        yield "demand.cost_sharing.method", "must be proportional with plan.risk"
    if isinstance(asked, RiskOptions):
        yield from _futures(asked, len(requests_of(setup)))
    else:
        yield from _laws(setup, asked)


def _apart(experiment: Experiment, asked: RiskOptions | WassersteinOptions) -> Iterator[str]:
    """Yield the fields that do not go with a measure of risk."""
    demand, plan = experiment.demand, experiment.plan
    refused = {
        "limits": experiment.limits is not None,
        "uav.fleet": experiment.uav.fleet is not None,
        "plan.by_hour": plan.by_hour,
    }
    if isinstance(asked, RiskOptions):
        refused["plan.look_every_periods"] = plan.look_every_periods > 0
        refused["demand.forecast"] = demand.forecast is not None
    else:
        refused["keys.store_units"] = experiment.keys.most_bridging_units > 0
        refused["keys.keeping_cost"] = experiment.keys.keeping_cost > 0
        with_hours = bool(demand.hours)  # then sky and demand go together
        refused["uav.weather"] = with_hours and experiment.uav.weather is not None
        refused["satellite.orbits"] = with_hours and experiment.satellite.orbits is not None
    return (field for field, is_there in refused.items() if is_there)


def _futures(asked: RiskOptions, count: int) -> Mistakes:
    least = ceil(LEAST_TAIL / (1 - asked.level) - 1e-6)
    if asked.futures < least:
        right = f"must be at least {least:,} with level {asked.level:g}, so that {LEAST_TAIL} are its tail"
        yield "plan.risk.futures", right
    if count * asked.futures > MOST_RISKY:
        most = MOST_RISKY // count
        yield "plan.risk.futures", f"must be at most {most:,} with {count:,} requests"


def _laws(setup: Setup, asked: WassersteinOptions) -> Mistakes:
    requests, scenarios = requests_of(setup), setup.experiment.demand.scenarios
    known = sorted({item.application for item in requests})
    named = asked.radius_units if isinstance(asked.radius_units, dict) else {}
    for name in sorted(named.keys() - set(known)):
        right = f"no request is of this class; there are {', '.join(known)}"
        yield f"plan.risk.radius_units.{name}", right
    largest = asked.largest(scenarios)
    if largest < scenarios - 1:
        right = f"must be at least {scenarios - 1:,}, the largest demand of demand.scenarios"
        yield "plan.risk.most_units", right
    if len(requests) * largest > MOST_RECOURSE:
        most = MOST_RECOURSE // len(requests)
        yield "plan.risk.most_units", f"must be at most {most:,} with {len(requests):,} requests"


def service_levels(setup: Setup) -> Mistakes:
    """Refuse levels of no class, and what levels do not go with."""
    experiment, plan = setup.experiment, setup.experiment.plan
    if not plan.service_levels:
        return
    known = sorted({item.application for item in requests_of(setup)})
    for name in sorted(plan.service_levels.keys() - set(known)):
        right = f"no request is of this class; there are {', '.join(known)}"
        yield f"plan.service_levels.{name}", right
    refused = {
        "limits": experiment.limits is not None,
        "uav.fleet": experiment.uav.fleet is not None,
        "plan.by_hour": plan.by_hour,
        "plan.risk": isinstance(plan.risk, RiskOptions),
        "plan.look_every_periods": plan.look_every_periods > 0,
        "demand.forecast": experiment.demand.forecast is not None,
        "keys.store_units": experiment.keys.most_bridging_units > 0,
        "keys.keeping_cost": experiment.keys.keeping_cost > 0,
    }
    for field, is_there in refused.items():
        if is_there:
            yield field, "does not go with plan.service_levels; leave one of them out"
    if plan.policy in HEEDLESS:
        yield "plan.policy", f"{plan.policy} keeps no service levels; leave out plan.service_levels"
