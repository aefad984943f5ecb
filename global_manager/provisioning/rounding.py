"""Whole selections from the relaxation, quickly: dive, then search around what needs it.

The relaxation of the multiple-choice model (`choice`) has few fractional columns.  Diving takes the
largest fraction for granted and solves again, until all is whole.  Then every group but those that
lose most against the bound's prices keeps what it has, and branch and bound settles the rest.
Neither proves anything; both are counted in linear programs and nodes, never in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import highspy
import numpy as np

from global_manager.provisioning.columns import Column
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.solver import Limits, QuietHighs

_WHOLE = 1e-6
_DIVES = 30  # at least so many steps; where more columns are fractional, several go at once
_MOST_DIVES = 200


class Rounding:
    """The multiple-choice model over given columns, kept in the solver; answers are feasible."""

    def __init__(self, instance: Instance, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._most = np.array([float(len(instance.groups[c.group].members)) for c in columns])
        self._highs = QuietHighs()
        self._highs.setOptionValue("threads", 1)
        self._highs.passModel(_model(instance, columns, self._most))

    def dive(self) -> Counter[Column]:
        """Return a selection; what is not whole when diving ends is rounded down."""
        low, high = np.zeros(len(self._columns)), self._most.copy()
        values = low
        for _ in range(_MOST_DIVES):
            relaxed = self._relaxed(low, high)
            if relaxed is None:
                break
            values = relaxed
            rest = values - np.floor(values + _WHOLE)
            fractional = np.flatnonzero(rest > _WHOLE)
            if len(fractional) == 0:
                break
            order = fractional[np.argsort(-rest[fractional], kind="stable")]
            first = order[: 1 + len(order) // _DIVES]
            before = low.copy()
            low[first] = np.ceil(values[first] - _WHOLE)
            if self._relaxed(low, high) is None:
                low = before
                high[first[0]] = np.floor(values[first[0]] + _WHOLE)
        return self._selection(np.floor(values + _WHOLE))

    def search(
        self, start: Counter[Column], free_groups: Collection[int], limits: Limits
    ) -> Counter[Column] | None:
        """Return the best selection found that differs from the start in free groups only."""
        held = np.array([float(start[c]) for c in self._columns])
        free = np.array([column.group in free_groups for column in self._columns])
        self._bound(np.where(free, 0.0, held), np.where(free, self._most, held))
        options = {
            "mip_rel_gap": 0.0,
            "mip_abs_gap": limits.gap,
            "mip_max_nodes": limits.nodes,
            "objective_target": limits.target,
        }
        for name, value in options.items():
            self._highs.setOptionValue(name, value)
        count = len(self._columns)
        whole = np.full(count, int(highspy.HighsVarType.kInteger), dtype=np.uint8)
        self._highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), whole)
        self._highs.run()
        status = self._highs.getInfo().primal_solution_status
        if status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        return self._selection(np.asarray(self._highs.getSolution().col_value))

    def _relaxed(self, low: Floats, high: Floats) -> Floats | None:
        """Return the relaxation's values within these bounds, None if there is no solution."""
        self._bound(low, high)
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.asarray(self._highs.getSolution().col_value)

    def _bound(self, low: Floats, high: Floats) -> None:
        count = len(self._columns)
        self._highs.changeColsBounds(count, np.arange(count, dtype=np.int32), low, high)

    def _selection(self, values: Floats) -> Counter[Column]:
        counts = {c: round(v) for c, v in zip(self._columns, values, strict=True)}
        return Counter({column: n for column, n in counts.items() if n > 0})


def _model(instance: Instance, columns: Sequence[Column], most: Floats) -> highspy.HighsLp:
    """Return the relaxation as the solver takes it; rows are capacity, then groups."""
    first = len(instance.capacity)
    starts, rows, values = [0], [], []
    for column in columns:
        rows += [*column.resources, first + column.group]
        values += [float(column.units)] * len(column.resources) + [1.0]
        starts.append(len(rows))
    upper = [*instance.capacity, *(len(group.members) for group in instance.groups)]
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(columns), len(upper)
    lp.col_cost_ = np.array([-column.saving for column in columns])
    lp.col_lower_, lp.col_upper_ = np.zeros(len(columns)), most
    lp.row_lower_ = np.full(len(upper), -highspy.kHighsInf)
    lp.row_upper_ = np.array(upper, dtype=float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = np.array(starts), np.array(rows)
    lp.a_matrix_.value_ = np.array(values)
    return lp
