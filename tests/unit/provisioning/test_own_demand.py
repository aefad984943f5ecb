"""Requests that differ in their demand, planned together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from provisioning_cases import poisson_scenarios, problem_on
from provisioning_oracles import extensive_form, highs

from global_manager.provisioning import (
    InvalidProblemError,
    Policy,
    Pools,
    Problem,
    Scenario,
    compare,
    solve,
)
from global_manager.provisioning.check import evaluate

BUSY, QUIET = poisson_scenarios(6.0, 12), poisson_scenarios(1.0, 6)
SQUARE = [("A", "B"), ("B", "C"), ("C", "D"), ("D", "A")]


def with_demands(problem: Problem, *demands: tuple[Scenario, ...] | None) -> Problem:
    requests = zip(problem.requests, demands, strict=True)
    return replace(problem, requests=tuple(replace(r, scenarios=d) for r, d in requests))


def square(wavelengths: int = 7) -> Problem:
    pairs = [("A", "B"), ("A", "B"), ("A", "C"), ("B", "D")]
    problem = problem_on(
        SQUARE, pairs, wavelengths=wavelengths, scenarios=poisson_scenarios(10 / 3, 10)
    )
    return with_demands(problem, BUSY, QUIET, None, BUSY)


@pytest.mark.parametrize("wavelengths", [3, 7, 40])
def test_the_optimum_is_that_of_the_program_with_every_scenario_spelled_out(wavelengths):
    problem = square(wavelengths)

    plan = solve(problem, gap=1e-6)

    assert plan.objective == pytest.approx(extensive_form(problem, highs()), rel=1e-6)


def test_who_needs_more_reserves_more_on_the_same_fiber():
    plan = solve(square(wavelengths=40), gap=1e-6)

    units = [allocation.units for allocation in plan.allocations]
    assert units[0] > units[2] > units[1]


def test_a_demand_of_ones_own_that_is_everybodys_changes_nothing():
    pairs = [("A", "B"), ("A", "C")]
    problem = problem_on(SQUARE, pairs, wavelengths=4, scenarios=BUSY)
    told_twice = with_demands(problem, BUSY, None)

    assert solve(told_twice).objective == solve(problem).objective
    assert evaluate(told_twice, ()) == evaluate(problem, ())


def test_the_mean_policy_plans_each_request_for_its_own_mean():
    plan = solve(square(wavelengths=40), Policy.EXPECTED_VALUE)

    assert [allocation.units for allocation in plan.allocations] == [5, 0, 3, 5]


def test_policies_are_compared_without_perfect_information_where_demands_differ():
    figures = compare(square())

    assert Policy.DETERMINISTIC not in [row.policy for row in figures.rows]
    assert figures.ws is figures.evpi is None
    assert figures.vss >= 0


def test_perfect_information_and_pools_are_refused_where_demands_differ():
    problem = square()

    with pytest.raises(InvalidProblemError, match=r"policy deterministic: requests differ"):
        solve(problem, Policy.DETERMINISTIC)
    pools = Pools(satellite_units=5, uav_units=None)
    with pytest.raises(InvalidProblemError, match=r"pools: requests differ in their demand"):
        solve(replace(problem, pools=pools))


def test_a_demand_that_does_not_add_up_names_its_request():
    problem = with_demands(
        problem_on(SQUARE, [("A", "B")], wavelengths=4, scenarios=BUSY), (Scenario(1, 0.5),)
    )

    with pytest.raises(InvalidProblemError, match=r"request r0: probabilities add up to 0\.5"):
        solve(problem)
