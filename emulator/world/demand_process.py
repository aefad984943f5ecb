"""Demand that is correlated in time: the mean of a period is that of its law times the factor of a process.

The factor is the product of what an experiment names: a season that repeats, an AR(1) process of the
logarithm, regimes that a Markov chain switches, a straight trend, and a heavy-tailed factor of each period.
All but the trend have mean 1, so the law's mean stays the mean.  One path serves all requests.

A path is a function of draws that are asked for by number, so every actor of a run has the same, in any
order.  Given the factor, units are Poisson or negative binomial (Poisson with a Gamma-distributed mean,
which the factor scales).  Thin on imports on purpose: every actor loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, floor, log1p, sqrt
from statistics import NormalDist

Draw = Callable[..., float]
"""Returns the number in [0, 1) that belongs to a question."""

_NORMAL = NormalDist()
_LEAST = 2.0**-54
_UNDERFLOWS = -600.0


@dataclass(frozen=True)
class DemandProcess:
    """The law of factors, for `mean_units` and `variance_units2` of one request at factor 1.

    `season` are factors that repeat from period 0 on.  The logarithm of the AR(1) factor has
    `coefficient` from one period to the next and standard deviation `deviation`.  Of `regimes`, one is in
    force; it stays with probability `stay`, else each other one is as likely to follow.  The trend goes in
    a straight line from 1 in period 0 to `end` in period `periods`, and was 1 before.  `shape` is that of a
    Pareto law (Lomax 1954), greater than 1; 0 is none.
    """

    mean_units: float
    variance_units2: float
    season: tuple[float, ...] = ()
    coefficient: float = 0.0
    deviation: float = 0.0
    regimes: tuple[float, ...] = ()
    stay: float = 1.0
    end: float = 1.0
    periods: int = 1
    shape: float = 0.0

    def path(self, draw: Draw, first: int = 0) -> Path:
        """Return a path from a period on, which may be negative; `draw` is asked (word, period)."""
        return Path(self, draw, first)

    def units(self, factor: float, uniform: float, most: int) -> int:
        """Return the quantile of demand under a factor, at most `most` units."""
        mean = self.mean_units * factor
        excess = (self.variance_units2 - self.mean_units) * factor**2
        return min(most, count_quantile(mean, mean + excess, uniform, most))


@dataclass
class Path:
    """A path of factors: found step by step, and kept."""

    process: DemandProcess
    draw: Draw
    first: int
    _known: list[float] = field(default_factory=list)
    _z: float = 0.0
    _regime: int = 0

    def factor(self, period: int) -> float:
        """Return the factor of a period, not before the first."""
        while len(self._known) <= period - self.first:
            self._known.append(self._next(self.first + len(self._known)))
        return self._known[period - self.first]

    def _next(self, period: int) -> float:
        law = self.process
        found = law.season[period % len(law.season)] if law.season else 1.0
        found *= 1.0 + (law.end - 1.0) * max(0, period) / law.periods
        if law.deviation:
            found *= self._autoregressive(period)
        if law.regimes:
            found *= self._regime_factor(period)
        if law.shape:
            u = self.draw("heavy-tail", period)
            found *= ((1.0 - u) ** (-1.0 / law.shape) - 1.0) * (law.shape - 1.0)
        return found

    def _autoregressive(self, period: int) -> float:
        law = self.process
        shock = _NORMAL.inv_cdf(max(_LEAST, self.draw("autoregressive", period)))
        keep = law.coefficient if self._known else 0.0  # the first is drawn from the stationary law
        self._z = keep * self._z + sqrt(1 - keep**2) * shock
        return exp(law.deviation * self._z - law.deviation**2 / 2)

    def _regime_factor(self, period: int) -> float:
        regimes, u = self.process.regimes, self.draw("regime", period)
        if not self._known:
            self._regime = int(u * len(regimes))
        elif u >= self.process.stay and len(regimes) > 1:
            step = 1 + int((u - self.process.stay) / (1 - self.process.stay) * (len(regimes) - 1))
            self._regime = (self._regime + min(step, len(regimes) - 1)) % len(regimes)
        return regimes[self._regime]


def count_quantile(mean: float, variance: float, uniform: float, most: int) -> int:
    """Return the least k <= `most` with P(at most k) > `uniform`.

    The law is Poisson if the variance is the mean, else negative binomial.  By Panjer's recursion,
    `P(d + 1) / P(d) = (mean^2 / variance + a d) / (d + 1)` with `a = 1 - mean / variance`; where P(0)
    underflows, by the normal law with Cornish and Fisher's correction for skewness.
    """
    if mean <= 0:
        return 0
    excess = max(0.0, variance - mean)
    log_none = -mean if excess <= 1e-12 * mean else -(mean / excess) * mean * log1p(excess / mean)
    if log_none < _UNDERFLOWS:
        return _normal_quantile(mean, mean + excess, uniform, most)
    start, slope = mean * mean / (mean + excess), excess / (mean + excess)
    term = below = exp(log_none)
    units = 0
    while below <= uniform and units < most:
        term *= (start + slope * units) / (units + 1)
        below += term
        units += 1
        if term < 1e-18 and units > mean:
            break
    return units


def _normal_quantile(mean: float, variance: float, uniform: float, most: int) -> int:
    z = _NORMAL.inv_cdf(min(1 - _LEAST, max(_LEAST, uniform)))
    skew = (2 * variance / mean - 1) / sqrt(variance)
    found = mean + sqrt(variance) * (z + (z * z - 1) * skew / 6)
    return min(most, max(0, floor(found + 0.5)))
