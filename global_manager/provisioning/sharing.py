"""Sharing pools in units: what is missing is served at the least cost by satellites and UAVs; no solver.

A transportation problem between two sources and all that is missing, kind by kind:

    minimise   sum_c cs_c s_c + cu_c u_c + cl_c v_c
    need       s_c + u_c + v_c  = missing units of c
    pools      sum_c s_c <= S,  sum_c u_c <= U

It is solved by successive best exchanges.  UAVs alone are a knapsack of equal weights: serve first
where they save most.  Then satellites are added, and each unit takes the best exchange: serve a unit
that would be lost, or relieve a UAV, which then serves where it saves most.  No exchange passes through
a pool twice, so these two are all; and an optimum stays one when it is raised along a best exchange
(Ahuja, Magnanti and Orlin, Network Flows, section 9.7).  What can be served for the price of a loss is
served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from global_manager.provisioning.model import Pools


@dataclass(frozen=True)
class Service:
    """Units by satellite, by UAV and lost; one entry each for all that was missing."""

    satellite: tuple[int, ...]
    uav: tuple[int, ...]
    lost: tuple[int, ...]


def serve(
    missing: Sequence[int],
    satellite: Sequence[int | None],
    uav: Sequence[int | None],
    shortfall: Sequence[int],
    pools: Pools,
) -> Service:
    """Return the cheapest service of what is missing.

    `satellite`, `uav` and `shortfall` are costs of a unit, by that medium or if it is lost; None means
    that this medium cannot serve.
    """
    sharing = _Sharing(missing, satellite, uav, shortfall)
    everything = sum(missing)
    sharing.send_uavs(everything if pools.uav_units is None else pools.uav_units)
    sharing.add_satellites(everything if pools.satellite_units is None else pools.satellite_units)
    return Service(tuple(sharing.satellite), tuple(sharing.uav), tuple(sharing.lost))


class _Sharing:
    """A service under way; what it saves is counted against losing everything."""

    def __init__(
        self,
        missing: Sequence[int],
        satellite: Sequence[int | None],
        uav: Sequence[int | None],
        shortfall: Sequence[int],
    ) -> None:
        self.lost = list(missing)
        self.satellite, self.uav = [0] * len(missing), [0] * len(missing)
        self._by_satellite = list(map(_saving, satellite, shortfall))
        self._by_uav = list(map(_saving, uav, shortfall))

    def send_uavs(self, room: int) -> None:
        """Serve by UAV alone, which is best while there are no satellites."""
        for c in sorted(range(len(self.lost)), key=lambda c: -self._by_uav[c]):
            units = min(self.lost[c], room) if self._by_uav[c] >= 0 else 0
            self._move(units, self.lost, self.uav, c)
            room -= units

    def add_satellites(self, room: int) -> None:
        """Raise the satellites' units from none to all that help."""
        while room > 0:
            served = _best(self.lost, self._by_satellite)
            heir = _best(self.lost, self._by_uav)
            relief = [s - u for s, u in zip(self._by_satellite, self._by_uav, strict=True)]
            relieved = _best(self.uav, relief)
            direct = -1 if served is None else self._by_satellite[served]
            passed_on = -1 if heir is None else self._by_uav[heir]
            indirect = -1 if relieved is None else relief[relieved] + max(0, passed_on)
            if served is not None and direct >= max(0, indirect):
                units = min(room, self.lost[served])
                self._move(units, self.lost, self.satellite, served)
            elif relieved is not None and heir is not None and passed_on >= 0 <= indirect:
                units = min(room, self.uav[relieved], self.lost[heir])
                self._move(units, self.uav, self.satellite, relieved)
                self._move(units, self.lost, self.uav, heir)
            elif relieved is not None and indirect > 0:
                units = min(room, self.uav[relieved])
                self._move(units, self.uav, self.satellite, relieved)
            else:
                return
            room -= units

    @staticmethod
    def _move(units: int, source: list[int], target: list[int], c: int) -> None:
        source[c] -= units
        target[c] += units


def _saving(cost: int | None, shortfall_cost: int) -> int:
    """Return what a served unit saves; less than zero where that is no use."""
    return -1 if cost is None or cost > shortfall_cost else shortfall_cost - cost


def _best(units: Sequence[int], gain: Sequence[int]) -> int | None:
    """Return who of those that have units gains most; the first of equals."""
    return max((c for c, n in enumerate(units) if n > 0), key=gain.__getitem__, default=None)
