"""Problems at the edge of what can be asked: no demand, no fiber, no request, one node pair."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest
from provisioning_cases import problem_on

from global_manager.provisioning import Problem, Scenario, replan, solve
from global_manager.provisioning.model import Policy, Pools

NO_DEMAND = (Scenario(0, 1.0),)
SQUARE = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]


def cases() -> dict[str, Problem]:
    plain = problem_on(
        SQUARE, [("a", "b"), ("a", "c")], wavelengths=2, scenarios=(Scenario(1, 1.0),)
    )
    return {
        "no demand": replace(plain, scenarios=NO_DEMAND),
        "no demand, shared": replace(plain, scenarios=NO_DEMAND, pools=Pools(1, 1)),
        "no satellite or UAV": replace(plain, pools=Pools(0, 0)),
        "no fiber": replace(plain, fibers=()),
        "no wavelength": replace(
            plain, fibers=tuple(replace(f, wavelengths=0) for f in plain.fibers)
        ),
        "no request": replace(plain, requests=()),
        "one request": replace(plain, requests=plain.requests[:1]),
    }


@pytest.mark.parametrize(("name", "policy"), list(product(cases(), Policy)))
def test_plans_are_made_and_made_again_at_every_edge(name: str, policy: Policy) -> None:
    problem = cases()[name]
    plan = solve(problem, policy)
    everybody = frozenset(request.id for request in problem.requests)
    first = [(fiber.a, fiber.b) for fiber in problem.fibers[:1]]

    for down, movable in product(([], first), (frozenset(), everybody)):
        again = replan(problem, plan, down, movable=movable)

        over = {frozenset(pair) for item in again.allocations for pair in pairwise(item.path)}
        assert not over & {frozenset(pair) for pair in down}
        assert again.objective >= again.lower_bound - 1e-9
