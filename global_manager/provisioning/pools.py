"""Price decomposition: what satellites and UAVs must cost so that requests may decide alone again.

Where requests share pools, the second stage does not separate.  Give every future w a price mu per
unit of each pool, on top of its cost.  Then a missing unit of r costs

    c_rw(mu) = min(cs_r + mu^S_w (if a satellite can serve r), cu_r + mu^U_w, lost),

requests separate, `recourse[g, k] = sum_w p_w c_gw(mu) (d_gw - k)+` is again convex with whole
breakpoints, and all that column generation needs is there.  For all prices of fibers and pools >= 0

    LB(pi, mu) = sum_g n_g min_k (cbar_g k + Q_g(k)) - sum_e W_e pi_e
                 - sum_w p_w (S mu^S_w + U mu^U_w)

is a bound on every plan; the last sum is called the rent.  The master that updates the prices is
the linear program over all columns so far with one row for each future and pool, so its duals are
the recourse's own, at a best mix of plans.  They are damped (Wentges, 1997): pricing happens between
the master's prices and those of the best bound so far, and at the master's only if that finds
nothing.  It stops by relative gap or rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from global_manager.provisioning.columns import (
    Column,
    ColumnPool,
    Priced,
    best_columns,
    generate_columns,
    make_column,
    price,
)
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Problem
from global_manager.provisioning.pool_master import Master
from global_manager.provisioning.pool_prices import Prices, SharedRecourse
from global_manager.provisioning.pool_recourse import futures_of, has_pools
from global_manager.routing import Path

_CONVERGED = 1e-6
_MOST_ROUNDS = 200
_DAMPING = 0.5

Report = Callable[[float, float], None]


@dataclass(frozen=True)
class Relaxation:
    """The linear relaxation, solved: an instance at the best prices found, and its columns.

    Costs and bounds of `instance` and `pool` include the `rent` of the pools at these prices (0
    without pools); the true cost of a plan is at least its cost there less the rent.
    """

    instance: Instance
    pool: ColumnPool
    rent: float = 0.0

    @property
    def lower_bound(self) -> float:
        """A proven bound on the true cost of every plan."""
        return self.pool.lower_bound - self.rent


def relax(problem: Problem, report: Report = lambda _cost, _bound: None) -> Relaxation:
    """Solve the linear relaxation over all simple paths, pools included if there are any."""
    instance = Instance(problem)
    if has_pools(problem) and futures_of(problem):
        return _Decomposition(instance).solve(report)
    if has_pools(problem):
        instance = instance.priced(np.zeros_like(instance.recourse))  # nothing is ever needed
    return Relaxation(instance, generate_columns(instance, report))


class _Decomposition:
    """Column generation in which the master prices fibers and pools."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._recourse = SharedRecourse(instance)
        self._master = Master(instance, self._recourse)
        futures = self._recourse.futures
        self._best_prices = Prices(
            np.zeros(len(instance.capacity)), np.zeros(futures), np.zeros(futures)
        )
        self._best = self._price(self._best_prices)
        self._known: dict[tuple[int, Path, int], None] = {}
        self._extend(self._best[0], self._best[1])

    def solve(self, report: Report) -> Relaxation:
        rounds = 0
        while True:
            rounds += 1
            cost, weights, prices = self._master.solve()
            grown = self._bound_and_grow(self._best_prices.towards(prices, 1 - _DAMPING))
            if not grown:
                grown = self._bound_and_grow(prices)
            report(cost, self._bound)
            converged = cost - self._bound <= _CONVERGED * abs(cost)
            if converged or not grown or rounds >= _MOST_ROUNDS:
                return self._relaxation(cost, weights, rounds)

    @property
    def _bound(self) -> float:
        return self._best[1].lower_bound - self._recourse.rent(self._best_prices)

    def _price(self, prices: Prices) -> tuple[Instance, Priced]:
        instance = self._instance.priced(self._recourse.table(prices))
        return instance, price(instance, prices.fibers)

    def _bound_and_grow(self, prices: Prices) -> bool:
        """Price at these prices; keep a better bound; say whether the master got new columns."""
        instance, priced = self._price(prices)
        if priced.lower_bound - self._recourse.rent(prices) > self._bound:
            self._best, self._best_prices = (instance, priced), prices
        return self._extend(instance, priced)

    def _extend(self, instance: Instance, priced: Priced) -> bool:
        new = [c for c in best_columns(instance, priced) if _key(c) not in self._known]
        self._known.update(dict.fromkeys(map(_key, new)))
        self._master.add(new)
        return bool(new)

    def _relaxation(self, cost: float, weights: tuple[float, ...], rounds: int) -> Relaxation:
        """State everything at the best prices; columns that came too late have no weight."""
        instance, priced = self._best
        rent = self._recourse.rent(self._best_prices)
        columns = tuple(make_column(instance, *key) for key in self._known)
        pool = ColumnPool(
            columns,
            weights + (0.0,) * (len(columns) - len(weights)),
            self._best_prices.fibers,
            priced.group_costs,
            cost + rent,
            priced.lower_bound,
            rounds,
            separable=False,
        )
        return Relaxation(instance, pool, rent)


def _key(column: Column) -> tuple[int, Path, int]:
    """Return what tells a column from others, whatever it saves at the prices of the day."""
    return column.group, column.path, column.units
