"""The master of a problem with pools: columns, and what every kind of requests buys in every future.

minimise   sum_i c_p k take_i + sum_w p_w sum_c (cs_c s_cw + cu_c u_cw + lost v_cw)
fiber      sum_{i through e} k_i take_i                      <= W_e
group      sum_{i of group g} take_i                         <= n_g
need       s_cw + u_cw + v_cw + sum_{i of kind c in w} min(k_i, d_iw) take_i >= sum_{r of kind c in w} d_rw
pools      sum_c s_cw <= S (no s_cw where no satellite can serve),  sum_c u_cw <= U
"""

from __future__ import annotations

from collections.abc import Iterable

import highspy
import numpy as np

from global_manager.provisioning.columns import Column
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.pool_prices import Prices, SharedRecourse
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.solver import QuietHighs

_INFINITE = highspy.kHighsInf


class Master:
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

    def solve(self) -> tuple[float, tuple[float, ...], Prices]:
        """Return the cost, the weights of the columns in order, and the prices of all that is scarce."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the pool master ended as {status}")
        solution = self._highs.getSolution()
        scarcity = np.maximum(-np.asarray(solution.row_dual), 0.0)
        prices = Prices(
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
            self._column(stage.probability[w] * stage.pools.shortfall_cost, [need])

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
