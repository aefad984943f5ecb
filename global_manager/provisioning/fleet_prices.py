"""Prices of flights: ascent on the Lagrangian dual where requests share a fleet.

An order takes its chain of UAVs whatever it brings, so what flights are worth is no dual of a linear
program of moderate size.  Let phi_w be the price of a UAV's flight in future w, beside those of the
pools' units.  A request that misses m units, with a chain of n UAVs, then pays

    min(m min(cs, cl), m min(cu, cs, cl) + n phi_w)

so requests separate, and what column generation bounds, less the rent of fleet and pools, is a bound on
every plan (`price_decomposition`).  It is concave in the prices; what is taken less what there is, is a
supergradient.  Steps have the length of Polyak (1969, USSR Computational Mathematics and Mathematical
Physics 9) towards the best plan known, and are halved where they do not help.  It
stops by relative gap, length of step or rounds, never by a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from global_manager.provisioning.columns import ColumnPool, generate_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.priced_recourse import DualPrices, Relaxation, SharedRecourse
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.selection import Selection, round_and_fill
from global_manager.provisioning.shared_recourse import SecondStage

_CONVERGED = 1e-5
_MOST_ROUNDS = 60
_LEAST_STEP = 0.005

Report = Callable[[float, float], None]


def ascend(instance: Instance, report: Report) -> Relaxation:
    """Return the instance at good prices of flights and pools, and its columns there."""
    return _Ascent(instance, report).relaxation()


def cost_of(instance: Instance, stage: SecondStage, selection: Selection) -> float:
    """Return what a selection of columns costs, its recourse exact."""
    reserved = [0] * len(instance.problem.requests)
    waiting = {g: list(group.members) for g, group in enumerate(instance.groups)}
    first = 0
    for column, n in selection.items():
        first += n * column.wavelengths * column.path_cost
        for _ in range(n):
            reserved[waiting[column.group].pop()] = column.units
    return first + stage.expected(reserved).cost


@dataclass(frozen=True)
class _Point:
    """The relaxation at some prices, and what each future takes there beyond what there is."""

    prices: DualPrices
    relaxation: Relaxation
    excess: tuple[Floats, Floats, Floats]


class _Ascent:
    def __init__(self, instance: Instance, report: Report) -> None:
        self._instance, self._report = instance, report
        self._recourse = SharedRecourse(instance)
        self._cost = float("inf")

    def relaxation(self) -> Relaxation:
        best = self._at(self._recourse.free())
        step = 1.0
        for _ in range(_MOST_ROUNDS):
            bound = best.relaxation.lower_bound
            self._report(self._cost, bound)
            if self._cost - bound <= _CONVERGED * abs(self._cost) or step < _LEAST_STEP:
                break
            point = self._at(self._raised(best, step))
            if point.relaxation.lower_bound > bound:
                best = point
            else:
                step /= 2
        return best.relaxation

    def _raised(self, point: _Point, step: float) -> DualPrices:
        """Return the prices after a step along the excess, none below zero."""
        probability = self._recourse.stage.probability
        square = sum(float((probability * excess**2).sum()) for excess in point.excess)
        length = step * (self._cost - point.relaxation.lower_bound) / max(square, 1e-9)
        of = point.prices
        satellite, uav, flight = (
            np.maximum(0.0, price + length * excess)
            for price, excess in zip((of.satellite, of.uav, of.flight), point.excess, strict=True)
        )
        return replace(of, satellite=satellite, uav=uav, flight=flight)

    def _at(self, prices: DualPrices) -> _Point:
        instance = self._instance.priced(self._recourse.table(prices))
        pool = replace(generate_columns(instance), separable=False)
        whole = round_and_fill(instance, pool)
        self._cost = min(self._cost, cost_of(self._instance, self._recourse.stage, whole))
        relaxation = Relaxation(instance, pool, self._recourse.rent(prices))
        return _Point(prices, relaxation, self._excess(pool, prices))

    def _excess(self, pool: ColumnPool, prices: DualPrices) -> tuple[Floats, Floats, Floats]:
        """Return by future what is taken less what there is, of every pool; 0 where there is no limit."""
        taken, of = np.zeros((3, self._recourse.futures)), self._recourse.taken(prices)
        left = [float(len(group.members)) for group in self._instance.groups]
        for column, weight in zip(pool.columns, pool.weights, strict=True):
            taken += weight * of(column.group, column.units)
            left[column.group] -= weight
        for group, weight in enumerate(left):
            taken += weight * of(group, 0)
        pools = self._recourse.stage.pools
        rooms = (pools.satellite_units, pools.uav_units, pools.uavs)
        satellite, uav, flight = (
            np.zeros(len(own)) if room is None else own - room
            for own, room in zip(taken, rooms, strict=True)
        )
        return satellite, uav, flight
