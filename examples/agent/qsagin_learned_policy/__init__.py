"""Reserve what a small agent has learned to reserve; `training` is how it learned.

For each request it knows the mean demand and how much dearer a unit is on demand than on fiber.  How many
units that is worth is three weights, found by trial; it knows no law of demand and solves nothing.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.environments.reservations import Routes
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import Allocation
from global_manager.provisioning.own_policy import ProvisioningPolicy, ReserveView

Floats = NDArray[np.float64]

WEIGHTS = Path(__file__).with_name("weights.json")


class LearnedPolicy(ProvisioningPolicy):
    """Reserves once, and orders what is cheapest."""

    def reserve(self, view: ReserveView) -> tuple[Allocation, ...] | None:
        """Return what the weights say, as far as it fits."""
        if view.previous is not None:
            return None  # keep what is reserved
        problem, routes = view.problem, Routes(view.problem)
        prices = [each.on_demand for each in problem.requests]
        units = wanted_units(
            json.loads(WEIGHTS.read_text(encoding="utf-8"))["weights"],
            np.array([mean_units(problem.demand_of(each)) for each in problem.requests]),
            np.array(routes.unit_costs),
            np.array([min(each.satellite_cost, each.uav_cost) for each in prices]),
        )
        return routes.fit(units.tolist()).allocations


def wanted_units(
    weights: Sequence[float] | Floats, mean: Floats, fiber_cost: Floats, on_demand_cost: Floats
) -> NDArray[np.int64]:
    """Return units by request: the mean demand times a parabola in the ratio of the two prices."""
    ratio = fiber_cost / on_demand_cost
    factor = np.polynomial.polynomial.polyval(ratio, np.asarray(weights))
    return np.maximum(0, np.rint(mean * factor)).astype(np.int64)
