"""Requests that share a fleet: hand-solved cases, and plain models with every flight as oracles."""

from __future__ import annotations

from dataclasses import replace

import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provisioning_oracles import first_stage, highs, optimum, pooled_second_stage
from test_pools import few_units, joint_problems, small_problems

from global_manager.provisioning import solve
from global_manager.provisioning.check import evaluate
from global_manager.provisioning.fleet_recourse import Shortage, serve_with_fleet
from global_manager.provisioning.model import (
    Fiber,
    Formulation,
    OnDemand,
    Policy,
    Pools,
    Problem,
    Request,
    Scenario,
)
from global_manager.provisioning.price_decomposition import relax


def short(units: int, *, uav: int = 10, satellite: int | None = None, uavs: int = 1) -> Shortage:
    return Shortage(units, satellite, uav, 100, uavs)


def test_a_flight_brings_whatever_its_request_misses():
    service = serve_with_fleet([short(2), short(7), short(1)], Pools(0, None, 1))
    assert (service.uav, service.lost) == ((0, 7, 0), (2, 0, 1))


def test_flights_go_where_satellites_help_least():
    service = serve_with_fleet([short(7, satellite=12), short(2)], Pools(None, None, 1))
    assert (service.satellite, service.uav, service.lost) == ((7, 0), (0, 2), (0, 0))


def test_long_chains_go_where_they_save_most_a_uav():
    service = serve_with_fleet([short(5, uavs=3), short(3), short(2)], Pools(0, None, 3))
    assert service.uav == (0, 3, 2)


def test_units_of_uavs_can_be_limited_beside_the_fleet():
    service = serve_with_fleet([short(5), short(3)], Pools(0, 6, 2))
    assert sum(service.uav) == 6


@st.composite
def fleets(draw, problems, longest_chain: int = 3):
    """A problem whose requests share a fleet, too."""
    problem = draw(problems)
    requests = tuple(
        replace(r, on_demand=replace(r.on_demand, uavs=draw(st.integers(1, longest_chain))))
        for r in problem.requests
    )
    pools = replace(problem.pools, uavs=draw(st.integers(0, 4)))
    return replace(problem, requests=requests, pools=pools)


def extensive_form(problem: Problem, *, most: int) -> float:
    """Paths, units, every future and every flight spelled out; colours relaxed."""
    model = pulp.LpProblem("fleet", pulp.LpMinimize)
    cost, reserved = first_stage(model, problem, most)
    cost += pooled_second_stage(model, problem, reserved)
    model.setObjective(pulp.lpSum(cost))
    return optimum(model, highs())


def largest(problem: Problem) -> int:
    return max(scenario.units for scenario in problem.scenarios)


@given(fleets(small_problems() | joint_problems()))
@settings(max_examples=60)
def test_the_bound_is_below_the_optimum_and_the_optimum_below_every_plan(problem):
    best = extensive_form(problem, most=largest(problem))
    plans = [solve(problem, policy, gap=0, formulation=Formulation.COLUMNS) for policy in Policy]
    for plan in (*plans, solve(problem, formulation=Formulation.ARCS)):
        assert plan.lower_bound <= best * (1 + 1e-6) + 1e-6
        if plan.policy is not Policy.DETERMINISTIC:
            assert plan.objective >= best * (1 - 1e-6) - 1e-6


@given(fleets(small_problems() | joint_problems(), longest_chain=1), st.sampled_from([0, None]))
@settings(max_examples=60)
def test_without_limited_units_and_with_equal_chains_the_price_is_the_least(problem, satellites):
    pools = replace(problem.pools, satellite_units=satellites, uav_units=None)
    problem = replace(problem, pools=pools)
    assert evaluate(problem, []).total == pytest.approx(extensive_form(problem, most=0))


@given(fleets(small_problems() | joint_problems()))
@settings(max_examples=40)
def test_arcs_find_the_optimum_as_far_as_the_price_is_the_least(problem):
    best = extensive_form(problem, most=largest(problem))
    plan = solve(problem, gap=0, formulation=Formulation.ARCS)
    slack = evaluate(problem, plan.allocations).total - best
    assert plan.lower_bound <= best + 1e-6 <= plan.objective + 2e-6
    if len({r.on_demand.uavs for r in problem.requests}) <= 1 and _unlimited_units(problem):
        assert slack == pytest.approx(0, abs=1e-5)


def _unlimited_units(problem: Problem) -> bool:
    return problem.pools.satellite_units in (0, None) and problem.pools.uav_units is None


@given(fleets(small_problems()), few_units)
@settings(max_examples=30)
def test_a_fleet_that_suffices_for_all_is_none(problem, satellites):
    units = Pools(satellites, 3)
    with_fleet = replace(problem, pools=replace(units, uavs=100))
    assert evaluate(with_fleet, []).total == evaluate(replace(problem, pools=units), []).total


def many(uavs: int) -> Problem:
    """Sixty requests over one cheap fiber with few wavelengths and two dear ones; demands apart."""
    law = tuple(Scenario(n, 0.125) for n in range(8))
    ends = [("a", "b"), ("b", "c"), ("a", "c")]
    problem = Problem(
        nodes=("a", "b", "c"),
        fibers=(Fiber("a", "b", 20, 30), Fiber("b", "c", 25, 60), Fiber("a", "c", 25, 60)),
        requests=tuple(
            Request(f"r{i}", "any", *ends[i % 3], OnDemand(60 + i, 90, 0.3, 200)) for i in range(60)
        ),
        scenarios=law,
        correlation=1.0,
    )
    return replace(problem, pools=Pools(0, None, uavs))


@pytest.mark.parametrize("uavs", [0, 10, 40])
def test_the_prices_of_flights_bring_bound_and_plan_together(uavs):
    plan = solve(many(uavs), gap=1e-3, formulation=Formulation.COLUMNS)
    assert plan.gap < 0.02


def test_a_larger_fleet_has_a_lower_bound():
    bounds = [relax(many(uavs)).lower_bound for uavs in (0, 10, 20, 40)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[-1]
