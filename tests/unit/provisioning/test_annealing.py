"""Annealing: whatever it moves, the result is an assignment that costs no more and comes again."""

from __future__ import annotations

from dataclasses import replace
from math import fsum

import pytest

from global_manager.provisioning import Fiber, OnDemand, Problem, Request, Scenario
from global_manager.provisioning.annealing import Annealing, can_anneal
from global_manager.provisioning.assignment import WavelengthAssignment
from global_manager.provisioning.check import evaluate, verify
from global_manager.provisioning.columns import generate_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.stochastic_plan import known_routes


def _ring(wavelengths: int = 2) -> Problem:
    """Return a ring of six nodes with a chord, on which ten requests compete."""
    nodes = tuple("abcdef")
    ends = [(a, b) for a, b in zip(nodes, (*nodes[1:], "a"), strict=True)] + [("b", "e")]
    pairs = [(nodes[i % 6], nodes[(i + 2 + i % 3) % 6]) for i in range(10)]
    return Problem(
        nodes=nodes,
        fibers=tuple(Fiber(a, b, 5, wavelengths) for a, b in ends),
        requests=tuple(
            Request(f"r{i}", "any", a, b, OnDemand(60 + i, 90 + i, 0.5, 900))
            for i, (a, b) in enumerate(pairs)
        ),
        scenarios=(Scenario(1, 0.5), Scenario(3, 0.5)),
    )


def _anneal(problem: Problem) -> WavelengthAssignment:
    instance = Instance(problem)
    pool = generate_columns(instance)
    annealing = Annealing(WavelengthAssignment(instance), pool, known_routes(instance, pool), 20.0)
    return annealing.run(400)


@pytest.mark.parametrize("directed", [False, True])
def test_what_is_annealed_is_a_plan_that_costs_what_it_says_and_less_than_none(
    directed: bool,
) -> None:
    problem = replace(_ring(), directed_capacity=directed)

    found = _anneal(problem)

    verify(problem, found.allocations())
    assert evaluate(problem, found.allocations()).total == pytest.approx(found.cost)
    nothing = WavelengthAssignment(found.instance)
    assert found.cost < 0.8 * nothing.cost
    assert fsum(found.cost_of(r) for r in range(10)) == pytest.approx(found.cost)


def test_annealing_comes_to_the_same_plan_again() -> None:
    assert _anneal(_ring()).allocations() == _anneal(_ring()).allocations()


def test_networks_of_a_million_wavelengths_are_not_annealed() -> None:
    for wavelengths, expected in ((2, True), (1_000_000, False)):
        instance = Instance(_ring(wavelengths))
        routes = known_routes(instance, generate_columns(instance))
        assert can_anneal(instance, routes) is expected
