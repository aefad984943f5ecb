"""Laws of demand that are known only nearly: against the program of the worst law, and plain programs."""

from __future__ import annotations

from dataclasses import replace
from math import fsum

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provisioning_cases import paper_problem
from provisioning_oracles import arc_flow, highs
from random_instances import random_instance

from global_manager.provisioning import (
    Formulation,
    InvalidProblemError,
    Policy,
    Pools,
    Problem,
    Scenario,
    check_problem,
    compare,
    evaluate,
    replan,
    solve,
    verify,
)
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Ball, Sky
from global_manager.provisioning.price_decomposition import first_bound, relax
from global_manager.provisioning.recourse import expected_missing_units
from global_manager.provisioning.robust import planned_demand, without_balls, worst_case_law

Law = tuple[Scenario, ...]


def law_of(weights: list[int]) -> Law:
    total = sum(weights)
    return tuple(Scenario(units, weight / total) for units, weight in enumerate(weights))


laws = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any).map(law_of)
radii = st.sampled_from([0.0, 0.1, 0.35, 1.0, 2.5, 9.0])


def missed(law: Law, reserved: int) -> float:
    return fsum(item.probability * max(0, item.units - reserved) for item in law)


def worst_missed(law: Law, ball: Ball, reserved: int) -> float:
    """The greatest mean of missing units, as a linear program over all plans of moving mass."""
    most = max([ball.most_units, *(item.units for item in law if item.probability > 0)])
    model = pulp.LpProblem("worst_law", pulp.LpMaximize)
    moved = {
        (i, to): model.add_variable(f"moved_{i}_{to}", 0)
        for i in range(len(law))
        for to in range(most + 1)
    }
    for i, item in enumerate(law):
        model += pulp.lpSum(moved[i, to] for to in range(most + 1)) == item.probability
    ways = (abs(law[i].units - to) * x for (i, to), x in moved.items())
    model += pulp.lpSum(ways) <= ball.radius_units
    model.setObjective(pulp.lpSum(max(0, to - reserved) * x for (_, to), x in moved.items()))
    assert model.solve(highs()) == pulp.LpStatusOptimal
    return float(pulp.value(model.objective))


def worst_missed_by_dual(law: Law, ball: Ball, reserved: int) -> float:
    """The same by its dual in one variable, convex and piecewise linear, at all its breaks."""
    most = max([ball.most_units, *(item.units for item in law if item.probability > 0)])
    demands = range(most + 1)

    def value(price: float) -> float:
        at_worst = (
            item.probability
            * max(max(0, to - reserved) - price * abs(to - item.units) for to in demands)
            for item in law
        )
        return price * ball.radius_units + fsum(at_worst)

    breaks = {0.0} | {
        abs(max(0, to - reserved) - max(0, other - reserved)) / abs(abs(to - d) - abs(other - d))
        for d in demands
        for to in demands
        for other in demands
        if abs(to - d) != abs(other - d)
    }
    return min(map(value, breaks))


@settings(max_examples=60, deadline=None)
@given(laws, radii, st.integers(0, 8))
def test_one_law_is_worst_for_every_reservation(law: Law, radius: float, most: int) -> None:
    ball = Ball(radius, most)
    worst = worst_case_law(law, ball)
    assert fsum(item.probability for item in worst) == pytest.approx(1)
    for reserved in range(10):
        found = missed(worst, reserved)
        assert found == pytest.approx(worst_missed(law, ball, reserved), abs=1e-7)
        assert found == pytest.approx(worst_missed_by_dual(law, ball, reserved), abs=1e-9)


@given(laws, radii, st.integers(0, 30))
def test_the_worst_law_is_no_farther_than_the_radius(law: Law, radius: float, most: int) -> None:
    worst = worst_case_law(law, Ball(radius, most))
    both = [{item.units: item.probability for item in one} for one in (law, worst)]
    distance, gap = 0.0, 0.0
    for units in range(40):
        gap += both[0].get(units, 0.0) - both[1].get(units, 0.0)
        distance += abs(gap)
    assert distance <= radius + 1e-9
    assert min(item.probability for item in worst) > 0
    units = [item.units for item in worst]
    assert units == sorted(set(units))


@given(laws, radii)
def test_what_is_missed_at_worst_is_convex_and_none_with_all_reserved(
    law: Law, radius: float
) -> None:
    table = expected_missing_units(worst_case_law(law, Ball(radius, 9)))
    assert np.all(np.diff(table, 2) >= -1e-12)
    assert np.all(np.diff(table) >= -1 - 1e-12)
    assert table[-1] == 0


@given(laws, st.sampled_from([0.0, 0.2, 1.0]))
def test_far_from_the_largest_demand_the_worst_case_is_mean_and_radius(
    law: Law, radius: float
) -> None:
    worst = worst_case_law(law, Ball(radius, 100_000))
    for reserved in range(8):
        assert missed(worst, reserved) == pytest.approx(missed(law, reserved) + radius, rel=1e-3)


