"""Shares add up, whoever is symmetric pays the same, and who is in nobody's way pays its own cost."""

from __future__ import annotations

from itertools import permutations
from math import factorial, fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.loading import read
from emulator.build.problem import problem_of
from global_manager.provisioning.cost_sharing import (
    MOST_EXACT,
    Coalition,
    CostGame,
    apportioned,
    planning_game,
    shapley,
)

WEIGHTS = st.lists(st.floats(0, 1e15), min_size=1, max_size=12)


@given(st.integers(0, 2**62), WEIGHTS)
def test_whole_shares_add_up_and_are_within_one_of_their_quota(
    total: int, weights: list[float]
) -> None:
    shares = apportioned(total, weights)

    assert sum(shares) == total
    assert min(shares) >= 0
    whole = sum(weights)
    if whole and len(set(weights)) == 1:
        assert max(shares) - min(shares) <= 1
    assert all(share == 0 for share, w in zip(shares, weights, strict=True) if whole and w == 0)


def test_the_largest_remainder_gets_what_rounding_leaves() -> None:
    assert apportioned(10, [1, 1, 1]) == (4, 3, 3)
    assert apportioned(10, [0.6, 0.4, 2.0]) == (2, 1, 7)
    assert apportioned(7, [0, 0]) == (4, 3)


def _crowded(weights: list[int], road: int) -> CostGame:
    """Each pays its weight, and all that exceeds what a road carries costs its square."""

    def cost(coalition: Coalition) -> float:
        load = sum(weights[player] for player in coalition)
        return float(load + max(0, load - road) ** 2)

    return cost


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(0, 30))
def test_exact_shares_are_the_mean_over_all_orders(weights: list[int], road: int) -> None:
    game, players = _crowded(weights, road), len(weights)
    means = [0.0] * players
    for order in permutations(range(players)):
        before: Coalition = frozenset()
        for player in order:
            means[player] += (game(before | {player}) - game(before)) / factorial(players)
            before |= {player}

    found = shapley(players, game, 10, seed=1)

    assert found.shares == pytest.approx(means)
    assert fsum(found.shares) == pytest.approx(game(frozenset(range(players))))
    assert set(found.standard_errors) == {0.0}
    assert found.permutations == 0


def test_who_is_in_nobodys_way_pays_what_it_costs_alone_and_few_coalitions_are_priced() -> None:
    weights = list(range(1, 12))
    found = shapley(len(weights), _crowded(weights, road=66), 10, seed=1)

    assert found.shares == found.alone == tuple(map(float, weights))
    assert found.coalitions == len(weights) + 1


def test_sampled_shares_are_near_the_exact_ones_by_their_standard_errors() -> None:
    weights = [3, 1, 4, 1, 5, 9, 2]
    assert len(weights) > MOST_EXACT
    game = _crowded(weights, road=0)  # then the value is weight * (1 + total weight)
    exact = [w * (1 + sum(weights)) for w in weights]

    few, many = (shapley(len(weights), game, count, seed=3) for count in (50, 5_000))

    assert shapley(len(weights), game, 50, seed=3) == few
    assert fsum(few.shares) == pytest.approx(game(frozenset(range(len(weights)))))
    assert max(many.standard_errors) < max(few.standard_errors) / 5
    for share, error, right in zip(many.shares, many.standard_errors, exact, strict=True):
        assert error > 0
        assert abs(share - right) < 4 * error


def test_crowded_fibers_cost_tenants_more_together_than_apart() -> None:
    problem = problem_of(read("paper-w20"))
    owners = [index % 3 for index in range(len(problem.requests))]
    game = planning_game(problem, owners)

    found = shapley(3, game, 10, seed=1)

    together = game(frozenset({0, 1, 2}))
    assert found.coalitions == 7
    assert fsum(found.shares) == pytest.approx(together)
    assert fsum(found.alone) < 0.9 * together
    for share, alone in zip(found.shares, found.alone, strict=True):
        assert share > alone


def test_an_empty_network_is_free_of_contention() -> None:
    problem = problem_of(read("paper"))
    owners = [index % 8 for index in range(len(problem.requests))]

    found = shapley(8, planning_game(problem, owners), 10, seed=1)

    assert found.shares == found.alone
    assert fsum(found.shares) == pytest.approx(planning_game(problem, owners)(frozenset(range(8))))
