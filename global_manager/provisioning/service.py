"""Service levels: units that a request must have reserved, so that fiber alone serves it that often.

A chance constraint on each request by itself,

    P(d <= reserved units) >= level,

is a least number of units, the quantile of the law at that level (Charnes and Cooper 1959, Management
Science 6: the deterministic equivalent).  Solvers see it as a price on every unit that a request lacks,
joined to its recourse, which stays convex in the units reserved.  For every price the bound holds for all
plans that keep the levels.  The price is above what a unit of one request ever costs, and a plan that lacks
units nevertheless is none, but for one that is made again when fibers are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from global_manager.provisioning.model import Allocation, Problem, Request, Scenario
from global_manager.provisioning.recourse import largest_demand
from global_manager.provisioning.robust import planned_demand

_ROUNDING = 1e-12
_DEARER = 4


class UnmetLevelError(Exception):
    """No plan was found in which all requests have the units that their service levels take.

    `lacking` is (request, units reserved, units that it takes); `fitting` is what all such requests can
    have at most, of `wanted` units, if that is proven to be less.
    """

    def __init__(
        self, lacking: Sequence[tuple[str, int, int]], wanted: int, fitting: float | None = None
    ) -> None:
        super().__init__(lacking, wanted, fitting)
        self.lacking, self.wanted, self.fitting = lacking, wanted, fitting

    def __str__(self) -> str:
        named = ", ".join(f"{name} {has} of {takes}" for name, has, takes in self.lacking[:5])
        more = len(self.lacking) - 5
        rest = f" and {more} more" if more > 0 else ""
        if self.fitting is None:
            why = "no plan was found that reserves them"
        else:
            why = f"fibers have room for at most {self.fitting:.6g} of {self.wanted:,} such units"
        return f"service levels cannot be kept ({why}); units that can be reserved: {named}{rest}"


def least_units(law: Iterable[Scenario], level: float) -> int:
    """Return the least k with P(demand <= k) of at least `level`; 0 for level 0."""
    upto = 0.0
    units = 0
    for item in sorted(law, key=lambda item: item.units):
        if upto >= level - _ROUNDING:
            break
        upto += item.probability
        units = item.units
    return units


def chance_served(law: Iterable[Scenario], reserved: int) -> float:
    """Return P(demand <= reserved units)."""
    return min(1.0, sum(item.probability for item in law if item.units <= reserved))


def most_useful_units(problem: Problem, request: Request) -> int:
    """Return beyond how many units a reservation is of no use to a request."""
    return max(largest_demand(planned_demand(problem, request)), request.least_units)


def level_price(problem: Problem) -> int:
    """Return the price of a unit that a request lacks to its service level."""
    lost = max((request.on_demand.shortfall_cost for request in problem.requests), default=0)
    hops = max(0, len(problem.nodes) - 1)
    longest = hops * max((fiber.unit_cost for fiber in problem.fibers), default=0)
    return 1 + _DEARER * (lost + longest)


def lacking(problem: Problem, units: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Return (request, units reserved, units that it takes) where a level is not kept."""
    return [
        (request.id, units.get(request.id, 0), request.least_units)
        for request in problem.requests
        if units.get(request.id, 0) < request.least_units
    ]


def require_levels(problem: Problem, allocations: Iterable[Allocation]) -> None:
    """Raise UnmetLevelError unless every request has the units that its service level takes."""
    short = lacking(problem, {item.request: item.units for item in allocations})
    if short:
        raise UnmetLevelError(short, sum(request.least_units for request in problem.requests))
