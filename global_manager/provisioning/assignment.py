"""Wavelength assignment: which request holds which wavelengths of which fibers.

A lightpath is one request's path on one wavelength.  Always: every request holds one path only, and a
wavelength of a fiber belongs to one lightpath at most; so continuity and uniqueness hold throughout,
and any state is a plan.  Wavelengths are bits of an int, which makes "free along a path" one AND.

A selection that respects every fiber's capacity may still have no assignment (five paths around a
ring of five, two wavelengths).  So each unit gets the lowest wavelength free along its path, longest
paths first; if some units find none, the whole selection is colored greedily instead, if that places
more.  For a unit still without one, the lightpaths in its way are moved to other wavelengths; then
every request in turn may move to the path and number of wavelengths that cost it least in what is free.
What still finds no wavelength is left to recourse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np

from global_manager.provisioning.greedy_coloring import color_paths
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Allocation
from global_manager.provisioning.routing import Path, k_cheapest_paths
from global_manager.provisioning.selection import Selection

_MOST_PASSES = 20
_MOST_REPAIR_STEPS = 5_000_000  # lightpaths that repair may visit in large problems


@dataclass(frozen=True)
class Route:
    """A path with its resources, and a wavelength's cost and units, as the request's group goes."""

    path: Path
    resources: tuple[int, ...]
    cost: int
    units_per_wavelength: int = 1


@dataclass(frozen=True)
class Holding:
    """What one request holds: a route, and its wavelengths as bits."""

    route: Route
    wavelengths: int

    @property
    def count(self) -> int:
        """The number of wavelengths."""
        return self.wavelengths.bit_count()

    @property
    def units(self) -> int:
        """Reserved units."""
        return self.count * self.route.units_per_wavelength


class WavelengthAssignment:
    """All wavelengths of all fibers, and their holders."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.free = [(1 << wavelengths) - 1 for wavelengths in instance.wavelengths]
        self.held: dict[int, Holding] = {}

    def copy(self) -> WavelengthAssignment:
        """Return an independent copy."""
        twin = WavelengthAssignment(self.instance)
        twin.free, twin.held = list(self.free), dict(self.held)
        return twin

    def free_along(self, route: Route) -> int:
        """Return the wavelengths that are free on every fiber of the route."""
        wavelengths = -1
        for e in route.resources:
            wavelengths &= self.free[e]
        return wavelengths

    def release(self, request: int) -> Holding | None:
        """Give back all that a request holds."""
        held = self.held.pop(request, None)
        if held is not None:
            for e in held.route.resources:
                self.free[e] |= held.wavelengths
        return held

    def hold(self, request: int, route: Route, wavelengths: int) -> None:
        """Let a request that holds nothing take free wavelengths of a route."""
        if wavelengths == 0:
            return
        for e in route.resources:
            self.free[e] &= ~wavelengths
        self.held[request] = Holding(route, wavelengths)

    def give(self, request: int, route: Route, wavelengths: int) -> None:
        """Give a request free wavelengths of a route, more of them if it holds that route already."""
        held = self.release(request)
        self.hold(request, route, wavelengths | (held.wavelengths if held else 0))

    def drop(self, request: int, wavelengths: int) -> None:
        """Give back some of the wavelengths that a request holds."""
        held = self.held.pop(request)
        for e in held.route.resources:
            self.free[e] |= wavelengths
        if held.wavelengths != wavelengths:
            self.held[request] = Holding(held.route, held.wavelengths & ~wavelengths)

    def cost_of(self, request: int) -> float:
        """Return reservation and expected recourse of one request."""
        group = self.instance.group_of[request]
        held = self.held.get(request)
        if held is None:
            return self.instance.recourse_of(group, 0)
        return held.route.cost * held.count + self.instance.recourse_of(group, held.units)

    def holds(self, request: int) -> int:
        """Return how many wavelengths a request holds."""
        held = self.held.get(request)
        return held.count if held else 0

    @property
    def cost(self) -> float:
        """The expected cost of this state."""
        return fsum(self.cost_of(r) for r in range(len(self.instance.problem.requests)))

    @property
    def units(self) -> int:
        """All reserved units."""
        return sum(held.units for held in self.held.values())

    @property
    def lit(self) -> int:
        """The number of wavelengths that all requests hold."""
        return sum(held.count for held in self.held.values())

    def allocations(self) -> tuple[Allocation, ...]:
        """Return what every request holds, in the order and direction of the requests."""
        return tuple(self._allocations())

    def _allocations(self) -> Iterator[Allocation]:
        for position, request in enumerate(self.instance.problem.requests):
            held = self.held.get(position)
            path = held.route.path if held else ()
            if path and path[0] != request.source:
                path = path[::-1]
            wavelengths = tuple(bits(held.wavelengths)) if held else ()
            brings = held.route.units_per_wavelength if held else 1
            yield Allocation(request.id, request.source, request.target, path, wavelengths, brings)


