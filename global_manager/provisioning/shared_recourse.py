"""The second stage where requests share satellites and UAVs: exact, future by future, no solver.

A future says what every request needs and which requests a satellite can serve.  Requests of equal
costs, on demand and of loss, that a satellite can, or cannot, serve are of one kind: only how much a
kind lacks matters.  Given reservations, what is missing is served at the least cost (`sharing`); where
UAVs fly from a fleet, request by request, since an order takes a chain of them (`fleet_recourse`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.fleet_recourse import Shortage, cost_of, serve_with_fleet
from global_manager.provisioning.model import Future, Pools, Problem
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.sharing import serve

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Expected:
    """Expected cost of all that is missing, losses included, and the units expected to be lost."""

    cost: float
    lost_units: float


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

    `probability` has shape (W,); `units`, `usable` and `flies` (W, R).  There are 2 C kinds for C different
    triples of costs: kind c < C can be served by a satellite, kind C + c cannot; where UAVs are grounded in
    any future, 2 C more that no UAV serves.  `satellite_cost`, `uav_cost` (None: not served) and
    `shortfall_cost` are by kind, `kind` (W, R) says what a request is.
    """

    def __init__(self, problem: Problem) -> None:
        futures, requests = futures_of(problem), problem.requests
        shape = (len(futures), len(requests))
        self.pools = pools_of(problem)
        self.probability: Floats = np.array([f.probability for f in futures])
        self.units: Ints = np.array([f.units for f in futures], dtype=np.int64).reshape(shape)
        self.usable: Bools = np.array([f.usable for f in futures], dtype=bool).reshape(shape)
        flying = [f.flies or (True,) * len(requests) for f in futures]
        self.flies: Bools = np.array(flying, dtype=bool).reshape(shape)
        self._offers = [r.on_demand for r in requests]
        costs = [(o.satellite_cost, o.uav_cost, o.shortfall_cost) for o in self._offers]
        number = {triple: c for c, triple in enumerate(sorted(set(costs)))}
        halves = 1 if self.flies.all() else 2
        self.satellite_cost = [*(s for s, _, _ in number), *(None for _ in number)] * halves
        grounded: list[int | None] = [None] * (2 * len(number) * (halves - 1))
        self.uav_cost = [*(u for _, u, _ in number), *(u for _, u, _ in number), *grounded]
        self.shortfall_cost = [lost for _, _, lost in number] * 2 * halves
        of_request = np.array([number[triple] for triple in costs], dtype=np.int64)
        self.kind: Ints = of_request + len(number) * (~self.usable + 2 * ~self.flies)

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
        if self.pools.uavs is not None:
            rows = zip(missing, self.usable, self.flies, strict=True)
            return [self._flown(*row) for row in rows]
        return [self._least(row) for row in self._by_kind(missing).tolist()]

    def _least(self, missing: list[int]) -> tuple[int, int]:
        service = serve(
            missing, self.satellite_cost, self.uav_cost, self.shortfall_cost, self.pools
        )
        cost = sum(
            n * (c or 0) for n, c in zip(service.satellite, self.satellite_cost, strict=True)
        )
        cost += sum(n * (c or 0) for n, c in zip(service.uav, self.uav_cost, strict=True))
        cost += sum(n * c for n, c in zip(service.lost, self.shortfall_cost, strict=True))
        return cost, sum(service.lost)

    def _flown(self, missing: Ints, usable: Bools, flies: Bools) -> tuple[int, int]:
        short = [
            Shortage(
                int(missing[r]),
                self._offers[r].satellite_cost if usable[r] else None,
                self._offers[r].uav_cost if flies[r] else None,
                self._offers[r].shortfall_cost,
                self._offers[r].uavs,
            )
            for r in np.flatnonzero(missing).tolist()
        ]
        service = serve_with_fleet(short, self.pools)
        return cost_of(short, service), sum(service.lost)

    def _by_kind(self, units: Ints) -> Ints:
        """Add the units of requests up by kind; shape (W, kinds)."""
        sums = np.zeros((len(self.probability), self.kinds), dtype=np.int64)
        futures = np.broadcast_to(np.arange(len(units))[:, None], units.shape)
        np.add.at(sums, (futures, self.kind), units)
        return sums
