"""Plans that weigh the tail of a period's cost: against enumeration, a plain program, and its laws."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from math import fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provisioning_cases import paper_problem
from provisioning_oracles import arc_flow, highs
from random_instances import random_instance

from global_manager.provisioning import (
    Fiber,
    Formulation,
    Future,
    InvalidProblemError,
    OnDemand,
    Policy,
    Pools,
    Problem,
    Request,
    Scenario,
    check_problem,
    compare,
    evaluate,
    replan,
    solve,
    verify,
)
from global_manager.provisioning.assignment import WavelengthAssignment
from global_manager.provisioning.model import Risk
from global_manager.provisioning.price_decomposition import first_bound, relax
from global_manager.provisioning.risk import JointStage, cvar, tail_weights, value_at_risk
from global_manager.provisioning.risk_search import objective, polish
from global_manager.provisioning.scenario_sampling import Moment, with_futures_drawn
from global_manager.provisioning.stochastic_plan import known_routes

costs_and_chances = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=12
)
levels = st.sampled_from([0.0, 0.3, 0.5, 0.8, 0.95])


def as_arrays(drawn: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    costs = np.array([float(cost) for cost, _ in drawn])
    chances = np.array([float(chance) for _, chance in drawn])
    return costs, chances / chances.sum()


@given(costs_and_chances, levels)
def test_cvar_is_the_least_value_of_rockafellar_and_uryasevs_function(
    drawn: list[tuple[int, int]], level: float
) -> None:
    costs, chances = as_arrays(drawn)
    values = [
        at
        + fsum(p * max(0.0, cost - at) for cost, p in zip(costs, chances, strict=True))
        / (1 - level)
        for at in costs  # convex and piecewise linear, with its breaks at the costs
    ]
    found = cvar(costs, chances, level)
    assert found == pytest.approx(min(values))
    assert float(chances @ costs) - 1e-9 <= found <= costs.max() + 1e-9
    at_risk = value_at_risk(costs, chances, level)
    assert chances[costs > at_risk].sum() <= 1 - level + 1e-9
    assert at_risk + (chances @ np.maximum(0, costs - at_risk)) / (1 - level) == pytest.approx(
        found
    )


@given(costs_and_chances, levels, st.integers(0, 99))
def test_no_other_tail_has_a_greater_mean(
    drawn: list[tuple[int, int]], level: float, seed: int
) -> None:
    costs, chances = as_arrays(drawn)
    most = chances / (1 - level)
    worst = tail_weights(costs, chances, level)
    other = tail_weights(np.random.default_rng(seed).random(len(costs)), chances, level)
    for weights in (worst, other):
        assert weights.sum() == pytest.approx(1)
        assert np.all((weights >= 0) & (weights <= most + 1e-12))
    assert other @ costs <= worst @ costs + 1e-9


def with_futures(problem: Problem, seed: int, count: int = 6) -> Problem:
    """Futures of any kind, and a risk, for a problem without pools."""
    rng = np.random.default_rng([99, seed])
    most = [max(s.units for s in problem.demand_of(r)) for r in problem.requests]
    futures = tuple(
        Future(
            float(chance),
            tuple(int(rng.integers(0, top + 1)) for top in most),
            tuple(bool(x) for x in rng.random(len(most)) < 0.5),
            tuple(bool(x) for x in rng.random(len(most)) < 0.8),
        )
        for chance in rng.dirichlet(np.ones(count))
    )
    risk = Risk(float(rng.choice([0.0, 0.5, 0.8, 0.95])), float(rng.choice([0.1, 0.5, 1.0])))
    return replace(problem, futures=futures, risk=risk, pools=None)


@pytest.mark.parametrize("seed", range(40))
def test_small_problems_reach_the_optimum_of_a_plain_program(seed: int) -> None:
    problem = with_futures(random_instance(seed), seed)
    plan, optimum = solve(problem), arc_flow(problem, highs())
    verify(problem, plan.allocations)
    assert plan.formulation is Formulation.ARCS
    assert plan.objective == pytest.approx(optimum, rel=1e-6)
    assert plan.lower_bound <= optimum * (1 + 1e-7)


@pytest.mark.parametrize("seed", range(40))
def test_the_large_method_bounds_the_optimum_and_comes_near_it(seed: int) -> None:
    problem = with_futures(random_instance(seed), seed)
    optimum = solve(problem).objective
    assert first_bound(problem) <= relax(problem).lower_bound * (1 + 1e-9)
    plan = solve(problem, formulation=Formulation.COLUMNS, gap=1e-6)
    assert plan.lower_bound <= optimum * (1 + 1e-6)
    assert optimum * (1 - 1e-6) <= plan.objective <= optimum * 1.001


def one_fiber(futures: tuple[Future, ...], wavelengths: int, risk: Risk) -> Problem:
    law = tuple(Scenario(units, 0.25) for units in range(4))
    offer = OnDemand(uav_cost=30, satellite_cost=17, satellite_probability=0.5, shortfall_cost=90)
    return Problem(
        nodes=("a", "b"),
        fibers=(Fiber("a", "b", 10, wavelengths),),
        requests=tuple(Request(f"r{i}", "any", "a", "b", offer) for i in range(3)),
        scenarios=law,
        futures=futures,
        risk=risk,
    )


some_futures = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.tuples(*[st.integers(0, 3)] * 3),
        st.tuples(*[st.booleans()] * 3),
        st.tuples(*[st.booleans()] * 3),
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=60)
@given(some_futures, st.integers(0, 6), levels, st.sampled_from([0.2, 0.6, 1.0]))
def test_a_plan_is_the_best_of_all_reservations_on_one_fiber(
    drawn: list[tuple[int, tuple[int, ...], tuple[bool, ...], tuple[bool, ...]]],
    wavelengths: int,
    level: float,
    weight: float,
) -> None:
    total = sum(chance for chance, *_ in drawn)
    futures = tuple(Future(chance / total, *rest) for chance, *rest in drawn)
    problem = one_fiber(futures, wavelengths, Risk(level, weight))

    def cost(units: tuple[int, ...], future: Future) -> float:
        offers = zip(future.units, future.usable, future.flies, units, strict=True)
        return 10 * sum(units) + sum(
            max(0, need - held) * (17 if usable else 30 if flies else 90)
            for need, usable, flies, held in offers
        )

    def objective(units: tuple[int, ...]) -> float:
        dearest = sorted(((cost(units, f), f.probability) for f in futures), reverse=True)
        left, tail = 1 - level, 0.0
        for value, chance in dearest:
            part = min(left, chance)
            tail, left = tail + part * value, left - part
        mean = fsum(value * chance for value, chance in dearest)
        return (1 - weight) * mean + weight * tail / (1 - level)

    every = (u for u in product(range(4), repeat=3) if sum(u) <= wavelengths)
    best = min(map(objective, every))
    for formulation in (None, Formulation.ARCS):
        plan = solve(problem, formulation=formulation)
        reserved = tuple(item.units for item in plan.allocations)
        assert plan.objective == pytest.approx(objective(reserved))
        assert plan.objective == pytest.approx(best, abs=1e-6)
        assert plan.lower_bound <= best + 1e-6


@given(some_futures, st.integers(0, 99))
def test_the_table_is_the_recourse_of_every_number_of_units(
    drawn: list[tuple[int, tuple[int, ...], tuple[bool, ...], tuple[bool, ...]]], seed: int
) -> None:
    futures = tuple(Future(1 / len(drawn), *rest) for _, *rest in drawn)
    stage = JointStage(one_fiber(futures, 3, Risk(0.5, 0.5)))
    weights = np.random.default_rng(seed).random(len(futures))
    table = stage.table(weights)
    assert table.shape == (3, 4)
    for units in range(4):
        assert table[:, units].sum() == pytest.approx(weights @ stage.costs([units] * 3))
    assert np.all(np.diff(table, 2, axis=1) >= -1e-9)


@pytest.mark.parametrize("seed", [4, 7, 8, 29])
def test_more_weight_never_makes_the_tail_dearer_or_the_mean_cheaper(seed: int) -> None:
    base = with_futures(random_instance(seed), seed, count=20)
    plans = [
        solve(replace(base, risk=Risk(0.8, weight)), gap=1e-9)
        for weight in (1e-6, 0.1, 0.3, 0.6, 1.0)
    ]
    tails = [plan.cvar or 0.0 for plan in plans]
    means = [plan.first_stage_cost + plan.expected_recourse_cost for plan in plans]
    assert all(later <= before + 1e-6 for before, later in pairwise(tails))
    assert all(later >= before - 1e-6 for before, later in pairwise(means))
    assert tails[-1] < tails[0]


def paper_at_risk(weight: float = 0.3, **changes: float) -> Problem:
    """The paper's network with independent requests, and 200 futures of them."""
    problem = replace(paper_problem(wavelengths=20, requests=60), correlation=0.0)
    everybody = (True,) * len(problem.requests)
    drawn = with_futures_drawn(problem, lambda _stream, n: [Moment(everybody)] * n, 200, seed=3)
    return replace(drawn, risk=Risk(0.95, weight), **changes)


