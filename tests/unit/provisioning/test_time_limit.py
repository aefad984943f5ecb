"""Time limits hold: the solver has a process of its own, and a plan comes back whatever happens."""

from __future__ import annotations

import time

from provisioning_cases import paper_problem

from global_manager.provisioning import Termination, evaluate, solve, verify


def test_an_overrun_returns_in_time_with_a_lawful_plan():
    problem = paper_problem(wavelengths=20)

    before_s = time.monotonic()
    plan = solve(problem, gap=0.0, time_limit_s=0.01)
    took_s = time.monotonic() - before_s

    assert plan.termination is Termination.TIME_LIMIT
    assert took_s < 2.0
    verify(problem, plan.allocations)
    assert plan.objective == evaluate(problem, plan.allocations).total


def test_enough_time_gives_the_same_plan_as_no_limit_and_tells_progress():
    problem = paper_problem(wavelengths=160, requests=20)
    news = []

    assert solve(problem, time_limit_s=60, progress=news.append) == solve(problem)
    assert news[-1].gap <= 1e-9
