"""Joint futures of demand and sky, drawn where there are too many to be listed.

A plan made for drawn futures is exact for them; for all futures it is an estimate.  The least cost over
drawn futures is on average no more than that over all (Mak, Morton and Wood 1999, Operations Research
Letters 24), and what a plan really costs is seen on futures drawn independently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import sqrt
from statistics import NormalDist, fmean, stdev

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.model import Future, Plan, Problem, Scenario
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.risk import JointStage, cvar, value_at_risk
from global_manager.provisioning.shared_recourse import SecondStage

Stream = np.random.Generator


@dataclass(frozen=True)
class Moment:
    """What a future takes from the world, by request: whom satellites and UAVs can serve, and its law.

    Without `laws` they are the problem's; without `flies` UAVs can serve all.
    """

    usable: tuple[bool, ...]
    laws: tuple[tuple[Scenario, ...], ...] = ()
    flies: tuple[bool, ...] = ()


Moments = Callable[[Stream, int], list[Moment]]
"""Draws so many moments."""

_LEAST = 1e-15  # no quantile lies at infinity
_inverted = np.vectorize(NormalDist().inv_cdf, otypes=[float])
_cumulative = np.vectorize(NormalDist().cdf, otypes=[float])
_DEMAND, _SKY, _FRESH_DEMAND, _FRESH_SKY = range(4)


@dataclass(frozen=True)
class FreshCost:
    """What a plan costs on futures that it was not made for, with the standard error of that mean."""

    futures: int
    cost: float
    standard_error: float
    shortfall_units: float


@dataclass(frozen=True)
class FreshTail:
    """Mean and CVaR of a period's cost under a plan, on futures that it was not made for."""

    futures: int
    mean: float
    mean_standard_error: float
    cvar: float
    standard_error: float


def with_futures_drawn(problem: Problem, moments: Moments, n: int, seed: int) -> Problem:
    """Return the problem priced over `n` joint futures, drawn from the seed and equally likely.

    Demand is a Latin hypercube: every request meets each n-th part of its distribution once (McKay,
    Beckman and Conover 1979, Technometrics 21), so that its own mean recourse is hardly left to chance.
    """
    return _with(problem, _hypercube(problem, n, seed), moments(_stream(seed, _SKY), n))


def with_demand_redrawn(problem: Problem, seed: int) -> Problem:
    """Return the problem with the demand of its futures, if any, redrawn from its scenarios."""
    n = len(problem.futures)
    if n == 0:
        return problem
    kept = [Moment(future.usable, flies=future.flies) for future in problem.futures]
    return _with(problem, _hypercube(problem, n, seed), kept)


def fresh_cost(problem: Problem, plan: Plan, moments: Moments, n: int, seed: int) -> FreshCost:
    """Return what a plan costs on `n` >= 2 futures drawn independently of each other and of its own."""
    fresh = _fresh(problem, moments, n, seed)
    found = SecondStage(fresh).outcomes(_reserved(problem, plan))
    idle = [(0, 0)] * (n - len(found))  # futures without any demand
    costs = [float(cost) for cost, _ in (*found, *idle)]
    return FreshCost(
        n,
        plan.first_stage_cost + fmean(costs),
        stdev(costs) / sqrt(n),
        sum(lost for _, lost in found) / n,
    )


def costs_of_futures(problem: Problem, plan: Plan) -> tuple[Floats, Floats]:
    """Return what a period costs in every future under a plan, pools without limit, and its probability."""
    stage = JointStage(problem)
    return plan.first_stage_cost + stage.costs(_reserved(problem, plan)), stage.probability


def fresh_tail(
    problem: Problem, plan: Plan, moments: Moments, n: int, *, seed: int, level: float
) -> FreshTail:
    """Return mean and CVaR of what a plan costs on `n` >= 2 futures drawn independently of its own.

    The standard error of CVaR is that of the mean of `q + (C - q)+ / (1 - level)`, where q is the quantile
    of the sample (Hong, Hu and Liu 2014, ACM Transactions on Modeling and Computer Simulation 24).
    """
    costs, probability = costs_of_futures(_fresh(problem, moments, n, seed), plan)
    at_risk = value_at_risk(costs, probability, level)
    terms = at_risk + np.maximum(0.0, costs - at_risk) / (1 - level)
    return FreshTail(
        n,
        float(costs.mean()),
        float(costs.std(ddof=1)) / sqrt(n),
        cvar(costs, probability, level),
        float(terms.std(ddof=1)) / sqrt(n),
    )


