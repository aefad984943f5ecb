"""Buying from shared pools: who is served by a satellite, who by a UAV, and who goes without.

The plan's second stage, carried out: what is missing in a period is served at the least cost that the
pools allow.  The plan knows the sky of every future, the manager does not; so it first orders what
satellites should bring if they could serve everybody not yet refused, and decides anew after every
refusal or failure.  When no satellite order is open, UAVs are ordered for the rest.  What is lost is not
ordered.
It knows costs and pools; it sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from global_manager.provisioning.model import Medium, Pools, Request
from global_manager.provisioning.shared_recourse import serve


@dataclass(frozen=True)
class Purchase:
    """Units of key that a request is to get from a medium in a period."""

    request: int
    period: int
    medium: Medium
    units: int


class PoolBuyer:
    """What is missing in the current period, and what the pools still have."""

    def __init__(self, requests: Sequence[Request], pools: Pools) -> None:
        self._requests, self._pools = requests, pools
        self.period, self._awaited, self._left = -1, 0, pools
        self._open: dict[int, int] = {}
        self._refused: set[tuple[int, Medium]] = set()

    def lacks(self, request: int, period: int, units: int) -> None:
        """Take note of a shortage; what a former period still lacks has lapsed."""
        if period > self.period:
            self.period, self._awaited, self._left = period, 0, self._pools
            self._open, self._refused = {}, set()
        if period == self.period:
            self._open[request] = self._open.get(request, 0) + units

    def orders(self) -> list[Purchase]:
        """Return what to order now; nothing while answers are awaited."""
        if self._awaited or not self._open:
            return []
        places = sorted(self._open)
        costs = [self._requests[place].on_demand for place in places]
        service = serve(
            [self._open[place] for place in places],
            self._unless_refused(places, Medium.SATELLITE, [c.satellite_cost for c in costs]),
            self._unless_refused(places, Medium.UAV, [c.uav_cost for c in costs]),
            self._left,
        )
        wanted = self._purchases(places, Medium.SATELLITE, service.satellite)
        wanted = wanted or self._purchases(places, Medium.UAV, service.uav)
        for purchase in wanted:
            self._book(purchase, 1)
        self._awaited = len(wanted)
        return wanted

    def answered(self, purchase: Purchase, *, taken: bool) -> None:
        """Take note of the answer to an order; a refused request is offered to that medium no more."""
        if purchase.period != self.period:
            return
        self._awaited -= 1
        if not taken:
            self._refused.add((purchase.request, purchase.medium))
            self._book(purchase, -1)

    def failed(self, purchase: Purchase) -> None:
        """Take note that an order that was taken has brought nothing: as if it had been refused."""
        if purchase.period == self.period:
            self._refused.add((purchase.request, purchase.medium))
            self._book(purchase, -1)

    def _unless_refused(
        self, places: Sequence[int], medium: Medium, costs: Sequence[int]
    ) -> list[int | None]:
        by_place = zip(places, costs, strict=True)
        return [None if (place, medium) in self._refused else cost for place, cost in by_place]

    def _purchases(
        self, places: Sequence[int], medium: Medium, units: Sequence[int]
    ) -> list[Purchase]:
        by_place = zip(places, units, strict=True)
        return [Purchase(place, self.period, medium, n) for place, n in by_place if n > 0]

    def _book(self, purchase: Purchase, times: int) -> None:
        """Take a purchase from what is missing and from its pool; or put it back."""
        units = purchase.units * times
        self._open[purchase.request] = self._open.get(purchase.request, 0) - units
        if self._open[purchase.request] == 0:
            del self._open[purchase.request]
        self._left = self._left.less(purchase.medium, units)
