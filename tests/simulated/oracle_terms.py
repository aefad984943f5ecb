"""The words of the oracle: what it is given, what it says, and how it counts windows and money."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx

SETUP_WINDOWS = 4
RETRY_WINDOWS = 10
SATELLITE, UAV, FIBER = "satellite", "uav", "fiber"
MANAGER, FIBERS, SATELLITES, UAVS = (
    "global-manager",
    "fiber-controller",
    "satellite-controller",
    "uav-controller",
)
Link = tuple[str, str]


def key_manager(node: str) -> str:
    """Return the name of the local key manager of a node."""
    return f"kme-{node}"


def entity(name: str) -> str:
    """Return whom a schedule means, who may be named by a node."""
    is_known = name in (MANAGER, FIBERS, SATELLITES, UAVS) or name.startswith("kme-")
    return name if is_known else key_manager(name)


@dataclass(frozen=True)
class Way:
    """What a plan chose for a request: nodes from source to target, and wavelengths."""

    path: tuple[str, ...] = ()
    wavelengths: tuple[int, ...] = ()

    @property
    def units(self) -> int:
        """Units reserved."""
        return len(self.wavelengths)

    def uses(self, link: Link) -> bool:
        """Return whether the path runs over a link."""
        return any(set(hop) == set(link) for hop in pairwise(self.path))


@dataclass(frozen=True)
class Given:
    """All that an oracle may know.

    `fields` are those of the experiment, every default written out; `luck_of_demand` is a number in [0, 1)
    for each (request, period), `luck_of_sky` one for each (source, target, period), `luck_of_message` one
    for whatever can befall the message that an entity sends to another under a number; `plans` are in
    the order in which they were made, each by request id.
    """

    fields: Mapping[str, Any]
    graph: nx.Graph[str]
    luck_of_demand: Mapping[tuple[int, int], float]
    luck_of_sky: Mapping[tuple[str, str, int], float]
    luck_of_message: Callable[..., float]
    plans: Sequence[Mapping[str, Way]]


@dataclass(frozen=True)
class Event:
    """Something that happens in a window; `what` is named as in a journal."""

    window: int
    what: str
    request: int = -1
    period: int = -1
    medium: str = ""
    units: int = 0
    cost: int = 0
    note: str = ""


@dataclass(frozen=True)
class Calendar:
    """Which window is when."""

    window_s: float
    period_s: float
    periods: int
    nodes: int

    @property
    def lead_windows(self) -> int:
        """Windows from an epoch's end to the beginning of the period that its keys are for."""
        return min(self.nodes, 40) + 4

    @property
    def first_s(self) -> float:
        """When the first period begins."""
        return (SETUP_WINDOWS + self.lead_windows) * self.window_s + self.period_s

    def begins_s(self, period: int) -> float:
        """Return when a period begins."""
        return self.first_s + period * self.period_s

    def epoch_s(self, epoch: int) -> float:
        """Return when an epoch ends."""
        return self.begins_s(epoch) - self.lead_windows * self.window_s

    def epoch_after(self, at_s: float) -> int:
        """Return the first epoch that ends later than that."""
        return next(epoch for epoch in range(self.periods + 99) if self.epoch_s(epoch) > at_s)

    def window(self, at_s: float) -> int:
        """Return the first window that is not before a time."""
        return math.ceil(at_s / self.window_s - 1e-9)

    def begins(self, period: int) -> int:
        """Return the window in which a period begins."""
        return self.window(self.begins_s(period))

    @property
    def last_window(self) -> int:
        """The window in which the last period ends."""
        return self.begins(self.periods)


def calendar_of(given: Given) -> Calendar:
    """Return the calendar of an experiment."""
    demand, clock = given.fields["demand"], given.fields["clock"]
    return Calendar(clock["window_s"], demand["period_s"], demand["periods"], len(given.graph))


@dataclass(frozen=True)
class Costs:
    """What things cost."""

    given: Given

    def of_way(self, way: Way) -> int:
        """Return what a reservation costs in a period."""
        return way.units * sum(self._of_link(hop) for hop in pairwise(way.path))

    def of_unit(self, request: int, medium: str) -> int:
        """Return what one unit that is bought on demand costs a request."""
        item = self.given.fields["demand"]["requests"][request]
        parts = ("transmitter", "receiver", "secret_key_buffer", "security_infrastructure", medium)
        hop = sum(self._prices[f"on_demand_{name}"] for name in parts)
        return hop * int(nx.shortest_path_length(self.given.graph, item["source"], item["target"]))

    def media(self) -> list[str]:
        """Return media in the order in which they are asked: the cheaper first, UAVs at equal prices."""
        return sorted([UAV, SATELLITE], key=lambda medium: self._prices[f"on_demand_{medium}"])

    @property
    def _prices(self) -> Mapping[str, int]:
        prices: Mapping[str, int] = self.given.fields["prices"]
        return prices

    def _of_link(self, link: Link) -> int:
        km: float = self.given.graph.edges[link]["length_km"]
        devices = ("transmitter", "receiver", "local_key_manager", "mux_demux")
        bundle = sum(self._prices[f"reserved_{name}"] for name in devices)
        bundle += self._prices["reserved_security_infrastructure"]
        return math.ceil(km / 80) * bundle + math.ceil(self._prices["reserved_fiber_km"] * km)
