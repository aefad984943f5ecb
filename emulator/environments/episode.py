"""One episode: a world that is played, and what its manager may know of it.

Requests are in groups: classes, or each by itself.  What is reserved for a period is decided when the
period before it begins, since setting up takes time; so what is known then of demand and stores ends
with the period before that.  Prices, laws of demand and how often satellites serve are known from the
start; what will happen is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.build.setup import Setup
from emulator.environments.periods import Ints, Offers, Outcome, PeriodWorld
from emulator.environments.reservations import Fitted, Routes
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import Medium, Request

Observation = dict[str, NDArray[np.float64]]

MOST = 1e12
"""No observed number is larger."""

BY_GROUP = (
    "demanded", "stores", "fiber", "satellite", "uav", "shortfall", "mean_demand", "fiber_cost",
    "satellite_cost", "uav_cost", "shortfall_cost", "satellite_chance",
)  # fmt: skip
"""What is observed of each group: units of the last known period; then what is known from the start."""
OF_ALL = ("hour", "periods_left")
"""What is observed besides: the hour (UTC) at which the period begins, and how many are to come."""


class By(StrEnum):
    """What a group of requests is."""

    CLASS = "class"
    REQUEST = "request"


@dataclass(frozen=True)
class Groups:
    """Names of groups, the group of each request, and the most units that one of a group can need."""

    names: tuple[str, ...]
    of_request: Ints
    most_units: tuple[int, ...]

    def spread(self, values: Sequence[int] | Ints) -> Ints:
        """Return the value of its group for each request."""
        return np.asarray(values, dtype=np.int64)[self.of_request]

    def sums(self, values: NDArray[Any] | Sequence[float]) -> NDArray[np.float64]:
        """Return sums of values by request."""
        weights = np.asarray(values, dtype=np.float64)
        return np.bincount(self.of_request, weights, len(self.names)).astype(np.float64)

    def means(self, values: NDArray[Any] | Sequence[float]) -> NDArray[np.float64]:
        """Return means of values by request."""
        return self.sums(values) / np.bincount(self.of_request, minlength=len(self.names))


class Episode:
    """See the module.  Raises UnmodelledError."""

    def __init__(self, setup: Setup, by: By) -> None:
        self.world = world = PeriodWorld(setup)
        self.requests = world.problem.requests
        self.groups = _groups(self.requests, by, world.most_needed)
        self._routes = Routes(world.problem)
        self._fitted: dict[tuple[int, ...], Fitted] = {}
        self._offers = tuple(map(world.list_offers, range(len(self.requests))))
        self._epoch = setup.experiment.epoch
        self._known = self._nothing_yet()
        self._latest = dict(self._known)
        self._fixed = self._known_from_the_start()

    @property
    def is_over(self) -> bool:
        """Whether all periods have been played."""
        return self.world.next_period >= self.world.timeline.periods

    @property
    def list_offers(self) -> tuple[tuple[tuple[Medium, int], ...], ...]:
        """By request, the media that a run asks, cheapest first, and what a unit costs."""
        return self._offers

    def preferring(self, first: Mapping[int, Medium]) -> tuple[Offers, ...]:
        """Return list offers, in which requests of a group ask this medium first."""
        return tuple(
            sorted(offers, key=lambda offer: offer[0] is not first.get(int(group)))
            for offers, group in zip(self._offers, self.groups.of_request, strict=True)
        )

    def play(self, units: Ints, offers: Sequence[Offers]) -> tuple[Outcome, int]:
        """Reserve units for each request by group; return what comes of it, and units that did not fit."""
        if self.is_over:
            raise RuntimeError("the episode is over: reset the environment")
        wanted = tuple(self.groups.spread(units).tolist())
        if wanted not in self._fitted:
            self._fitted[wanted] = self._routes.fit(wanted)
        fitted = self._fitted[wanted]
        outcome = self.world.play(fitted.allocations, offers)
        self._known, self._latest = self._latest, self._of(outcome)
        return outcome, sum(fitted.clipped_units)

    def observe(self) -> Observation:
        """Return what is known when the next period is planned."""
        period, timeline = self.world.next_period, self.world.timeline
        at = self._epoch + timedelta(seconds=timeline.begins_s(period))
        hour = at.hour + at.minute / 60 + at.second / 3600
        left = timeline.periods - period
        return {
            **{name: values.copy() for name, values in (self._known | self._fixed).items()},
            "hour": np.array([hour], dtype=np.float64),
            "periods_left": np.array([left], dtype=np.float64),
        }

    def _of(self, outcome: Outcome) -> Observation:
        sums = self.groups.sums
        return {
            "demanded": sums(outcome.demanded),
            "stores": sums(self.world.stores),
            "fiber": sums(outcome.fiber),
            "satellite": sums(outcome.satellite),
            "uav": sums(outcome.uav),
            "shortfall": sums(outcome.shortfall),
        }

    def _nothing_yet(self) -> Observation:
        return {name: np.zeros(len(self.groups.names)) for name in BY_GROUP[:6]}

    def _known_from_the_start(self) -> Observation:
        means, problem = self.groups.means, self.world.problem
        prices = [each.on_demand for each in self.requests]
        expected = [float(mean_units(problem.demand_of(each))) for each in self.requests]
        return {
            "mean_demand": self.groups.sums(expected),
            "fiber_cost": means(self._routes.unit_costs),
            "satellite_cost": means([each.satellite_cost for each in prices]),
            "uav_cost": means([each.uav_cost for each in prices]),
            "shortfall_cost": means([each.shortfall_cost for each in prices]),
            "satellite_chance": means([each.satellite_probability for each in prices]),
        }


def _groups(requests: Sequence[Request], by: By, most_needed: Sequence[int]) -> Groups:
    keys = [each.application if by is By.CLASS else each.id for each in requests]
    names = tuple(dict.fromkeys(keys))
    place = {name: number for number, name in enumerate(names)}
    of_request = np.array([place[key] for key in keys], dtype=np.int64)
    most = [0] * len(names)
    for group, units in zip(of_request, most_needed, strict=True):
        most[group] = max(most[group], units)
    return Groups(names, of_request, tuple(most))
