"""Changes since the plan was made: fibers that are down, agents that are silent, other demand.

It only remembers and judges; the manager decides what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from math import sqrt

from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import Allocation, Scenario

_MOST_WINDOWS = 23
_LEAST_PAIRS = 4


@dataclass
class FiberWatch:
    """Which fibers are down, and which requests were on them when they went.

    `first_keys` says by fiber in which period of a reservation its first key comes, if not in the first.
    """

    first_keys: Mapping[tuple[str, str], int] = field(default_factory=dict)
    displaced: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    @property
    def down(self) -> frozenset[tuple[str, str]]:
        """The fibers that are down."""
        return frozenset(self.displaced)

    def unusable(
        self, periods: int, allocations: Iterable[Allocation]
    ) -> frozenset[tuple[str, str]]:
        """Return the fibers on which nothing can be reserved that brings key in so many periods.

        A fiber that is in use stays, for what is on it has begun; others may join it too late.
        """
        late = {fiber for fiber, first in self.first_keys.items() if first > periods}
        if late:
            used = {frozenset(hop) for item in allocations for hop in pairwise(item.path)}
            late = {fiber for fiber in late if frozenset(fiber) not in used}
        return self.down | late

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


@dataclass(frozen=True)
class _Window:
    """What was asked for between two looks: the mean per request and period, over so many periods."""

    mean: float
    periods: int

    def with_next(self, other: _Window) -> _Window:
        """Return both together."""
        periods = self.periods + other.periods
        total = self.mean * self.periods + other.mean * other.periods
        return _Window(total / periods, periods)


@dataclass
class DemandWatch:
    """Compares demand with the scenarios of the plan, from one look to the next.

    Demand has drifted when its mean over the last two looks is more than `sigmas` standard errors from the
    scenarios' mean, and each of the two is more than half as many of its own to the same side: one odd
    window is none.  A period is one draw if demand is fully correlated, and one draw per request if it is
    not at all; between, n requests of equal correlation rho are worth n / (1 + (n - 1) rho) draws.  Where
    looks differ from each other by more than that explains, as with heavy tails or seasons, the error is
    that of the looks: half the mean squared successive difference (von Neumann 1941, Annals of Mathematical
    Statistics 12), which a slow trend hardly moves.

    The new mean is that of both looks, shrunk towards what was expected by 1 / z^2 for a deviation of z
    standard errors (the empirical Bayes estimate of Efron and Morris 1973, Journal of the American
    Statistical Association 68).  When all looks since then are together nearer to the first scenarios than
    to the present ones, and not within half of `sigmas` of these, the first mean is back.
    """

    scenarios: Sequence[Scenario]
    sigmas: float
    correlation: float = 1.0
    units: dict[int, int] = field(default_factory=dict)
    periods: int = 0
    windows: list[_Window] = field(default_factory=list)
    since: list[_Window] = field(default_factory=list)
    first: Sequence[Scenario] = ()

    def __post_init__(self) -> None:
        self.first = self.first or self.scenarios

    @property
    def first_mean(self) -> float:
        """The mean of the scenarios of the first plan."""
        return mean_units(self.first)

    def look(self, usage: Mapping[int, int], periods: int) -> float | None:
        """Return the new mean, in units per request and period, if demand has drifted or is back.

        `usage` holds what each request has asked for since the start, in that many periods.
        """
        elapsed = periods - self.periods
        asked = sum(units - self.units.get(request, 0) for request, units in usage.items())
        self.units, self.periods = dict(usage), periods
        if elapsed < 1 or not usage:
            return None
        window = _Window(asked / elapsed / len(usage), elapsed)
        self.windows = [*self.windows[-_MOST_WINDOWS:], window]
        self.since = [*self.since[-_MOST_WINDOWS:], window]
        found = self._back(len(usage))
        if found is None:
            found = self._drifted(len(usage))
        if found is not None:
            self.since = []
        return found

    def _back(self, requests: int) -> float | None:
        """Return the first mean, if all looks since it was given up are nearer to it."""
        if len(self.since) < 2 or self.scenarios == self.first:
            return None
        whole = reduce(_Window.with_next, self.since)
        now = abs(self._deviation(whole, self.scenarios, requests))
        at_first = abs(self._deviation(whole, self.first, requests))
        return self.first_mean if at_first < now and now > self.sigmas / 2 else None

    def _drifted(self, requests: int) -> float | None:
        if len(self.since) < 2:
            return None
        before, last = self.since[-2:]
        both = before.with_next(last)
        z = self._deviation(both, self.scenarios, requests)
        least = min(
            self._deviation(window, self.scenarios, requests) * (1 if z > 0 else -1)
            for window in (before, last)
        )
        if abs(z) <= self.sigmas or least <= self.sigmas / 2:
            return None
        expected = mean_units(self.scenarios)
        return expected + (both.mean - expected) * max(0.0, 1 - 1 / z**2)

    def _deviation(self, window: _Window, scenarios: Sequence[Scenario], requests: int) -> float:
        """Return how many standard errors a window is above the mean of scenarios."""
        expected = mean_units(scenarios)
        variance = sum(s.probability * (s.units - expected) ** 2 for s in scenarios)
        a_period = variance * (1 + (requests - 1) * self.correlation) / requests
        error = sqrt(max(a_period, self._seen_variance(), 1e-12) / window.periods)
        return (window.mean - expected) / error

    def _seen_variance(self) -> float:
        """Return the variance of a period's mean, by successive differences; 0 while there are too few."""
        pairs = list(pairwise(self.windows))
        if len(pairs) < _LEAST_PAIRS:
            return 0.0
        scaled = ((b.mean - a.mean) ** 2 / (1 / a.periods + 1 / b.periods) for a, b in pairs)
        return sum(scaled) / len(pairs)
