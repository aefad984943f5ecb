"""The second stage where requests share satellites and UAVs: exact, future by future, no solver.

A future says what every request needs and which requests a satellite can serve.  Requests of equal
costs, on demand and of loss, that a satellite can, or cannot, serve are of one kind: only how much a
kind lacks matters.  Given reservations, what is missing is served at the least cost, a transportation
problem between two sources and all that is missing:

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
from functools import cached_property
from math import fsum

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.model import Future, Pools, Problem
from global_manager.provisioning.recourse import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Expected:
    """Expected cost of all that is missing, losses included, and the units expected to be lost."""

    cost: float
    lost_units: float


@dataclass(frozen=True)
class Service:
    """Units by satellite, by UAV and lost; one entry each for all that was missing."""

    satellite: tuple[int, ...]
    uav: tuple[int, ...]
    lost: tuple[int, ...]


def has_pools(problem: Problem) -> bool:
    """Say whether requests compete on demand."""
    return problem.pools is not None and problem.pools.limited


def pools_of(problem: Problem) -> Pools:
    """Return the pools of a problem that has some."""
    if problem.pools is None:
        raise ValueError("the problem has no pools")
    return problem.pools


def futures_of(problem: Problem) -> tuple[Future, ...]:
    """Return the futures in which anything is needed: those drawn, or every demand and common sky."""
    if problem.futures:
        found = problem.futures
    else:
        requests = len(problem.requests)
        demand: dict[int, float] = {}
        for scenario in problem.scenarios:
            demand[scenario.units] = demand.get(scenario.units, 0.0) + scenario.probability
        clear = problem.requests[0].on_demand.satellite_probability if problem.requests else 0.0
        found = tuple(
            Future(probability * sky, (units,) * requests, (usable,) * requests)
            for units, probability in sorted(demand.items())
            for usable, sky in ((True, clear), (False, 1 - clear))
        )
    return tuple(f for f in found if any(f.units) and f.probability > 0)


class SecondStage:
    """The futures of a problem with pools as arrays, and the kinds of requests in them.

    `probability` has shape (W,); `units` and `usable` (W, R).  There are 2 C kinds for C different triples
    of costs: kind c < C can be served by a satellite, kind C + c cannot.  `satellite_cost`
    (None: not served), `uav_cost` and `shortfall_cost` are by kind, `kind` (W, R) says what a request is.
    """

    def __init__(self, problem: Problem) -> None:
        futures, requests = futures_of(problem), problem.requests
        shape = (len(futures), len(requests))
        self.pools = pools_of(problem)
        self.probability: Floats = np.array([f.probability for f in futures])
        self.units: Ints = np.array([f.units for f in futures], dtype=np.int64).reshape(shape)
        self.usable: Bools = np.array([f.usable for f in futures], dtype=bool).reshape(shape)
        offers = (r.on_demand for r in requests)
        costs = [(o.satellite_cost, o.uav_cost, o.shortfall_cost) for o in offers]
        number = {triple: c for c, triple in enumerate(sorted(set(costs)))}
        self.satellite_cost = [*(s for s, _, _ in number), *(None for _ in number)]
        self.uav_cost = [u for _, u, _ in number] * 2
        self.shortfall_cost = [lost for _, _, lost in number] * 2
        of_request = np.array([number[triple] for triple in costs], dtype=np.int64)
        self.kind: Ints = of_request + len(number) * ~self.usable

    @property
    def kinds(self) -> int:
        """The number of kinds."""
        return len(self.uav_cost)

    @cached_property
    def needed(self) -> Ints:
        """Units that every kind needs in every future; shape (W, kinds)."""
        return self._by_kind(self.units)

    def expected(self, reserved: Sequence[int]) -> Expected:
        """Return what is expected of the second stage; `reserved` is in order of the requests."""
        outcomes = list(zip(self.probability.tolist(), self.outcomes(reserved), strict=True))
        return Expected(
            fsum(probability * cost for probability, (cost, _) in outcomes),
            fsum(probability * lost for probability, (_, lost) in outcomes),
        )

    def outcomes(self, reserved: Sequence[int]) -> list[tuple[int, int]]:
        """Return, by future, the least cost of what is missing, and how many units of it are lost."""
        missing = np.maximum(0, self.units - np.asarray(reserved, dtype=np.int64))
        return [self._least(row) for row in self._by_kind(missing).tolist()]

    def _least(self, missing: list[int]) -> tuple[int, int]:
        service = serve(
            missing, self.satellite_cost, self.uav_cost, self.shortfall_cost, self.pools
        )
        cost = sum(
            n * (c or 0) for n, c in zip(service.satellite, self.satellite_cost, strict=True)
        )
        cost += sum(n * c for n, c in zip(service.uav, self.uav_cost, strict=True))
        cost += sum(n * c for n, c in zip(service.lost, self.shortfall_cost, strict=True))
        return cost, sum(service.lost)

    def _by_kind(self, units: Ints) -> Ints:
        """Add the units of requests up by kind; shape (W, kinds)."""
        sums = np.zeros((len(self.probability), self.kinds), dtype=np.int64)
        futures = np.broadcast_to(np.arange(len(units))[:, None], units.shape)
        np.add.at(sums, (futures, self.kind), units)
        return sums


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