def test_a_paper_sized_plan_is_proven_to_half_a_percent_and_repeats() -> None:
    problem = paper_at_risk()
    plan = solve(problem, gap=0.005)
    assert plan.gap <= 0.005
    assert plan == solve(problem, gap=0.005)
    cost = evaluate(problem, plan.allocations)
    assert plan.objective == pytest.approx(0.7 * cost.total + 0.3 * (cost.cvar or 0))
    without = solve(replace(problem, risk=None, futures=()), gap=0.005)
    assert plan.objective < evaluate(problem, without.allocations).objective


def test_policies_are_compared_by_what_is_minimised() -> None:
    found = compare(paper_at_risk(), gap=0.01)
    rows = {row.policy: row for row in found.rows}
    assert Policy.DETERMINISTIC not in rows
    assert found.ws is found.evpi is None
    assert found.vss >= 0
    for row in rows.values():
        assert row.cvar is not None
        assert row.objective == pytest.approx(0.7 * row.total_cost + 0.3 * row.cvar)
        assert row.cvar >= row.total_cost
    assert (
        found.rp
        == rows[Policy.STOCHASTIC].objective
        == min(r.objective or 0 for r in rows.values())
    )


def test_a_plan_made_again_weighs_the_tail_too() -> None:
    problem = paper_at_risk(weight=0.5)
    plan = solve(problem, gap=0.05)
    busiest = max(plan.allocations, key=lambda item: item.units)
    lost = (busiest.path[0], busiest.path[1])
    again = replan(problem, plan, [lost])
    verify(problem, again.allocations)
    hops = [set(hop) for item in again.allocations for hop in pairwise(item.path)]
    assert set(lost) not in hops
    cost = evaluate(problem, again.allocations)
    assert again.cvar == cost.cvar
    assert again.objective == pytest.approx(0.5 * cost.total + 0.5 * (cost.cvar or 0))
    careless = replan(replace(problem, risk=None, futures=()), plan, [lost])
    assert again.objective <= evaluate(problem, careless.allocations).objective


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"risk": Risk(1.0, 0.5)}, "level"),
        ({"risk": Risk(0.9, 0.0)}, "weight"),
        ({"risk": Risk(0.9, 1.5)}, "weight"),
        ({"futures": ()}, "must be given"),
        ({"pools": Pools(1, None)}, "limited pools"),
    ],
)
def test_what_cannot_be_priced_is_refused(changes: dict[str, object], reason: str) -> None:
    problem = replace(with_futures(random_instance(0), 0), **changes)  # type: ignore[arg-type]
    with pytest.raises(InvalidProblemError, match=reason):
        check_problem(problem)


def test_perfect_information_is_no_plan_with_a_risk() -> None:
    with pytest.raises(InvalidProblemError, match="weighs no risk"):
        solve(with_futures(random_instance(0), 0), Policy.DETERMINISTIC)


@pytest.mark.parametrize("seed", range(12))
def test_a_search_by_mean_and_tail_never_makes_a_plan_dearer(seed: int) -> None:
    problem = with_futures(random_instance(seed), seed, count=12)
    assert problem.risk is not None
    relaxation = relax(problem)
    routes = known_routes(relaxation.instance, relaxation.pool)
    empty = WavelengthAssignment(relaxation.instance)
    found = polish(empty, routes, problem.risk)
    verify(problem, found.allocations())
    assert empty.held == {}
    before, after = (evaluate(problem, state.allocations()) for state in (empty, found))
    assert after.objective == pytest.approx(objective(found, problem.risk))
    assert relaxation.lower_bound * (1 - 1e-9) <= after.objective <= before.objective
    if before.objective > relaxation.lower_bound * 1.2:
        assert after.objective < before.objective
