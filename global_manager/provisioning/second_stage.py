"""The second stage written out: futures, and what a missing unit costs in each.

The extensive form needs every future by itself, where the large method needs only expectations.  Two
readings of the same problem are here:

* `outcomes`: what each request can meet.  Without pools requests compete for nothing, so each has its
  own list, its demands times a usable and an unusable sky.  With pools, or a risk, the list is that of the
  joint futures, in their order.
* `joint_futures`: what all requests meet together. Where a problem does not give them (`futures`, or
  `joint` for demands), demands and skies of different requests are coupled by quantiles (one uniform
  draw for all demands, one for all skies). Without pools only the marginal laws enter the expected
  cost, so any coupling is exact, and this one has the fewest futures.

What one missing unit costs, by medium, is said in one place: `unit_costs`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import fsum

from global_manager.provisioning.model import (
    Future,
    Medium,
    Problem,
    Request,
    Scenario,
    Sky,
)
from global_manager.provisioning.robust import planned_demand
from global_manager.provisioning.shared_recourse import futures_of, has_pools

UNSERVED = "unserved"
"""The name of what no medium brings, beside those of the media."""

_SAME = 1e-12  # probabilities nearer than this are one


@dataclass(frozen=True)
class Outcome:
    """One thing that can happen to a request: what it needs, whether a satellite can serve it, or UAVs.

    `future` numbers it: among the joint futures with pools or a risk, else among the request's own.
    """

    future: int
    probability: float
    units: int
    usable: bool
    flies: bool = True


def unit_costs(problem: Problem, request: Request, outcome: Outcome) -> dict[str, int]:
    """Return the cost of one missing unit by what can become of it: a medium, or `UNSERVED`."""
    costs = {Medium.UAV.value: request.on_demand.uav_cost} if outcome.flies else {}
    if outcome.usable:
        costs[Medium.SATELLITE.value] = request.on_demand.satellite_cost
    may_lack = has_pools(problem) or not outcome.flies
    if may_lack or any(any(sky.grounded) for sky in problem.skies_of(request)):
        costs[UNSERVED] = request.on_demand.shortfall_cost
    return costs


def outcomes(problem: Problem) -> tuple[tuple[Outcome, ...], ...]:
    """Return, by request, every outcome in which it needs anything."""
    if has_pools(problem) or problem.risk is not None:
        futures = futures_of(problem)
        return tuple(
            tuple(
                Outcome(
                    number,
                    future.probability,
                    future.units[r],
                    future.usable[r],
                    not future.flies or future.flies[r],
                )
                for number, future in enumerate(futures)
                if future.units[r]
            )
            for r in range(len(problem.requests))
        )
    return tuple(tuple(_own(problem, request)) for request in problem.requests)


def joint_futures(problem: Problem) -> tuple[Future, ...]:
    """Return futures of all requests together, those in which nothing is needed too.

    Probabilities add up to 1.
    """
    if has_pools(problem):
        found = [f for f in futures_of(problem) if f.probability > 0]
        idle = 1 - fsum(f.probability for f in found)
        nothing = Future(idle, (0,) * len(problem.requests), (False,) * len(problem.requests))
        return (*found, nothing) if idle > _SAME else tuple(found)
    return tuple(
        Future(chance * share, units, tuple(usable), () if all(flies) else tuple(flies))
        for units, chance in _demand_steps(problem)
        for usable, flies, share in _sky_steps(problem, units)
    )


def _own(problem: Problem, request: Request) -> Iterator[Outcome]:
    chance: dict[int, float] = {}
    skies: dict[int, Sky] = {}
    for item in planned_demand(problem, request):
        chance[item.units] = chance.get(item.units, 0.0) + item.probability
        skies[item.units] = item.sky or request.on_demand.sky
    number = 0
    for units, probability in sorted(chance.items()):
        for share, usable, flies in skies[units].cases():
            if units and probability * share > 0:
                yield Outcome(number, probability * share, units, usable, flies)
                number += 1


def _demand_steps(problem: Problem) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield demands of all requests, given ones or at common quantiles, with the chance of each."""
    if problem.joint:
        yield from ((units, chance) for chance, units in problem.joint if chance > 0)
        return
    laws = {problem.demand_of(request) for request in problem.requests}
    steps = {law: _steps(law) for law in laws}
    of_request = [steps[problem.demand_of(request)] for request in problem.requests]
    for low, high in pairwise(_cuts(ends for _, ends in steps.values())):
        middle = (low + high) / 2
        yield tuple(_quantile(units, ends, middle) for units, ends in of_request), high - low


def _sky_steps(
    problem: Problem, units: Sequence[int]
) -> Iterator[tuple[list[bool], list[bool], float]]:
    """Yield whom satellites, and UAVs, can serve with these demands, and with what chance."""
    cases = [
        list(_sky_of(problem, request, need).cases())
        for request, need in zip(problem.requests, units, strict=True)
    ]
    ends = [list(accumulate(chance for chance, _, _ in own)) for own in cases]
    for low, high in pairwise(_cuts(ends)):
        middle = (low + high) / 2
        places = (min(bisect_right(own, middle), len(own) - 1) for own in ends)
        found = [own[place] for own, place in zip(cases, places, strict=True)]
        yield [usable for _, usable, _ in found], [flies for _, _, flies in found], high - low


def _sky_of(problem: Problem, request: Request, units: int) -> Sky:
    own = (item.sky for item in problem.demand_of(request) if item.units == units)
    return next(own, None) or request.on_demand.sky


def _steps(law: Sequence[Scenario]) -> tuple[list[int], list[float]]:
    """Return the demands of a law in order, and the cumulative chance up to each."""
    ordered = sorted((item for item in law if item.probability > 0), key=lambda item: item.units)
    ends = list(accumulate(item.probability for item in ordered))
    return [item.units for item in ordered], [end / ends[-1] for end in ends]


def _cuts(ends: Iterator[Sequence[float]] | Sequence[Sequence[float]]) -> list[float]:
    """Return 0, 1 and every end between them, once."""
    cuts = [0.0]
    for end in sorted({end for own in ends for end in own}):
        if end - cuts[-1] > _SAME and 1 - end > _SAME:
            cuts.append(end)
    return [*cuts, 1.0]


def _quantile(units: Sequence[int], ends: Sequence[float], at: float) -> int:
    return next((n for n, end in zip(units, ends, strict=True) if at < end), units[-1])
