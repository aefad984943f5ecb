"""What a period costs in every joint future, and what its dear ones cost: conditional value at risk.

CVaR of level a is the mean cost of the dearest futures, whose probability is 1 - a together; a future at
the edge counts in part.  It is the greatest mean that any weights q of the futures give,

    CVaR_a[C] = max sum_s q_s C_s   over  0 <= q_s <= p_s / (1 - a),  sum_s q_s = 1

(Rockafellar and Uryasev 2002, Journal of Banking and Finance 26).  So (1 - v) E[C] + v CVaR_a[C] is at
least the mean cost under the probabilities (1 - v) p + v q, for any such q, and equal to it for one.  Under
fixed probabilities requests separate again: with k units reserved a request pays a convex `table` of k,
as in `recourse`.

Pools have no limit here: a missing unit is bought from the cheapest medium that can serve it, or is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.model import Problem
from global_manager.provisioning.recourse import Floats, largest_demand

Ints = NDArray[np.int64]


class JointStage:
    """The futures of a problem as arrays: `probability` (S,), `units` and `unit_cost` (S, R)."""

    def __init__(self, problem: Problem) -> None:
        futures, requests = problem.futures, problem.requests
        shape = (len(futures), len(requests))
        self.probability: Floats = np.array([f.probability for f in futures], dtype=float)
        self.units: Ints = np.array([f.units for f in futures], dtype=np.int64).reshape(shape)
        usable = np.array([f.usable for f in futures], dtype=bool).reshape(shape)
        everybody = (True,) * len(requests)
        flying = np.array([f.flies or everybody for f in futures], dtype=bool).reshape(shape)
        lost, uav, satellite = (
            np.array([getattr(r.on_demand, name) for r in requests], dtype=float)
            for name in ("shortfall_cost", "uav_cost", "satellite_cost")
        )
        by_uav = np.where(flying, np.minimum(uav, lost), lost)
        self.unit_cost: Floats = np.where(usable, np.minimum(satellite, by_uav), by_uav)
        laws = {problem.demand_of(request) for request in requests}
        self._width = 1 + max(map(largest_demand, laws), default=0)
        self._cell = self.units + self._width * np.arange(len(requests))

    def costs(self, reserved: Sequence[int]) -> Floats:
        """Return what is paid for missing units by future, with these units by request; shape (S,)."""
        missing = np.maximum(0, self.units - np.asarray(reserved, dtype=np.int64))
        costs: Floats = (self.unit_cost * missing).sum(axis=1)
        return costs

    def saved(self, request: int, units: int) -> Floats:
        """Return what units reserved for a request save by future; shape (S,)."""
        saved: Floats = self.unit_cost[:, request] * np.minimum(units, self.units[:, request])
        return saved

    def table(self, weights: Floats) -> Floats:
        """Return the recourse under weights of futures, by request and units; shape (R, K + 1).

        K is the largest demand of any law.
        """
        size = self._width * self.units.shape[1]
        paid = (weights[:, None] * self.unit_cost).ravel()
        mass = np.bincount(self._cell.ravel(), paid, size).reshape(-1, self._width)
        at_least = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1]  # sum over d >= k
        table: Floats = np.zeros(mass.shape)
        table[:, :-1] = np.cumsum(at_least[:, :0:-1], axis=1)[:, ::-1]
        return table


def tail_weights(costs: Floats, probability: Floats, level: float) -> Floats:
    """Return the weights q under which the mean of these costs is their CVaR; shape (S,)."""
    order = np.argsort(-costs, kind="stable")
    most = probability[order] / (1 - level)
    before = np.concatenate(([0.0], np.cumsum(most)[:-1]))
    weights = np.zeros_like(probability)
    weights[order] = np.clip(1 - before, 0.0, most)
    weights /= weights.sum()
    return weights


def cvar(costs: Floats, probability: Floats, level: float) -> float:
    """Return the mean of the dearest costs, whose probability is 1 - `level` together."""
    return float(tail_weights(costs, probability, level) @ costs)


def value_at_risk(costs: Floats, probability: Floats, level: float) -> float:
    """Return the least cost that is exceeded with a probability of at most 1 - `level`."""
    order = np.argsort(costs, kind="stable")
    upto: Any = np.cumsum(probability[order])
    place = int(np.searchsorted(upto, level * upto[-1] - 1e-12))
    return float(costs[order[min(place, len(costs) - 1)]])
