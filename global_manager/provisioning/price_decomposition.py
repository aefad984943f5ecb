"""Price decomposition: prices for satellites and UAVs at which requests decide independently again.

Where requests share pools, the second stage does not separate.  Give every future w a price mu per
unit of each pool, on top of its cost.  Then a missing unit of r costs

    c_rw(mu) = min(cs_r + mu^S_w (if a satellite can serve r), cu_r + mu^U_w, cl_r),

requests separate, `recourse[g, k] = sum_w p_w c_gw(mu) (d_gw - k)+` is again convex with whole
breakpoints, and all that column generation needs is there.  For all prices of fibers and pools >= 0

    LB(pi, mu) = sum_g n_g min_k (cbar_g k + Q_g(k)) - sum_e W_e pi_e
                 - sum_w p_w (S mu^S_w + U mu^U_w)

is a bound on every plan; the last sum is called the rent.  The master that updates the prices is
the linear program over all columns so far, with what every kind of requests buys in every future:

    minimise   sum_i c_p k take_i + sum_w p_w sum_c (cs_c s_cw + cu_c u_cw + cl_c v_cw)
    fiber      sum_{i through e} k_i take_i                      <= W_e
    group      sum_{i of group g} take_i                         <= n_g
    need       s_cw + u_cw + v_cw + sum_{i of kind c in w} min(k_i, d_iw) take_i
                                                    >= sum_{r of kind c in w} d_rw
    pools      sum_c s_cw <= S (no s_cw where no satellite can serve),  sum_c u_cw <= U

Its duals are damped (Wentges, 1997): pricing happens between the master's prices and those of the
best bound so far, and at the master's only if that finds nothing.  It stops by relative gap or rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import fsum

import highspy
import numpy as np

from global_manager.provisioning.columns import (
    ColumnPool,
    Priced,
    best_columns,
    generate_columns,
    price,
)
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Problem
from global_manager.provisioning.multiple_choice import Column, make_column
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.routing import Path
from global_manager.provisioning.shared_recourse import SecondStage, futures_of, has_pools
from global_manager.provisioning.solver import QuietHighs

_CONVERGED = 1e-6
_MOST_ROUNDS = 200
_DAMPING = 0.5
_INFINITE = highspy.kHighsInf

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


@dataclass(frozen=True)
class DualPrices:
    """DualPrices >= 0: of a wavelength by resource, and of a pool's unit by future."""

    fibers: Floats
    satellite: Floats
    uav: Floats

    def towards(self, other: DualPrices, share: float) -> DualPrices:
        """Return the prices at this share of the way to others."""
        return DualPrices(
            self.fibers + share * (other.fibers - self.fibers),
            self.satellite + share * (other.satellite - self.satellite),
            self.uav + share * (other.uav - self.uav),
        )


class SharedRecourse:
    """The second stage of a problem with pools, as the separable program sees it at given prices.

    `stage` holds W futures; `kind[w, g]` is what group g is in future w, and `covered(g, k)[w]` what k
    units cover of a member's need then.  Members of a group need the same in every future.
    """

    def __init__(self, instance: Instance) -> None:
        self.stage = SecondStage(instance.problem)
        members = [group.members[0] for group in instance.groups]
        self._demand = self.stage.units[:, members]
        self.kind = self.stage.kind[:, members]
        self._most_units = instance.most_units
        stage = self.stage
        costs = zip(stage.satellite_cost, stage.shortfall_cost, strict=True)
        by_satellite = (lost if cost is None else cost for cost, lost in costs)
        self._satellite: Floats = np.fromiter(by_satellite, dtype=float)
        self._uav: Floats = np.array(stage.uav_cost, dtype=float)
        self._lost: Floats = np.array(stage.shortfall_cost, dtype=float)

    @property
    def futures(self) -> int:
        """The number of futures."""
        return len(self.stage.probability)

    def covered(self, group: int, units: int) -> Floats:
        """Return what `units` reserved units cover in every future; shape (W,)."""
        return np.minimum(units, self._demand[:, group]).astype(float)

    def table(self, prices: DualPrices) -> Floats:
        """Return the expected recourse at these prices by group and units; (groups, K + 1)."""
        by_satellite = self._satellite[self.kind] + prices.satellite[:, None]
        by_uav = self._uav[self.kind] + prices.uav[:, None]
        unit = np.minimum(np.minimum(by_satellite, by_uav), self._lost[self.kind])
        weighted = unit * self.stage.probability[:, None]
        rows = [
            (weighted * np.maximum(0, self._demand - k)).sum(axis=0)
            for k in range(self._most_units + 1)
        ]
        return np.array(rows).T

    def rent(self, prices: DualPrices) -> float:
        """Return what the pools are expected to earn; prices of unlimited pools are zero."""
        pools = self.stage.pools
        satellites, uavs = pools.satellite_units or 0, pools.uav_units or 0
        return fsum(self.stage.probability * (satellites * prices.satellite + uavs * prices.uav))