Routes = Mapping[int, tuple[Route, ...]]
"""Candidate routes by group, cheapest first."""


def assign(
    instance: Instance, selection: Selection, routes: Routes, *, as_selected: bool = False
) -> WavelengthAssignment:
    """Assign wavelengths to a selection as far as possible; nothing is left that pays and fits.

    With `as_selected` requests get no other paths and no more than the selection says.
    """
    choices = member_choices(instance, selection)
    assignment = _assigned(instance, choices)
    repairs = _MOST_REPAIR_STEPS // max(1, assignment.lit)
    for request in _lacking(assignment, choices)[:repairs]:
        _make_room(assignment, request, *choices[request])
    if not as_selected:
        improve_all(assignment, routes)
    return assignment


def member_choices(instance: Instance, selection: Selection) -> dict[int, tuple[Route, int]]:
    """Deal the columns of every group out to its members: route and number of wavelengths by request."""
    waiting = {g: list(group.members) for g, group in enumerate(instance.groups)}
    choices: dict[int, tuple[Route, int]] = {}
    for column, n in selection.items():
        route = route_of(instance, column.path)
        for _ in range(n):
            choices[waiting[column.group].pop(0)] = (route, column.wavelengths)
    return choices


def candidate_routes(instance: Instance, selection: Iterable[tuple[int, Route]], k: int) -> Routes:
    """Return, by group, the routes given and the `k` cheapest of every yield, cheapest first."""
    routes: dict[int, dict[Route, None]] = {g: {} for g in range(len(instance.groups))}
    cheapest: dict[tuple[str, str], list[Route]] = {}
    for g, group in enumerate(instance.groups):
        ends = group.source, group.target
        if ends not in cheapest and k > 0:
            found_paths = (k_cheapest_paths(graph, *ends, k) for graph in instance.graphs)
            paths = dict.fromkeys(path for own in found_paths for path in own)
            cheapest[ends] = [route_of(instance, path) for path in paths]
        routes[g].update(dict.fromkeys(cheapest.get(ends, ())))
    for g, route in selection:
        routes[g][route] = None
    return {g: tuple(sorted(found, key=lambda r: r.cost)) for g, found in routes.items()}


def first_fit(assignment: WavelengthAssignment, choices: Mapping[int, tuple[Route, int]]) -> None:
    """Give every request the lowest wavelengths free along its route, longest routes first."""
    longest_first = sorted(
        choices, key=lambda r: (-len(choices[r][0].resources), -choices[r][1], r)
    )
    for request in longest_first:
        route, count = choices[request]
        assignment.hold(request, route, lowest_bits(assignment.free_along(route), count))


def improve_all(
    assignment: WavelengthAssignment, routes: Routes, requests: Iterable[int] | None = None
) -> None:
    """Let each request move to its best reservation in what is free, until none moves."""
    everyone = range(len(assignment.instance.problem.requests)) if requests is None else requests
    waiting = list(everyone)
    for _ in range(_MOST_PASSES):
        moved = [r for r in waiting if improve_one(assignment, r, routes)]
        if not moved:
            return


def improve_one(assignment: WavelengthAssignment, request: int, routes: Routes) -> bool:
    """Move one request to its best route and number of wavelengths; say whether that saved anything."""
    before = assignment.cost_of(request)
    held = assignment.release(request)
    best = _best_reservation(assignment, request, routes)
    if best is not None and best[0] < before - 1e-6:
        _, route, count = best
        same = held.wavelengths if held is not None and held.route == route else 0
        free = assignment.free_along(route)
        kept = lowest_bits(free & same, count)
        assignment.hold(request, route, kept | lowest_bits(free & ~kept, count - kept.bit_count()))
        return True
    if held is not None:
        assignment.hold(request, held.route, held.wavelengths)
    return False


def route_of(instance: Instance, path: Path) -> Route:
    """Return the path as a route."""
    cost, brings = instance.path_cost(path), instance.units_along(path)
    return Route(path, instance.resources(path), cost, brings)


def bits(mask: int) -> list[int]:
    """Return the positions of the bits of a mask, lowest first; in time linear in its length."""
    octets = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
    ones = np.unpackbits(np.frombuffer(octets, dtype=np.uint8), bitorder="little")
    positions: list[int] = np.flatnonzero(ones).tolist()
    return positions


def lowest_bits(mask: int, n: int) -> int:
    """Return the `n` lowest bits of a mask, or all if there are fewer."""
    if mask.bit_count() <= n:
        return mask
    few, many = (
        0,
        mask.bit_length(),
    )  # the first of these bits have at most n, and more than n, ones
    while many - few > 1:
        middle = (few + many) // 2
        if (mask & ((1 << middle) - 1)).bit_count() <= n:
            few = middle
        else:
            many = middle
    return mask & ((1 << few) - 1)


