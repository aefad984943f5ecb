"""Service levels: least reservations against plain programs, quantiles, and what cannot be kept."""

from __future__ import annotations

import pickle
from dataclasses import replace
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provisioning_cases import paper_problem
from provisioning_oracles import arc_flow, highs
from random_instances import random_instance

from global_manager.provisioning import (
    Formulation,
    InvalidPlanError,
    InvalidProblemError,
    Policy,
    Pools,
    Problem,
    Scenario,
    UnmetLevelError,
    check_problem,
    compare,
    evaluate,
    replan,
    solve,
    verify,
)
from global_manager.provisioning.check import violations
from global_manager.provisioning.model import Ball
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.service import chance_served, least_units
from global_manager.provisioning.service_room import require_room
from global_manager.provisioning.stochastic_plan import plan_made_elsewhere

weights = st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any)


@given(weights, st.floats(0, 1))
def test_the_least_units_are_the_quantile(drawn: list[int], level: float) -> None:
    law = tuple(Scenario(d, w / sum(drawn)) for d, w in enumerate(drawn))
    found = least_units(law, level)
    assert chance_served(law, found) >= level - 1e-9
    if found:
        assert fsum(item.probability for item in law if item.units < found) < level


def with_least(problem: Problem, units: list[int]) -> Problem:
    pairs = zip(problem.requests, units, strict=True)
    return replace(problem, requests=tuple(replace(r, least_units=n) for r, n in pairs))


