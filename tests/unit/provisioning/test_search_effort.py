"""How much is tried: more never makes a plan dearer, and nothing at all still gives a plan."""

from __future__ import annotations

from dataclasses import replace

from provisioning_cases import paper_problem

from global_manager.provisioning.local_search import Effort
from global_manager.provisioning.model import Formulation
from global_manager.provisioning.stochastic_plan import optimize

PROBLEM = paper_problem(wavelengths=4, requests=20)
SPENT = Effort(nodes=20, iterations=0, rounds=0)
USUAL = Effort(nodes=20, passes=2, moves=5, rounds=0)
FURTHER = replace(USUAL, rounds=1)


def test_searching_on_never_makes_a_plan_dearer() -> None:
    spent, usual, further = (
        optimize(PROBLEM, gap=1e-6, effort=effort) for effort in (SPENT, USUAL, FURTHER)
    )

    assert further.objective <= usual.objective <= spent.objective
    assert spent.lower_bound == usual.lower_bound == further.lower_bound > 0
    assert sum(allocation.units for allocation in spent.allocations) > 0


def test_a_plan_near_its_bound_is_not_searched_on() -> None:
    left = optimize(PROBLEM, gap=1e-6, effort=USUAL).gap
    assert left > 0

    near, on = (optimize(PROBLEM, gap=left / 2, effort=effort) for effort in (USUAL, FURTHER))

    assert near == on


def test_annealing_that_is_stuck_is_followed_by_a_search_without_it() -> None:
    problem = paper_problem(wavelengths=8, requests=40)

    annealed, plain = (
        optimize(problem, effort=replace(USUAL, annealings=count), formulation=Formulation.COLUMNS)
        for count in (4, 0)
    )

    assert annealed.objective <= plain.objective
