"""HiGHS as this package uses it: quiet, on one thread, and started from a known answer.

PuLP calls a time-out `Optimal`, knows no status for a node limit, and drops warm starts.  `run`
returns the values of the best solution found and ignores PuLP's `status`; how good they are is for
the caller to judge against its own bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import highspy
import pulp


@dataclass(frozen=True)
class SearchLimits:
    """When a solver stops: absolute gap, a cost that is good enough, branch-and-bound nodes."""

    gap: float = 0.0
    target: float = -highspy.kHighsInf
    nodes: int = 500


class QuietHighs(highspy.Highs):  # type: ignore[misc]
    """A HiGHS that prints nothing, not even the banner that its constructor sends to stdout."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Turn output off before the first line can be printed."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


class _WarmHiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS with a start, a node limit, and statuses that say what happened."""

    def __init__(self, limits: SearchLimits, start: Mapping[str, float]) -> None:
        super().__init__(msg=False, threads=1)
        self._limits, self._start = limits, start

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
        lp.solverModel.run()

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


class _KeptHiGHS(pulp.HiGHS):  # type: ignore[misc]
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
    return model.solverModel


@dataclass(frozen=True)
class Answer:
    """What a search ended with: values by variable name (None: nothing found), and a proven bound."""

    values: Mapping[str, float] | None
    lower_bound: float
    is_optimal: bool


def search(model: Any, limits: SearchLimits, start: Mapping[str, float] | None = None) -> Answer:
    """Minimise a PuLP model with HiGHS, through PuLP.

    `start` gives non-zero values by variable name.
    """
    model.solve(_WarmHiGHS(limits, start or {}))
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
