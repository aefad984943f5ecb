"""Colours for whole selections: what no assignment can do, and coloring greedily what one can."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provisioning_cases import paper_problem, poisson_scenarios, problem_on, random_pairs
from provisioning_oracles import highs, path_wavelength

from global_manager.provisioning import Scenario, Termination, cuts, solve
from global_manager.provisioning.assignment import bits, lowest_bits, mask_of
from global_manager.provisioning.columns import generate_columns
from global_manager.provisioning.cuts import choose_with_cuts, violated_triples
from global_manager.provisioning.greedy_coloring import color_paths
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.selection import (
    Rounding,
    choose,
    is_feasible,
    neighbouring_columns,
    saving,
)
from global_manager.provisioning.solver import SearchLimits

ONE = (Scenario(1, 1.0),)
ARMS = [("hub", "a"), ("hub", "b"), ("hub", "c")]
AROUND = [("a", "b"), ("b", "c"), ("a", "c")]


def bound(problem, *, odd_nodes: bool) -> float:
    return generate_columns(Instance(problem, odd_nodes=odd_nodes)).lower_bound


def test_a_node_with_three_fibers_passes_one_lightpath_a_colour_and_the_bound_knows_it():
    star = problem_on(ARMS, AROUND, wavelengths=2, scenarios=ONE)

    plan = solve(star)

    assert bound(star, odd_nodes=False) == pytest.approx(3 * 2 * 5480)
    assert bound(star, odd_nodes=True) == pytest.approx(2 * 2 * 5480 + 2 * 18_520)
    assert plan.termination is Termination.OPTIMAL


def test_three_of_four_fibers_at_a_node_still_pass_one_lightpath_a_colour():
    cross = problem_on([*ARMS, ("hub", "d")], AROUND, wavelengths=2, scenarios=ONE)
    instance = Instance(cross)
    pool = generate_columns(instance)

    promised = choose(instance, pool, 0.0, nodes=100)
    kept = choose_with_cuts(instance, pool, 0.0, nodes=100)

    assert sum(promised.values()) == 3
    assert violated_triples(instance, list(promised), list(promised.values())) == [(0, 1, 2)]
    assert sum(kept.values()) == 2


def test_three_fibers_that_are_half_full_at_most_are_never_crowded():
    ample, narrow = (problem_on(ARMS, AROUND, wavelengths=w, scenarios=ONE) for w in (4, 2))

    found = []
    for problem in (ample, narrow):
        instance = Instance(problem, odd_nodes=False)
        promised = choose(instance, generate_columns(instance), 0.0, nodes=100)
        found.append(violated_triples(instance, list(promised), list(promised.values())))

    assert found == [[], [(0, 1, 2)]]


def test_in_large_networks_crowded_sets_are_found_among_the_fibers_that_share_most(monkeypatch):
    problem = paper_problem(wavelengths=20, requests=60)
    instance = Instance(problem, odd_nodes=False)
    pool = generate_columns(instance)
    promised = choose(instance, pool, 0.0, nodes=0)
    every = violated_triples(instance, list(promised), list(promised.values()), 0.8)

    monkeypatch.setattr(cuts, "_ALL_UP_TO", 0)
    likely = violated_triples(instance, list(promised), list(promised.values()), 0.8)

    assert likely
    assert set(likely) <= set(every)
    assert likely[0] == every[0]


def test_each_direction_pairs_every_way_in_with_a_way_out():
    star = problem_on(ARMS, AROUND, wavelengths=1, scenarios=ONE, directed=True)

    assert bound(star, odd_nodes=True) == bound(star, odd_nodes=False)


@pytest.mark.parametrize("seed", range(6))
def test_counting_what_nodes_can_pass_tightens_the_bound_and_never_passes_the_optimum(seed):
    links = [(a, b) for i, a in enumerate("abcd") for b in "abcd"[i + 1 :]][:5]
    problem = problem_on(
        links, random_pairs(list("abcd"), 5, seed), wavelengths=1, scenarios=poisson_scenarios(2, 4)
    )

    assert bound(problem, odd_nodes=False) <= bound(problem, odd_nodes=True) * (1 + 1e-9)
    assert bound(problem, odd_nodes=True) <= path_wavelength(problem, highs()) * (1 + 1e-9)


def test_diving_and_searching_around_it_settle_the_paper_instance_without_the_whole_model():
    instance = Instance(paper_problem(wavelengths=20))
    pool = generate_columns(instance)
    rounding = Rounding(instance, neighbouring_columns(instance, pool))

    dived = rounding.dive()
    limits = SearchLimits(gap=5e-4 * pool.lower_bound, nodes=100)
    searched = rounding.search(dived, range(len(instance.groups)), limits)

    assert is_feasible(instance, dived)
    assert is_feasible(instance, searched)
    assert pool.lower_bound <= instance.unreserved_cost - saving(searched)
    assert instance.unreserved_cost - saving(searched) <= pool.lower_bound * (1 + 1e-3)
    assert rounding.search(dived, [], limits) == dived


@st.composite
def selections(draw):
    """A network whose fibers differ, and units on some of its paths, within every capacity."""
    links = [(f"n{i}", f"n{(i + 1) % 6}") for i in range(6)] + [("n0", "n3"), ("n1", "n4")]
    problem = problem_on(links, [("n0", "n1")], wavelengths=1, scenarios=ONE)
    instance = Instance(problem)
    instance.wavelengths = tuple(draw(st.lists(st.integers(0, 9), min_size=8, max_size=8)))
    walks = [
        ("n0", "n1"),
        ("n0", "n3", "n4"),
        ("n2", "n1", "n4"),
        ("n5", "n0", "n1", "n2"),
        ("n3", "n2"),
    ]
    free, units = list(instance.wavelengths), {}
    for walk in walks:
        over = instance.resources(walk)
        units[over] = draw(st.integers(0, min(free[e] for e in over)))
        for e in over:
            free[e] -= units[over]
    return instance, units


@settings(max_examples=40, deadline=None)
@given(selections())
def test_greedy_coloring_lights_no_colour_twice_or_where_there_is_none_and_accounts_for_every_unit(
    case,
):
    instance, units = case

    coloring = color_paths(instance, units)

    lit = Counter()
    for over, runs in coloring.runs.items():
        own = [colour for begin, end in runs for colour in range(begin, end)]
        assert len(own) == len(set(own)) <= units[over]
        lit.update((e, colour) for e in over for colour in own)
    assert set(lit.values()) <= {1}
    assert all(colour < instance.wavelengths[e] for e, colour in lit)
    given_ = sum(end - begin for runs in coloring.runs.values() for begin, end in runs)
    assert given_ + coloring.left_over == sum(units.values())


def test_critical_fibers_come_first_so_a_full_chain_is_colored_without_rest():
    chain = [("a", "b"), ("b", "c"), ("c", "d")]
    instance = Instance(problem_on(chain, [("a", "b")], wavelengths=1_000, scenarios=ONE))

    coloring = color_paths(instance, {(0, 1): 400, (2,): 700, (1, 2): 300, (0,): 600, (1,): 300})

    assert coloring.left_over == 0
    assert coloring.configurations <= 5


def test_where_fibers_are_full_all_that_the_program_reserves_finds_a_colour():
    plan = solve(paper_problem(wavelengths=80), gap=1e-3)

    assert plan.displaced_units == 0
    assert plan.gap <= 1e-3


@given(st.sets(st.integers(0, 200)), st.integers(0, 210))
def test_a_mask_is_a_set_of_colours(colours, n):
    assert bits(mask_of(colours)) == sorted(colours)
    assert bits(lowest_bits(mask_of(colours), n)) == sorted(colours)[:n]
