"""Quantiles by gradient boosting: trees on lags, moving means and phases of seasons.

One ensemble per quantile is fitted to pinball loss (Friedman 2001, Annals of Statistics 29; quantile loss
as Koenker and Bassett 1978, Econometrica 46) by scikit-learn's histogram trees.  Between the quantiles the
quantile function is linear, and crossing quantiles are sorted (Chernozhukov, Fernandez-Val and Galichon
2010, Econometrica 78).  Further ahead than one period, paths are drawn step by step.

scikit-learn is the optional extra `learn`; it is loaded when something is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from global_manager.forecasting.series import (
    MOST_SUPPORT,
    FloatArray,
    Forecast,
    History,
    IntArray,
    MissingExtraError,
    require_history,
)

_LEVELS = (0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.75, 0.85, 0.93, 0.98)
_LAGS, _MEANS = 6, (6, 24)
_CURVE = (np.arange(400) + 0.5) / 400
_LEAST, _PATHS, _SEED = 120, 1000, 20_260


class _Trees(Protocol):
    def predict(self, features: FloatArray) -> FloatArray:
        """Return one value for each row."""


@dataclass(frozen=True)
class BoostedForecast:
    """A forecast by ensembles; `last` are the periods that features look back on, the latest last."""

    ensembles: tuple[_Trees, ...]
    seasons: tuple[int, ...]
    last: FloatArray
    period: int

    def observe(self, units: float, draws: float = 1.0) -> BoostedForecast:  # noqa: ARG002 - means do too
        """Return the forecast after one more period."""
        return replace(self, last=np.append(self.last[1:], units), period=self.period + 1)

    def law(self, ahead: int = 1) -> FloatArray:
        """Return the law; further ahead than one period, of 1000 drawn paths."""
        if ahead == 1:
            units = self._curves(self.last[None], self.period)[0]
        else:
            units = self.paths(_PATHS, ahead, _SEED)[:, -1]
        counts: FloatArray = np.bincount(np.minimum(units, MOST_SUPPORT - 1)).astype(np.float64)
        counts /= counts.sum()
        return counts

    def paths(self, number: int, periods: int, seed: int) -> IntArray:
        """Return paths, each drawn given its own past."""
        stream = np.random.Generator(np.random.PCG64(seed))
        last, found = np.tile(self.last, (number, 1)), np.empty((number, periods), dtype=np.int64)
        for step in range(periods):
            curves = self._curves(last, self.period + step)
            places = stream.integers(0, curves.shape[1], number)
            found[:, step] = curves[np.arange(number), places]
            last = np.column_stack([last[:, 1:], found[:, step]])
        return found

    def _curves(self, last: FloatArray, period: int) -> IntArray:
        """Return units at equal steps of the quantile function, for each row of `last`."""
        rows = _features(last, np.full(len(last), period), self.seasons)
        levels = np.sort(np.column_stack([item.predict(rows) for item in self.ensembles]), axis=1)
        curves = np.stack([np.interp(_CURVE, _LEVELS, row) for row in levels])
        units: IntArray = np.maximum(np.rint(curves), 0).astype(np.int64)
        return units


@dataclass(frozen=True)
class Boosted:
    """See the module."""

    seasons: tuple[int, ...] = ()
    name: str = "boosted"

    def fit(self, history: History) -> Forecast:
        """Return the forecast.  Raises `MissingExtraError` without scikit-learn."""
        try:
            from sklearn.ensemble import HistGradientBoostingRegressor
        except ImportError as error:
            problem = "needs scikit-learn, which is not installed; install the extra `learn`"
            raise MissingExtraError(self.name, problem) from error
        units = require_history(self.name, history, _LEAST)
        reach = max(_LAGS, *_MEANS)
        windows = np.lib.stride_tricks.sliding_window_view(units, reach)[:-1]
        rows = _features(windows, np.arange(reach, len(units)), self.seasons)
        ensembles = tuple(
            HistGradientBoostingRegressor(
                loss="quantile",
                quantile=level,
                max_iter=60,
                learning_rate=0.08,
                max_leaf_nodes=8,
                min_samples_leaf=25,
                random_state=0,
            ).fit(rows, units[reach:])
            for level in _LEVELS
        )
        return BoostedForecast(ensembles, self.seasons, units[-reach:], len(units))


def _features(last: FloatArray, periods: IntArray, seasons: tuple[int, ...]) -> FloatArray:
    """Return one row for each row of `last`: lags, moving means, phases."""
    before, phases = 1, []
    for season in seasons:
        phases.append((periods // before) % (season // before))
        before = season
    means = [last[:, -reach:].mean(axis=1) for reach in _MEANS]
    return np.column_stack([last[:, -_LAGS:], *means, *phases])
