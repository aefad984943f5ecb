"""The extensive form: the paper's constraints by name, its optimum, and where PuLP solves."""

from __future__ import annotations

from collections import Counter

import pulp
import pytest
from provisioning_cases import paper_problem, poisson_scenarios, problem_on, random_pairs
from provisioning_oracles import arc_flow, highs
from random_instances import random_instance

from emulator.build import loading
from emulator.build.problem import problem_of
from global_manager.provisioning import (
    Formulation,
    InvalidProblemError,
    Termination,
    evaluate,
    solve,
    verify,
)
from global_manager.provisioning.formulation import (
    ARCS_AT_MOST,
    ARCS_UP_TO,
    ExtensiveForm,
    is_small,
    size_of,
)
from global_manager.provisioning.second_stage import joint_futures, outcomes
from global_manager.provisioning.solver import SearchLimits, search

KITE = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("a", "c")]
FAST, ALL = range(24), range(24, 390)


def kite(seed=0, wavelengths=2, **changes):
    return problem_on(
        KITE,
        random_pairs(["a", "b", "c", "d"], 4, seed),
        wavelengths=wavelengths,
        scenarios=poisson_scenarios(1.5, 4),
        **changes,
    )


def kinds_of_rows(form: ExtensiveForm) -> Counter[str]:
    names = (row.name for row in form.model.constraints())
    return Counter(name.rstrip("0123456789").split("_r")[0].split("_e")[0] for name in names)


def test_every_constraint_of_the_paper_has_its_rows():
    # four requests, four nodes, ten arcs, two wavelengths, three demands above nothing
    rows = kinds_of_rows(ExtensiveForm(kite()))

    assert rows["flow_conservation"] == 4 * 4
    assert rows["path_uniqueness"] == 4 * 4 + 4 * 10 * 2
    assert rows["wavelength_continuity"] == 4 * 4 * 2
    assert rows["wavelength_capacity"] == 5
    assert rows["wavelength_uniqueness"] == 5 * 2
    assert rows["required_wavelengths"] == 4 * 3
    assert rows.total() == sum(n for kind, n in rows.items() if kind in PAPER)


PAPER = {
    "flow_conservation",
    "path_uniqueness",
    "wavelength_continuity",
    "wavelength_capacity",
    "wavelength_uniqueness",
    "required_wavelengths",
}


def test_directions_of_a_fiber_have_rows_apart_only_if_the_problem_says_so():
    rows = kinds_of_rows(ExtensiveForm(kite(directed=True)))

    assert rows["wavelength_capacity"] == 10
    assert rows["wavelength_uniqueness"] == 10 * 2


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_is_that_of_a_program_written_apart_from_it(seed, directed):
    problem = kite(seed, directed=directed)

    plan = solve(problem, formulation=Formulation.ARCS)

    assert plan.formulation is Formulation.ARCS
    assert plan.termination is Termination.OPTIMAL
    assert plan.objective == pytest.approx(arc_flow(problem, highs()), rel=1e-7)


def agree(seed: int) -> None:
    """The optimum is that of a program written apart, and both forms of ours agree with it."""
    problem = random_instance(seed)
    best = arc_flow(problem, highs())

    arcs = solve(problem, formulation=Formulation.ARCS)
    columns = solve(problem, formulation=Formulation.COLUMNS)

    verify(problem, arcs.allocations)
    assert arcs.objective == evaluate(problem, arcs.allocations).total
    assert arcs.termination is Termination.OPTIMAL
    assert arcs.objective == pytest.approx(best, rel=1e-7)
    assert columns.lower_bound <= best * (1 + 1e-7) + 1e-7
    assert best <= columns.objective * (1 + 1e-7) + 1e-7
    assert is_small(problem)
    assert solve(problem).objective == arcs.objective


@pytest.mark.parametrize("seed", FAST)
def test_random_problems_have_one_optimum_in_both_forms(seed):
    agree(seed)


@pytest.mark.system
@pytest.mark.parametrize("seed", ALL)
def test_all_random_problems_have_one_optimum_in_both_forms(seed):
    agree(seed)


@pytest.mark.parametrize("seed", range(12))
def test_the_size_is_known_without_building_anything(seed):
    problem = random_instance(seed)

    assert size_of(problem) == len(ExtensiveForm(problem).model.variables())


def test_what_is_too_large_to_be_written_out_is_refused_with_its_size():
    problem = paper_problem(wavelengths=80)

    assert size_of(problem) > ARCS_AT_MOST > ARCS_UP_TO
    with pytest.raises(InvalidProblemError, match=r"has 1,4.* variables, of at most 100,000"):
        solve(problem, formulation=Formulation.ARCS)


@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_the_two_readings_of_the_second_stage_have_the_same_marginals(seed):
    problem = random_instance(seed)
    futures = joint_futures(problem)

    assert sum(f.probability for f in futures) == pytest.approx(1)
    for r, own in enumerate(outcomes(problem)):
        for outcome in own:
            same = [
                f for f in futures if (f.units[r], f.usable[r]) == (outcome.units, outcome.usable)
            ]
            alike = [o for o in own if (o.units, o.usable) == (outcome.units, outcome.usable)]
            assert sum(f.probability for f in same) == pytest.approx(
                sum(o.probability for o in alike)
            )


def test_a_solution_without_end_has_a_bound_and_a_plan_all_the_same():
    problem = kite(3, wavelengths=3)
    form = ExtensiveForm(problem)

    answer = search(form.model, SearchLimits(nodes=0))

    allocations = form.allocations(answer.values or {})
    verify(problem, allocations)
    assert answer.lower_bound <= evaluate(problem, allocations).total * (1 + 1e-6)


@pytest.mark.parametrize(
    ("name", "formulation", "least"),
    [
        ("tiny", Formulation.ARCS, 1),
        ("paper", Formulation.COLUMNS, 1),
        ("paper-drift", Formulation.COLUMNS, 3),
        ("paper-w80", Formulation.COLUMNS, 3),
        ("sagin-metro", Formulation.COLUMNS, 3),
        ("sagin-day", Formulation.COLUMNS, 3),
    ],
)
def test_built_in_experiments_are_planned_through_pulp(name, formulation, least, monkeypatch):
    solved = []
    solve_of_pulp = pulp.LpProblem.solve

    def counted(model, *arguments, **named):
        solved.append(model.name)
        return solve_of_pulp(model, *arguments, **named)

    monkeypatch.setattr(pulp.LpProblem, "solve", counted)
    setup = loading.read(name)

    plan = solve(problem_of(setup), gap=setup.experiment.plan.gap)

    assert plan.formulation is formulation
    assert len(solved) >= least
