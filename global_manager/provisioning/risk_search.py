"""Local search over wavelength assignments of a problem with a risk, judged by mean and tail as they are.

The weights of the best bound make requests separate, but what a plan saves in the tail depends on all of
them together.  So every request in turn moves to the path and number of wavelengths in what is free that
minimise the exact objective, given all others; where it would rather have a wavelength that others hold, it
takes it, they move likewise, and the whole is undone unless it saved something.  It ends when nothing pays,
or after so many trials: equal input, equal plan.
"""

from __future__ import annotations

from collections.abc import Iterable

from global_manager.provisioning.assignment import (
    Route,
    Routes,
    WavelengthAssignment,
    lowest_bits,
)
from global_manager.provisioning.model import Risk
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.risk import JointStage, tail_weights

_MOST_PASSES = 10
_MOST_TRIALS = 400
_BUDGET = 2_000_000  # moves times futures
_LEAST_SAVING = 1e-9  # relative to the objective: less is rounding


def polish(assignment: WavelengthAssignment, routes: Routes, risk: Risk) -> WavelengthAssignment:
    """Return an assignment that costs no more by mean and tail, weighed."""
    search = _Polishing(assignment.copy(), routes, risk)
    everybody = range(len(assignment.instance.problem.requests))
    search.move_all(everybody)
    search.take_from_others(everybody)
    return search.assignment


def objective(assignment: WavelengthAssignment, risk: Risk) -> float:
    """Return mean and CVaR of what an assignment costs, weighed."""
    return _Polishing(assignment, {}, risk).objective()


class _Polishing:
    """A search in progress; `assignment` is the best state so far."""

    def __init__(self, assignment: WavelengthAssignment, routes: Routes, risk: Risk) -> None:
        self.assignment, self._routes, self._risk = assignment, routes, risk
        self._stage = JointStage(assignment.instance.problem)
        self._moves_left = _BUDGET // max(1, len(self._stage.probability))
        self._nothing = self._stage.costs([0] * self._stage.units.shape[1])

    def move_all(self, requests: Iterable[int]) -> None:
        """Let each request move to its best reservation in what is free, until none moves."""
        waiting = list(requests)
        for _ in range(_MOST_PASSES):
            moved = [self._move(request) for request in waiting]
            if not any(moved):
                return

    def take_from_others(self, requests: Iterable[int]) -> None:
        """Let each request have one wavelength more of a route, though others hold it, while that pays."""
        trials = 0
        for request in requests:
            for route, wavelength in self._wished(request):
                trials += 1
                if trials > _MOST_TRIALS:
                    return
                if self._take(request, route, wavelength):
                    break

    @property
    def _costs(self) -> Floats:
        costs = self._nothing.copy()
        for request, held in self.assignment.held.items():
            costs -= self._stage.saved(request, held.units)
        return costs

    def objective(self) -> float:
        """Return what the assignment costs, mean and tail weighed."""
        held = self.assignment.held.values()
        return sum(item.route.cost * item.count for item in held) + self._weighed(self._costs)

    def _weighed(self, costs: Floats) -> float:
        tail = tail_weights(costs, self._stage.probability, self._risk.level) @ costs
        return self._risk.weighed(float(self._stage.probability @ costs), float(tail))

    def _move(self, request: int) -> bool:
        """Move one request to its best reservation in what is free; say whether that saved anything."""
        if self._moves_left <= 0:
            return False
        self._moves_left -= 1
        assignment, least = self.assignment, self.objective()
        held, others = assignment.release(request), self._costs
        first = sum(item.route.cost * item.count for item in assignment.held.values())
        best: tuple[Route, int] | None = None
        margin = _LEAST_SAVING * max(1.0, least)
        for route in self._routes[assignment.instance.group_of[request]]:
            room = assignment.free_along(route).bit_count()
            most = assignment.instance.most_wavelengths(route.units_per_wavelength)
            for count in range(min(room, most) + 1):
                saved = self._stage.saved(request, count * route.units_per_wavelength)
                cost = first + route.cost * count + self._weighed(others - saved)
                if cost < least - margin:
                    least, best = cost, (route, count)
        if best is None:
            if held is not None:
                assignment.hold(request, held.route, held.wavelengths)
            return False
        route, count = best
        assignment.hold(request, route, lowest_bits(assignment.free_along(route), count))
        return True

    def _wished(self, request: int) -> list[tuple[Route, int]]:
        """Return wavelengths of a request's routes that others hold; fewest others first."""
        assignment = self.assignment
        held = assignment.held.get(request)
        group = assignment.instance.group_of[request]
        if held is not None and held.units >= int(self._stage.units[:, request].max()):
            return []
        found = []
        for route in [held.route] if held else self._routes[group]:
            for wavelength in range(
                min(assignment.instance.wavelengths[e] for e in route.resources)
            ):
                others = self._holders(request, route, wavelength)
                own = held is not None and held.wavelengths >> wavelength & 1
                if others and not own:
                    found.append((len(others), route.cost, wavelength, route))
        found.sort(key=lambda item: item[:3])
        return [(route, wavelength) for _, _, wavelength, route in found[:3]]

    def _holders(self, request: int, route: Route, wavelength: int) -> list[int]:
        over = set(route.resources)
        return [
            r
            for r, held in self.assignment.held.items()
            if r != request
            and held.wavelengths >> wavelength & 1
            and not over.isdisjoint(held.route.resources)
        ]

    def _take(self, request: int, route: Route, wavelength: int) -> bool:
        before, least = self.assignment.copy(), self.objective()
        holders = self._holders(request, route, wavelength)
        for holder in holders:
            self.assignment.drop(holder, 1 << wavelength)
        self.assignment.give(request, route, 1 << wavelength)
        self.move_all([*holders, request])
        if self.objective() < least - _LEAST_SAVING * max(1.0, least):
            return True
        self.assignment = before
        return False
