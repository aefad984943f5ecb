"""What applications need: units of key by request and period, given draws of chance.

A request's law follows its class and, where the experiment says so, the hour of mean solar time at its
source, four minutes per degree of longitude (UTC where nobody knows the longitude).  One draw serves all
requests, or each has its own, or something between: then a request's draw is the normal quantile
`sqrt(rho) Z + sqrt(1 - rho) e` of a common factor and its own (the one-factor Gaussian copula).  Joint
futures replace laws and single draws by draws of whole futures; a trace replaces chance by what was.
A process (`emulator.world.demand_process`) correlates periods: it scales the law of each by a factor.

Plans know cut-off laws; the laws here are whole but for a chance of 1e-9.  Thin on imports on purpose:
every actor loads it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import fsum, sqrt
from statistics import NormalDist

from emulator.world.demand_process import DemandProcess
from protos.core import Timeline

Law = tuple[tuple[int, float], ...]
"""Units and their probabilities, in order of units."""

Draw = Callable[..., float]
"""Returns the number in [0, 1) that belongs to a question, in the period that is asked about."""

_DAY_H, _HOUR_S = 24, 3600.0
_LEAST = 1e-15  # no quantile lies at infinity


@dataclass(frozen=True)
class DemandProfile:
    """Laws by the hour of the day: `laws` has one row of 24 per class of requests.

    `requests` holds for each request its row, and the hour at its source at emulated second 0; None for
    one that has the law of the experiment at all hours.
    """

    laws: tuple[tuple[Law, ...], ...]
    requests: tuple[tuple[int, float] | None, ...]

    def law(self, request: int, at_s: float) -> Law | None:
        """Return the law of a request at a time; None if it has no law of its own."""
        found = self.requests[request]
        if found is None:
            return None
        row, hour_at_0 = found
        return self.laws[row][int(hour_at_0 + at_s / _HOUR_S) % _DAY_H]

    def marginal(
        self, request: int, timeline: Timeline, periods: Sequence[int] | None = None
    ) -> Law | None:
        """Return the mixture of a request's laws over periods, each as likely; all if none are given."""
        periods = range(timeline.periods) if periods is None else periods
        drawn = Counter(self.law(request, timeline.begins_s(period)) for period in periods)
        parts: dict[int, list[float]] = {}
        for law, times in drawn.items():
            if law is None:
                return None
            for units, probability in law:
                parts.setdefault(units, []).append(probability * times / len(periods))
        return tuple((units, fsum(parts[units])) for units in sorted(parts))


@dataclass(frozen=True)
class Demand:
    """The demand of all requests, numbered as in the experiment.

    `law` is that of requests without one of their own in `profile`.  `correlation` is rho: 1 for one draw
    that serves all, 0 for a draw each.  `joint` holds whole futures as (probability, units by request),
    `trace` what was needed by period and request; each replaces all else if it is not empty.  A `process`
    takes the place of all laws; nobody needs more than `most_units`.
    """

    law: Law
    correlation: float = 1.0
    profile: DemandProfile | None = None
    joint: tuple[tuple[float, tuple[int, ...]], ...] = ()
    trace: tuple[tuple[int, ...], ...] = ()
    process: DemandProcess | None = None
    most_units: int = 0

    def units(
        self,
        request: int,
        period: int,
        at_s: float,
        draw: Draw,
        shifted: Law | None = None,
        *,
        factor: float = 1.0,
    ) -> int:
        """Return what a request needs in a period that begins at `at_s`; by the `shifted` law, if given.

        `factor` is that of the process in this period, if there is one.
        """
        if self.trace:
            return self.trace[period][request]
        if self.joint:
            _, units = self.joint[_place([chance for chance, _ in self.joint], draw())]
            return units[request]
        if self.process:
            return self.process.units(factor, self._uniform(request, draw), self.most_units)
        own = self.profile and self.profile.law(request, at_s)
        law = shifted or own or self.law
        return law[_place([chance for _, chance in law], self._uniform(request, draw))][0]

    def _uniform(self, request: int, draw: Draw) -> float:
        if self.correlation == 1:
            return draw()
        if self.correlation == 0:
            return draw(request)
        return mixed(draw(), draw(request), self.correlation)


def mixed(common: float, own: float, correlation: float) -> float:
    """Return the uniform draw of the one-factor Gaussian copula; all are in [0, 1]."""
    normal = NormalDist()
    z, e = (normal.inv_cdf(min(1 - _LEAST, max(_LEAST, u))) for u in (common, own))
    return normal.cdf(sqrt(correlation) * z + sqrt(1 - correlation) * e)


def _place(chances: list[float], uniform: float) -> int:
    """Return whose share of [0, 1) a draw falls into."""
    return min(bisect_right(list(accumulate(chances)), uniform), len(chances) - 1)
