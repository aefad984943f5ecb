"""What has changed since the plan was made: fibers that are down, and demand that is not as assumed.

It only remembers and judges; what to do about it is the manager's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt

from global_manager.demand import mean_units
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
        """Take note of a fiber that is up again; return who was on it, or None if that is no news."""
        return self.displaced.pop(fiber, None)


@dataclass
class DemandWatch:
    """Compares demand with the scenarios of the plan, from one look to the next.

    Demand has drifted when its mean over the periods since the last look is more than `sigmas`
    standard errors from the scenarios' mean.  A period is one draw if demand is correlated, and one
    for each request if not.
    """

    scenarios: Sequence[Scenario]
    sigmas: float
    correlated: bool = True
    units: dict[int, int] = field(default_factory=dict)
    periods: int = 0

    def look(self, usage: Mapping[int, int], periods: int) -> float | None:
        """Return the new mean, in units a request and period, if demand has drifted.

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
        draws = elapsed if self.correlated else elapsed * len(usage)
        return mean if abs(mean - expected) > self.sigmas * sqrt(variance / draws) else None