def mask_of(wavelengths: Iterable[int]) -> int:
    """Return wavelengths as bits."""
    mask = 0
    for wavelength in wavelengths:
        mask |= 1 << wavelength
    return mask


def _assigned(instance: Instance, choices: Mapping[int, tuple[Route, int]]) -> WavelengthAssignment:
    assignment = WavelengthAssignment(instance)
    first_fit(assignment, choices)
    if all(assignment.holds(request) == count for request, (_, count) in choices.items()):
        return assignment
    other = WavelengthAssignment(instance)
    _color_and_deal(other, choices)
    return max(assignment, other, key=lambda known: known.units)


def _color_and_deal(
    assignment: WavelengthAssignment, choices: Mapping[int, tuple[Route, int]]
) -> None:
    """Color whole paths greedily and deal the wavelengths to requests; shortage is shared alike."""
    by_path: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
    for request, (route, count) in choices.items():
        over = min(route.resources, route.resources[::-1])
        by_path[over][request] = count
    coloring = color_paths(
        assignment.instance, {over: sum(own.values()) for over, own in by_path.items()}
    )
    for over, own in by_path.items():
        runs = coloring.runs.get(over, [])
        short = sum(own.values()) - sum(end - begin for begin, end in runs)
        wavelengths = 0
        for begin, end in runs:
            wavelengths |= (1 << end) - (1 << begin)
        for request, count in _shortened(own, short).items():
            given = lowest_bits(wavelengths, count)
            assignment.hold(request, choices[request][0], given)
            wavelengths ^= given


def _shortened(counts: Mapping[int, int], short: int) -> dict[int, int]:
    """Take `short` wavelengths away, one after the other from the largest number that is left."""
    left = dict(counts)
    for _ in range(short):
        most = max(left, key=left.__getitem__)
        left[most] -= 1
    return left


def _best_reservation(
    assignment: WavelengthAssignment, request: int, routes: Routes
) -> tuple[float, Route, int] | None:
    """Return cost, route and wavelengths of the cheapest reservation that fits, or None."""
    instance = assignment.instance
    group = instance.group_of[request]
    best: tuple[float, Route, int] | None = None
    for route in routes[group]:
        brings = route.units_per_wavelength
        worth = instance.worth(group, route.cost, brings)
        count = min(assignment.free_along(route).bit_count(), worth)
        cost = route.cost * count + instance.recourse_of(group, count * brings)
        if count > 0 and (best is None or cost < best[0]):
            best = cost, route, count
    return best


def _lacking(
    assignment: WavelengthAssignment, choices: Mapping[int, tuple[Route, int]]
) -> list[int]:
    return [r for r in sorted(choices) if assignment.holds(r) < choices[r][1]]


def _make_room(assignment: WavelengthAssignment, request: int, route: Route, count: int) -> None:
    """Free wavelengths for what a request lacks on its route by moving lightpaths in the way."""
    held = assignment.held.get(request)
    own = held.wavelengths if held else 0
    lacking = count - own.bit_count()
    if lacking <= 0:
        return
    in_the_way = _holders_by_wavelength(assignment, route)
    shared = min(assignment.instance.wavelengths[e] for e in route.resources)
    others = [wavelength for wavelength in range(shared) if not own >> wavelength & 1]
    for wavelength in sorted(others, key=lambda c: len(in_the_way[c])):
        if lacking > 0 and _clear(assignment, in_the_way, wavelength):
            assignment.give(request, route, 1 << wavelength)
            lacking -= 1


def _holders_by_wavelength(assignment: WavelengthAssignment, route: Route) -> dict[int, list[int]]:
    """Return the requests that hold each wavelength on some fiber of the route."""
    over = set(route.resources)
    holders: dict[int, list[int]] = defaultdict(list)
    for r, held in assignment.held.items():
        if not over.isdisjoint(held.route.resources):
            for wavelength in bits(held.wavelengths):
                holders[wavelength].append(r)
    return holders


def _clear(
    assignment: WavelengthAssignment, in_the_way: dict[int, list[int]], wavelength: int
) -> bool:
    """Move every lightpath on this wavelength that is in the way to another one, or none.

    Lightpaths on one wavelength share no fiber, so each chooses its new wavelength independently.
    """
    moves = []
    for r in in_the_way[wavelength]:
        other = lowest_bits(assignment.free_along(assignment.held[r].route), 1)
        if not other:
            return False
        moves.append((r, other))
    for r, other in moves:
        assignment.give(r, assignment.held[r].route, other)
        assignment.drop(r, 1 << wavelength)
        in_the_way[other.bit_length() - 1].append(r)
    in_the_way[wavelength] = []
    return True