def levelled(seed: int) -> Problem:
    """A random problem without pools whose requests must have up to their largest demand reserved."""
    rng = np.random.default_rng([29, seed])
    problem = random_instance(6 * (seed // 4) + seed % 4)
    units = []
    for request in problem.requests:
        most = max(item.units for item in problem.demand_of(request))
        units.append(int(rng.integers(0, most + 1)) if rng.random() < 0.6 else 0)
    if seed % 3 == 0:
        requests = tuple(replace(r, ball=Ball(0.3, 4)) for r in problem.requests)
        problem = replace(problem, requests=requests)
    return with_least(problem, units)


def best(problem: Problem) -> float | None:
    """The least cost by a plain program; None if it has no solution."""
    try:
        return arc_flow(problem, highs())
    except AssertionError:
        return None


@pytest.mark.parametrize("seed", range(24))
def test_plans_keep_levels_at_the_least_cost_or_say_that_none_can(seed: int) -> None:
    problem = levelled(seed)
    check_problem(problem)
    least = best(problem)
    if least is None:
        with pytest.raises(UnmetLevelError):
            solve(problem, gap=1e-9, formulation=Formulation.ARCS)
        return
    by_arcs = solve(problem, gap=1e-9, formulation=Formulation.ARCS)
    assert by_arcs.objective == pytest.approx(least)
    verify(problem, by_arcs.allocations)
    assert by_arcs.lacking_units == 0
    require_room(problem)
    assert relax(problem).lower_bound <= least + 1e-6
    by_columns = solve(problem, gap=1e-9)
    assert by_columns.objective == pytest.approx(least)


def test_some_random_problems_can_and_some_cannot_keep_their_levels() -> None:
    found = [best(levelled(seed)) is None for seed in range(12)]
    assert any(found)
    assert not all(found)


def no_room(problem: Problem) -> UnmetLevelError | None:
    try:
        require_room(problem)
    except UnmetLevelError as error:
        return error
    return None


@pytest.mark.parametrize("seed", range(24))
def test_what_is_proven_to_have_no_room_has_no_plan(seed: int) -> None:
    problem = levelled(seed)
    error = no_room(problem)
    if error is not None:
        assert best(problem) is None
        assert error.fitting is not None
        assert error.fitting < error.wanted
        assert error.lacking
        assert all(has < takes for _, has, takes in error.lacking)


@pytest.mark.parametrize("least", [0, 3, 6])
def test_the_large_method_reserves_what_it_must(least: int) -> None:
    problem = paper_problem(160, requests=60)
    plan = solve(with_least(problem, [least] * 60), formulation=Formulation.COLUMNS)
    assert {item.units for item in plan.allocations} == {max(least, 4)}
    assert plan.gap <= 1e-3


def test_where_wavelengths_are_scarce_others_make_way() -> None:
    problem = paper_problem(20, requests=120)
    plain = solve(problem)
    held = {item.request: item.units for item in plain.allocations}
    short = [r.id for r in problem.requests if held[r.id] < 5][:8]
    least = [5 * (r.id in short) for r in problem.requests]
    asked = with_least(problem, least)
    plan = solve(asked)
    found = {item.request: item.units for item in plan.allocations}
    assert min(found[name] for name in short) >= 5
    assert plan.lacking_units == 0
    assert plan.gap < 0.01
    assert plan.objective >= plain.lower_bound
    assert evaluate(problem, plan.allocations).total == pytest.approx(plan.objective)


def test_what_cannot_be_kept_names_requests_and_what_fits() -> None:
    problem = with_least(paper_problem(5, requests=120), [4] * 120)
    with pytest.raises(UnmetLevelError) as caught:
        require_room(problem)
    error = caught.value
    assert (error.wanted, len(error.lacking) > 5) == (480, True)
    assert 0 < (error.fitting or 0) < 480
    text = str(error)
    assert text.startswith("service levels cannot be kept (fibers have room for at most ")
    assert "of 4" in text
    assert "more" in text
    assert "\n" not in text
    assert str(pickle.loads(pickle.dumps(error))) == text
    with pytest.raises(UnmetLevelError, match="at most"):
        solve(problem)


def test_a_request_without_a_path_cannot_keep_a_level() -> None:
    problem = paper_problem(requests=3)
    apart = replace(problem, fibers=())
    with pytest.raises(UnmetLevelError, match="0 of 2"):
        solve(with_least(apart, [2, 0, 0]))


def test_policies_that_do_not_mind_are_refused_and_not_compared() -> None:
    problem = with_least(paper_problem(requests=12), [6] * 12)
    for policy in (Policy.NONE, Policy.RANDOM):
        with pytest.raises(UnmetLevelError, match="of 6"):
            solve(problem, policy)
    found = compare(problem)
    policies = [row.policy for row in found.rows]
    assert policies == [Policy.STOCHASTIC, Policy.EXPECTED_VALUE, Policy.DETERMINISTIC]
    assert found.ws is not None
    assert found.ws <= found.rp <= found.eev
    plain = compare(paper_problem(requests=12))
    assert found.rp > plain.rp


def test_plans_made_elsewhere_are_told_which_level_they_break() -> None:
    problem = paper_problem(requests=5)
    plan = solve(problem)
    asked = with_least(problem, [0, 6, 0, 0, 0])
    (broken,) = violations(asked, plan.allocations)
    assert str(broken) == "request r1: has 4 units reserved, and its service level takes 6"
    with pytest.raises(InvalidPlanError, match="service level"):
        plan_made_elsewhere(asked, Policy.STOCHASTIC, plan.allocations)
    missing = [item for item in plan.allocations if item.request != "r1"]
    assert "has 0 units" in str(next(violations(asked, missing)))


def test_a_plan_made_again_keeps_what_levels_it_can() -> None:
    problem = with_least(paper_problem(160, requests=20), [6] * 20)
    plan = solve(problem)
    path = plan.allocations[0].path
    again = replan(problem, plan, [(path[0], path[1])])
    assert again.lacking_units == 0
    source = problem.requests[0].source
    around = [(f.a, f.b) for f in problem.fibers if source in {f.a, f.b}]
    apart = replan(problem, plan, around)
    alone = [r.id for r in problem.requests if source in {r.source, r.target}]
    assert apart.lacking_units == 6 * len(alone)
    held = {item.request: item.units for item in apart.allocations}
    assert all(held[r.id] == (0 if r.id in alone else 6) for r in problem.requests)
    cost = evaluate(problem, apart.allocations)
    assert apart.expected_cost == cost.total < apart.objective


@pytest.mark.parametrize(
    ("changes", "word"), [({"pools": Pools(3, None)}, "pools"), ({}, "at least -1")]
)
def test_what_a_level_does_not_go_with_is_named(changes: dict, word: str) -> None:
    problem = with_least(paper_problem(requests=3), [2, 0, 0] if changes else [-1, 0, 0])
    with pytest.raises(InvalidProblemError, match=word):
        check_problem(replace(problem, **changes))
