"""The multiple-choice program of a problem with a risk, its tail bounded from below, stated in PuLP.

With p the probabilities of futures, v the weight of CVaR, T_u the recourse table under weights u of
futures (`risk`), and g_i, k_i, y_i group, wavelengths and yield of column i:

    minimise  sum_i (c_p k_i - (1 - v) (T_p[g_i, 0] - T_p[g_i, k_i y_i])) take_i + v tail

    tail_j    tail + sum_i (T_qj[g_i, 0] - T_qj[g_i, k_i y_i]) take_i >= sum_g T_qj[g, 0]

for known tails q_j, beside the rows of `multiple_choice`.  Each row holds for every plan, since CVaR is the
greatest mean under any tail, so the optimum is a bound; the row of a solution's own tail makes it exact
there.  `constant` is what the objective leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import fsum

import pulp

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Risk
from global_manager.provisioning.multiple_choice import Column, multiple_choice, occupied_rows
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.risk import JointStage


class TailChoice:
    """The program over given columns: `model` is PuLP's, `take` and `tail` its variables.

    Every group has one member, whose position in the problem is `request_of` the group.
    """

    def __init__(
        self,
        instance: Instance,
        stage: JointStage,
        risk: Risk,
        columns: Sequence[Column],
        tails: Iterable[Floats],
    ) -> None:
        self._instance, self._stage, self._risk = instance, stage, risk
        self._columns = columns
        self.request_of = [group.members[0] for group in instance.groups]
        self._mean = stage.table(stage.probability)
        self.model, self.take = multiple_choice(instance, columns)
        self.tail = self.model.add_variable("tail", 0)
        terms = [(x, self.cost(c)) for x, c in zip(self.take, columns, strict=True)]
        self.model.setObjective(pulp.LpAffineExpression([*terms, (self.tail, risk.weight)]))
        self._tables: list[Floats] = []
        for weights in tails:
            self.cut(weights)

    @property
    def constant(self) -> float:
        """The mean cost of reserving nothing, as far as the objective weighs it."""
        return (1 - self._risk.weight) * fsum(self._mean[:, 0])

    def cost(self, column: Column) -> float:
        """Return what a column counts in the objective."""
        saved = (1 - self._risk.weight) * self._saving(self._mean, column)
        return column.path_cost * column.wavelengths - saved

    def tail_row(self, weights: Floats, columns: Sequence[Column]) -> tuple[list[float], float]:
        """Return the coefficients of columns in the row of a tail, and its bound; remember the row."""
        table = self._stage.table(weights)
        self._tables.append(table)
        return [self._saving(table, column) for column in columns], fsum(table[:, 0])

    def cut(self, weights: Floats) -> None:
        """Add the row of a tail."""
        number = len(self._tables)
        coefficients, bound = self.tail_row(weights, self._columns)
        terms = [(self.tail, 1.0), *zip(self.take, coefficients, strict=True)]
        row = pulp.LpConstraint(
            pulp.LpAffineExpression(terms), pulp.LpConstraintGE, f"tail_{number}", bound
        )
        self.model.addConstraint(row)

    def occupied_rows(self, column: Column) -> Iterator[tuple[int, float]]:
        """Yield the rows in which a column counts, and how much."""
        yield from occupied_rows(self._instance, column)
        first = len(self._instance.capacity) + len(self._instance.groups)
        for number, table in enumerate(self._tables, first):
            yield number, self._saving(table, column)

    def _saving(self, table: Floats, column: Column) -> float:
        row = table[self.request_of[column.group]]
        return float(row[0] - row[min(column.units, len(row) - 1)])
