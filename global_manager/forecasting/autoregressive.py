"""Autoregressive counts: the logarithm of the intensity follows an AR(1) process, or a walk with drift.

*Autoregressive.*  `lambda_t = m exp(s z_t - s^2 / 2)`, `z_t = phi z_(t-1) + sqrt(1 - phi^2) e_t`, with
counts given lambda (the parameter-driven model of Cox 1981, Scandinavian Journal of Statistics 8, and
Zeger 1988, Biometrika 75).  z is put on a grid as Tauchen does (1986, Economics Letters 20).

*Level.*  log lambda walks by steps of mean `drift` and variance `w^2`, a local level that follows a trend
(in the spirit of Harvey and Fernandes 1989, Journal of Business and Economic Statistics 7).

Parameters are those of greatest likelihood on a lattice.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import erf, inf, log, sqrt

import numpy as np

from global_manager.forecasting.latent import Chain, after, filtered, repeated
from global_manager.forecasting.seasonal import season_factors
from global_manager.forecasting.series import (
    FloatArray,
    Forecast,
    History,
    log_chances,
    require_history,
)

_STATES, _REACH = 41, 3.5
_COEFFICIENTS = (0.3, 0.5, 0.7, 0.8, 0.88, 0.94, 0.97)
_DEVIATIONS = (0.15, 0.3, 0.45, 0.6, 0.8, 1.1)
_SIZES = (inf, 8.0)
_LEVELS = 81
_WALKS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08)
_AT_ONCE = 32


@dataclass(frozen=True)
class Autoregressive:
    """See the module; `seasons`, if there are any, are taken out first."""

    seasons: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What tables call it."""
        return "-".join(["autoregressive", *map(str, self.seasons)])

    def fit(self, history: History) -> Forecast:
        """Return the forecast by the likeliest parameters."""
        units = require_history(self.name, history)
        factors = season_factors(self.name, history, self.seasons) if self.seasons else np.ones(1)
        mean = float(units.mean() / repeated(factors, len(units)).mean())
        tried = [
            (_stationary(mean, coefficient, deviation), size)
            for coefficient, deviation, size in product(_COEFFICIENTS, _DEVIATIONS, _SIZES)
        ]
        chain, size = _likeliest(history, factors, tried)
        return after(history, chain, factors, size)


@dataclass(frozen=True)
class Level:
    """See the module."""

    name: str = "level"

    def fit(self, history: History) -> Forecast:
        """Return the forecast by the likeliest steps."""
        units = require_history(self.name, history)
        ends = [float(part.mean()) for part in np.array_split(units, 5)]
        floor = max(units.mean() / 50, 0.01)
        least, most = max(min(ends), floor), max(*ends, floor)
        grid = np.linspace(log(least / 4), log(most * 6), _LEVELS)
        slope = log(max(ends[-1], floor) / max(ends[0], floor)) / (0.8 * len(units))
        drifts = (0.0, slope) if abs(slope) * len(units) > 0.05 else (0.0,)
        tried = [
            (_walk(grid, drift, walk), size)
            for drift, walk, size in product(drifts, _WALKS, _SIZES)
        ]
        factors = np.ones(1)
        chain, size = _likeliest(history, factors, tried)
        return after(history, chain, factors, size)


def _likeliest(
    history: History, factors: FloatArray, tried: list[tuple[Chain, float]]
) -> tuple[Chain, float]:
    """Return the chain and the size of greatest likelihood."""
    found: list[float] = []
    scale = repeated(factors, len(history.units))[:, None]
    for first in range(0, len(tried), _AT_ONCE):
        part = tried[first : first + _AT_ONCE]
        logs = np.stack(
            [log_chances(history.array, scale * chain.values, size) for chain, size in part]
        )
        starts = np.stack([chain.start for chain, _ in part])
        moves = np.stack([chain.transitions for chain, _ in part])
        found.extend(filtered(starts, moves, logs)[0].tolist())
    return tried[int(np.argmax(found))]


def _stationary(mean: float, coefficient: float, deviation: float) -> Chain:
    grid = np.linspace(-_REACH, _REACH, _STATES)
    start = np.exp(-(grid**2) / 2)
    values = np.exp(deviation * grid - deviation**2 / 2)
    start /= start.sum()
    values *= mean / float(start @ values)
    spread = sqrt(1 - coefficient**2)
    return Chain(values, _cells(grid, coefficient * grid, spread), start)


def _walk(grid: FloatArray, drift: float, deviation: float) -> Chain:
    """Return a walk on a grid; steps below its spacing go to the next values, with the right moments."""
    spacing = float(grid[1] - grid[0])
    if deviation > spacing:
        moves = _cells(grid, grid + drift, deviation)
    else:
        second = min((deviation / spacing) ** 2 + (drift / spacing) ** 2, 0.9)
        lean = max(-second, min(second, drift / spacing))
        up, down = (second + lean) / 2, (second - lean) / 2
        moves = np.eye(len(grid)) * (1 - up - down)
        moves += np.eye(len(grid), k=1) * up + np.eye(len(grid), k=-1) * down
        moves /= moves.sum(axis=1, keepdims=True)
    return Chain(np.exp(grid), moves, np.full(len(grid), 1 / len(grid)))


def _cells(grid: FloatArray, centres: FloatArray, deviation: float) -> FloatArray:
    """Return the chances of a normal law around each centre for the cells of a grid."""
    half = (grid[1] - grid[0]) / 2
    edges = np.concatenate([[-inf], grid[:-1] + half, [inf]])
    z = (edges[None, :] - centres[:, None]) / (deviation * sqrt(2))
    below = np.vectorize(erf)(z)
    chances: FloatArray = np.diff(below, axis=1) / 2
    chances /= chances.sum(axis=1, keepdims=True)
    return chances
