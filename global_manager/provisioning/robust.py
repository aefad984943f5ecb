"""Demand whose law is known only nearly: the worst law within a Wasserstein ball.

The ball of radius e around a law P holds every law Q on 0 .. K that P becomes when its mass is moved by
at most e units on average (type 1, with |d - d'| as the cost of moving).  A plan pays the greatest
expectation in the ball.  With k units reserved a request pays c (d - k)+, whose worst case is

    max_Q E_Q[(d - k)+] = min over l >= 0 of l e + E_P[max over d' <= K of ((d' - k)+ - l |d - d'|)]

(Mohajerin Esfahani and Kuhn 2018, Mathematical Programming 171, theorem 4.2).  (d - k)+ is convex and
never falls, so the inner maximum is at d' = d or d' = K: mass moves to K or stays.  A unit of the way
gains 1 for d >= k and (K - k) / (K - d) for less, which falls with d.  So whatever k is, the largest
demands go first, until e is used up: one law, the *worst-case* law, is worst for every reservation, and it
replaces the nominal law in the program.  Its recourse is convex as any is, and all bounds hold.  Requests
that have a ball each meet their worst laws together, however their demands go together.

Without K the worst case would be E_P[(d - k)+] + e for every k, and the ball would change no plan.
Sky and demand are independent here, as is told in `check`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from global_manager.provisioning.model import Ball, Problem, Request, Scenario
from global_manager.provisioning.recourse import largest_demand

_KEPT_LAWS = 4_096


@lru_cache(maxsize=_KEPT_LAWS)
def worst_case_law(law: tuple[Scenario, ...], ball: Ball) -> tuple[Scenario, ...]:
    """Return the law in the ball under which every reservation misses most, least demand first.

    K is the ball's `most_units`, or the law's own largest demand if that is more.
    """
    most = max(ball.most_units, largest_demand(law))
    mass = _mass(law)
    left, moved = ball.radius_units, mass.pop(most, 0.0)
    for units in sorted(mass, reverse=True):
        part = min(mass[units], left / (most - units))
        left = max(0.0, left - part * (most - units))
        mass[units] -= part
        moved += part
    mass[most] = moved
    return tuple(Scenario(units, mass[units]) for units in sorted(mass) if mass[units] > 0)


def planned_demand(problem: Problem, request: Request) -> tuple[Scenario, ...]:
    """Return the demand under which a request is planned for: its worst-case law, if it has a ball."""
    law = problem.demand_of(request)
    return law if request.ball is None else worst_case_law(law, request.ball)


def without_balls(problem: Problem) -> Problem:
    """Return the problem whose laws are certain."""
    requests = tuple(replace(request, ball=None) for request in problem.requests)
    return replace(problem, requests=requests)


def _mass(law: Sequence[Scenario]) -> dict[int, float]:
    mass: dict[int, float] = {}
    for item in law:
        if item.probability > 0:
            mass[item.units] = mass.get(item.units, 0.0) + item.probability
    return mass