def robust_instance(seed: int) -> Problem:
    """A random problem without pools, most of whose requests have a ball."""
    rng = np.random.default_rng([23, seed])
    problem = random_instance(6 * (seed // 4) + seed % 4)
    assert problem.pools is None
    balls = (
        None
        if rng.random() < 0.2
        else Ball(float(rng.choice([0.0, 0.2, 0.7, 2.0])), int(rng.integers(0, 5)))
        for _ in problem.requests
    )
    pairs = zip(problem.requests, balls, strict=True)
    return replace(problem, requests=tuple(replace(r, ball=ball) for r, ball in pairs))


@pytest.mark.parametrize("seed", range(24))
def test_plans_are_as_cheap_at_worst_as_a_plain_program_with_the_dual_written_out(
    seed: int,
) -> None:
    problem = robust_instance(seed)
    check_problem(problem)
    least = arc_flow(problem, highs())
    by_arcs = solve(problem, gap=1e-9, formulation=Formulation.ARCS)
    assert by_arcs.objective == pytest.approx(least)
    by_columns = solve(problem, gap=1e-9, formulation=Formulation.COLUMNS)
    assert by_columns.lower_bound <= least + 1e-6
    assert by_columns.objective >= least - 1e-6
    assert by_columns.objective == pytest.approx(least, rel=0.06)
    assert first_bound(problem) <= relax(problem).lower_bound + 1e-6 <= least + 2e-6
    verify(problem, by_columns.allocations)


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_tells_mean_and_worst_case(seed: int) -> None:
    problem = robust_instance(seed)
    plan = solve(problem, gap=1e-9)
    held = {item.request: item.units for item in plan.allocations}
    worst = mean = 0.0
    for request in problem.requests:
        o, law = request.on_demand, problem.demand_of(request)
        unit = o.satellite_probability * min(o.uav_cost, o.satellite_cost)
        unit += (1 - o.satellite_probability) * o.uav_cost
        mean += unit * missed(law, held[request.id])
        ball = request.ball or Ball(0.0, 0)
        worst += unit * worst_missed(law, ball, held[request.id])
    assert plan.expected_recourse_cost == pytest.approx(mean)
    assert plan.worst_case_cost == plan.objective == pytest.approx(plan.first_stage_cost + worst)
    assert plan.expected_cost == pytest.approx(plan.first_stage_cost + mean)
    cost = evaluate(problem, plan.allocations)
    assert (cost.total, cost.worst_case) == (plan.expected_cost, plan.worst_case_cost)


def with_ball(problem: Problem, ball: Ball | None) -> Problem:
    return replace(problem, requests=tuple(replace(r, ball=ball) for r in problem.requests))


def test_without_a_radius_the_plan_is_the_one_without_a_ball() -> None:
    problem = paper_problem(requests=20)
    plain, robust = solve(problem), solve(with_ball(problem, Ball(0.0, 9)))
    assert robust.allocations == plain.allocations
    assert robust.objective == pytest.approx(plain.objective)
    assert plain.worst_case_cost is None


def test_a_wider_ball_never_costs_less_and_ends_with_all_that_may_be_needed() -> None:
    problem = paper_problem(requests=20)
    plans = [solve(with_ball(problem, Ball(radius, 9))) for radius in (0.0, 0.3, 0.6, 1.0, 2.0)]
    costs = [plan.objective for plan in plans]
    assert costs == sorted(costs)
    means = [plan.expected_cost for plan in plans]
    assert min(means) == means[0]
    assert {item.units for item in plans[0].allocations} == {4}
    assert {item.units for item in plans[-1].allocations} == {9}


def test_requests_with_other_balls_are_no_longer_alike() -> None:
    problem = paper_problem(requests=20)
    first, *rest = problem.requests
    twin = replace(first, id="twin", ball=Ball(2.0, 9))
    mixed = replace(problem, requests=(first, twin, *rest))
    found = {item.request: item.units for item in solve(mixed).allocations}
    assert found.pop("twin") == 9
    assert set(found.values()) == {4}
    assert len(Instance(mixed).groups) == len(Instance(problem).groups) + 1


def test_policies_are_compared_by_their_worst_cases() -> None:
    problem = with_ball(paper_problem(requests=12), Ball(1.0, 9))
    found = compare(problem)
    rows = {row.policy: row for row in found.rows}
    assert Policy.DETERMINISTIC not in rows
    assert found.ws is None
    for row in rows.values():
        assert row.worst_case_cost == row.objective
        assert (row.objective or 0) >= row.total_cost
    mean_plan = solve(without_balls(problem), Policy.EXPECTED_VALUE)
    assert rows[Policy.EXPECTED_VALUE].first_stage_cost == mean_plan.first_stage_cost
    assert found.rp == min(row.objective or 0 for row in rows.values())
    assert found.eev > found.rp


def test_a_plan_made_again_minds_the_worst_case_too() -> None:
    problem = with_ball(paper_problem(requests=12), Ball(0.7, 12))
    plan = solve(problem)
    assert {item.units for item in plan.allocations} == {4}
    lost = plan.allocations[0].path[:2]
    again = replan(problem, plan, [(lost[0], lost[1])])
    assert {item.units for item in again.allocations} == {4}
    assert again.worst_case_cost == again.objective >= again.expected_cost
    assert replan(problem, plan).allocations == plan.allocations


@pytest.mark.parametrize("seed", range(3))
def test_the_law_that_is_planned_for_is_the_worst(seed: int) -> None:
    problem = robust_instance(seed)
    for request in problem.requests:
        law, planned = problem.demand_of(request), planned_demand(problem, request)
        assert (request.ball is None) <= (planned == law)
        assert mean_units(planned) >= mean_units(law) - 1e-12


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"pools": Pools(3, None)}, "pools"),
        ({"scenarios": (Scenario(1, 1.0, Sky(0.5)),)}, "skies"),
    ],
)
def test_what_a_ball_does_not_go_with_is_named(changes: dict, word: str) -> None:
    problem = replace(with_ball(paper_problem(requests=3), Ball(1.0, 9)), **changes)
    with pytest.raises(InvalidProblemError, match=word):
        check_problem(problem)


@pytest.mark.parametrize("ball", [Ball(-0.1, 3), Ball(float("inf"), 3), Ball(1.0, -1)])
def test_a_ball_that_is_none_is_named(ball: Ball) -> None:
    with pytest.raises(InvalidProblemError, match=r"radius|at most"):
        check_problem(with_ball(paper_problem(requests=3), ball))
