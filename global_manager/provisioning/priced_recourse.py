"""The second stage of a problem with pools at given prices, where requests decide independently."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

import numpy as np

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.shared_recourse import SecondStage


@dataclass(frozen=True)
class DualPrices:
    """DualPrices >= 0: of a wavelength by resource, and of a pool's unit by future."""

    fibers: Floats
    satellite: Floats
    uav: Floats

    def towards(self, other: DualPrices, share: float) -> DualPrices:
        """Return the prices at this share of the way to others."""
        return DualPrices(
            self.fibers + share * (other.fibers - self.fibers),
            self.satellite + share * (other.satellite - self.satellite),
            self.uav + share * (other.uav - self.uav),
        )


class SharedRecourse:
    """The second stage of a problem with pools, as the separable program sees it at given prices.

    `stage` holds W futures; `kind[w, g]` is what group g is in future w, and `covered(g, k)[w]` what k
    units cover of a member's need then.  Members of a group need the same in every future.
    """

    def __init__(self, instance: Instance) -> None:
        self.stage = SecondStage(instance.problem)
        members = [group.members[0] for group in instance.groups]
        self._demand = self.stage.units[:, members]
        self.kind = self.stage.kind[:, members]
        self._most_units = instance.most_units
        stage = self.stage
        costs = zip(stage.satellite_cost, stage.shortfall_cost, strict=True)
        by_satellite = (lost if cost is None else cost for cost, lost in costs)
        self._satellite: Floats = np.fromiter(by_satellite, dtype=float)
        self._uav: Floats = np.array(stage.uav_cost, dtype=float)
        self._lost: Floats = np.array(stage.shortfall_cost, dtype=float)

    @property
    def futures(self) -> int:
        """The number of futures."""
        return len(self.stage.probability)

    def covered(self, group: int, units: int) -> Floats:
        """Return what `units` reserved units cover in every future; shape (W,)."""
        return np.minimum(units, self._demand[:, group]).astype(float)

    def table(self, prices: DualPrices) -> Floats:
        """Return the expected recourse at these prices by group and units; (groups, K + 1)."""
        by_satellite = self._satellite[self.kind] + prices.satellite[:, None]
        by_uav = self._uav[self.kind] + prices.uav[:, None]
        unit = np.minimum(np.minimum(by_satellite, by_uav), self._lost[self.kind])
        weighted = unit * self.stage.probability[:, None]
        rows = [
            (weighted * np.maximum(0, self._demand - k)).sum(axis=0)
            for k in range(self._most_units + 1)
        ]
        return np.array(rows).T

    def rent(self, prices: DualPrices) -> float:
        """Return what the pools are expected to earn; prices of unlimited pools are zero."""
        pools = self.stage.pools
        satellites, uavs = pools.satellite_units or 0, pools.uav_units or 0
        return fsum(self.stage.probability * (satellites * prices.satellite + uavs * prices.uav))
