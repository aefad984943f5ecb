"""Who needs key in an experiment, how much, and how that follows the hours of the day.

The plan sees laws that are cut off and reduced as the experiment says; applications draw from whole laws.
Joint futures and traces are read from their files here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from emulator.build.demand_files import read_joint, read_trace
from emulator.build.demand_process import factors_of, mixture, process_of
from emulator.build.environment import timeline_of
from emulator.build.setup import Setup, part
from emulator.config.demand import MOST_UNITS, Distribution, RequestItem
from emulator.world.demand import Demand, DemandProfile, Law
from global_manager.provisioning.model import Request, Scenario

_STREAM = 0x5245
_DEGREES_PER_HOUR = 15.0
_ALWAYS = (1.0,) * 24

Joint = tuple[tuple[float, tuple[int, ...]], ...]
AsScenarios = Callable[[Distribution], tuple[Scenario, ...]]


@part
def requests_of(setup: Setup) -> tuple[RequestItem, ...]:
    """Return all requests, listed or generated; the index of a request is its position here."""
    experiment = setup.experiment
    requests = experiment.demand.requests
    if not isinstance(requests, dict):
        return tuple(requests)
    names = [node.name for node in setup.topology.nodes]
    stream = np.random.Generator(np.random.PCG64([experiment.seed, _STREAM]))
    items = []
    for kind, count in requests.items():
        for number in range(1, count + 1):
            source, target = (names[index] for index in stream.choice(len(names), 2, replace=False))
            fields = {"id": f"{kind}-{number}", "class": kind, "source": source, "target": target}
            items.append(RequestItem.model_validate(fields))
    return tuple(items)


@part
def scenarios_of(setup: Setup) -> tuple[Scenario, ...]:
    """Return the scenarios that the plan sees, of requests that have no law of their own."""
    return _planned(setup)(setup.experiment.demand.distribution)


@part
def demand_of(setup: Setup) -> Demand:
    """Return what applications need.  Raises `DemandFileError`."""
    demand = setup.experiment.demand
    return Demand(
        law=as_law(demand.distribution.whole(demand.scenarios)),
        correlation=demand.correlation,
        profile=_profile(setup, lambda law: law.whole(demand.scenarios)),
        joint=joint_of(setup),
        trace=trace_of(setup),
        process=process_of(setup.experiment),
        most_units=MOST_UNITS,
    )


@part
def plan_profile_of(setup: Setup) -> DemandProfile | None:
    """Return the laws that the plan sees by class and hour; None if all requests have one law always."""
    return _profile(setup, _planned(setup))


@part
def joint_of(setup: Setup) -> Joint:
    """Return the joint futures of demand, if there are any.  Raises `DemandFileError`."""
    file = setup.experiment.demand.joint
    return () if file is None else read_joint(Path(file), requests_of(setup))


@part
def trace_of(setup: Setup) -> tuple[tuple[int, ...], ...]:
    """Return what the run replays, by period and request, if anything.  Raises `DemandFileError`."""
    demand = setup.experiment.demand
    if demand.trace is None:
        return ()
    return read_trace(Path(demand.trace), requests_of(setup), demand.periods)


def with_marginals(
    setup: Setup, requests: Sequence[Request], periods: Sequence[int]
) -> tuple[Request, ...]:
    """Return requests with the demand that the plan sees: of joint futures, or over the periods' hours."""
    joint, profile, timeline = joint_of(setup), plan_profile_of(setup), timeline_of(setup)
    if joint:
        return with_joint(requests, joint)
    if profile is None:
        return tuple(requests)
    laws = (profile.marginal(index, timeline, periods) for index in range(len(requests)))
    return tuple(
        replace(item, scenarios=as_scenarios(law)) if law else item
        for item, law in zip(requests, laws, strict=True)
    )


def with_joint(requests: Sequence[Request], joint: Joint) -> tuple[Request, ...]:
    """Return requests with the laws that joint futures of demand have for each of them."""
    return tuple(
        replace(item, scenarios=_marginal(joint, place)) for place, item in enumerate(requests)
    )


def as_law(scenarios: Sequence[Scenario]) -> Law:
    """Return scenarios as a plain law."""
    return tuple((item.units, item.probability) for item in scenarios)


def as_scenarios(law: Law) -> tuple[Scenario, ...]:
    """Return a plain law as scenarios."""
    return tuple(Scenario(*chance) for chance in law)


def _planned(setup: Setup) -> AsScenarios:
    """Return how laws become scenarios of the plan."""
    demand = setup.experiment.demand
    factors = factors_of(setup)
    if factors:
        return lambda law: demand.kept(mixture(law, factors, demand.scenarios))
    return lambda law: demand.kept(law.scenarios(demand.scenarios))


def _profile(setup: Setup, scenarios: AsScenarios) -> DemandProfile | None:
    """Return the laws of classes that have their own, or follow the hours."""
    demand, epoch = setup.experiment.demand, setup.experiment.epoch
    kinds = list(dict.fromkeys([*demand.hours, *demand.laws]))
    if not kinds:
        return None
    utc_h = epoch.hour + epoch.minute / 60 + epoch.second / 3600
    east_h = {node.name: (node.lon_deg or 0.0) / _DEGREES_PER_HOUR for node in setup.topology.nodes}
    row_of = {kind: row for row, kind in enumerate(kinds)}
    return DemandProfile(
        laws=tuple(
            _day(demand.law(kind), tuple(demand.hours.get(kind, _ALWAYS)), scenarios)
            for kind in kinds
        ),
        requests=tuple(
            (row_of[item.application], (utc_h + east_h[item.source]) % 24)
            if item.application in row_of
            else None
            for item in requests_of(setup)
        ),
    )


def _day(law: Distribution, factors: tuple[float, ...], scenarios: AsScenarios) -> tuple[Law, ...]:
    """Return the laws of a class by hour; equal hours share one."""
    by_factor = {factor: as_law(scenarios(law.scaled(factor))) for factor in set(factors)}
    return tuple(by_factor[factor] for factor in factors)


def _marginal(joint: Joint, place: int) -> tuple[Scenario, ...]:
    """Return the law of one request in joint futures."""
    chances: dict[int, float] = {}
    for chance, units in joint:
        chances[units[place]] = chances.get(units[place], 0.0) + chance
    return tuple(Scenario(units, chances[units]) for units in sorted(chances))
