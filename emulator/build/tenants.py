"""The tenants of an experiment, and what is planned for them.

Every request belongs to one tenant, or there are none.  Without tenants, nothing here has any effect.
What a run came to by tenant is in `emulator/results/tenants.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any

from emulator.build.demand import requests_of
from emulator.build.faults import Mistakes
from emulator.build.problem import problem_of
from emulator.build.setup import Setup, part
from emulator.config.cost_sharing import CostSharing, SharingMethod
from global_manager.provisioning.cost_sharing import (
    MOST_EXACT,
    ShapleyValue,
    planning_game,
    shapley,
)
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import Plan

MOST_PRICED = 100_000
"""Requests times coalitions that are priced for a Shapley value: what takes some two minutes."""
WITH_LIMITS, WITH_FLEET = 10, 100
"""For how many of these a request counts where tenants share limits, or a fleet."""


def mistakes(setup: Setup) -> Mistakes:
    """Refuse requests without a tenant beside some that have one, and sharing that takes too long."""
    items, asked = requests_of(setup), setup.experiment.demand.cost_sharing
    without = [index for index, item in enumerate(items) if item.tenant is None]
    if len(without) == len(items):
        if asked is not None:
            right = "no request has a tenant; leave it out, or list requests with tenants"
            yield "demand.cost_sharing", right
        return
    for index in without:
        yield f"demand.requests.{index}.tenant", "give one, as other requests have one"
    if not without and asked is not None and asked.method is SharingMethod.SHAPLEY:
        most = MOST_PRICED // _effort(setup)
        yield from _too_many(len(items), len(names_of(setup)), asked.permutations, most)


def _effort(setup: Setup) -> int:
    experiment = setup.experiment
    if experiment.uav.fleet is not None:
        return WITH_FLEET
    return WITH_LIMITS if experiment.limits is not None else 1


def _too_many(requests: int, tenants: int, permutations: int, most_priced: int) -> Mistakes:
    coalitions = 2 ** min(tenants, 64)
    if tenants > MOST_EXACT:
        coalitions = min(coalitions, tenants * permutations)
    if requests * coalitions <= most_priced:
        return
    most = most_priced // (requests * tenants)
    limit = f"{requests:,} requests of {tenants} tenants"
    if tenants <= MOST_EXACT or most < 2:
        yield "demand.cost_sharing.method", f"must be proportional with {limit}"
    else:
        yield "demand.cost_sharing.permutations", f"must be at most {most:,} with {limit}"


def names_of(setup: Setup) -> tuple[str, ...]:
    """Return all tenants, in the order in which requests name them; empty if there are none."""
    return tuple(dict.fromkeys(filter(None, by_request(setup))))


def by_request(setup: Setup) -> tuple[str, ...]:
    """Return the tenant of every request; empty if there are none."""
    tenants = tuple(item.tenant or "" for item in requests_of(setup))
    return tenants if any(tenants) else ()


def sharing_of(setup: Setup) -> CostSharing:
    """Return how tenants share costs, as the experiment says or by default."""
    return setup.experiment.demand.cost_sharing or CostSharing()


@part
def shapley_of(setup: Setup) -> ShapleyValue | None:
    """Return the Shapley value of planning for tenants, if the experiment shares costs by it."""
    names, sharing = names_of(setup), sharing_of(setup)
    if not names or sharing.method is not SharingMethod.SHAPLEY:
        return None
    owners = [names.index(tenant) for tenant in by_request(setup)]
    game = planning_game(problem_of(setup), owners)
    return shapley(len(names), game, sharing.permutations, setup.experiment.seed)


def method_fields(setup: Setup) -> dict[str, Any]:
    """Return by what costs are shared, and how that was computed."""
    value, method = shapley_of(setup), sharing_of(setup).method.value
    if value is None:
        return {"method": method}
    return {
        "method": method,
        "coalitions": value.coalitions,
        "permutations": value.permutations,
        "seed": setup.experiment.seed if value.permutations else None,
    }


def shapley_fields(setup: Setup) -> list[dict[str, float]]:
    """Return by tenant what a period is planned to cost: its Shapley share and its cost alone."""
    value = shapley_of(setup)
    if value is None:
        return [{} for _ in names_of(setup)]
    return [
        {"shapley_cost": share, "standard_error": error, "alone_cost": alone}
        for share, error, alone in zip(
            value.shares, value.standard_errors, value.alone, strict=True
        )
    ]


def plan_fields(setup: Setup, plan: Plan, expected_cost: float) -> dict[str, Any]:
    """Return what a plan means for every tenant, as public fields; nothing if there are none.

    The expected cost is shared as the cash of a run is shared; by demand, that is by the expected one.
    """
    names = names_of(setup)
    if not names:
        return {}
    problem, positions = problem_of(setup), requests_by_tenant(setup)
    wanted = [mean_units(problem.demand_of(item)) for item in problem.requests]
    reserved = [item.units for item in plan.allocations]
    rows: list[dict[str, Any]] = []
    for name, value in zip(names, shapley_fields(setup), strict=True):
        own = positions[name]
        rows.append(
            {
                "tenant": name,
                "requests": len(own),
                "mean_units": fsum(wanted[index] for index in own),
                "reserved_units": sum(reserved[index] for index in own),
                "unreserved_requests": sum(not reserved[index] for index in own),
                **value,
            }
        )
    weights = [row.get("shapley_cost", row["mean_units"]) for row in rows]
    for row, share in zip(rows, _parts(expected_cost, weights), strict=True):
        row["expected_cost"] = share
    return {"tenants": method_fields(setup) | {"rows": rows}}


def requests_by_tenant(setup: Setup) -> dict[str, list[int]]:
    """Return the positions of every tenant's requests."""
    found: dict[str, list[int]] = {}
    for index, tenant in enumerate(by_request(setup)):
        found.setdefault(tenant, []).append(index)
    return found


def _parts(total: float, weights: Sequence[float]) -> list[float]:
    parts = [max(0.0, weight) for weight in weights]
    whole = fsum(parts)
    return [total * part / whole if whole else total / len(parts) for part in parts]
