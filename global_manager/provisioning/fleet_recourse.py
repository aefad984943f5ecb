"""The second stage where requests share a fleet: an order takes a chain of UAVs, whatever it brings.

Beside the pools in units (`sharing`) F UAVs can take off in a period.  Given what is missing,

    sum_r m_r y_r <= F,   u_r <= missing_r y_r,   y_r 0 or 1

where m_r is the length of the chain of request r.  With satellites for everybody or nobody and chains of
one length it is best to fly where a flight saves most.  In general it is a knapsack, and requests
are taken by what they save a UAV as long as their chain is there (Dantzig 1957, Operations Research 5).
Satellites with a limit are counted first as if they served everybody, then as if they served nobody; the
rest of what is missing is shared as without a fleet (`serve`), and the cheaper service of the two is the
answer.  So it can be dearer than the least cost, never cheaper; a plan is priced by it, and a run
follows it (`orders`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from global_manager.provisioning.model import Pools
from global_manager.provisioning.sharing import Service, serve


@dataclass(frozen=True)
class Shortage:
    """What a request misses, what a unit costs by medium (None: not served) or if lost, and its chain."""

    units: int
    satellite_cost: int | None
    uav_cost: int | None
    shortfall_cost: int
    uavs: int

    def saving(self, *, by_satellite: bool) -> int:
        """Return what a flight saves, against satellites if they can serve, else against losing it."""
        if self.uav_cost is None:
            return 0
        instead = self.shortfall_cost
        if by_satellite and self.satellite_cost is not None:
            instead = min(instead, self.satellite_cost)
        return self.units * (instead - self.uav_cost)

    def cost(self, satellite: int, uav: int, lost: int) -> int:
        """Return what it costs to serve so many units by satellite, by UAV and not at all."""
        served = satellite * (self.satellite_cost or 0) + uav * (self.uav_cost or 0)
        return served + lost * self.shortfall_cost


def serve_with_fleet(shortages: Sequence[Shortage], pools: Pools) -> Service:
    """Return a cheap service of what is missing, as the module says."""
    services = (
        _serve(shortages, _flown(shortages, pools.uavs or 0, by_satellite=ample), pools)
        for ample in ((True,) if pools.satellite_units is None else (True, False))
    )
    return min(services, key=lambda service: cost_of(shortages, service))


def cost_of(shortages: Sequence[Shortage], service: Service) -> int:
    """Return what a service costs, losses included."""
    each = zip(shortages, service.satellite, service.uav, service.lost, strict=True)
    return sum(shortage.cost(*units) for shortage, *units in each)


def _flown(shortages: Sequence[Shortage], uavs: int, *, by_satellite: bool) -> set[int]:
    """Return which shortages have a flight: those that save most a UAV, the first of equals."""
    saving = [each.saving(by_satellite=by_satellite) for each in shortages]
    worth = [index for index, saved in enumerate(saving) if saved > 0]
    flown = set()
    for index in sorted(worth, key=lambda index: -saving[index] / shortages[index].uavs):
        if shortages[index].uavs <= uavs:
            uavs -= shortages[index].uavs
            flown.add(index)
    return flown


def _serve(shortages: Sequence[Shortage], flown: set[int], pools: Pools) -> Service:
    return serve(
        [each.units for each in shortages],
        [each.satellite_cost for each in shortages],
        [each.uav_cost if n in flown else None for n, each in enumerate(shortages)],
        [each.shortfall_cost for each in shortages],
        replace(pools, uavs=None),
    )
