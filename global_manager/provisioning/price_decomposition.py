"""Price decomposition: prices for satellites and UAVs at which requests decide independently again.

Where requests share pools, the second stage does not separate.  Give every future w a price mu per
unit of each pool, on top of its cost.  Then a missing unit of r costs

    c_rw(mu) = min(cs_r + mu^S_w (if a satellite can serve r), cu_r + mu^U_w, cl_r),

requests separate, `recourse[g, k] = sum_w p_w c_gw(mu) (d_gw - k)+` is again convex with whole
breakpoints, and all that column generation needs is there.  For all prices of fibers and pools >= 0

    LB(pi, mu) = sum_g n_g min_ky (cbar_gy k + Q_g(k y)) - sum_e W_e pi_e
                 - sum_w p_w (S mu^S_w + U mu^U_w)

is a bound on every plan; the last sum is called the rent. Where UAVs fly from a fleet, a flight has a
price too, and no linear program finds it (`fleet_prices`). The master that updates the prices is the
relaxation of the program over all columns so far with its second stage (`pooled_choice`). Its duals are
damped (Wentges, 1997): pricing happens between the master's prices and those of the best bound so far,
and at the master's only if that finds nothing. It stops by relative gap or rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import highspy
import numpy as np

from global_manager.provisioning.columns import (
    ColumnPool,
    Priced,
    best_columns,
    generate_columns,
    price,
)
from global_manager.provisioning.fleet_prices import ascend
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Medium, Problem
from global_manager.provisioning.multiple_choice import Column, make_column
from global_manager.provisioning.pooled_choice import PooledChoice
from global_manager.provisioning.priced_recourse import DualPrices, Relaxation, SharedRecourse
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.risk import JointStage
from global_manager.provisioning.risk_decomposition import relax_with_risk
from global_manager.provisioning.routing import Path
from global_manager.provisioning.shared_recourse import futures_of, has_pools, pools_of
from global_manager.provisioning.solver import keep_relaxed

_CONVERGED = 1e-6
_MOST_ROUNDS = 200
_DAMPING = 0.5

Report = Callable[[float, float], None]


def first_bound(problem: Problem) -> float:
    """Return a bound that takes no linear program: requests have all fibers and pools to themselves."""
    instance = Instance(problem)
    if problem.risk is not None:
        stage = JointStage(problem)
        instance = instance.priced(stage.table(stage.probability))
    if has_pools(problem):
        recourse = SharedRecourse(instance)
        instance = instance.priced(recourse.table(recourse.free()))
    return price(instance, np.zeros(len(instance.capacity))).lower_bound


def relax(problem: Problem, report: Report = lambda _cost, _bound: None) -> Relaxation:
    """Solve the linear relaxation over all simple paths, pools included if there are any."""
    instance = Instance(problem)
    if problem.risk is not None:
        return relax_with_risk(instance, problem.risk, report)
    if has_pools(problem) and pools_of(problem).uavs is not None and futures_of(problem):
        return ascend(instance, report)
    if has_pools(problem) and futures_of(problem):
        return _Decomposition(instance).solve(report)
    if has_pools(problem):
        instance = instance.priced(np.zeros_like(instance.recourse))  # nothing is ever needed
    return Relaxation(instance, generate_columns(instance, report))


class SharedMaster:
    """The restricted master: the pooled program relaxed, stated in PuLP with the first columns.

    HiGHS keeps it, so that every round adds its columns there and starts warm.
    """

    def __init__(
        self, instance: Instance, recourse: SharedRecourse, columns: Sequence[Column]
    ) -> None:
        self._fibers, self._recourse = len(instance.capacity), recourse
        self._program = PooledChoice(instance, recourse, columns)
        self._highs = keep_relaxed(self._program.model, bounded=False)
        self._columns: list[int] = [x.index for x in self._program.take]

    def add(self, columns: Iterable[Column]) -> None:
        """Add columns; their values start at zero."""
        for column in columns:
            rows, values = zip(*self._program.occupied_rows(column), strict=True)
            self._columns.append(self._highs.getNumCol())
            cost = float(column.path_cost * column.wavelengths)
            self._highs.addCol(cost, 0.0, highspy.kHighsInf, len(rows), rows, values)

    def solve(self) -> tuple[float, tuple[float, ...], DualPrices]:
        """Return the cost, the weights of the columns in order, and the prices of all that is scarce."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the pool master ended as {status}")
        solution = self._highs.getSolution()
        scarcity = np.maximum(-np.asarray(solution.row_dual), 0.0)
        prices = DualPrices(
            scarcity[: self._fibers],
            self._pool_prices(scarcity, Medium.SATELLITE),
            self._pool_prices(scarcity, Medium.UAV),
            np.zeros(self._recourse.futures),
        )
        weights = np.asarray(solution.col_value)[self._columns]
        return self._highs.getInfo().objective_function_value, tuple(weights.tolist()), prices

    def _pool_prices(self, scarcity: Floats, medium: Medium) -> Floats:
        prices = np.zeros(self._recourse.futures)
        for future, row in self._program.pool_rows(medium).items():
            prices[future] = scarcity[row] / self._recourse.stage.probability[future]
        return prices


class _Decomposition:
    """Column generation in which the master prices fibers and pools."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._recourse = SharedRecourse(instance)
        self._best_prices = self._recourse.free()
        self._known: dict[tuple[int, Path, int], None] = {}
        self._best = self._price(self._best_prices)
        first = self._unknown(*self._best)
        self._master = SharedMaster(instance, self._recourse, first)

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
                return self._relaxation(weights)

    @property
    def _bound(self) -> float:
        return self._best[1].lower_bound - self._recourse.rent(self._best_prices)

    def _price(self, prices: DualPrices) -> tuple[Instance, Priced]:
        instance = self._instance.priced(self._recourse.table(prices))
        return instance, price(instance, prices.fibers)

    def _bound_and_grow(self, prices: DualPrices) -> bool:
        """Price at these prices; keep a better bound; say whether the master got new columns."""
        instance, priced = self._price(prices)
        if priced.lower_bound - self._recourse.rent(prices) > self._bound:
            self._best, self._best_prices = (instance, priced), prices
        return self._extend(instance, priced)

    def _extend(self, instance: Instance, priced: Priced) -> bool:
        new = self._unknown(instance, priced)
        self._master.add(new)
        return bool(new)

    def _unknown(self, instance: Instance, priced: Priced) -> list[Column]:
        """Return the best columns that were not known before; they are now."""
        new = [c for c in best_columns(instance, priced) if _key(c) not in self._known]
        self._known.update(dict.fromkeys(map(_key, new)))
        return new

    def _relaxation(self, weights: tuple[float, ...]) -> Relaxation:
        """State everything at the best prices; columns that came too late have no weight."""
        instance, priced = self._best
        rent = self._recourse.rent(self._best_prices)
        columns = tuple(make_column(instance, *key) for key in self._known)
        pool = ColumnPool(
            columns,
            weights + (0.0,) * (len(columns) - len(weights)),
            self._best_prices.fibers,
            priced.group_costs,
            priced.lower_bound,
            separable=False,
        )
        return Relaxation(instance, pool, rent)


def _key(column: Column) -> tuple[int, Path, int]:
    """Return what identifies a column, whatever it saves at the current prices."""
    return column.group, column.path, column.wavelengths
