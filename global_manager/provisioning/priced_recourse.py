"""The second stage of a problem with pools at given prices, where requests decide independently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum

import numpy as np

from global_manager.provisioning.columns import ColumnPool
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.shared_recourse import Ints, SecondStage


@dataclass(frozen=True)
class DualPrices:
    """Prices >= 0: of a wavelength by resource; of a pool's unit, and of a UAV's flight, by future."""

    fibers: Floats
    satellite: Floats
    uav: Floats
    flight: Floats

    def towards(self, other: DualPrices, share: float) -> DualPrices:
        """Return the prices at this share of the way to others."""
        return DualPrices(
            self.fibers + share * (other.fibers - self.fibers),
            self.satellite + share * (other.satellite - self.satellite),
            self.uav + share * (other.uav - self.uav),
            self.flight + share * (other.flight - self.flight),
        )


class SharedRecourse:
    """The second stage of a problem with pools, as the separable program sees it at given prices.

    `stage` holds W futures; `kind[w, g]` is what group g is in future w, and `covered(g, k)[w]` what k
    units cover of a member's need then.  Members of a group need the same in every future.
    """

    def __init__(self, instance: Instance) -> None:
        self.stage = SecondStage(instance.problem)
        members = [group.members[0] for group in instance.groups]
        self._resources = len(instance.capacity)
        self._chain: Ints = np.array([group.on_demand.uavs for group in instance.groups])
        self._demand = self.stage.units[:, members]
        self.kind = self.stage.kind[:, members]
        self._most_units = instance.most_units
        stage = self.stage
        costs = zip(stage.satellite_cost, stage.shortfall_cost, strict=True)
        by_satellite = (lost if cost is None else cost for cost, lost in costs)
        self._satellite: Floats = np.fromiter(by_satellite, dtype=float)
        offers = zip(stage.uav_cost, stage.shortfall_cost, strict=True)
        by_uav = (lost if cost is None else cost for cost, lost in offers)
        self._uav: Floats = np.fromiter(by_uav, dtype=float)
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
        probability = self.stage.probability[:, None]
        missing = [np.maximum(0, self._demand - k) for k in range(self._most_units + 1)]
        by_satellite, by_uav, lost = self._offers(prices)
        grounded = np.minimum(by_satellite, lost)
        flown = np.minimum(np.minimum(by_satellite, by_uav), lost)
        if self.stage.pools.uavs is None:
            weighted = flown * probability
            return np.array([(weighted * units).sum(axis=0) for units in missing]).T
        flight = prices.flight[:, None] * self._chain
        costs = (np.minimum(grounded * units, flown * units + flight) for units in missing)
        return np.array([(probability * cost).sum(axis=0) for cost in costs]).T

    def taken(self, prices: DualPrices) -> Callable[[int, int], Floats]:
        """Return what a member of a group with so many units reserved takes at these prices.

        That is units by satellite, units by UAV, and UAVs that fly, by future; shape (3, W).
        """
        by_satellite, by_uav, lost = self._offers(prices)
        instead = np.minimum(by_satellite, lost)
        saved = instead - np.minimum(by_uav, instead)
        upward = by_satellite < lost

        def of(group: int, units: int) -> Floats:
            missing = np.maximum(0, self._demand[:, group] - units)
            chain = int(self._chain[group])
            flies = missing * saved[:, group] > prices.flight * chain
            above = missing * (~flies & upward[:, group])
            return np.array([above, missing * flies, chain * flies], dtype=float)

        return of

    def free(self) -> DualPrices:
        """Return prices of zero."""
        nothing = np.zeros(self.futures)
        return DualPrices(np.zeros(self._resources), nothing, nothing, nothing)

    def rent(self, prices: DualPrices) -> float:
        """Return what the pools are expected to earn; prices of unlimited pools are zero."""
        pools = self.stage.pools
        earned = (
            (pools.satellite_units or 0) * prices.satellite
            + (pools.uav_units or 0) * prices.uav
            + (pools.uavs or 0) * prices.flight
        )
        return fsum(self.stage.probability * earned)

    def _offers(self, prices: DualPrices) -> tuple[Floats, Floats, Floats]:
        """Return what a missing unit costs by satellite, by UAV and if lost; shape (W, groups)."""
        return (
            self._satellite[self.kind] + prices.satellite[:, None],
            self._uav[self.kind] + prices.uav[:, None],
            self._lost[self.kind],
        )


@dataclass(frozen=True)
class Relaxation:
    """The linear relaxation, solved: an instance at the best prices found, and its columns.

    Costs and bounds of `instance` and `pool` include the `rent` of the pools at these prices (0
    without pools); the true cost of a plan is at least its cost there less the rent.  With a risk costs are
    at fixed weights of futures (`risk`), and `tails` are the weights of all that the master met.
    """

    instance: Instance
    pool: ColumnPool
    rent: float = 0.0
    tails: tuple[Floats, ...] = ()

    @property
    def lower_bound(self) -> float:
        """A proven bound on the true cost of every plan."""
        return self.pool.lower_bound - self.rent
