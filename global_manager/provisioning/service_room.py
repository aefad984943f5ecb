"""Whether fibers have room for the units that service levels take, by the relaxation alone.

Where nothing costs anything but a unit that is lacking, the bound of column generation is the number of
units that are lacking in every plan.  That fibers have room by this measure does not prove that wavelengths
can be assigned.
"""

from __future__ import annotations

from dataclasses import replace
from math import floor

from global_manager.provisioning.model import OnDemand, Problem
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.priced_recourse import Relaxation
from global_manager.provisioning.robust import without_balls
from global_manager.provisioning.service import UnmetLevelError, level_price

_LEAST = 1e-6


def require_room(problem: Problem) -> None:
    """Raise UnmetLevelError if no plan can keep all service levels."""
    wanted = sum(request.least_units for request in problem.requests)
    if not wanted:
        return
    free = _of_levels_alone(problem)
    found = relax(free)
    missing = found.lower_bound / level_price(free)
    if missing > _LEAST * wanted:
        raise UnmetLevelError(_lacking(found), wanted, wanted - missing)


def _of_levels_alone(problem: Problem) -> Problem:
    """Return the problem in which nothing has a price but units that are lacking."""
    fibers = tuple(replace(fiber, unit_cost=0) for fiber in problem.fibers)
    plain = without_balls(problem)
    requests = tuple(
        replace(request, on_demand=OnDemand(0, 0, 0.0, 0)) for request in plain.requests
    )
    return replace(plain, fibers=fibers, requests=requests, pools=None, futures=(), risk=None)


def _lacking(found: Relaxation) -> list[tuple[str, int, int]]:
    """Return (request, units, units that it takes) of requests that lack some in the relaxation."""
    problem, groups = found.instance.problem, found.instance.groups
    units = [0.0] * len(groups)
    for column, weight in zip(found.pool.columns, found.pool.weights, strict=True):
        units[column.group] += weight * column.units
    named = []
    for group, own in zip(groups, units, strict=True):
        takes = problem.requests[group.members[0]].least_units
        left = own
        for member in group.members:
            has = min(takes, floor(left + _LEAST))
            left -= has
            if has < takes:
                named.append((member, problem.requests[member].id, has, takes))
    return [(name, has, takes) for _, name, has, takes in sorted(named)]
