"""The linear relaxation of a problem with a risk: columns and tails, generated together.

For any weights q that CVaR admits (`risk`) and all prices of fibers pi >= 0, the bound of column
generation under the probabilities (1 - v) p + v q,

    LB(pi, q) = sum_r min_ky (cbar_ry k + T_q[r, k y]) - sum_e W_e pi_e,

is one on every plan.  The master (`tail_choice`) has a row for every tail it has met; their duals, which
add up to v, mix these tails into q.  In each round the master's own solution shows a worse tail, if there
is one, and q shows better columns.  Duals are damped as in `price_decomposition`, which keeps q
admissible.  It stops by relative gap or rounds, never by a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import highspy
import numpy as np

from global_manager.provisioning.columns import ColumnPool, Priced, best_columns, price
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Risk
from global_manager.provisioning.multiple_choice import Column, make_column
from global_manager.provisioning.priced_recourse import Relaxation
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.risk import JointStage, tail_weights
from global_manager.provisioning.routing import Path
from global_manager.provisioning.solver import keep_relaxed
from global_manager.provisioning.tail_choice import TailChoice

_CONVERGED = 1e-6
_MOST_ROUNDS = 300
_DAMPING = 0.5

Report = Callable[[float, float], None]


def relax_with_risk(instance: Instance, risk: Risk, report: Report) -> Relaxation:
    """Solve the relaxation; the instance of the answer is priced under the weights of the best bound."""
    return _Decomposition(instance, risk).solve(report)


@dataclass(frozen=True)
class _Prices:
    """Prices of fibers, and the weights of the tail."""

    fibers: Floats
    tail: Floats

    def towards(self, other: _Prices, share: float) -> _Prices:
        return _Prices(
            self.fibers + share * (other.fibers - self.fibers),
            self.tail + share * (other.tail - self.tail),
        )


@dataclass(frozen=True)
class _Solved:
    """What the master says: its cost, the weights of its columns, the tail's cost, and prices."""

    cost: float
    weights: Floats
    tail_cost: float
    prices: _Prices


class _Master:
    """The program relaxed, kept in HiGHS; columns and tails are added there."""

    def __init__(
        self,
        program: TailChoice,
        risk: Risk,
        fibers: int,
        columns: list[Column],
        tails: list[Floats],
    ) -> None:
        self._program, self._risk, self._fibers, self.tails = program, risk, fibers, tails
        self._highs = keep_relaxed(program.model, bounded=False)
        self._tail = program.tail.index
        self._columns: list[int] = [x.index for x in program.take]
        self._first = self._highs.getNumRow() - len(tails)
        self.columns = columns

    def add(self, columns: Iterable[Column]) -> None:
        """Add columns; their values start at zero."""
        for column in columns:
            rows, values = zip(*self._program.occupied_rows(column), strict=True)
            self._columns.append(self._highs.getNumCol())
            self.columns.append(column)
            cost = self._program.cost(column)
            self._highs.addCol(cost, 0.0, highspy.kHighsInf, len(rows), rows, values)

    def cut(self, weights: Floats) -> None:
        """Add the row of a tail."""
        coefficients, bound = self._program.tail_row(weights, self.columns)
        indices = np.array([self._tail, *self._columns], dtype=np.int32)
        values = np.array([1.0, *coefficients])
        self._highs.addRow(bound, highspy.kHighsInf, len(indices), indices, values)
        self.tails.append(weights)

    def solve(self) -> _Solved:
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the master with a risk ended as {status}")
        solution = self._highs.getSolution()
        values, duals = np.asarray(solution.col_value), np.asarray(solution.row_dual)
        scarcity = np.maximum(-duals[: self._fibers], 0.0)
        cost = self._program.constant + self._highs.getInfo().objective_function_value
        prices = _Prices(scarcity, self._mixed(np.maximum(duals[self._first :], 0.0)))
        return _Solved(cost, values[self._columns], float(values[self._tail]), prices)

    def _mixed(self, shares: Floats) -> Floats:
        """Return the tails mixed by their duals; what these leave open goes to the last one."""
        left = max(0.0, self._risk.weight - float(shares.sum()))
        mixed = left * self.tails[-1] + sum(s * t for s, t in zip(shares, self.tails, strict=True))
        return np.asarray(mixed / mixed.sum())


