"""Time limits hold: the solver has a process of its own, and a plan comes back whatever happens."""

from __future__ import annotations

import time
from dataclasses import replace
from multiprocessing import Pipe

import pytest
from provisioning_cases import paper_problem
from random_instances import random_instance

from global_manager.provisioning import (
    Formulation,
    Policy,
    Pools,
    SolveProgress,
    Termination,
    Watch,
    evaluate,
    solve,
    verify,
)
from global_manager.provisioning.price_decomposition import first_bound, relax
from global_manager.provisioning.stochastic_plan import nothing_reserved, optimize
from global_manager.provisioning.time_limit import _listen


def test_an_overrun_returns_in_time_with_a_lawful_plan():
    problem = paper_problem(wavelengths=20)

    before_s = time.monotonic()
    plan = solve(problem, gap=0.0, time_limit_s=0.01)
    took_s = time.monotonic() - before_s

    assert plan.termination is Termination.TIME_LIMIT
    assert took_s < 2.0
    verify(problem, plan.allocations)
    assert plan.objective == evaluate(problem, plan.allocations).total
    assert 0 < plan.lower_bound <= plan.objective


def test_enough_time_gives_the_same_plan_as_no_limit_and_tells_progress():
    problem = paper_problem(wavelengths=160, requests=20)
    news = []

    assert solve(problem, time_limit_s=60, progress=news.append) == solve(problem)
    assert news[-1].gap <= 1e-9


def cut_short(problem, policy, *messages):
    """What is answered if time is up after these messages of the solving process."""
    ours, theirs = Pipe(duplex=False)
    for message in messages:
        theirs.send(message)
    best = nothing_reserved(problem, policy, Termination.TIME_LIMIT)
    return _listen(ours, lambda _s: None, 0.0, best, lambda _news: None)


def test_a_plan_cut_short_has_the_best_bound_and_plan_of_which_was_told():
    problem = paper_problem(wavelengths=80, requests=40)
    placed = solve(problem)
    worse = replace(placed, lower_bound=1.0)

    plan = cut_short(
        problem, Policy.STOCHASTIC, SolveProgress("columns", 9e9, placed.lower_bound), worse
    )

    assert plan.termination is Termination.TIME_LIMIT
    assert plan.allocations == placed.allocations
    assert plan.lower_bound == placed.lower_bound
    assert plan.gap == placed.gap


def test_what_other_policies_tell_of_subproblems_is_no_bound():
    problem = paper_problem(wavelengths=80, requests=40)

    plan = cut_short(problem, Policy.EXPECTED_VALUE, SolveProgress("columns", 9e9, 5e5))

    assert plan.lower_bound == 0


@pytest.mark.parametrize("pools", [None, Pools(20, 40)])
def test_a_bound_without_any_program_is_below_that_of_the_relaxation(pools):
    problem = replace(paper_problem(wavelengths=20, requests=60), pools=pools)

    assert 0 < first_bound(problem) <= relax(problem).lower_bound * (1 + 1e-9)


def test_the_first_plan_is_placed_before_the_selection_is_searched():
    problem = paper_problem(wavelengths=20)
    plans, stages = [], []
    watch = Watch(progress=lambda news: stages.append(news.stage), plan=plans.append)

    final = optimize(problem, 0.01, watch)

    assert stages.count("wavelengths") == len(plans) >= 2
    verify(problem, plans[0].allocations)
    assert final.objective <= plans[0].objective
    assert plans[0].gap < 0.05


def test_the_extensive_form_tells_of_plans_while_it_is_searched():
    problem = random_instance(7)
    plans = []

    final = optimize(problem, watch=Watch(plan=plans.append), formulation=Formulation.ARCS)

    assert plans[-1] == final
    assert len(plans) >= 2
    for plan in plans:
        verify(problem, plan.allocations)
        assert plan.lower_bound <= final.objective <= plan.objective