class SharedMaster:
    """The restricted master, kept alive in the solver so that every round starts warm."""

    def __init__(self, instance: Instance, recourse: SharedRecourse) -> None:
        self._recourse = recourse
        self._highs = QuietHighs()
        self._highs.setOptionValue("threads", 1)
        members = [len(group.members) for group in instance.groups]
        self._fibers = len(instance.capacity)
        for most in (*instance.capacity, *members):
            self._row(-_INFINITE, most)
        self._needs: dict[tuple[int, int], int] = {}
        for (w, kind), units in np.ndenumerate(recourse.stage.needed):
            if units:
                self._needs[w, kind] = self._highs.getNumRow()
                self._row(int(units), _INFINITE)
        self._satellite_rows = self._pool_rows(recourse.stage.pools.satellite_units)
        self._uav_rows = self._pool_rows(recourse.stage.pools.uav_units)
        self._buy()
        self._second_stage = self._highs.getNumCol()

    def add(self, columns: Iterable[Column]) -> None:
        """Add columns; their values start at zero."""
        for column in columns:
            covered = self._recourse.covered(column.group, column.units)
            kinds = self._recourse.kind[:, column.group]
            needs = [
                (self._needs[int(w), int(kinds[w])], covered[w]) for w in np.flatnonzero(covered)
            ]
            rows = [*column.resources, self._fibers + column.group, *(row for row, _ in needs)]
            taken = [float(column.units)] * len(column.resources)
            values = [*taken, 1.0, *(float(units) for _, units in needs)]
            self._column(column.path_cost * column.units, rows, values)

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
            self._pool_prices(scarcity, self._satellite_rows),
            self._pool_prices(scarcity, self._uav_rows),
        )
        cost = self._highs.getInfo().objective_function_value
        return cost, tuple(solution.col_value[self._second_stage :]), prices

    def _pool_rows(self, units: int | None) -> list[int]:
        """Add a row for every future; none if the pool has no limit."""
        if units is None:
            return []
        first = self._highs.getNumRow()
        for _ in range(self._recourse.futures):
            self._row(-_INFINITE, units)
        return list(range(first, self._highs.getNumRow()))

    def _buy(self) -> None:
        """Add what every kind can buy in every future."""
        stage = self._recourse.stage
        for (w, kind), need in self._needs.items():
            satellite_cost = stage.satellite_cost[kind]
            if satellite_cost is not None:
                rows = [need, *self._satellite_rows[w : w + 1]]
                self._column(stage.probability[w] * satellite_cost, rows)
            rows = [need, *self._uav_rows[w : w + 1]]
            self._column(stage.probability[w] * stage.uav_cost[kind], rows)
            self._column(stage.probability[w] * stage.shortfall_cost[kind], [need])

    def _pool_prices(self, scarcity: Floats, rows: list[int]) -> Floats:
        if not rows:
            return np.zeros(self._recourse.futures)
        prices: Floats = scarcity[rows] / self._recourse.stage.probability
        return prices

    def _row(self, least: float, most: float) -> None:
        self._highs.addRow(float(least), float(most), 0, [], [])

    def _column(self, cost: float, rows: list[int], values: list[float] | None = None) -> None:
        values = values or [1.0] * len(rows)
        self._highs.addCol(float(cost), 0.0, _INFINITE, len(rows), rows, values)


class _Decomposition:
    """Column generation in which the master prices fibers and pools."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._recourse = SharedRecourse(instance)
        self._master = SharedMaster(instance, self._recourse)
        futures = self._recourse.futures
        self._best_prices = DualPrices(
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
        new = [c for c in best_columns(instance, priced) if _key(c) not in self._known]
        self._known.update(dict.fromkeys(map(_key, new)))
        self._master.add(new)
        return bool(new)

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
    return column.group, column.path, column.units