class _Decomposition:
    def __init__(self, instance: Instance, risk: Risk) -> None:
        self._instance, self._risk = instance, risk
        self._stage = stage = JointStage(instance.problem)
        self._order = [group.members[0] for group in instance.groups]
        self._known: dict[tuple[int, Path, int], None] = {}
        nothing = np.zeros(len(instance.capacity))
        worst = self._worst(stage.costs([0] * len(self._order)))
        self._best_prices = _Prices(nothing, worst)
        self._best = self._price(self._best_prices)
        first = self._unknown(*self._best)
        tails = [worst, stage.probability / stage.probability.sum()]
        program = TailChoice(instance, stage, risk, first, tails)
        self._master = _Master(program, risk, len(instance.capacity), first, tails)

    def solve(self, report: Report) -> Relaxation:
        rounds = 0
        while True:
            rounds += 1
            found = self._master.solve()
            excess = self._cut(found)
            grown = self._bound_and_grow(self._best_prices.towards(found.prices, 1 - _DAMPING))
            if not grown:
                grown = self._bound_and_grow(found.prices)
            cost = found.cost + self._risk.weight * excess
            report(cost, self._bound)
            converged = cost - self._bound <= _CONVERGED * abs(cost)
            stuck = not grown and excess <= _CONVERGED * abs(cost)
            if converged or stuck or rounds >= _MOST_ROUNDS:
                return self._relaxation(found.weights)

    @property
    def _bound(self) -> float:
        return self._best[1].lower_bound

    def _worst(self, costs: Floats) -> Floats:
        return tail_weights(costs, self._stage.probability, self._risk.level)

    def _cut(self, found: _Solved) -> float:
        """Cut the master off where its tail is too cheap; return by how much it was."""
        costs = self._stage.costs([0] * len(self._order))
        for weight, column in zip(found.weights, self._master.columns, strict=True):
            if weight > 0:
                costs -= weight * self._stage.saved(self._order[column.group], column.units)
        worst = self._worst(costs)
        excess = max(0.0, float(worst @ costs) - found.tail_cost)
        if excess > _CONVERGED * abs(found.cost) / 10:
            self._master.cut(worst)
        return excess

    def _price(self, prices: _Prices) -> tuple[Instance, Priced]:
        share = self._risk.weight
        weights = (1 - share) * self._stage.probability + share * prices.tail
        instance = self._instance.priced(self._stage.table(weights)[self._order])
        return instance, price(instance, prices.fibers)

    def _bound_and_grow(self, prices: _Prices) -> bool:
        """Price at these prices; keep a better bound; say whether the master got new columns."""
        instance, priced = self._price(prices)
        if priced.lower_bound > self._bound:
            self._best, self._best_prices = (instance, priced), prices
        new = self._unknown(instance, priced)
        self._master.add(new)
        return bool(new)

    def _unknown(self, instance: Instance, priced: Priced) -> list[Column]:
        """Return the best columns that were not known before; they are now."""
        new = [c for c in best_columns(instance, priced) if _key(c) not in self._known]
        self._known.update(dict.fromkeys(map(_key, new)))
        return new

    def _relaxation(self, weights: Floats) -> Relaxation:
        """State everything at the best prices; columns that came too late have no weight."""
        instance, priced = self._best
        columns = tuple(make_column(instance, *key) for key in self._known)
        pool = ColumnPool(
            columns,
            (*weights.tolist(), *(0.0,) * (len(columns) - len(weights))),
            self._best_prices.fibers,
            priced.group_costs,
            priced.lower_bound,
            separable=False,
        )
        return Relaxation(instance, pool, tails=tuple(self._master.tails))


def _key(column: Column) -> tuple[int, Path, int]:
    return column.group, column.path, column.wavelengths
