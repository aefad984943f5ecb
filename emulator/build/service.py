"""Service levels of an experiment (`plan.service_levels`): what they take, and what is told of them.

A level is of the law that the plan sees of a request: cut off at `demand.scenarios`, with hours or a
process the mixture over the run.  It is kept by reserved units alone; what is bought counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from emulator.build.setup import Setup
from global_manager.provisioning.model import Plan, Policy, Problem, Request, Scenario
from global_manager.provisioning.service import chance_served, least_units

HEEDLESS = frozenset({Policy.NONE, Policy.RANDOM})
"""Policies that know of no service levels."""


def with_levels(
    setup: Setup, requests: Sequence[Request], scenarios: Sequence[Scenario]
) -> tuple[Request, ...]:
    """Return requests with the units that their levels take; `scenarios` are of those without a law."""
    levels = setup.experiment.plan.service_levels
    if not levels:
        return tuple(requests)
    return tuple(
        replace(
            item,
            least_units=least_units(item.scenarios or scenarios, levels.get(item.application, 0)),
        )
        for item in requests
    )


def minding(setup: Setup, policies: Iterable[Policy]) -> tuple[Policy, ...]:
    """Return those policies that keep service levels, if there are any levels."""
    if not setup.experiment.plan.service_levels:
        return tuple(policies)
    return tuple(policy for policy in policies if policy not in HEEDLESS)


def without_levels(problem: Problem) -> Problem:
    """Return the problem in which nothing must be reserved."""
    requests = tuple(replace(item, least_units=0) for item in problem.requests)
    return replace(problem, requests=requests)


def service_fields(
    setup: Setup, problem: Problem, plan: Plan, without: Plan | None
) -> dict[str, Any]:
    """Return the level that each class has, and what levels cost; nothing if there are none.

    `without` is a plan for the same problem without levels.  What levels cost is the difference of two
    plans, so it is known up to their gaps: `price_least` and `price_most` are proven.
    """
    levels = setup.experiment.plan.service_levels
    if not levels:
        return {}
    units = {item.request: item.units for item in plan.allocations}
    rows = [_of_class(problem, name, level, units) for name, level in sorted(levels.items())]
    return {"service": {"classes": rows, **_price(plan, without)}}


def _of_class(
    problem: Problem, name: str, level: float, units: Mapping[str, int]
) -> dict[str, Any]:
    own = [item for item in problem.requests if item.application == name]
    held = [units.get(item.id, 0) for item in own]
    reached = [chance_served(problem.demand_of(item), n) for item, n in zip(own, held, strict=True)]
    return {
        "class": name,
        "level": level,
        "requests": len(own),
        "least_units": max(item.least_units for item in own),
        "reserved_units": min(held),
        "reached": min(reached),
        "mean_reached": sum(reached) / len(own),
    }


def _price(plan: Plan, without: Plan | None) -> dict[str, float]:
    if without is None:
        return {}
    return {
        "cost_without": without.objective,
        "price": plan.objective - without.objective,
        "price_least": max(0.0, plan.lower_bound - without.objective),
        "price_most": plan.objective - without.lower_bound,
    }
