"""Plans on cases small enough to solve by hand, and the laws that every plan obeys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provisioning_cases import poisson_scenarios, problem_on, random_pairs

from global_manager.provisioning import (
    Fiber,
    Formulation,
    InvalidProblemError,
    OnDemand,
    Policy,
    Problem,
    Request,
    Scenario,
    Termination,
    compare,
    evaluate,
    solve,
    verify,
)

COIN = (Scenario(0, 0.5), Scenario(2, 0.5))


def one_fiber(wavelengths: int, requests: int = 1, scenarios=COIN) -> Problem:
    return Problem(
        nodes=("a", "b"),
        fibers=(Fiber("a", "b", 10, wavelengths),),
        requests=tuple(
            Request(f"r{i}", "any", "a", "b", OnDemand(30, 50, 0.5, 1000)) for i in range(requests)
        ),
        scenarios=scenarios,
    )


def test_one_request_on_one_fiber_reserves_what_an_even_chance_of_need_justifies():
    # a reserved unit costs 10 for sure; not having it costs 30 half the time
    plan = solve(one_fiber(wavelengths=4))

    assert plan.objective == 20
    assert (plan.first_stage_cost, plan.expected_recourse_cost) == (20, 0)
    assert plan.allocations[0].path == ("a", "b")
    assert plan.allocations[0].units == 2
    assert (plan.termination, plan.gap) == (Termination.OPTIMAL, 0)


def test_a_full_fiber_leaves_the_rest_to_recourse():
    plan = solve(one_fiber(wavelengths=3, requests=2))

    assert plan.first_stage_cost == 30
    assert plan.expected_recourse_cost == 15
    assert sorted(a.units for a in plan.allocations) == [1, 2]
    assert plan.lower_bound == plan.objective


def test_a_fiber_that_costs_more_than_need_is_left_dark():
    dear = replace(one_fiber(wavelengths=4), fibers=(Fiber("a", "b", 16, 4),))

    plan = solve(dear)

    assert plan.objective == 30
    assert plan.allocations[0].path == ()


def test_a_detour_is_taken_when_the_short_way_is_full():
    # 3 units wanted for sure: 1 direct at 10, but one path only, so all 3 around at 12 each
    problem = Problem(
        nodes=("a", "b", "c"),
        fibers=(Fiber("a", "b", 10, 1), Fiber("a", "c", 6, 9), Fiber("c", "b", 6, 9)),
        requests=(Request("r", "any", "a", "b", OnDemand(30, 30, 1.0, 1000)),),
        scenarios=(Scenario(3, 1.0),),
    )

    plan = solve(problem)

    assert plan.objective == 36
    assert plan.allocations[0].path == ("a", "c", "b")


def test_nodes_without_a_way_between_them_buy_on_demand():
    problem = replace(one_fiber(2), nodes=("a", "b", "c"))
    apart = Request("far", "any", "a", "c", OnDemand(30, 50, 0.0, 1000))

    plan = solve(replace(problem, requests=(*problem.requests, apart)))

    assert [a.units for a in plan.allocations] == [2, 0]
    assert plan.expected_recourse_cost == 30


def test_each_direction_has_its_own_colours_only_if_the_problem_says_so():
    there = Request("there", "any", "a", "b", OnDemand(30, 30, 1.0, 1000))
    back = Request("back", "any", "b", "a", OnDemand(30, 30, 1.0, 1000))
    shared = replace(one_fiber(2), requests=(there, back), scenarios=(Scenario(2, 1.0),))

    assert solve(shared).objective == 2 * 10 + 2 * 30
    assert solve(replace(shared, directed_capacity=True)).objective == 4 * 10


def test_an_odd_ring_holds_fewer_lightpaths_than_its_capacity_promises():
    # five two-hop paths around a ring of five fill two wavelengths by count, but only four fit
    ring = [(f"n{i}", f"n{(i + 1) % 5}") for i in range(5)]
    pairs = [(f"n{i}", f"n{(i + 2) % 5}") for i in range(5)]
    problem = problem_on(ring, pairs, wavelengths=2, scenarios=(Scenario(1, 1.0),))

    by_columns = solve(problem, formulation=Formulation.COLUMNS)
    by_arcs = solve(problem)

    assert sum(a.units for a in by_columns.allocations) == 4
    assert by_columns.displaced_units == 1
    assert by_columns.termination is Termination.WORK_LIMIT  # no bound of columns knows continuity
    assert by_columns.objective == by_arcs.objective == 4 * 2 * 5480 + 2 * 18_520
    assert by_arcs.termination is Termination.OPTIMAL  # the extensive form does


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"scenarios": (Scenario(1, 0.4),)}, "scenarios"),
        ({"fibers": (Fiber("a", "z", 1, 1),)}, "fiber a-z"),
        ({"fibers": (Fiber("a", "b", 1, 1), Fiber("b", "a", 1, 1))}, "fiber b-a"),
        ({"requests": (Request("r", "x", "a", "a", OnDemand(1, 1, 1.0, 1)),)}, "request r"),
    ],
)
def test_absurd_input_is_named(change, where):
    with pytest.raises(InvalidProblemError) as caught:
        solve(replace(one_fiber(2), **change))

    assert caught.value.where == where


@st.composite
def small_problems(draw):
    size = draw(st.integers(3, 6))
    nodes = [f"n{i}" for i in range(size)]
    ring = [(nodes[i], nodes[(i + 1) % size]) for i in range(size)]
    chords = [(nodes[i], nodes[j]) for i in range(size) for j in range(i + 2, size)]
    chords = [c for c in chords if c[::-1] not in ring]
    extra = draw(st.lists(st.sampled_from(chords), unique=True)) if chords else []
    return problem_on(
        ring + extra,
        random_pairs(nodes, draw(st.integers(1, 8)), draw(st.integers(0, 10**6))),
        wavelengths=draw(st.integers(0, 4)),
        scenarios=poisson_scenarios(draw(st.sampled_from([0.8, 2.0])), draw(st.integers(1, 4))),
        directed=draw(st.booleans()),
    )


@settings(max_examples=25)
@given(small_problems(), st.sampled_from(Policy))
def test_every_plan_is_lawful_and_costs_what_it_says(problem, policy):
    plan = solve(problem, policy)

    verify(problem, plan.allocations)
    assert plan.lower_bound <= plan.objective
    assert plan.objective == pytest.approx(plan.first_stage_cost + plan.expected_recourse_cost)
    assert [a.request for a in plan.allocations] == [r.id for r in problem.requests]
    if policy is not Policy.DETERMINISTIC:
        assert plan.objective == evaluate(problem, plan.allocations).total


@settings(max_examples=10)
@given(small_problems())
def test_knowing_more_never_costs_more(problem):
    figures = compare(problem)

    assert figures.vss >= 0
    assert figures.evpi >= -1e-6 * figures.rp
    assert all(row.total_cost >= figures.ws - 1e-6 for row in figures.rows)


@settings(max_examples=15)
@given(small_problems())
def test_one_more_wavelength_never_raises_the_bound(problem):
    richer = replace(
        problem, fibers=tuple(replace(f, wavelengths=f.wavelengths + 1) for f in problem.fibers)
    )

    assert solve(richer).lower_bound <= solve(problem).lower_bound * (1 + 1e-6)


def test_equal_input_gives_an_equal_plan_and_seeds_matter_to_chance_only():
    problem = problem_on(
        [("a", "b"), ("b", "c"), ("c", "a")],
        [("a", "b"), ("b", "c"), ("a", "c")],
        wavelengths=2,
        scenarios=poisson_scenarios(2.0, 5),
    )

    for policy in Policy:
        assert solve(problem, policy, seed=3) == solve(problem, policy, seed=3)
    assert solve(problem, seed=1) == solve(problem, seed=2)
    random_plans = {solve(problem, Policy.RANDOM, seed=seed) for seed in range(8)}
    assert len(random_plans) > 1
