"""From units that somebody wants for each request to wavelengths on paths, as far as they fit.

A request takes its cheapest path, or another one if that has too little room, and the lowest wavelengths
that are free along all of it.  Requests are served in their order; what does not fit is left out and
counted.  What comes out keeps every constraint that plans are checked by.  Nothing here knows demand or
prices on demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from global_manager.provisioning.model import Allocation, Fiber, Problem
from global_manager.provisioning.routing import (
    Path,
    cheapest_paths_between,
    fiber_graph,
    k_cheapest_paths,
)

_PATHS = 3

Arc = tuple[str, str]


@dataclass(frozen=True)
class Fitted:
    """Allocations that fit, and by request how many of the wanted units do not."""

    allocations: tuple[Allocation, ...]
    clipped_units: tuple[int, ...]


class Routes:
    """See the module; for the requests and fibers of one problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        costs = [(f.a, f.b, float(f.unit_cost)) for f in problem.fibers]
        self._graph = fiber_graph(problem.nodes, costs)
        self._brings = {arc: f.units_per_wavelength for f in problem.fibers for arc in _ways(f)}
        self._cost = {arc: f.unit_cost for f in problem.fibers for arc in _ways(f)}
        pairs = [(r.source, r.target) for r in problem.requests]
        self._cheapest = cheapest_paths_between(self._graph, pairs)
        self._along: dict[Path, int] = {}
        self._others: dict[tuple[str, str], list[Path]] = {}
        self._place = {
            arc: arc if problem.directed_capacity else (f.a, f.b)
            for f in problem.fibers
            for arc in _ways(f)
        }

        self._empty = {
            self._place[arc]: (1 << fiber.wavelengths) - 1
            for fiber in problem.fibers
            for arc in _ways(fiber)
        }

    @cached_property
    def unit_costs(self) -> tuple[float, ...]:
        """What a unit costs on the cheapest path of each request; 0 where there is no path."""
        return tuple(
            self.wavelength_cost(path) / self.units_along(path) if path else 0.0
            for path in (self._first_path(at) for at in range(len(self._problem.requests)))
        )

    def wavelength_cost(self, path: Path) -> int:
        """Return what one wavelength costs on a path in a period."""
        return sum(self._cost[arc] for arc in pairwise(path))

    def units_along(self, path: Path) -> int:
        """Return what one wavelength brings along a path in a period."""
        if path not in self._along:
            self._along[path] = min(self._brings[arc] for arc in pairwise(path))
        return self._along[path]

    def fit(self, wanted: Sequence[int]) -> Fitted:
        """Return allocations for wanted units by request, as far as wavelengths are free."""
        room = dict(self._empty)
        found, clipped = list[Allocation](), list[int]()
        for at, units in enumerate(wanted):
            allocation = self._one(at, units, room) if units > 0 else None
            if allocation is not None:
                found.append(allocation)
            clipped.append(max(0, units - (allocation.units if allocation else 0)))
        return Fitted(tuple(found), tuple(clipped))

    def _one(self, at: int, units: int, room: dict[Arc, int]) -> Allocation | None:
        """Return the allocation of one request, and take its wavelengths."""
        path = self._first_path(at)
        if not path:
            return None
        free = self._free(path, room)
        if free.bit_count() * self.units_along(path) < units:
            path, free = self._roomiest(at, room)
        each = self.units_along(path)
        taken, mask = list[int](), 0
        while free and len(taken) * each < units:
            lowest = free & -free
            taken.append(lowest.bit_length() - 1)
            mask, free = mask | lowest, free ^ lowest
        for arc in pairwise(path):
            room[self._place[arc]] ^= mask
        request = self._problem.requests[at]
        ends = (request.id, request.source, request.target)
        return Allocation(*ends, path, tuple(taken), each) if taken else None

    def _roomiest(self, at: int, room: dict[Arc, int]) -> tuple[Path, int]:
        """Return the path that brings the most of a few cheap ones, the cheapest of equals."""
        offers = [(path, self._free(path, room)) for path in self._few_paths(at)]
        return max(offers, key=lambda offer: offer[1].bit_count() * self.units_along(offer[0]))

    def _free(self, path: Path, room: dict[Arc, int]) -> int:
        free = -1
        for arc in pairwise(path):
            free &= room[self._place[arc]]
        return free

    def _first_path(self, at: int) -> Path:
        request = self._problem.requests[at]
        _, path = self._cheapest.get((request.source, request.target), (0.0, ()))
        return path

    def _few_paths(self, at: int) -> list[Path]:
        """Return the cheapest paths of a request, which are looked for once."""
        request = self._problem.requests[at]
        ends = request.source, request.target
        if ends not in self._others:
            others = k_cheapest_paths(self._graph, *ends, _PATHS)
            first = self._first_path(at)
            self._others[ends] = [first, *(path for path in others if path != first)]
        return self._others[ends]


def _ways(fiber: Fiber) -> tuple[Arc, Arc]:
    return (fiber.a, fiber.b), (fiber.b, fiber.a)
