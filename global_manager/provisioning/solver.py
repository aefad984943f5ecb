"""HiGHS as this package uses it: quiet, on one thread, and started from a known answer.

PuLP calls a time-out `Optimal`, knows no status for a node limit, and drops warm starts.  `run`
returns the values of the best solution found and ignores PuLP's `status`; how good they are is for
the caller to judge against its own bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pulp

from global_manager.provisioning.recourse import Floats


@dataclass(frozen=True)
class SearchLimits:
    """When a solver stops: absolute gap, a cost that is good enough, branch-and-bound nodes."""

    gap: float = 0.0
    target: float = -highspy.kHighsInf
    nodes: int = 500


Found = Callable[[Mapping[str, float], float], None]
"""Is told every better solution, by variable name, with the bound that is proven by then."""


class QuietHighs(highspy.Highs):  # type: ignore[misc]
    """A HiGHS that prints nothing, not even the banner that its constructor sends to stdout."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Turn output off before the first line can be printed."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


class _WholeHiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS, but that it takes a model at once instead of row by row."""

    def buildSolverModel(self, lp: Any) -> None:  # noqa: N802
        """Pass the model on: columns in the order of their names, rows in that of the model."""
        variables, rows = lp.variables(), lp.constraints()
        for index, variable in enumerate(variables):
            variable.index = index
        for index, row in enumerate(rows):
            row.index = index
        lp.solverModel.passModel(_as_highs(lp, variables, rows, whole=self.mip))


def _as_highs(
    lp: Any, variables: Sequence[Any], rows: Sequence[Any], *, whole: bool
) -> highspy.HighsLp:
    starts, indices, values = [0], [], []
    for row in rows:
        indices += [variable.index for variable in row]
        values += row.values()
        starts.append(len(indices))
    known = highspy.HighsLp()
    known.num_col_, known.num_row_ = len(variables), len(rows)
    known.col_cost_ = np.array([float(lp.objective.get(v, 0.0)) for v in variables])
    known.col_lower_ = _bounds((v.lowBound for v in variables), -highspy.kHighsInf)
    known.col_upper_ = _bounds((v.upBound for v in variables), highspy.kHighsInf)
    known.row_lower_ = _bounds((row.getLb() for row in rows), -highspy.kHighsInf)
    known.row_upper_ = _bounds((row.getUb() for row in rows), highspy.kHighsInf)
    known.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    known.a_matrix_.start_, known.a_matrix_.index_ = np.array(starts), np.array(indices)
    known.a_matrix_.value_ = np.array(values, dtype=float)
    if whole:
        known.integrality_ = [_KINDS[v.cat] for v in variables]
    return known


_KINDS = {
    pulp.LpContinuous: highspy.HighsVarType.kContinuous,
    pulp.LpInteger: highspy.HighsVarType.kInteger,
}


def _bounds(known: Iterable[float | None], otherwise: float) -> Floats:
    return np.array([otherwise if bound is None else bound for bound in known], dtype=float)


class _WarmHiGHS(_WholeHiGHS):
    """PuLP's HiGHS with a start, a node limit, and statuses that say what happened."""

    def __init__(
        self, limits: SearchLimits, start: Mapping[str, float], found: Found | None = None
    ) -> None:
        super().__init__(msg=False, threads=1)
        self._limits, self._start, self._found = limits, start, found

    def createAndConfigureSolver(self, lp: Any) -> None:  # noqa: N802
        lp.solverModel = QuietHighs()
        options = {
            "threads": 1,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": self._limits.gap,
            "mip_max_nodes": self._limits.nodes,
            "objective_target": self._limits.target,
        }
        for name, value in options.items():
            lp.solverModel.setOptionValue(name, value)

    def callSolver(self, lp: Any) -> None:  # noqa: N802
        if self._start:
            values = [self._start.get(v.name, 0.0) for v in lp.variables()]
            lp.solverModel.setSolution(len(values), list(range(len(values))), values)
        if self._found is not None:
            self._listen(lp, self._found)
        lp.solverModel.run()

    @staticmethod
    def _listen(lp: Any, found: Found) -> None:
        names = [variable.name for variable in lp.variables()]

        def hear(event: Any) -> None:
            values = event.data_out.mip_solution
            found(dict(zip(names, values, strict=True)), event.data_out.mip_dual_bound)

        lp.solverModel.cbMipImprovingSolution += hear

    def findSolutionValues(self, lp: Any) -> tuple[int, int]:  # noqa: N802
        """Translate what HiGHS did; unlike PuLP's own, know limits and trust feasibility."""
        highs = lp.solverModel
        if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound
        for variable, value in zip(lp.variables(), highs.getSolution().col_value, strict=True):
            variable.varValue = value
        if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            return pulp.LpStatusOptimal, pulp.LpSolutionOptimal
        return pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible


class _KeptHiGHS(_WholeHiGHS):
    """PuLP's HiGHS for a linear relaxation that stays in the solver."""

    def __init__(self, *, bounded: bool) -> None:
        super().__init__(mip=False, msg=False, threads=1)
        self._bounded = bounded

    def createAndConfigureSolver(self, lp: Any) -> None:  # noqa: N802
        lp.solverModel = QuietHighs()
        lp.solverModel.setOptionValue("threads", 1)

    def callSolver(self, lp: Any) -> None:  # noqa: N802
        highs = lp.solverModel
        if not self._bounded:
            for column in range(highs.getNumCol()):
                highs.changeColBounds(column, 0.0, highspy.kHighsInf)
        highs.run()


def keep_relaxed(model: Any, *, bounded: bool = True) -> QuietHighs:
    """Solve the linear relaxation of a PuLP model, through PuLP, and return the HiGHS that holds it.

    Rows are numbered in the order in which the model got them, columns in the order of their names.
    What is added, bounded or priced there is solved from where the last solve ended.  Without
    `bounded`, variables have no upper bounds: a master whose rows imply them must not price them.
    """
    model.solve(_KeptHiGHS(bounded=bounded))
    highs: QuietHighs = model.solverModel
    return highs


@dataclass(frozen=True)
class Answer:
    """What a search ended with: values by variable name (None: nothing found), and a proven bound."""

    values: Mapping[str, float] | None
    lower_bound: float
    is_optimal: bool


def search(
    model: Any,
    limits: SearchLimits,
    start: Mapping[str, float] | None = None,
    found: Found | None = None,
) -> Answer:
    """Minimise a PuLP model with HiGHS, through PuLP.

    `start` gives non-zero values by variable name; `found` is told of solutions during the search.
    """
    model.solve(_WarmHiGHS(limits, start or {}, found))
    info = model.solverModel.getInfo()
    if model.sol_status == pulp.LpSolutionNoSolutionFound:
        return Answer(None, info.mip_dual_bound, is_optimal=False)
    values = {v.name: v.varValue for v in model.variables()}
    proven = model.sol_status == pulp.LpSolutionOptimal
    return Answer(values, info.mip_dual_bound, is_optimal=proven)


def run(
    model: Any, limits: SearchLimits, start: Mapping[str, float] | None = None
) -> Mapping[str, float] | None:
    """Return the values that `search` finds, None if there are none."""
    return search(model, limits, start).values
