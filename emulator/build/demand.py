"""Who needs key in an experiment, how much, and how that follows the hours of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emulator.build.environment import timeline_of
from emulator.build.setup import Setup, part
from emulator.config.demand import RequestItem
from emulator.world.demand_profile import DemandProfile, Law
from global_manager.provisioning.model import Request, Scenario

_STREAM = 0x5245
_DEGREES_PER_HOUR = 15.0


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
    """Return the scenarios that the plan sees and the applications draw from."""
    demand = setup.experiment.demand
    return demand.kept(demand.distribution.scenarios(demand.scenarios))


@part
def demand_profile_of(setup: Setup) -> DemandProfile | None:
    """Return how demand follows the hours; None if it is the same at all of them."""
    demand, epoch = setup.experiment.demand, setup.experiment.epoch
    if not demand.hours:
        return None
    utc_h = epoch.hour + epoch.minute / 60 + epoch.second / 3600
    east_h = {node.name: (node.lon_deg or 0.0) / _DEGREES_PER_HOUR for node in setup.topology.nodes}
    row_of = {kind: row for row, kind in enumerate(demand.hours)}
    return DemandProfile(
        laws=tuple(
            tuple(as_law(demand.distribution.scaled(f).scenarios(demand.scenarios)) for f in day)
            for day in demand.hours.values()
        ),
        requests=tuple(
            (row_of[item.application], (utc_h + east_h[item.source]) % 24)
            if item.application in row_of
            else None
            for item in requests_of(setup)
        ),
    )


def with_marginals(setup: Setup, requests: Sequence[Request]) -> tuple[Request, ...]:
    """Return requests with the demand that the plan sees: the mixture over the hours of all periods."""
    profile, timeline = demand_profile_of(setup), timeline_of(setup)
    if profile is None:
        return tuple(requests)
    laws = (profile.marginal(index, timeline) for index in range(len(requests)))
    return tuple(
        replace(item, scenarios=tuple(Scenario(*chance) for chance in law)) if law else item
        for item, law in zip(requests, laws, strict=True)
    )


def as_law(scenarios: Sequence[Scenario]) -> Law:
    """Return scenarios as a plain law."""
    return tuple((item.units, item.probability) for item in scenarios)
