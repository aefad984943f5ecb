"""Forecasts on six kinds of series and a heavy-tailed one: what is paid, over an oracle.

The oracle knows the intensity of every period, and holds the newsvendor quantile of its law; of heavy
tails, which are independent, it knows the law.  `fixed` is the law that is fitted to the history once, as
if periods were independent.  `best` is what `choose` takes on a
rolling origin of the history; it then learns from period to period, and is never fitted again.  `boosted`
is scikit-learn's, where that is installed.  Series are drawn by the processes of the emulated world:
1344 periods of history (eight weeks of hours) and 672 to be paid for, at the paper's prices.

Prints one CSV row per kind with the mean over series, and 95 % confidence limits of `best`.  Arguments: the
number of series per kind (20) and the first seed (1000).  20 take about ten minutes of one core.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from functools import cache, partial
from math import inf, pi, sin
from statistics import fmean, stdev
from typing import Any

from emulator.world import keyed_random
from emulator.world.demand_process import DemandProcess
from emulator.world.distributions import half_width
from global_manager.forecasting import Forecaster, History, MissingExtraError, choose, named
from global_manager.forecasting.rolling_origin import candidates
from global_manager.forecasting.series import law_of, quantile, support_of

_PAST, _PERIODS, _MEAN = 1344, 672, 10 / 3
_RESERVED, _ON_DEMAND = 5_480, 18_520
_LEVEL = 1 - _RESERVED / _ON_DEMAND
_SEASONS = (24, 168)
_HOURS = tuple(1 + 0.85 * sin(2 * pi * hour / 24) for hour in range(24))
_WEEK = tuple(
    (1 + 0.5 * sin(2 * pi * hour / 24)) * (1.3 if day < 5 else 0.25)
    for day in range(7)
    for hour in range(24)
)
_LAW_DRAWS = 20_001  # of a factor that nobody can foresee

KINDS: dict[str, dict[str, Any]] = {
    "independent": {},
    "hourly": {"season": _HOURS},
    "ar1": {"coefficient": 0.9, "deviation": 0.65},
    "weekly": {"season": _WEEK},
    "regimes": {"regimes": (0.3, 1.7), "stay": 0.96},
    "trend": {"end": 3.0},
    "heavy-tails": {"shape": 2.2},
}


def series(kind: str, seed: int) -> tuple[list[int], list[float]]:
    """Return the units and the intensity of all periods."""
    fields = dict(KINDS[kind])
    season = fields.get("season")
    if season:
        fields["season"] = tuple(len(season) * item / sum(season) for item in season)
    process = DemandProcess(_MEAN, _MEAN, periods=_PAST + _PERIODS, **fields)
    draw = partial(_uniform, seed)
    path = process.path(draw)
    factors = [path.factor(period) for period in range(_PAST + _PERIODS)]
    units = [process.units(f, draw("units", t), 100_000) for t, f in enumerate(factors)]
    return units, [_MEAN * factor for factor in factors]


def cost(held: list[int], seen: list[int]) -> float:
    """Return what is paid per period."""
    pairs = zip(held, seen, strict=True)
    return fmean(_RESERVED * k + _ON_DEMAND * max(y - k, 0) for k, y in pairs)


def learned(forecaster: Forecaster, past: History, seen: list[int]) -> list[int]:
    """Return what is held in each period, given all before."""
    forecast, held = forecaster.fit(past), []
    for units in seen:
        held.append(quantile(forecast.law(), _LEVEL))
        forecast = forecast.observe(units)
    return held


def measured(kind: str, seed: int) -> dict[str, float | str]:
    """Return costs over the oracle's, and the name of what was chosen."""
    units, intensity = series(kind, seed)
    if "shape" in KINDS[kind]:
        process = DemandProcess(_MEAN, _MEAN, **KINDS[kind])
        oracle = [_quantile_of(process)] * _PERIODS
    else:
        oracle = [_held(mean) for mean in intensity[_PAST:]]
    past, seen = History(tuple(units[:_PAST])), units[_PAST:]
    least = cost(oracle, seen)
    best, _ = choose(past, candidates(_SEASONS), _LEVEL)
    found: dict[str, float | str] = {"chosen": best.name}
    found["fixed"] = cost(learned(named("static"), past, seen), seen) / least
    found["best"] = cost(learned(best, past, seen), seen) / least
    try:
        found["boosted"] = cost(learned(named("boosted", _SEASONS), past, seen), seen) / least
    except MissingExtraError:
        found["boosted"] = float("nan")
    return found


def _held(mean: float) -> int:
    return quantile(law_of(mean, inf, support_of([], mean, inf)), _LEVEL)


@cache
def _quantile_of(process: DemandProcess) -> int:
    """Return the quantile of demand over all factors, by simulation."""
    path = process.path(partial(_uniform, -1))
    drawn = sorted(
        process.units(path.factor(n), _uniform(-1, "units", n), 100_000) for n in range(_LAW_DRAWS)
    )
    return drawn[int(_LEVEL * _LAW_DRAWS)]


def _uniform(seed: int, *question: str | int) -> float:
    return keyed_random.number((seed, *question), person=b"qsagin-bench")


def main() -> None:
    """Print the table."""
    given = [int(word) for word in sys.argv[1:3]]
    count, first = (*given, 20, 1000)[:2] if len(given) != 1 else (given[0], 1000)
    writer = csv.writer(sys.stdout)
    writer.writerow(["series", "fixed", "best", "best_low", "best_high", "boosted", "chosen"])
    for kind in KINDS:
        found = [measured(kind, first + number) for number in range(count)]
        means = {
            name: fmean(float(item[name]) for item in found)
            for name in ("fixed", "best", "boosted")
        }
        reach = (
            half_width(stdev(float(item["best"]) for item in found), count) if count > 1 else 0.0
        )
        chosen = Counter(str(item["chosen"]) for item in found).most_common(3)
        writer.writerow(
            [
                kind,
                f"{means['fixed']:.3f}",
                f"{means['best']:.3f}",
                f"{means['best'] - reach:.3f}",
                f"{means['best'] + reach:.3f}",
                f"{means['boosted']:.3f}",
                " ".join(f"{name}:{times}" for name, times in chosen),
            ]
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
