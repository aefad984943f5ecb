"""From an experiment to how its demand follows the hours of the day, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from emulator.experiment.config import Experiment
from emulator.experiment.fault_config import DemandShiftEvent
from emulator.experiment.topology import Topology
from emulator.world.demand_profile import DemandProfile, Law
from global_manager.provisioning.model import Request, Scenario
from protos.core import Timeline

_DEGREES_AN_HOUR = 15.0


def rhythm_of(
    experiment: Experiment, topology: Topology, requests: Sequence[Request]
) -> DemandProfile | None:
    """Return how demand follows the hours; None if it is the same at all of them."""
    demand, epoch = experiment.demand, experiment.epoch
    if not demand.hours:
        return None
    utc_h = epoch.hour + epoch.minute / 60 + epoch.second / 3600
    east_h = {node.name: (node.lon_deg or 0.0) / _DEGREES_AN_HOUR for node in topology.nodes}
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
            for item in requests
        ),
    )


def with_marginals(
    requests: Sequence[Request], rhythm: DemandProfile | None, timeline: Timeline
) -> tuple[Request, ...]:
    """Return requests with the demand that the plan sees: the mixture over the hours of all periods."""
    if rhythm is None:
        return tuple(requests)
    laws = (rhythm.marginal(place, timeline) for place in range(len(requests)))
    return tuple(
        replace(item, scenarios=tuple(Scenario(*chance) for chance in law)) if law else item
        for item, law in zip(requests, laws, strict=True)
    )


def as_law(scenarios: Sequence[Scenario]) -> Law:
    """Return scenarios as a plain law."""
    return tuple((item.units, item.probability) for item in scenarios)


def hour_faults(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield what does not go with hours of the day, as (field, what would be right)."""
    demand, plan = experiment.demand, experiment.plan
    if not demand.hours:
        return
    kinds = demand.kinds
    for kind in sorted(demand.hours.keys() - kinds):
        known = ", ".join(sorted(kinds))
        yield f"demand.hours.{kind}", f"no request is of this class; there are {known}"
    if demand.distribution.empirical is not None:
        yield (
            "demand.hours",
            "scale the mean of a law; with what was seen as it was there is none: fit it, or use poisson",
        )
    without = "leave it out, or demand.hours"
    if demand.reduce_to is not None:
        yield "demand.reduce_to", f"would reduce every hour's law apart; {without}"
    if experiment.limits is not None:
        yield "limits", f"need a demand that is the same in all periods; {without}"
    if plan.look_every_periods:
        yield "plan.look_every_periods", f"cannot tell a drift from the time of day; {without}"
    for place, event in enumerate(experiment.faults):
        if isinstance(event, DemandShiftEvent):
            yield f"faults.{place}", f"would replace the laws of all hours by one; {without}"
