"""What all forecasters share: histories, what a forecast can be asked, and laws as arrays.

A law is an array of P(units = 0), P(units = 1), ..., and adds up to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, lgamma, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST_HISTORY = 30
MOST_SUPPORT = 100_001


class ForecastError(ValueError):
    """A forecaster cannot be fitted to a history."""

    def __init__(self, forecaster: str, problem: str) -> None:
        super().__init__(forecaster, problem)
        self.forecaster, self.problem = forecaster, problem

    def __str__(self) -> str:
        return f"{self.forecaster}: {self.problem}"


class MissingExtraError(ForecastError):
    """A forecaster needs a package that is not installed."""


@dataclass(frozen=True)
class History:
    """What one request needed in each period, the oldest first; whole units of at least 0."""

    units: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(item < 0 or item % 1 for item in self.units):
            raise ForecastError("history", "must hold whole units of at least 0")

    @property
    def array(self) -> FloatArray:
        """The units as an array."""
        return np.asarray(self.units, dtype=np.float64)

    def upto(self, periods: int) -> History:
        """Return the first periods only."""
        return History(self.units[:periods])


class Forecast(Protocol):
    """What is expected after all periods that were seen."""

    def observe(self, units: float, draws: float = 1.0) -> Forecast:
        """Return the forecast after one more period.

        If many requests were seen, `units` is their mean, and `draws` says how many independent draws it is
        worth: n requests whose draws have correlation rho are worth n / (1 + (n - 1) rho).
        """

    def law(self, ahead: int = 1) -> FloatArray:
        """Return the law of one request's units in the `ahead`-th period from now, 1 being the next."""

    def paths(self, number: int, periods: int, seed: int) -> IntArray:
        """Return futures of one request, `number` x `periods` units; the same for the same seed."""


class Forecaster(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str:
        """What tables and experiments call it."""

    def fit(self, history: History) -> Forecast:
        """Return the forecast after a history.  Raises `ForecastError`."""


def require_history(name: str, history: History, least: int = _LEAST_HISTORY) -> FloatArray:
    """Return the units of a history that is long enough and has demand; raise `ForecastError`."""
    if len(history.units) < least:
        raise ForecastError(name, f"needs {least} periods, and there are {len(history.units)}")
    if not any(history.units):
        raise ForecastError(name, "there is no demand in the history")
    return history.array


def log_chances(
    units: FloatArray, means: FloatArray, size: float, draws: float = 1.0
) -> FloatArray:
    """Return log-likelihoods of means of `draws` draws, negative binomial of `size`; `inf` is Poisson.

    A sum of k draws of mean m and size r has mean k m and size k r:
    `P(y) = Gamma(y + r) / (y! Gamma(r)) (r / (r + m))^r (m / (r + m))^y`, with real y.
    `units` has shape (T,), `means` (T, J) or (1, J); so has what is returned, (T, J).
    """
    y, m, size = units * draws, np.maximum(means * draws, 1e-12), size * draws
    found: FloatArray = -_lgamma(y + 1)[:, None]
    if size == inf:
        found = found + y[:, None] * np.log(m) - m
    else:
        found = found + (_lgamma(y + size) - lgamma(size))[:, None] - size * np.log1p(m / size)
        found = found + y[:, None] * (np.log(m) - np.log(size + m))
    return found


def law_of(mean: float | FloatArray, size: float, support: int) -> FloatArray:
    """Return the law of counts of a mean, or of each of several, on 0 .. support-1, renormalised."""
    means = np.atleast_1d(np.asarray(mean, dtype=np.float64))
    logs = log_chances(np.arange(support, dtype=np.float64), means[None, :], size)
    chances: FloatArray = np.exp(logs - logs.max(axis=0))
    chances /= chances.sum(axis=0)
    return chances[:, 0] if np.ndim(mean) == 0 else chances.T


def support_of(units: Sequence[float] | FloatArray, most_mean: float, size: float) -> int:
    """Return how many values a law should list so that next to nothing is beyond."""
    spread = most_mean + (most_mean**2 / size if size < inf else 0.0)
    reach = most_mean + 12 * sqrt(spread) + 20
    return int(min(MOST_SUPPORT, max(ceil(reach), 2 * ceil(max(units, default=0)) + 10)))


def quantile(law: FloatArray, level: float) -> int:
    """Return the least units with P(at most these) >= level: what a newsvendor of this ratio holds."""
    return int(np.searchsorted(np.cumsum(law), level - 1e-12))


def drawn(law: FloatArray, uniforms: FloatArray) -> IntArray:
    """Return units of a law by inversion."""
    places = np.searchsorted(np.cumsum(law), uniforms, side="right")
    return np.minimum(places, len(law) - 1).astype(np.int64)


def _lgamma(values: FloatArray) -> FloatArray:
    """Return log Gamma; equal values are computed once."""
    distinct, places = np.unique(values, return_inverse=True)
    return np.array([lgamma(item) for item in distinct])[places.reshape(values.shape)]
