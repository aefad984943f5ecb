"""The oracle's controllers: fibers that are watched and configured, satellites and UAVs that are sold."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from oracle_mail import Entity, Reply
from oracle_manager import HasFailed, IsDone, IsUp, LinkNews, Order, Release, Reserve, Walk
from oracle_terms import (
    FIBERS,
    MANAGER,
    SATELLITES,
    UAV,
    UAVS,
    Event,
    Link,
    Way,
    key_manager,
)
from oracle_world import World


@dataclass(frozen=True)
class Join:
    """A node takes part in a reservation, between these neighbours."""

    request: int
    generation: int
    upstream: str
    downstream: str
    peer: str
    units: int
    start_s: float


@dataclass(frozen=True)
class Leave:
    """A node takes part no more, up to this generation."""

    request: int
    generation: int


@dataclass(frozen=True)
class Bring:
    """One end takes the key of an order, made with the other end."""

    order: Order
    peer: str
    is_source: bool


class FiberController(Entity):
    """Looks at fibers, and configures nodes."""

    def __init__(self, world: World, events: list[Event]) -> None:
        super().__init__(FIBERS, events)
        self._world = world
        fiber = world.given.fields["fiber"]
        self._monitor_s = max(fiber["monitor_s"], world.calendar.window_s)
        self._wait_s = fiber["wait_to_restore_s"]
        self._next_s = self._monitor_s
        self._links: list[Link] = [(a, b) for a, b in world.given.graph.edges]
        self._state = dict.fromkeys(self._links, "up")
        self._good_since_s: dict[Link, float] = {}
        self._reservations: dict[int, Reserve] = {}
        self._missing: dict[int, set[str]] = {}
        self._active: set[int] = set()
        self._over: dict[int, int] = {}

    def act(self) -> None:
        """Look, if it is time."""
        now_s = self.window * self._world.calendar.window_s
        if self._next_s > now_s:
            return
        while self._next_s <= now_s:
            self._next_s += self._monitor_s
        for link in self._links:
            self._look(link, now_s)

    def tell(self, what: Any) -> Any:
        """Return units by request."""
        reserved = {request: item.way.units for request, item in self._reservations.items()}
        return reserved if isinstance(what, Walk) else None

    def obey(self, sender: str, what: Any) -> bool:
        """Set a reservation up, or take it down."""
        if isinstance(what, Release):
            self._release(what.request, what.generation)
            return True
        assert isinstance(what, Reserve)
        if what.generation <= self._over.get(what.request, -1):
            return True
        here = self._reservations.get(what.request)
        if here is not None and here.generation >= what.generation:
            return False
        if here is not None:
            self._release(what.request, here.generation)
        if any(self._lit(what.way) & self._lit(item.way) for item in self._reservations.values()):
            return False
        self._reservations[what.request] = what
        self._missing[what.request] = {key_manager(node) for node in what.way.path}
        self._active.discard(what.request)
        for node, join in self._joins(what):
            self.ask(key_manager(node), join, (what.request, what.generation))
        return True

    def answered(self, sender: str, context: Any, reply: Reply) -> None:
        """Tell the manager when all nodes are configured."""
        if context is None or not reply.is_yes:
            return
        request, generation = context
        item = self._reservations.get(request)
        if item is None or item.generation != generation:
            return
        self._missing[request].discard(sender)
        if not self._missing[request] and request not in self._active:
            self._active.add(request)
            self.note("active", request, units=item.way.units)
            self.ask(MANAGER, IsUp(request))

    def _look(self, link: Link, now_s: float) -> None:
        seen, known = self._world.state(link, now_s), self._state[link]
        if seen != "up":
            self._good_since_s.pop(link, None)
        elif now_s - self._good_since_s.setdefault(link, now_s) < self._wait_s:
            return
        if seen != known:
            self._state[link] = seen
            self.note("link", note=f"{link[0]}-{link[1]} {seen}")
            self.ask(MANAGER, LinkNews(link, seen))

    def _release(self, request: int, generation: int) -> None:
        self._over[request] = max(generation, self._over.get(request, -1))
        item = self._reservations.get(request)
        if item is not None and item.generation <= generation:
            del self._reservations[request]
            for node, join in self._joins(item):
                self.ask(key_manager(node), Leave(join.request, join.generation))

    def _joins(self, item: Reserve) -> list[tuple[str, Join]]:
        path, peers = item.way.path, {item.way.path[0]: item.way.path[-1]}
        peers[path[-1]] = path[0]
        return [
            (
                node,
                Join(
                    item.request,
                    item.generation,
                    upstream,
                    downstream,
                    peers.get(node, ""),
                    item.way.units,
                    item.start_s,
                ),
            )
            for upstream, node, downstream in zip(("", *path), path, (*path[1:], ""), strict=False)
        ]

    def _lit(self, way: Way) -> set[tuple[object, int]]:
        is_directed = self._world.given.fields["network"]["capacity"] == "per-direction"
        hops = [hop if is_directed else frozenset(hop) for hop in pairwise(way.path)]
        return {(hop, colour) for hop in hops for colour in way.wavelengths}


@dataclass
class _Sale:
    order: Order
    ready_s: float
    since_s: float
    uavs: list[int]
    missing: set[str]
    is_over: bool = False


class Seller(Entity):
    """Takes or refuses orders, and has both ends take the key."""

    def __init__(self, name: str, world: World, events: list[Event]) -> None:
        super().__init__(name, events)
        self._world = world
        self._sales: dict[int, _Sale] = {}

    def act(self) -> None:
        """Deliver what is ready, if nothing has become of it."""
        now_s = self._now_s
        for sale in list(self._sales.values()):
            if sale.is_over or sale.ready_s > now_s:
                continue
            sale.is_over = True
            if self.is_lost(sale, now_s):
                self.ask(MANAGER, HasFailed(sale.order), sale.order.number)
                continue
            source, target = self._ends(sale.order)
            for node, peer in ((source, target), (target, source)):
                bring = Bring(sale.order, peer, node == source)
                self.ask(key_manager(node), bring, sale.order.number)

    def obey(self, sender: str, what: Any) -> bool:
        """Take an order, or refuse it; one whose period is over is of no use."""
        assert isinstance(what, Order)
        if self._world.calendar.begins(what.period + 1) <= self.window:
            return False
        lasts_s = self._world.service_s(what.medium, what.units)
        uavs = None if lasts_s is None else self.assign(what, lasts_s)
        if lasts_s is None or uavs is None:
            return False
        setup_s = self._world.given.fields[what.medium]["setup_s"]
        ready_s = self._now_s + setup_s + lasts_s
        ends = set(map(key_manager, self._ends(what)))
        self._sales[what.number] = _Sale(what, ready_s, self._now_s, uavs, ends)
        return True

    def answered(self, sender: str, context: Any, reply: Reply) -> None:
        """Tell the manager when both ends have the key; forget the order when it has heard."""
        sale = self._sales.get(context)
        if sale is None or not reply.is_yes:
            return
        sale.missing.discard(sender)
        if sender == MANAGER:
            del self._sales[context]
        elif not sale.missing:
            self.ask(MANAGER, IsDone(sale.order), context)

    def assign(self, order: Order, lasts_s: float) -> list[int] | None:
        """Return who serves an order; None: nobody can."""
        raise NotImplementedError

    def is_lost(self, sale: _Sale, now_s: float) -> bool:
        """Return whether a service has come to nothing."""
        raise NotImplementedError

    @property
    def _now_s(self) -> float:
        return self.window * self._world.calendar.window_s

    def _ends(self, order: Order) -> tuple[str, str]:
        item = self._world.given.fields["demand"]["requests"][order.request]
        return item["source"], item["target"]


class SatelliteController(Seller):
    """Sells what comes from orbit."""

    def __init__(self, world: World, events: list[Event]) -> None:
        super().__init__(SATELLITES, world, events)

    def assign(self, order: Order, lasts_s: float) -> list[int] | None:
        """Serve whoever sees a satellite."""
        return [] if self._world.sees_satellite(*self._ends(order), self._now_s) else None

    def is_lost(self, sale: _Sale, now_s: float) -> bool:
        """Return that nothing is lost: it has been decided when the order was taken."""
        return False


class UavController(Seller):
    """Sells what UAVs bring; those with the lowest numbers fly first, and are lost first."""

    def __init__(self, world: World, events: list[Event]) -> None:
        super().__init__(UAVS, world, events)
        self._away: dict[int, float] = defaultdict(float)

    def assign(self, order: Order, lasts_s: float) -> list[int] | None:
        """Send the first UAVs that are ready; without a fleet there are always enough."""
        fleet, now_s = self._world.fleet, self._now_s
        if not self._world.sees_uav(*self._ends(order), now_s):
            return None
        if fleet is None:
            return []
        setup_s = self._world.given.fields[UAV]["setup_s"]
        wanted = _crews(fleet, setup_s, lasts_s) * fleet["uavs_per_order"]
        lost = self._world.lost_uavs(now_s, now_s)
        ready = [u for u in range(fleet["uavs"]) if self._away[u] <= now_s and u >= lost]
        if wanted > len(ready):
            return None
        for uav in ready[:wanted]:
            self._away[uav] = now_s + setup_s + lasts_s + setup_s + fleet["turn_s"]
        return ready[:wanted]

    def is_lost(self, sale: _Sale, now_s: float) -> bool:
        """Return whether a UAV of an order could not fly at some time."""
        lost = self._world.lost_uavs(sale.since_s, now_s)
        return lost > min(sale.uavs) if sale.uavs else lost == math.inf


def _crews(fleet: Mapping[str, Any], setup_s: float, lasts_s: float) -> int:
    """Return how many crews take turns in a service: one a battery, or as many as stay up for ever."""
    post_s: float = fleet["endurance_s"] - 2 * setup_s
    for_ever = 1 + math.ceil((2 * setup_s + fleet["turn_s"]) / post_s - 1e-9)
    return min(for_ever, max(1, math.ceil(lasts_s / post_s - 1e-9)))
