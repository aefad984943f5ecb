"""The multiple-choice program for a problem with pools: its second stage spelled out, stated in PuLP.

Added to the rows of `multiple_choice` are, for every kind of requests c and future o in which it needs any,

    required_wavelengths_c_o  s_co + u_co + v_co + sum_{i of kind c} min(k_i y_i, d_io) take_i
                                                                >= sum_{r of kind c} d_ro
    satellite_pool_o, uav_pool_o  sum_c s_co <= S, sum_c u_co <= U

(there is no s_co where no satellite can serve), and the objective is `sum_i c_p k take_i + sum_o p_o
sum_c (cs_c s_co + cu_c u_co + cl_c v_co)`. The master of price decomposition is its relaxation; the
selection solves it in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pulp

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Medium
from global_manager.provisioning.multiple_choice import Column, multiple_choice, occupied_rows
from global_manager.provisioning.priced_recourse import SharedRecourse
from global_manager.provisioning.second_stage import UNSERVED


class PooledChoice:
    """The program over given columns: `model` is PuLP's, `take` its variables, one per column."""

    def __init__(
        self, instance: Instance, recourse: SharedRecourse, columns: Sequence[Column]
    ) -> None:
        self._instance, self._recourse = instance, recourse
        self.model, self.take = multiple_choice(instance, columns)
        self._cost = [
            (x, float(c.path_cost * c.wavelengths)) for x, c in zip(self.take, columns, strict=True)
        ]
        self._needs: dict[tuple[int, int], int] = {}
        self._pools: dict[Medium, dict[int, int]] = {Medium.SATELLITE: {}, Medium.UAV: {}}
        self._bought: dict[tuple[str, int], list[Any]] = {}
        self._meet_needs(columns)
        self._share_pools()
        self.model.setObjective(pulp.LpAffineExpression(self._cost))

    def occupied_rows(self, column: Column) -> Iterator[tuple[int, float]]:
        """Yield the rows in which a column counts, and how much."""
        yield from occupied_rows(self._instance, column)
        for need, units in self._covered(column):
            yield self._needs[need], units

    def pool_rows(self, medium: Medium) -> dict[int, int]:
        """Return by future the row of a medium's pool; none where it has no limit or no use."""
        return self._pools[medium]

    def _covered(self, column: Column) -> Iterator[tuple[tuple[int, int], float]]:
        """Yield future and kind of every need of which a column covers something, and how much."""
        covered = self._recourse.covered(column.group, column.units)
        for future in np.flatnonzero(covered):
            kind = int(self._recourse.kind[future, column.group])
            yield (int(future), kind), float(covered[future])

    def _meet_needs(self, columns: Sequence[Column]) -> None:
        covering: dict[tuple[int, int], list[tuple[Any, float]]] = {}
        for x, column in zip(self.take, columns, strict=True):
            for need, units in self._covered(column):
                covering.setdefault(need, []).append((x, units))
        for (future, kind), needed in np.ndenumerate(self._recourse.stage.needed):
            if needed:
                serving = covering.get((future, kind), []) + self._offers(future, kind)
                self._needs[future, kind] = self.model.numConstraints()
                expression = pulp.LpAffineExpression(serving)
                name = f"required_wavelengths_c{kind}_o{future}"
                self._add(expression, pulp.LpConstraintGE, int(needed), name)

    def _offers(self, future: int, kind: int) -> list[tuple[Any, float]]:
        """Add what can become of a missing unit of this kind."""
        probability = float(self._recourse.stage.probability[future])
        offers = []
        for medium, unit_cost in self._unit_costs(kind):
            x = self.model.add_variable(f"{medium}_{kind}_{future}", 0)
            self._bought.setdefault((medium, future), []).append(x)
            self._cost.append((x, probability * unit_cost))
            offers.append((x, 1.0))
        return offers

    def _unit_costs(self, kind: int) -> Iterator[tuple[str, int]]:
        stage = self._recourse.stage
        satellite_cost = stage.satellite_cost[kind]
        if satellite_cost is not None:
            yield Medium.SATELLITE.value, satellite_cost
        uav_cost = stage.uav_cost[kind]
        if uav_cost is not None:
            yield Medium.UAV.value, uav_cost
        yield UNSERVED, stage.shortfall_cost[kind]

    def _share_pools(self) -> None:
        pools = self._recourse.stage.pools
        room = {Medium.SATELLITE: pools.satellite_units, Medium.UAV: pools.uav_units}
        for (name, future), units in self._bought.items():
            medium = None if name == UNSERVED else Medium(name)
            most = room[medium] if medium else None
            if medium and most is not None:
                self._pools[medium][future] = self.model.numConstraints()
                expression = pulp.LpAffineExpression([(x, 1) for x in units])
                self._add(expression, pulp.LpConstraintLE, most, f"{name}_pool_o{future}")

    def _add(self, expression: Any, sense: int, bound: int, name: str) -> None:
        self.model.addConstraint(pulp.LpConstraint(expression, sense, name, bound))
