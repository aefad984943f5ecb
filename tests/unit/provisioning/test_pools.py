"""Shared pools of satellites and UAVs: hand-solved cases, laws, and plain models as oracles."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provisioning_oracles import highs, optimum

from global_manager.provisioning import (
    Allocation,
    Fiber,
    InvalidProblemError,
    OnDemand,
    Pools,
    Problem,
    Request,
    Scenario,
    evaluate,
    solve,
)
from global_manager.provisioning.pool_recourse import Costs, least_cost

COIN = (Scenario(0, 0.5), Scenario(2, 0.5))
LOST = 100


def one_fiber(pools: Pools | None, *, wavelengths: int = 4, requests: int = 2) -> Problem:
    """Two units at even odds; reserving costs 10, a UAV 16, a satellite 12 under half the skies."""
    return Problem(
        nodes=("a", "b"),
        fibers=(Fiber("a", "b", 10, wavelengths),),
        requests=tuple(
            Request(f"r{i}", "any", "a", "b", OnDemand(16, 12, 0.5)) for i in range(requests)
        ),
        scenarios=COIN,
        pools=pools,
    )


def reserving(problem: Problem, *units: int) -> list[Allocation]:
    return [
        Allocation(r.id, r.source, r.target, ("a", "b"), tuple(range(k)))
        for r, k in zip(problem.requests, units, strict=True)
        if k > 0
    ]


def test_what_the_pools_cannot_bring_is_lost_at_its_price():
    # 4 units wanted half the time.  Clear: 1 by satellite, 2 by UAV, 1 lost; clouds: 2 and 2
    problem = one_fiber(Pools(1, 2, LOST))

    cost = evaluate(problem, [])

    assert cost.expected_recourse == 0.25 * (12 + 32 + 100) + 0.25 * (32 + 200)


def test_the_satellite_goes_to_those_whom_a_uav_cannot_help_cheaply():
    # by greedy on the cheapest pair the near request takes the satellite (1) and the far one its
    # UAV at 90; the far one by satellite (5) and the near by UAV (2) is better
    costs = Costs(satellite=np.array([1, 5]), uav=np.array([2, 90]), lost=LOST)

    assert least_cost(np.array([1, 1]), costs, Pools(1, 1, LOST), satellite=True) == 7
    assert least_cost(np.array([1, 1]), costs, Pools(1, 1, LOST), satellite=False) == 90 + 12


def transportation(missing, costs: Costs, pools: Pools, satellite: bool) -> float:
    model = pulp.LpProblem("transportation", pulp.LpMinimize)
    price = {"s": costs.satellite, "u": costs.uav, "v": [costs.lost] * len(missing)}
    move = {(m, c): model.add_variable(f"{m}_{c}", 0) for m in price for c in range(len(missing))}
    model.setObjective(pulp.lpSum(int(price[m][c]) * x for (m, c), x in move.items()))
    for c, units in enumerate(missing):
        model += pulp.lpSum(move[m, c] for m in price) == int(units)
    room = {"s": pools.satellite_units if satellite else 0, "u": pools.uav_units}
    for m, units in room.items():
        if units is not None:
            model += pulp.lpSum(move[m, c] for c in range(len(missing))) <= units
    return optimum(model, highs())


some_units = st.none() | st.integers(0, 12)
classes = st.tuples(st.integers(0, 6), st.integers(0, 60), st.integers(0, 60))


@given(st.lists(classes, min_size=1, max_size=6), some_units, some_units, st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_recourse_without_a_solver_is_the_transportation_problem(rows, sats, uavs, satellite):
    missing, by_satellite, by_uav = (np.array(column, dtype=np.int64) for column in zip(*rows))
    costs, pools = Costs(by_satellite, by_uav, 70), Pools(sats, uavs, 70)

    least = least_cost(missing, costs, pools, satellite)

    assert least == pytest.approx(transportation(missing, costs, pools, satellite), abs=1e-6)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"pools": Pools(-1, None, LOST)}, "satellite"),
        ({"pools": Pools(1, 1, 15)}, "a lost unit costs 15"),
        ({"pools": Pools(1, 1, 2**62)}, "too large"),
        ({"pools": Pools(1, 1, LOST), "correlated": False}, "correlated"),
    ],
)
def test_pools_that_make_no_sense_are_named(change, where):
    with pytest.raises(InvalidProblemError, match=where):
        solve(replace(one_fiber(None), **change))


def test_requests_under_different_skies_cannot_share_pools():
    problem = one_fiber(Pools(1, 1, LOST))
    other = replace(problem.requests[0], id="x", on_demand=OnDemand(16, 12, 0.25))

    with pytest.raises(InvalidProblemError, match="satellite probability"):
        solve(replace(problem, requests=(*problem.requests, other)))


def test_independent_demand_without_limits_costs_the_same():
    problem = one_fiber(None)

    assert solve(replace(problem, correlated=False)) == solve(problem)
