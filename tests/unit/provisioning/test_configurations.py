"""The bound over wavelength configurations: valid, tighter where colours bind, honest when stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from provisioning_cases import paper_problem, poisson_scenarios, problem_on, random_pairs
from provisioning_oracles import highs, path_wavelength

from global_manager.provisioning import Scenario
from global_manager.provisioning.choice import choose
from global_manager.provisioning.columns import generate_columns
from global_manager.provisioning.configurations import (
    Claim,
    bound_with_colours,
    carry,
    unplaceable_units,
)
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.odd_sets import choose_colourable

RING = [(f"n{i}", f"n{(i + 1) % 5}") for i in range(5)]
TWO_HOPS = [(f"n{i}", f"n{(i + 2) % 5}") for i in range(5)]
AROUND_THE_RING = [Claim(i, (i, (i + 1) % 5), 1, 1.0) for i in range(5)]
KITE = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("a", "c")]


def test_on_an_odd_ring_the_bound_over_configurations_is_the_optimum_and_capacity_alone_is_not():
    problem = problem_on(RING, TWO_HOPS, wavelengths=2, scenarios=(Scenario(1, 1.0),))
    instance = Instance(problem)

    optimum = path_wavelength(problem, highs())
    assert generate_columns(instance).lower_bound == pytest.approx(5 * 2 * 5480)
    assert bound_with_colours(instance) == pytest.approx(optimum)
    assert optimum == pytest.approx(4 * 2 * 5480 + 2 * 18_520)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("directed", [False, True])
def test_the_bound_lies_between_that_of_capacity_and_the_optimum_also_where_fibers_differ(
    seed, directed
):
    alike = problem_on(
        KITE,
        random_pairs(list("abcd"), 6, seed),
        wavelengths=2,
        scenarios=poisson_scenarios(1.5, 4),
        directed=directed,
    )
    fibers = (replace(f, wavelengths=1 + (i + seed) % 3) for i, f in enumerate(alike.fibers))
    problem = replace(alike, fibers=tuple(fibers))
    instance = Instance(problem)

    bound = bound_with_colours(instance)

    assert bound >= generate_columns(instance).lower_bound * (1 - 1e-6)
    assert bound <= path_wavelength(problem, highs()) * (1 + 1e-9)


def test_stopped_at_any_round_the_bound_holds():
    best = carry(AROUND_THE_RING, [9] * 5, [2] * 5)

    assert best.value == pytest.approx(4)
    assert best.bound == pytest.approx(4)
    for rounds in range(1, 6):
        early = carry(AROUND_THE_RING, [9] * 5, [2] * 5, rounds)
        assert early.value <= best.value + 1e-6
        assert early.bound >= best.bound - 1e-6


def test_a_network_with_too_many_paths_to_list_gets_no_such_bound():
    assert bound_with_colours(Instance(paper_problem(wavelengths=20))) is None


def test_of_units_that_capacity_alone_promised_some_are_proven_to_have_no_colour():
    cross = [("hub", arm) for arm in "abcd"]
    around = [("a", "b"), ("b", "c"), ("a", "c")]
    problem = problem_on(cross, around, wavelengths=4, scenarios=(Scenario(2, 1.0),))
    instance = Instance(problem)
    pool = generate_columns(instance)

    promised = choose(instance, pool, 0.0, nodes=100)
    kept = choose_colourable(instance, pool, 0.0, nodes=100)

    assert sum(column.units * n for column, n in promised.items()) == 6
    assert unplaceable_units(instance, promised) == 2
    assert unplaceable_units(instance, kept) == 0
