"""Sharing a cost among players: the Shapley value of a cost game, and whole amounts by weight.

The Shapley value charges a player the mean, over all orders in which players may arrive, of what the cost
rises by when it arrives (Shapley, A value for n-person games, 1953).  Shares add up to the cost of all.

The *planning game* of a problem charges a coalition the linear relaxation of the two-stage program for
its own requests, in a network that has no others: reservations, recourse and lost key.  It is a proven
bound on what any plan would cost, depends on no search, and takes a fraction of a second unless there is
a fleet.  Fibers and pools are limited and there from the start, so players can only be in each other's
way: two disjoint coalitions together never cost less than apart (a plan for both has in it a plan for
each).  What a player pays beyond its cost alone is for that.

Nothing here knows what a tenant is, or what happened in a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import comb, fsum, sqrt
from statistics import stdev

import numpy as np

from global_manager.provisioning.model import Problem
from global_manager.provisioning.stochastic_plan import lower_bound

MOST_EXACT = 6
"""Players whose coalitions are all listed."""
_ADDITIVE = 1e-6

Coalition = frozenset[int]
CostGame = Callable[[Coalition], float]


@dataclass(frozen=True)
class ShapleyValue:
    """Shares by player, their standard errors (zero if exact), and how they were found.

    `alone` is what each player costs by itself; `coalitions` is how many were priced; `permutations` how
    many were sampled, none if the value is exact.
    """

    shares: tuple[float, ...]
    standard_errors: tuple[float, ...]
    alone: tuple[float, ...]
    coalitions: int
    permutations: int


def planning_game(problem: Problem, owners: Sequence[int]) -> CostGame:
    """Return the planning game of a problem; `owners` has the player of every request."""

    def cost(coalition: Coalition) -> float:
        own = [index for index, owner in enumerate(owners) if owner in coalition]
        return lower_bound(problem.of_requests(own)) if own else 0.0

    return cost


def shapley(players: int, game: CostGame, permutations: int, seed: int) -> ShapleyValue:
    """Return the Shapley value of a game in which joining never saves.

    If all together cost no more than the sum of each alone, then so does every coalition, and each pays
    its own cost; else up to `MOST_EXACT` players are exact, and of more, `permutations` are sampled.
    """
    priced = _Priced(game)
    alone = tuple(priced(frozenset({player})) for player in range(players))
    together = priced(frozenset(range(players)))
    exact = (0.0,) * players
    if abs(together - fsum(alone)) <= _ADDITIVE * abs(together):
        return ShapleyValue(alone, exact, alone, priced.coalitions, 0)
    if players <= MOST_EXACT:
        shares = tuple(_exact_share(player, players, priced) for player in range(players))
        return ShapleyValue(shares, exact, alone, priced.coalitions, 0)
    shares, errors = _sampled(players, priced, permutations, seed)
    return ShapleyValue(shares, errors, alone, priced.coalitions, permutations)


def apportioned(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Return whole shares of a total >= 0 in proportion to weights, which add up to it exactly.

    What is left after rounding down goes to the largest remainders (Hamilton's method), of equals to the
    first.  Weights below zero count as zero; if all are zero, shares are equal.
    """
    parts = [Fraction(max(0.0, weight)) for weight in weights]
    if not sum(parts):
        parts = [Fraction(1)] * len(parts)
    whole = sum(parts)
    quotas = [total * part / whole for part in parts]
    shares = [int(quota) for quota in quotas]
    order = sorted(range(len(shares)), key=lambda i: shares[i] - quotas[i])
    for index in order[: total - sum(shares)]:
        shares[index] += 1
    return tuple(shares)


class _Priced:
    """A game that asks for every coalition once."""

    def __init__(self, game: CostGame) -> None:
        self._game = game
        self._known: dict[Coalition, float] = {frozenset(): 0.0}

    def __call__(self, coalition: Coalition) -> float:
        if coalition not in self._known:
            self._known[coalition] = self._game(coalition)
        return self._known[coalition]

    @property
    def coalitions(self) -> int:
        """How many were priced, the empty one not counted."""
        return len(self._known) - 1


def _exact_share(player: int, players: int, game: CostGame) -> float:
    others = [other for other in range(players) if other != player]
    return fsum(
        (game(frozenset({player, *before})) - game(frozenset(before)))
        / (players * comb(players - 1, size))
        for size in range(players)
        for before in combinations(others, size)
    )


def _sampled(
    players: int, game: CostGame, permutations: int, seed: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return means and standard errors of what players add in random orders."""
    random = np.random.Generator(np.random.PCG64(seed))
    added: list[list[float]] = [[] for _ in range(players)]
    for _ in range(permutations):
        before: Coalition = frozenset()
        for player in map(int, random.permutation(players)):
            after = before | {player}
            added[player].append(game(after) - game(before))
            before = after
    shares = tuple(fsum(costs) / permutations for costs in added)
    return shares, tuple(stdev(costs) / sqrt(permutations) for costs in added)
