"""Wavelengths that bring several units: what is planned on them, against oracles and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from provisioning_oracles import brought, highs, path_wavelength, simple_paths
from random_instances import random_instance

from global_manager.provisioning import (
    Allocation,
    Fiber,
    Formulation,
    InvalidPlanError,
    InvalidProblemError,
    OnDemand,
    Problem,
    Request,
    Scenario,
    check_problem,
    replan,
    solve,
    verify,
)
from global_manager.provisioning.formulation import ExtensiveForm
from global_manager.provisioning.price_decomposition import first_bound
from global_manager.provisioning.shared_recourse import has_pools

STEADY = (Scenario(6, 1.0),)


def with_yields(problem: Problem, seed: int) -> Problem:
    """The same problem where fibers bring 1 to 4 units a wavelength, and demand is three times as much."""
    rng = np.random.default_rng([23, seed])
    brings = rng.integers(1, 5, len(problem.fibers))

    def more(law):
        return tuple(Scenario(3 * s.units, s.probability) for s in law)

    return replace(
        problem,
        fibers=tuple(
            replace(fiber, units_per_wavelength=int(n))
            for fiber, n in zip(problem.fibers, brings, strict=True)
        ),
        scenarios=more(problem.scenarios),
        requests=tuple(
            r if r.scenarios is None else replace(r, scenarios=more(r.scenarios))
            for r in problem.requests
        ),
        futures=tuple(replace(f, units=tuple(3 * n for n in f.units)) for f in problem.futures),
    )


def triangle(*, direct: int = 1, around: int = 3, cost: int = 10) -> Problem:
    """One request from a to c over a weak fiber, or over two good ones by way of b."""
    return Problem(
        nodes=("a", "b", "c"),
        fibers=(
            Fiber("a", "c", cost, 8, direct),
            Fiber("a", "b", cost, 8, around),
            Fiber("b", "c", cost, 8, around),
        ),
        requests=(Request("r", "any", "a", "c", OnDemand(1_000, 1_000, 0.0, 2_000)),),
        scenarios=STEADY,
    )


@pytest.mark.parametrize("seed", [seed for seed in range(24) if seed % 6 < 4])
def test_plans_lie_between_the_bound_and_what_indexed_wavelengths_prove_optimal(seed):
    problem = with_yields(random_instance(seed), seed)
    assert not has_pools(problem)  # of which the oracle knows nothing

    exact = solve(problem, gap=0.0, formulation=Formulation.ARCS)
    large = solve(problem, gap=0.0, formulation=Formulation.COLUMNS)

    best = path_wavelength(problem, highs())
    assert exact.objective == pytest.approx(best, rel=1e-6)
    assert exact.lower_bound <= best * (1 + 1e-6)
    assert large.lower_bound <= best * (1 + 1e-6)
    assert large.objective >= best * (1 - 1e-6)
    assert large.objective <= best * 1.05
    assert first_bound(problem) <= best * (1 + 1e-6)


@pytest.mark.parametrize("seed", [seed for seed in range(24) if seed % 6 >= 4])
def test_both_forms_agree_where_requests_share_pools(seed):
    problem = with_yields(random_instance(seed), seed)
    assert has_pools(problem)

    exact = solve(problem, gap=0.0, formulation=Formulation.ARCS)
    large = solve(problem, gap=0.0, formulation=Formulation.COLUMNS)

    assert large.lower_bound <= exact.objective * (1 + 1e-6)
    assert exact.objective * (1 - 1e-6) <= large.objective <= exact.objective * 1.05


@pytest.mark.parametrize("formulation", Formulation)
def test_a_longer_path_of_better_hops_wins_where_it_needs_fewer_wavelengths(formulation):
    better, alike = triangle(), triangle(around=1)

    plan, short = (solve(p, gap=0.0, formulation=formulation) for p in (better, alike))

    (item,), (direct,) = plan.allocations, short.allocations
    assert (item.path, len(item.wavelengths), item.units) == (("a", "b", "c"), 2, 6)
    assert plan.objective == 2 * 2 * 10
    assert (direct.path, direct.units, short.objective) == (("a", "c"), 6, 6 * 10)


@pytest.mark.parametrize("seed", range(6))
def test_every_reservation_brings_what_its_weakest_fiber_does(seed):
    problem = with_yields(random_instance(6 * seed), seed)

    plan = solve(problem, gap=0.0, formulation=Formulation.COLUMNS)

    reserved = [item for item in plan.allocations if item.path]
    assert reserved
    for item in reserved:
        assert item.units == len(item.wavelengths) * brought(item.path, problem)
        assert item.path in simple_paths(problem, item)


def test_better_fibers_never_cost_more():
    costs = [
        solve(
            replace(
                problem,
                fibers=tuple(replace(f, units_per_wavelength=n) for f in problem.fibers),
            ),
            gap=0.0,
            formulation=Formulation.ARCS,
        ).objective
        for problem in [with_yields(random_instance(0), 0)]
        for n in (1, 2, 3, 5, 9, 100)
    ]

    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]


def test_where_all_fibers_are_alike_the_program_has_no_more_variables():
    alike = replace(
        random_instance(0),
        fibers=tuple(replace(f, units_per_wavelength=3) for f in random_instance(0).fibers),
    )
    names = {v.name for v in ExtensiveForm(random_instance(0)).model.variables()}

    assert {v.name for v in ExtensiveForm(alike).model.variables()} <= names


def test_a_request_that_loses_its_good_fibers_needs_more_wavelengths_of_the_weak_one():
    problem = triangle()
    before = solve(problem, gap=0.0)

    after = replan(problem, before, [("b", "c")], gap=0.0)

    (item,) = after.allocations
    assert (item.path, len(item.wavelengths), item.units) == (("a", "c"), 6, 6)


def test_wavelengths_counted_for_more_than_they_bring_are_refused():
    counted = Allocation("r", "a", "c", ("a", "b", "c"), (0, 1), units_per_wavelength=4)

    with pytest.raises(InvalidPlanError, match="counted for 4 units, but brings 3"):
        verify(triangle(), [counted])
    with pytest.raises(InvalidProblemError, match="a wavelength of 0 units"):
        check_problem(triangle(direct=0))
