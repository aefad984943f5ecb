"""What a shortfall costs when requests compete for satellites and UAVs: exact, and without a solver.

A future is a demand and a sky.  Given reservations, its least cost is a transportation problem
between three sources (satellite pool, UAV pool, and loss without limit) and the requests:

    minimise   sum_r cs_r s_r + cu_r u_r + c_lost v_r
    demand     s_r + u_r + v_r  = missing units of r
    pools      sum_r s_r <= S (0 under clouds),  sum_r u_r <= U

With one limited pool it is a continuous knapsack whose items have equal weights: serve those first
whom it saves most.  Greedy is exact there, since swapping a served unit for one that saves more
never costs.  With both pools it is not, as who should have the satellite depends on who has a UAV.
So the satellite pool is priced: at price m per unit the rest is the knapsack, and its cost less
S m is concave in m.  Costs being whole and the constraints totally unimodular, some whole m is
optimal; bisection finds it, and by strong duality the value there is the least cost, in integers.
See Schrijver, Theory of Linear and Integer Programming, chapter 19.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.model import Pools, Problem

Ints = NDArray[np.int64]

LARGEST_COST = 2**62
"""What missing units may cost at most, so that sums fit in 64 bits."""


@dataclass(frozen=True)
class Future:
    """Every request needs `units`; the satellite can be used or not."""

    units: int
    satellite: bool
    probability: float


@dataclass(frozen=True)
class Costs:
    """On-demand unit costs: a satellite's and a UAV's by class of alike requests, and of loss."""

    satellite: Ints
    uav: Ints
    lost: int


def has_pools(problem: Problem) -> bool:
    """Say whether requests compete on demand."""
    return problem.pools is not None and problem.pools.limited


def pools_of(problem: Problem) -> Pools:
    """Return the pools of a problem that has some."""
    if problem.pools is None:
        raise ValueError("the problem has no pools")
    return problem.pools


def futures(problem: Problem) -> tuple[Future, ...]:
    """Return all futures in which anything is needed: demand and one sky over all requests."""
    demand: dict[int, float] = {}
    for scenario in problem.scenarios:
        demand[scenario.units] = demand.get(scenario.units, 0.0) + scenario.probability
    clear = problem.requests[0].on_demand.satellite_probability if problem.requests else 0.0
    found = (
        Future(units, satellite, probability * sky)
        for units, probability in sorted(demand.items())
        for satellite, sky in ((True, clear), (False, 1 - clear))
    )
    return tuple(f for f in found if f.units > 0 and f.probability > 0)


def classes_of(problem: Problem) -> tuple[Costs, Ints]:
    """Return the unit costs of all classes of requests, and every request's class."""
    pairs = [(r.on_demand.satellite_cost, r.on_demand.uav_cost) for r in problem.requests]
    number = {pair: i for i, pair in enumerate(sorted(set(pairs)))}
    costs = np.array(list(number), dtype=np.int64).reshape(-1, 2)
    positions = np.array([number[pair] for pair in pairs], dtype=np.int64)
    return Costs(costs[:, 0], costs[:, 1], pools_of(problem).shortfall_cost), positions


def expected_pool_recourse(problem: Problem, reserved: Sequence[int]) -> float:
    """Return the expected least cost of what is missing; `reserved` is in order of the requests."""
    pools, (costs, class_of) = pools_of(problem), classes_of(problem)
    units = np.asarray(reserved, dtype=np.int64)
    expected = []
    for future in futures(problem):
        missing = np.zeros(len(costs.uav), dtype=np.int64)
        np.add.at(missing, class_of, np.maximum(0, future.units - units))
        expected.append(future.probability * least_cost(missing, costs, pools, future.satellite))
    return fsum(expected)


def least_cost(missing: Ints, costs: Costs, pools: Pools, satellite: bool) -> int:
    """Return what `missing` units, by class, cost at least under this sky."""
    if not satellite:
        otherwise = np.full_like(missing, costs.lost)
        return _with_uavs(missing, otherwise, costs.uav, pools.uav_units)
    scarce = pools.satellite_units

    def value(price: int) -> int:
        otherwise = np.minimum(costs.satellite + price, costs.lost)
        with_uavs = _with_uavs(missing, otherwise, costs.uav, pools.uav_units)
        return with_uavs - (scarce or 0) * price

    return value(0) if scarce is None else value(_best_price(value, costs.lost))


def _with_uavs(missing: Ints, otherwise: Ints, uav: Ints, uav_units: int | None) -> int:
    """Return the least cost when a unit comes by UAV while there are any, or `otherwise`."""
    saving = np.maximum(0, otherwise - uav)
    order = np.argsort(-saving, kind="stable")
    wanted = missing[order]
    before = np.cumsum(wanted) - wanted
    served = wanted if uav_units is None else np.clip(uav_units - before, 0, wanted)
    return int(missing @ otherwise - served @ saving[order])


def _best_price(value: Callable[[int], int], most: int) -> int:
    """Return a whole price in 0 .. most at which the concave `value` is greatest."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if value(middle + 1) > value(middle):
            low = middle + 1
        else:
            high = middle
    return low
