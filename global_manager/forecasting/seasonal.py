"""Seasons: the mean of a period is a level times a factor for each season, such as hour and weekday.

With periods s_1 | s_2 | ..., the i-th factor of period t is that of phase `(t // s_(i-1)) mod (s_i /
s_(i-1))`: for 24 and 168 hours, the hour of the day and the day of the week.  Factors are fitted in turns
to what the others leave (iterative proportional fitting, which maximises the Poisson likelihood of a
multiplicative table: Deming and Stephan 1940, Annals of Mathematical Statistics 11), each shrunk to 1 by a
Gamma prior: `(a + seen) / (a + due)`.  The prior's strength a is that which makes the factors' own spread
beyond chance agree with it (empirical Bayes by moments; Robbins 1956), so that a season that is not there
vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, lcm

import numpy as np

from global_manager.forecasting.latent import Chain, after, repeated
from global_manager.forecasting.series import (
    FloatArray,
    Forecast,
    ForecastError,
    History,
    IntArray,
    log_chances,
    require_history,
)

_TURNS = 20
SIZES = (inf, 30.0, 12.0, 6.0, 3.0, 1.5)
STILL = Chain(np.ones(1), np.ones((1, 1)), np.ones(1))


@dataclass(frozen=True)
class Seasonal:
    """See the module.  `seasons` are numbers of periods, each a multiple of the one before."""

    seasons: tuple[int, ...]

    @property
    def name(self) -> str:
        """What tables call it."""
        return "seasonal-" + "-".join(map(str, self.seasons))

    def fit(self, history: History) -> Forecast:
        """Return a level times the factors of the seasons, with the likeliest of a few sizes."""
        units = require_history(self.name, history)
        factors = season_factors(self.name, history, self.seasons)
        level = float(units.mean() / repeated(factors, len(units)).mean())
        chain = Chain(np.array([level]), STILL.transitions, STILL.start)
        means = repeated(factors, len(units))[:, None] * level
        logs = [log_chances(units, means, size).sum() for size in SIZES]
        return after(history, chain, factors, SIZES[int(np.argmax(logs))])


def season_factors(name: str, history: History, seasons: tuple[int, ...]) -> FloatArray:
    """Return the product of all factors for one turn of the longest season.

    Raises `ForecastError` if a season is no multiple of the one before, or was not seen twice.
    """
    units = history.array
    if any(long % short for short, long in pairwise(seasons)):
        raise ForecastError(name, "each season must be a multiple of the one before")
    if len(units) < 2 * seasons[-1]:
        raise ForecastError(name, f"needs {2 * seasons[-1]} periods, and there are {len(units)}")
    steps = np.arange(len(units))
    before, phases = 1, []
    for season in seasons:
        phases.append((steps // before) % (season // before))
        before = season
    factors = [np.ones(int(phase.max()) + 1) for phase in phases]
    for _ in range(_TURNS):
        for place, phase in enumerate(phases):
            rest = np.prod(
                [factors[i][phases[i]] for i in range(len(phases)) if i != place], axis=0
            )
            due = np.broadcast_to(units.mean() * rest / np.mean(rest), units.shape)
            factors[place] = _shrunk(units, due, phase)
    whole = np.arange(lcm(*seasons))
    before = 1
    product: FloatArray = np.ones(len(whole))
    for season, factor in zip(seasons, factors, strict=True):
        product = product * factor[(whole // before) % (season // before)]
        before = season
    product /= product.mean()
    return product


def _shrunk(units: FloatArray, due: FloatArray, phase: IntArray) -> FloatArray:
    """Return factors of phases, shrunk to 1."""
    seen = np.bincount(phase, units)
    expected = np.maximum(np.bincount(phase, due), 1e-9)
    residual = (units - due * (seen / expected)[phase]) ** 2
    noise = max(1.0, float(residual.mean() / max(due.mean(), 1e-9)))  # over that of Poisson counts
    ratio = seen / expected
    spread = float(np.mean((ratio - 1) ** 2 - noise * np.maximum(ratio, 0.1) / expected))
    if spread <= 1e-6:
        return np.ones(len(seen))
    strength = noise / spread
    found: FloatArray = (strength + seen) / (strength + expected)
    return found
