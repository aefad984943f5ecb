"""Changes since the plan was made: fibers that are down, agents that are silent, other demand.

It only remembers and judges; the manager decides what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt

from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import Allocation, Scenario


@dataclass
class FiberWatch:
    """Which fibers are down, and which requests were on them when they went."""

    displaced: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    @property
    def down(self) -> frozenset[tuple[str, str]]:
        """The fibers that are down."""
        return frozenset(self.displaced)

    def went_down(self, fiber: tuple[str, str], allocations: Iterable[Allocation]) -> bool:
        """Take note of a fiber that is down; return whether that is news."""
        if fiber in self.displaced:
            return False
        on_it = (item for item in allocations if set(fiber) in map(set, pairwise(item.path)))
        self.displaced[fiber] = frozenset(item.request for item in on_it)
        return True

    def came_up(self, fiber: tuple[str, str]) -> frozenset[str] | None:
        """Take note of a fiber that is up again; return the requests it had, or None if that is no news."""
        return self.displaced.pop(fiber, None)


@dataclass
class AgentWatch:
    """Which agents owe an answer and have said nothing for `patience_s`."""

    patience_s: float
    silent: set[str] = field(default_factory=set)
    heard_s: dict[str, float] = field(default_factory=dict)

    def hears(self, entity: str, now_s: float) -> bool:
        """Take note of a sign of life; return whether the agent was silent until now."""
        self.heard_s[entity] = now_s
        was_silent = entity in self.silent
        self.silent.discard(entity)
        return was_silent

    def look(self, asked_s: Mapping[str, float], now_s: float) -> list[str]:
        """Return the agents that are silent from now on; `asked_s` says since when each owes an answer."""
        gone = [entity for entity, at_s in self.silent_at_s(asked_s).items() if now_s >= at_s]
        self.silent.update(gone)
        return gone

    def silent_at_s(self, asked_s: Mapping[str, float]) -> dict[str, float]:
        """Return when each agent that owes an answer is taken for silent, unless it is already."""
        return {
            entity: max(since_s, self.heard_s.get(entity, 0.0)) + self.patience_s
            for entity, since_s in asked_s.items()
            if entity not in self.silent
        }


@dataclass
class DemandSeries:
    """Mean demand of all requests by period, from one look to the next: `means` has one for each period.

    Where a look missed periods, each of them has their mean.
    """

    means: list[float] = field(default_factory=list)
    units: dict[int, int] = field(default_factory=dict)

    def look(self, usage: Mapping[int, int], periods: int) -> None:
        """Take note of what each request has asked for since the start, in that many periods."""
        elapsed = periods - len(self.means)
        if elapsed < 1 or not usage:
            return
        asked = sum(units - self.units.get(request, 0) for request, units in usage.items())
        self.means += [max(0, asked) / elapsed / len(usage)] * elapsed
        self.units = dict(usage)


@dataclass
class DemandWatch:
    """Compares demand with the scenarios of the plan, from one look to the next.

    Demand has drifted when its mean over the periods since the last look is more than `sigmas`
    standard errors from the scenarios' mean.  A period is one draw if demand is fully correlated, and one
    draw per request if it is not at all; between, n requests of equal correlation rho are worth
    n / (1 + (n - 1) rho) draws.
    """

    scenarios: Sequence[Scenario]
    sigmas: float
    correlation: float = 1.0
    units: dict[int, int] = field(default_factory=dict)
    periods: int = 0

    def look(self, usage: Mapping[int, int], periods: int) -> float | None:
        """Return the new mean, in units per request and period, if demand has drifted.

        `usage` holds what each request has asked for since the start, in that many periods.
        """
        elapsed = periods - self.periods
        asked = sum(units - self.units.get(request, 0) for request, units in usage.items())
        self.units, self.periods = dict(usage), periods
        if elapsed < 1 or not usage:
            return None
        mean = asked / elapsed / len(usage)
        expected = mean_units(self.scenarios)
        variance = sum(s.probability * (s.units - expected) ** 2 for s in self.scenarios)
        draws = elapsed * len(usage) / (1 + (len(usage) - 1) * self.correlation)
        return mean if abs(mean - expected) > self.sigmas * sqrt(variance / draws) else None
