"""Solving the extensive form as it stands: PuLP's model, HiGHS's branch and bound.

The answer is exact where the search ends by itself.  It is ended by nodes, never by time, so equal input
gives an equal plan.  Of the wavelengths that an optimum may use, each request then gets the lowest that
first-fit finds; the solver's own stay where first-fit would leave anything out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import fsum, isfinite

from global_manager.provisioning.assignment import (
    WavelengthAssignment,
    first_fit,
    route_of,
)
from global_manager.provisioning.check import InvalidProblemError, evaluate
from global_manager.provisioning.formulation import ARCS_AT_MOST, ExtensiveForm, size_of
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Allocation, Problem
from global_manager.provisioning.solver import Answer, SearchLimits, search

_NODES = 500
_TOLERANCE = 1e-6  # how far HiGHS may be off: the relative feasibility that it works with


@dataclass(frozen=True)
class ArcSolution:
    """What the extensive form says: allocations, and a proven bound on the cost of any."""

    allocations: tuple[Allocation, ...]
    lower_bound: float


def solve_arcs(
    problem: Problem,
    nodes: int = _NODES,
    found: Callable[[ArcSolution], None] | None = None,
) -> ArcSolution:
    """Return the best allocations found, nothing reserved if none were found.

    `found` is told every better solution during the search, with the bound that is proven by then.
    Raises InvalidProblemError if the program is too large to be written out.
    """
    size = size_of(problem)
    if size > ARCS_AT_MOST:
        reason = f"has {size:,} variables, of at most {ARCS_AT_MOST:,}; columns has no such limit"
        raise InvalidProblemError("formulation arcs", reason)
    form = ExtensiveForm(problem)
    beside = fsum(request.least_beside for request in problem.requests)

    def hear(values: Mapping[str, float], bound: float) -> None:
        if found is not None:
            found(ArcSolution(form.allocations(values), _below(bound + beside)))

    answer = search(form.model, SearchLimits(nodes=nodes), found=hear if found else None)
    allocations = form.allocations(answer.values or {})
    if answer.values is not None:
        allocations = _lowest_wavelengths(problem, allocations)
    cost = evaluate(problem, allocations).objective
    return ArcSolution(allocations, _bound(answer, cost, beside))


def _bound(answer: Answer, cost: float, beside: float) -> float:
    """Return what is proven about the least cost, given the exact cost of the solution.

    `beside` is what the program leaves out, since every reservation costs it.
    """
    error, bound = _TOLERANCE * max(1.0, cost), answer.lower_bound + beside
    if answer.is_optimal and abs(cost - bound) <= error:
        return cost
    return _below(bound)


def _below(bound: float) -> float:
    """Return a bound less what the solver's may be wrong by; costs are never negative."""
    return max(0.0, bound - _TOLERANCE * max(1.0, abs(bound))) if isfinite(bound) else 0.0


def _lowest_wavelengths(
    problem: Problem, allocations: tuple[Allocation, ...]
) -> tuple[Allocation, ...]:
    instance = Instance(problem)
    assignment = WavelengthAssignment(instance)
    choices = {}
    for position, item in enumerate(allocations):
        if item.path:
            group = instance.groups[instance.group_of[position]]
            path = item.path if item.path[0] == group.source else item.path[::-1]
            choices[position] = (route_of(instance, path), len(item.wavelengths))
    first_fit(assignment, choices)
    wanted = sum(item.units for item in allocations)
    return assignment.allocations() if assignment.units == wanted else allocations