def _fresh(problem: Problem, moments: Moments, n: int, seed: int) -> Problem:
    """Return the problem with other futures, drawn independently of each other."""
    demand, sky = _stream(seed, _FRESH_DEMAND), _stream(seed, _FRESH_SKY)
    return _with(problem, demand.random((n, _width(problem))), moments(sky, n))


def _reserved(problem: Problem, plan: Plan) -> list[int]:
    units = {item.request: item.units for item in plan.allocations}
    return [units.get(request.id, 0) for request in problem.requests]


def _stream(seed: int, use: int) -> Stream:
    return np.random.default_rng([seed, 0x4655, use])


def _hypercube(problem: Problem, n: int, seed: int) -> NDArray[np.float64]:
    """Return n points of the unit cube."""
    stream, width = _stream(seed, _DEMAND), _width(problem)
    strata = stream.permuted(np.tile(np.arange(n)[:, None], width), axis=0)
    return (strata + stream.random((n, width))) / n


def _with(problem: Problem, draws: NDArray[np.float64], moments: Sequence[Moment]) -> Problem:
    """Return the problem with futures of these moments, at these points of its requests' laws."""
    units = _joint_units(problem, draws) if problem.joint else _units(problem, draws, moments)
    probability = 1 / len(draws)
    drawn = zip(units.tolist(), moments, strict=True)
    futures = tuple(
        Future(probability, tuple(row), moment.usable, moment.flies) for row, moment in drawn
    )
    return replace(problem, futures=futures)


def _width(problem: Problem) -> int:
    """Return how many draws a future of demand takes: one for all, one each, or both."""
    if problem.joint or problem.correlation == 1:
        return 1
    return len(problem.requests) + (problem.correlation > 0)


def _units(
    problem: Problem, draws: NDArray[np.float64], moments: Sequence[Moment]
) -> NDArray[np.int64]:
    """Return what every request needs in every future, by inversion of its law; shape (n, requests)."""
    units = np.empty((len(draws), len(problem.requests)), dtype=np.int64)
    quantiles, own = draws, [problem.demand_of(request) for request in problem.requests]
    if (
        0 < problem.correlation < 1
    ):  # one-factor Gaussian copula; the last draw is the common factor
        normal = _inverted(np.clip(draws, _LEAST, 1 - _LEAST))
        shared, apart = sqrt(problem.correlation), sqrt(1 - problem.correlation)
        quantiles = _cumulative(shared * normal[:, -1:] + apart * normal[:, :-1])
    alike: dict[int, list[int]] = {}
    for n, moment in enumerate(moments):
        alike.setdefault(id(moment.laws), []).append(n)
    for rows in alike.values():
        for index, law in enumerate(moments[rows[0]].laws or own):
            column = quantiles[rows, index % quantiles.shape[1]]
            units[rows, index] = _inverted_law(law, column)
    return units


def _inverted_law(law: Sequence[Scenario], quantiles: NDArray[np.float64]) -> NDArray[np.int64]:
    upto = list(accumulate(scenario.probability for scenario in law))
    found = np.searchsorted(upto, quantiles, side="right")
    values: NDArray[np.int64] = np.array([scenario.units for scenario in law], dtype=np.int64)
    return values[np.minimum(found, len(upto) - 1)]


def _joint_units(problem: Problem, draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return what every request needs in every future, by draws of whole futures."""
    upto = list(accumulate(chance for chance, _ in problem.joint))
    places = np.minimum(np.searchsorted(upto, draws[:, 0], side="right"), len(upto) - 1)
    rows: NDArray[np.int64] = np.array([units for _, units in problem.joint], dtype=np.int64)
    return rows[places]
