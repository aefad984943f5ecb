"""The optimizer against other formulations and other solvers of the same problem."""

from __future__ import annotations

from collections import Counter

import pytest
from provisioning_cases import poisson_scenarios, problem_on, random_pairs
from provisioning_oracles import arc_flow, bundled_cbc, extensive_form, highs, path_wavelength

from global_manager.provisioning import (
    Allocation,
    Fiber,
    Formulation,
    InvalidPlanError,
    OnDemand,
    Problem,
    Request,
    Scenario,
    solve,
    verify,
)
from global_manager.provisioning.columns import generate_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.multiple_choice import make_column
from global_manager.provisioning.selection import is_feasible

KITE = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("a", "c")]
NODES = ["a", "b", "c", "d"]


def kite(seed: int, wavelengths: int, *, directed: bool = False) -> Problem:
    return problem_on(
        KITE,
        random_pairs(NODES, 4, seed),
        wavelengths=wavelengths,
        scenarios=poisson_scenarios(1.5, 4),
        directed=directed,
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("formulation", Formulation)
def test_plans_lie_between_the_bound_and_what_indexed_colours_prove_optimal(
    seed, directed, formulation
):
    problem = kite(seed, wavelengths=2, directed=directed)

    plan = solve(problem, gap=0.0, formulation=formulation)

    best = path_wavelength(problem, highs())
    assert plan.lower_bound <= best * (1 + 1e-9)
    assert plan.objective == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_arc_flows_and_paths_agree_on_the_optimum(seed):
    problem = kite(seed, wavelengths=2)

    assert arc_flow(problem, highs()) == pytest.approx(path_wavelength(problem, highs()), rel=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_the_collapsed_model_equals_the_extensive_form_by_two_solvers(seed):
    problem = kite(seed, wavelengths=3)
    relaxed = extensive_form(problem, highs())

    assert extensive_form(problem, bundled_cbc()) == pytest.approx(relaxed, rel=1e-7)
    bound = generate_columns(Instance(problem, odd_nodes=False)).lower_bound
    assert bound <= relaxed * (1 + 1e-9)
    for formulation in Formulation:
        plan = solve(problem, gap=0.0, formulation=formulation)
        assert plan.objective >= relaxed * (1 - 1e-9)


def test_on_an_odd_ring_only_indexed_colours_see_that_the_fifth_path_has_none():
    ring = [(f"n{i}", f"n{(i + 1) % 5}") for i in range(5)]
    pairs = [(f"n{i}", f"n{(i + 2) % 5}") for i in range(5)]
    problem = problem_on(ring, pairs, wavelengths=2, scenarios=(Scenario(1, 1.0),))

    assert extensive_form(problem, highs()) == pytest.approx(5 * 2 * 5480)
    assert path_wavelength(problem, highs()) == pytest.approx(solve(problem).objective)


def test_an_answer_outside_its_bounds_is_refused_even_if_rows_hold():
    # what the CBC in PuLP's wheel has done: take 2.0 of a variable with upper bound 1
    problem = Problem(
        nodes=("a", "b"),
        fibers=(Fiber("a", "b", 10, 4),),
        requests=(Request("r", "any", "a", "b", OnDemand(30, 30, 1.0, 1000)),),
        scenarios=(Scenario(1, 0.5), Scenario(2, 0.5)),
    )
    instance = Instance(problem)
    column = make_column(instance, 0, ("a", "b"), 1)

    assert is_feasible(instance, Counter({column: 1}))
    assert not is_feasible(instance, Counter({column: 2}))
    assert not is_feasible(instance, Counter({column: -1}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"path": ("a", "d", "b"), "wavelengths": (0,)}, "no fiber"),
        ({"path": ("a", "b", "a", "c"), "wavelengths": (0,)}, "join its ends"),
        ({"path": ("a", "c", "a", "b"), "wavelengths": (0,)}, "twice"),
        ({"path": ("a", "b"), "wavelengths": (2,)}, "not on fiber"),
        ({"path": ("a", "b"), "wavelengths": (1, 1)}, "lit"),
        ({"path": ("a", "b"), "wavelengths": ()}, "without"),
    ],
)
def test_every_broken_constraint_is_refused(change, reason):
    links = [("a", "b"), ("a", "c")]
    problem = problem_on(
        [*links, ("c", "d")], [("a", "b")], wavelengths=2, scenarios=(Scenario(1, 1.0),)
    )

    with pytest.raises(InvalidPlanError, match=reason):
        verify(problem, [Allocation(request="r0", source="a", target="b", **change)])


def test_one_colour_of_a_fiber_serves_one_request_and_one_request_is_served_once():
    twice = [("a", "b"), ("a", "b")]
    problem = problem_on([("a", "b")], twice, wavelengths=2, scenarios=(Scenario(1, 1.0),))
    first = Allocation("r0", "a", "b", ("a", "b"), (0,))

    verify(problem, [first, Allocation("r1", "a", "b", ("a", "b"), (1,))])
    with pytest.raises(InvalidPlanError, match="lit for r0"):
        verify(problem, [first, Allocation("r1", "a", "b", ("a", "b"), (0,))])
    with pytest.raises(InvalidPlanError, match="allocated twice"):
        verify(problem, [first, first])
