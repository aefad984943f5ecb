"""Which forecaster to use: each is judged by what it said before it saw, on a rolling origin.

From an origin on, a forecaster that was fitted to all before it says the law of every further period, and
is told the period afterwards; it is fitted again at later origins (Tashman 2000, International Journal of
Forecasting 16).  Scores never come from periods that a fit has seen.

A newsvendor who pays `reserved` for a unit that is held and `on_demand` for one that is lacking holds the
quantile of level 1 - reserved / on_demand; pinball loss there, times `on_demand`, is what is paid beyond
what demand itself costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from global_manager.forecasting.autoregressive import Autoregressive, Level
from global_manager.forecasting.boosted import Boosted
from global_manager.forecasting.regimes import Regimes
from global_manager.forecasting.scoring import crps, pinball, pit
from global_manager.forecasting.seasonal import Seasonal
from global_manager.forecasting.series import (
    FloatArray,
    Forecast,
    Forecaster,
    ForecastError,
    History,
    MissingExtraError,
    quantile,
)
from global_manager.forecasting.static import Static

_FIRST, _FITS = 0.5, 2
_BATCHES = 20
_CLEARLY = 1.0

Seasons = tuple[int, ...]
_MADE: dict[str, Callable[[Seasons], Forecaster]] = {
    "static": lambda _: Static(),
    "seasonal": Seasonal,
    "autoregressive": lambda _: Autoregressive(),
    "seasonal-autoregressive": Autoregressive,
    "level": lambda _: Level(),
    "regimes": lambda _: Regimes(2),
    "regimes-3": lambda _: Regimes(3),
    "boosted": Boosted,
}
METHODS = tuple(_MADE)
_SEASONAL = frozenset({"seasonal", "seasonal-autoregressive"})


@dataclass(frozen=True)
class Score:
    """How a forecaster did over the periods from the origin on.

    `pinball` and `crps` are means in units; `cost` is that of what the newsvendor held, per period.
    By period, `pit` has a pair, `ranked` the ranked probability score, `held` and `seen` units.
    """

    forecaster: str
    pinball: float
    crps: float
    cost: float
    pit: tuple[tuple[float, float], ...]
    ranked: tuple[float, ...]
    held: tuple[int, ...]
    seen: tuple[int, ...]


@dataclass(frozen=True)
class Backtest:
    """Scores, the best by the ranked probability score first; `left_out` says why others have none."""

    level: float
    origin: int
    scores: tuple[Score, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def best(self) -> str:
        """The forecaster to use: the one of least ranked score, if it is clearly better than a fixed law.

        The ranked score is the pinball loss over all levels, so it is less left to chance than that at
        one.  *Clearly*: it is less by more than a standard error of the paired difference, from batch means
        since scores follow each other.  Else the fixed law, which has least to go wrong.
        """
        best = self.scores[0]
        fixed = next((item for item in self.scores if item.forecaster == "static"), best)
        gain = np.array(fixed.ranked) - np.array(best.ranked)
        batches = [float(part.mean()) for part in np.array_split(gain, min(_BATCHES, len(gain)))]
        error = float(np.std(batches, ddof=1)) / sqrt(len(batches)) if len(batches) > 1 else 0.0
        return best.forecaster if gain.mean() > _CLEARLY * error else fixed.forecaster


def named(method: str, seasons: Seasons = ()) -> Forecaster:
    """Return a forecaster by its name in experiments, one of `METHODS`; raises KeyError."""
    return _MADE[method](seasons)


def candidates(seasons: Seasons = (), *, boosted: bool = False) -> tuple[Forecaster, ...]:
    """Return all forecasters for these seasons, whose periods are multiples of each other.

    Of the seasonal ones there is one for each leading part of `seasons`.
    """
    plain = [
        _MADE[name](())
        for name in METHODS
        if name not in _SEASONAL and (boosted or name != "boosted")
    ]
    if boosted:
        plain[-1] = Boosted(seasons)
    for upto in range(1, len(seasons) + 1):
        plain += [_MADE[name](seasons[:upto]) for name in METHODS if name in _SEASONAL]
    return tuple(plain)


def backtest(
    history: History,
    forecasters: Sequence[Forecaster],
    level: float,
    *,
    ahead: int = 1,
    origin: int | None = None,
    fits: int = _FITS,
) -> Backtest:
    """Score forecasters on a history from `origin` (default: its middle) to its end.

    Each is fitted `fits` times, at equal distances.  One that cannot be is left out, with the reason.
    Costs are at prices 1 - level reserved and 1 on demand.  Raises ForecastError if none can.
    """
    periods = len(history.units)
    origin = int(periods * _FIRST) if origin is None else origin
    scores, left_out = [], []
    for forecaster in forecasters:
        try:
            scores.append(
                _scored(history, forecaster, level, ahead, _origins(origin, periods, fits))
            )
        except ForecastError as error:
            left_out.append((forecaster.name, error.problem))
    if not scores:
        raise ForecastError("backtest", left_out[0][1] if left_out else "there is no forecaster")
    scores.sort(key=lambda score: score.crps)
    return Backtest(level, origin, tuple(scores), tuple(left_out))


def choose(
    history: History, forecasters: Sequence[Forecaster], level: float, *, ahead: int = 1
) -> tuple[Forecaster, Forecast]:
    """Return the forecaster that a backtest prefers, and its forecast after the whole history.

    Raises ForecastError.
    """
    preferred = backtest(history, forecasters, level, ahead=ahead).best
    found = next(item for item in forecasters if item.name == preferred)
    return found, found.fit(history)


def is_available(forecaster: Forecaster) -> bool:
    """Return whether what a forecaster needs is installed."""
    try:
        forecaster.fit(History((1, 2)))
    except MissingExtraError:
        return False
    except ForecastError:
        return True
    return True


def _origins(first: int, periods: int, fits: int) -> list[int]:
    """Return where fits are made, and the end."""
    return sorted({int(item) for item in np.linspace(first, periods, fits + 1)})


def _scored(
    history: History, forecaster: Forecaster, level: float, ahead: int, origins: list[int]
) -> Score:
    laws, seen = [], []
    for start, end in pairwise(origins):
        forecast = forecaster.fit(history.upto(start))
        for period in range(start, end - ahead + 1):
            laws.append(forecast.law(ahead))
            seen.append(history.units[period + ahead - 1])
            forecast = forecast.observe(history.units[period])
    if not laws:
        raise ForecastError(forecaster.name, "there is no period to score")
    return _score(forecaster.name, laws, seen, level)


def _score(name: str, laws: list[FloatArray], seen: list[int], level: float) -> Score:
    held = [quantile(law, level) for law in laws]
    losses = [pinball(level, k, y) for k, y in zip(held, seen, strict=True)]
    ranked = [crps(law, y) for law, y in zip(laws, seen, strict=True)]
    costs = [(1 - level) * k + max(y - k, 0) for k, y in zip(held, seen, strict=True)]
    return Score(
        forecaster=name,
        pinball=float(np.mean(losses)),
        crps=float(np.mean(ranked)),
        cost=float(np.mean(costs)),
        pit=tuple(pit(law, y) for law, y in zip(laws, seen, strict=True)),
        ranked=tuple(ranked),
        held=tuple(held),
        seen=tuple(seen),
    )
