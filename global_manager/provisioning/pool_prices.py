"""Prices of fibers and pools, and the second stage as each request sees it at such prices."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

import numpy as np

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.pool_recourse import classes_of, futures, pools_of
from global_manager.provisioning.recourse import Floats


@dataclass(frozen=True)
class Prices:
    """Prices >= 0: of a colour by resource, and of a pool's unit by future."""

    fibers: Floats
    satellite: Floats
    uav: Floats

    def towards(self, other: Prices, share: float) -> Prices:
        """Return the prices at this share of the way to others."""
        return Prices(
            self.fibers + share * (other.fibers - self.fibers),
            self.satellite + share * (other.satellite - self.satellite),
            self.uav + share * (other.uav - self.uav),
        )


class SharedRecourse:
    """The second stage of a problem with pools, as the separable program sees it at given prices.

    `futures` has W entries, `probability[w]` is theirs; `class_of[g]` is the class of group g,
    `requests[c]` the number of requests of class c, `covered[w, k] = min(k, d_w)` what k units cover.
    """

    def __init__(self, instance: Instance) -> None:
        problem = instance.problem
        self.pools = pools_of(problem)
        self.futures = futures(problem)
        self.costs, class_of_request = classes_of(problem)
        self.class_of = [int(class_of_request[g.members[0]]) for g in instance.groups]
        self.requests = np.bincount(class_of_request, minlength=len(self.costs.uav)).tolist()
        self.probability = np.array([f.probability for f in self.futures])
        demand = np.array([f.units for f in self.futures], dtype=float).reshape(-1, 1)
        self.covered = np.minimum(np.arange(instance.most_units + 1.0), demand)
        self._missing = demand - self.covered
        self._cloudy = np.array([not f.satellite for f in self.futures], dtype=bool)

    def table(self, prices: Prices) -> Floats:
        """Return the expected recourse at these prices by group and units; (groups, K + 1)."""
        by_satellite = self.costs.satellite[:, None] + prices.satellite
        by_satellite[:, self._cloudy] = self.costs.lost
        by_uav = self.costs.uav[:, None] + prices.uav
        unit = np.minimum(np.minimum(by_satellite, by_uav), float(self.costs.lost))
        by_class: Floats = (unit * self.probability) @ self._missing
        return by_class[self.class_of]

    def rent(self, prices: Prices) -> float:
        """Return what the pools are expected to earn; prices of unlimited pools are zero."""
        satellites, uavs = self.pools.satellite_units or 0, self.pools.uav_units or 0
        return fsum(self.probability * (satellites * prices.satellite + uavs * prices.uav))
