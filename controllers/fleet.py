"""A fleet of UAVs: which are ready, which fly for which order, and which are charging.

An order takes a chain of UAVs, one per hop.  A service that outlasts a battery takes several crews, which
relieve one another in the air.  Every UAV is in exactly one state: ready (with a full battery), flying for
one order, or charging.
The fleet is told the time, which never goes back.  It does not know maps, weather, media or money.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protos.core import steps_until


@dataclass(frozen=True)
class FleetConfig:
    """A fleet of equal UAVs; raises ValueError for one that cannot fly.

    `endurance_s` is the time in the air on one battery, `deploy_s` the way to its post (and back),
    `turn_s` the time on the ground until it is ready again.
    """

    uavs: int
    endurance_s: float
    deploy_s: float
    turn_s: float

    def __post_init__(self) -> None:
        if self.uavs < 0:
            raise ValueError(f"uavs must be zero or more, not {self.uavs}")
        for name in ("deploy_s", "turn_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be zero or more, not {getattr(self, name)}")
        if not 2 * self.deploy_s < self.endurance_s < math.inf:
            both = f"{2 * self.deploy_s:g} s there and back"
            raise ValueError(f"endurance_s must exceed {both}, not be {self.endurance_s}")

    @property
    def post_s(self) -> float:
        """Time at its post on one battery."""
        return self.endurance_s - 2 * self.deploy_s


def crews_for_continuity(post_s: float, away_s: float) -> int:
    """Return how many UAVs occupy one post without end: the least k >= 1 + away / post.

    `away_s` is the time between two turns at the post: ways and turn-round.
    """
    return 1 + steps_until(away_s, post_s)


@dataclass(frozen=True)
class _Flight:
    """UAVs out for one order; crew j takes turns j, j + crews, j + 2 crews, ..."""

    uavs: tuple[int, ...]
    crews: int
    start_s: float
    ready_s: float
    home_s: float
    charged_s: float


class Fleet:
    """The state of a fleet."""

    def __init__(self, config: FleetConfig) -> None:
        self._config = config
        self._now_s = -math.inf
        self._ready = list(range(config.uavs))
        self._flights: dict[int, _Flight] = {}
        self._charging: list[_Flight] = []
        self._lost = 0.0

    def lose(self, uavs: float) -> None:
        """Take note of how many UAVs, those with the lowest numbers, cannot take off."""
        self._lost = uavs

    @property
    def ready(self) -> int:
        """UAVs that can take off."""
        return len(self._able())

    @property
    def flying(self) -> int:
        """UAVs out for an order; of several crews some wait on the ground meanwhile."""
        return sum(len(flight.uavs) for flight in self._flights.values())

    @property
    def charging(self) -> int:
        """UAVs that have landed and get a new battery."""
        return sum(len(flight.uavs) for flight in self._charging)

    @property
    def wake_s(self) -> float | None:
        """When the next UAV lands or is ready; None if all are ready."""
        landings = [flight.home_s for flight in self._flights.values()]
        return min([*landings, *(flight.charged_s for flight in self._charging)], default=None)

    def uavs_for(self, n_uavs: int, service_s: float) -> int:
        """Return how many UAVs a chain of `n_uavs` takes for a service of that length."""
        return n_uavs * self._crews(service_s)

    def try_assign(self, order: int, n_uavs: int, service_s: float, now_s: float) -> float | None:
        """Send out a chain for an order; return when its service will be done.

        None, and nothing has changed, if too few UAVs are ready.  A repeat of an order in flight
        changes nothing and returns the same.
        Raises ValueError if the order is for nothing or less.
        """
        if n_uavs < 1 or not 0 <= service_s < math.inf:
            raise ValueError(f"order {order}: {n_uavs} UAVs for {service_s} s are no service")
        self.advance(now_s)
        if order in self._flights:
            return self._flights[order].ready_s
        wanted, able = self.uavs_for(n_uavs, service_s), self._able()
        if wanted > len(able):
            return None
        uavs = tuple(able[:wanted])
        self._ready = [uav for uav in self._ready if uav not in uavs]
        ready_s = now_s + self._config.deploy_s + service_s
        flight = self._flight(uavs, self._crews(service_s), now_s, ready_s)
        self._flights[order] = flight
        return ready_s

    def recall(self, order: int, now_s: float) -> None:
        """Call the UAVs of an order home; an order that has no flight is no error."""
        self.advance(now_s)
        flight = self._flights.get(order)
        if flight is not None and now_s < flight.ready_s:
            self._flights[order] = self._flight(flight.uavs, flight.crews, flight.start_s, now_s)

    def advance(self, now_s: float) -> None:
        """Let time pass: UAVs land, and become ready.  Raises ValueError if time goes back."""
        if now_s < self._now_s:
            raise ValueError(f"time goes back from {self._now_s} s to {now_s} s")
        self._now_s = now_s
        for order, flight in list(self._flights.items()):
            if flight.home_s <= now_s:
                self._charging.append(self._flights.pop(order))
        for flight in [each for each in self._charging if each.charged_s <= now_s]:
            self._charging.remove(flight)
            self._ready.extend(flight.uavs)

    def out_for(self, order: int) -> tuple[int, ...]:
        """Return the numbers of the UAVs that fly for an order."""
        flight = self._flights.get(order)
        return flight.uavs if flight is not None else ()

    def battery_s(self) -> dict[int, float]:
        """Return the time in the air that is left to each UAV; its charge jumps when it is ready."""
        full = dict.fromkeys(self._ready, self._config.endurance_s)
        return full | {
            uav: left_s
            for flight in (*self._flights.values(), *self._charging)
            for uav, left_s in self._left_s(flight)
        }

    def _able(self) -> list[int]:
        """Return the UAVs that can take off, in order of their numbers, not of landing."""
        return sorted(uav for uav in self._ready if uav >= self._lost)

    def _flight(self, uavs: tuple[int, ...], crews: int, start_s: float, ready_s: float) -> _Flight:
        """Return a flight whose last crew leaves its post at `ready_s`."""
        home_s = ready_s + self._config.deploy_s
        return _Flight(uavs, crews, start_s, ready_s, home_s, home_s + self._config.turn_s)

    def _crews(self, service_s: float) -> int:
        """Return how many crews a service needs: one for each battery, until the first is back."""
        config = self._config
        turns = max(1, steps_until(service_s, config.post_s))
        return min(turns, crews_for_continuity(config.post_s, 2 * config.deploy_s + config.turn_s))

    def _left_s(self, flight: _Flight) -> Iterator[tuple[int, float]]:
        """Return what is left to each UAV of a flight; one that waits keeps what it landed with."""
        config = self._config
        per_crew = len(flight.uavs) // flight.crews
        service_s = max(0.0, flight.ready_s - flight.start_s - config.deploy_s)
        turns = max(1, steps_until(service_s, config.post_s))
        for position, uav in enumerate(flight.uavs):
            crew = position // per_crew
            since_s = min(self._now_s, flight.home_s) - flight.start_s - crew * config.post_s
            if since_s < 0 or crew >= turns:
                yield uav, config.endurance_s  # its turn has not come
                continue
            relief_s = flight.crews * config.post_s
            turn = min(int(since_s // relief_s), (turns - 1 - crew) // flight.crews)
            yield uav, max(0.0, config.endurance_s - (since_s - turn * relief_s))
