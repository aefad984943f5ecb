"""Who holds which colours where: the state of a wavelength assignment.

A lightpath is one request's path in one colour.  Always: every request holds one path only, and a
colour of a fiber belongs to one lightpath at most; so continuity and uniqueness hold throughout,
and any state is a plan.  Colours are bits of an int, which makes "free along a whole path" one AND.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import fsum

import numpy as np

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Allocation
from global_manager.routing import Path


@dataclass(frozen=True)
class Route:
    """A path as the palette sees it, in the direction of the request's group."""

    path: Path
    resources: tuple[int, ...]
    cost: int


@dataclass(frozen=True)
class Held:
    """What one request holds: a route, and its colours as bits."""

    route: Route
    colours: int

    @property
    def units(self) -> int:
        """Reserved units."""
        return self.colours.bit_count()


class Palette:
    """All colours of all fibers, and their holders."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.free = [(1 << colours) - 1 for colours in instance.colours]
        self.held: dict[int, Held] = {}

    def copy(self) -> Palette:
        """Return an independent copy."""
        twin = Palette(self.instance)
        twin.free, twin.held = list(self.free), dict(self.held)
        return twin

    def free_along(self, route: Route) -> int:
        """Return the colours that are free on every fiber of the route."""
        colours = -1
        for e in route.resources:
            colours &= self.free[e]
        return colours

    def release(self, request: int) -> Held | None:
        """Give back all that a request holds."""
        held = self.held.pop(request, None)
        if held is not None:
            for e in held.route.resources:
                self.free[e] |= held.colours
        return held

    def hold(self, request: int, route: Route, colours: int) -> None:
        """Let a request that holds nothing take free colours of a route."""
        if colours == 0:
            return
        for e in route.resources:
            self.free[e] &= ~colours
        self.held[request] = Held(route, colours)

    def give(self, request: int, route: Route, colours: int) -> None:
        """Give a request free colours of a route, more of them if it holds that route already."""
        held = self.release(request)
        self.hold(request, route, colours | (held.colours if held else 0))

    def drop(self, request: int, colours: int) -> None:
        """Give back some of the colours that a request holds."""
        held = self.held.pop(request)
        for e in held.route.resources:
            self.free[e] |= colours
        if held.colours != colours:
            self.held[request] = Held(held.route, held.colours & ~colours)

    def cost_of(self, request: int) -> float:
        """Return reservation and expected recourse of one request."""
        recourse = self.instance.recourse[self.instance.group_of[request]]
        held = self.held.get(request)
        if held is None:
            return float(recourse[0])
        return held.route.cost * held.units + float(recourse[held.units])

    @property
    def cost(self) -> float:
        """The expected cost of this state."""
        return fsum(self.cost_of(r) for r in range(len(self.instance.problem.requests)))

    @property
    def units(self) -> int:
        """All reserved units."""
        return sum(held.units for held in self.held.values())

    def allocations(self) -> tuple[Allocation, ...]:
        """Return what every request holds, in the order and direction of the requests."""
        return tuple(self._allocations())

    def _allocations(self) -> Iterator[Allocation]:
        for position, request in enumerate(self.instance.problem.requests):
            held = self.held.get(position)
            path = held.route.path if held else ()
            if path and path[0] != request.source:
                path = path[::-1]
            colours = tuple(bits(held.colours)) if held else ()
            yield Allocation(request.id, request.source, request.target, path, colours)


def route_of(instance: Instance, path: Path) -> Route:
    """Return the path as a route."""
    return Route(path, instance.resources(path), instance.path_cost(path))


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
    few, many = 0, mask.bit_length()  # so many bits hold at most n, and more than n, ones
    while many - few > 1:
        middle = (few + many) // 2
        if (mask & ((1 << middle) - 1)).bit_count() <= n:
            few = middle
        else:
            many = middle
    return mask & ((1 << few) - 1)


def mask_of(colours: Iterable[int]) -> int:
    """Return colours as bits."""
    mask = 0
    for colour in colours:
        mask |= 1 << colour
    return mask
