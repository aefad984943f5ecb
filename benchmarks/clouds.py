"""Skies by chance against hourly skies of real stations that were kept out: seasons and travelling fronts.

Seasons are held against the odds of night and day, fronts against clouds that drift.  For each station it
and all within 300 km are left out: its climate is that of the others, and the law of fronts is fitted
again without their pairs.  Clouds that drift are as they are, with memories from all stations.

* `left out`: Brier score of the chance of a clear sky in every hour, and how far chances are from shares
  by month and 3 h of the day (root mean square).
* `blocks`: the same with the station's own law, fitted without every other eight days.
* `as alike`: mean square error of the mean product of residuals of two stations, where months are of the
  same year.  `given the west`: Brier score of the chance of a clear sky, given the sky over a station to
  the west hours before; both fields with the stations' own seasons.  `all in all`: the same with the
  climate of other stations, drift with that of night and day.
* a table on standard error: correlation of residuals by distance and lag of the eastern station.

Argument: a folder of TMY3 files in EPW format (docs/design.md, section 8, says where they can be had).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from bars import Row, at_most, tell, words
from cloud_pairs import (
    EPOCH,
    FLOWING,
    LAGS_H,
    OTHERS,
    Floats,
    Form,
    Pair,
    both_below,
    chances_of,
    correlations,
    expected,
    fit,
    limits_of,
    pairs_of,
    products,
)
from numpy.typing import NDArray

from emulator.world.cloud_climate import climate_between, stations
from emulator.world.cloud_drift import DriftingClouds
from emulator.world.cloud_seasons import (
    SeasonStation,
    clear_chance,
    fitted,
    parts_over,
    season_stations,
    waves,
)
from emulator.world.places import great_circle_km
from emulator.world.typical_years import TypicalYear, TypicalYearError, typical_years_in
from emulator.world.visibility import sun_altitude_deg

Clear = NDArray[np.bool_]
Hours = NDArray[np.int64]

_LEFT_OUT_KM = 300.0
_BLOCK_D, _DAY_H, _HOUR_S = 8, 24, 3600.0
_GIVEN_H = (1, 6, 12, 24)
_CLASSES_KM = (
    (1, 200),
    (200, 420),
    (420, 700),
    (700, 1000),
    (1000, 1500),
    (1500, 2200),
    (2200, 5000),
)
_SHOWN_H = (-24, -12, -6, 0, 6, 12, 18, 24)
_GRID = np.linspace(-4, 4, 1601)
_NORMAL = _GRID, np.array([NormalDist().cdf(z) for z in _GRID.tolist()])
_NEAR_KM = 1000.0


@dataclass(frozen=True)
class Scores:
    """Of one law: mean Brier score, and reliability."""

    brier: float
    reliability: float


def rows(folder: Path) -> Iterator[Row]:
    """Score both laws.  Raises `TypicalYearError`."""
    years = typical_years_in(folder)
    yield from _left_out(years)
    yield from _blocks(years)
    yield from _fronts(years)


def _left_out(years: Sequence[TypicalYear]) -> Iterator[Row]:
    now = _mean(_scores(year, _night_and_day(year)) for year in years)
    new = _mean(_scores(year, _seasons(year)) for year in years)
    note = f"{len(years)} stations"
    yield at_most("left out: Brier, seasons", new.brier, "", now.brier, note)
    unit = "points"
    yield at_most(
        "left out: reliability, seasons", 100 * new.reliability, unit, 100 * now.reliability
    )


def _blocks(years: Sequence[TypicalYear]) -> Iterator[Row]:
    found = {"seasons": 0.0, "night and day": 0.0, "months, night and day": 0.0}
    for year in years:
        first = (year.began_h // (_DAY_H * _BLOCK_D)) % 2 == 0
        dark = _dark(year)
        parts = waves(*parts_over(_place(year), EPOCH, _middles(year)))
        cells = {"night and day": dark * 1, "months, night and day": 2 * year.month + dark}
        for told, seen in ((first, ~first), (~first, first)):
            chance = 1 / (1 + np.exp(-(parts @ fitted(parts[told], year.clear[told]))))
            share = 1 / len(years) / 2
            found["seasons"] += share * _brier(chance[seen], year.clear[seen])
            for name, cell in cells.items():
                chance = _shares(cell, year.clear, told)
                found[name] += share * _brier(chance[seen], year.clear[seen])
    yield at_most("blocks: Brier, seasons", found["seasons"], "", found["night and day"])
    months = found["months, night and day"]
    yield Row("blocks: Brier, a table of months, night and day", months, "")


def _fronts(years: Sequence[TypicalYear]) -> Iterator[Row]:
    chances, pairs = chances_of(years, season_stations()), pairs_of(years)
    seen, limits = products(pairs, years, chances), limits_of(pairs, years, chances)
    law = fit(pairs, years, seen, limits)
    yield Row("fronts: speed at 40 degrees, by all pairs", law.speed_km_h, "km/h", note=str(law))
    apart = np.array([pair.west != pair.east for pair in pairs])
    pairs, seen, limits = [p for p in pairs if p.west != p.east], seen[apart], limits[apart]
    both = {"drift": _drifting(pairs, years), "fronts": _travelling(pairs, years, chances)}

    def error(told: Floats) -> float:
        return 1e4 * float(((expected(limits, told) - seen) ** 2).mean())

    note = f"{len(pairs)} pairs, in 1e-4; if all were independent: {1e4 * (seen**2).mean():.4g}"
    yield at_most("as alike: fronts", error(both["fronts"]), "", error(both["drift"]), note)
    for name, form in OTHERS.items():
        told = _travelling(pairs, years, chances, form)
        yield Row(f"as alike: fronts {name}", error(told), "")
    _print(pairs, seen, limits, both)
    away = {
        "drift": [_night_and_day(year) for year in years],
        "fronts": [_seasons(year) for year in years],
    }
    own = dict.fromkeys(both, chances)
    for bar, laws in {"given the west": own, "all in all": away}.items():
        for lag_h in _GIVEN_H:
            scores = {
                name: _given(pairs, years, laws[name], told, lag_h) for name, told in both.items()
            }
            yield at_most(f"{bar}: Brier, {lag_h} h later", scores["fronts"], "", scores["drift"])


def _travelling(
    pairs: Sequence[Pair],
    years: Sequence[TypicalYear],
    chances: list[Floats],
    form: Form = FLOWING,
) -> Floats:
    """Return the correlation of the normal variable by pair and lag, as laws fitted without it have it.

    The mean of two: either end, with what is near it, is left out.
    """
    told = np.zeros((len(pairs), len(LAGS_H)))
    everything = pairs_of(years)
    seen = products(everything, years, chances)
    limits = limits_of(everything, years, chances)
    for index, year in enumerate(years):
        out = {n for n, other in enumerate(years) if _apart_km(year, other) <= _LEFT_OUT_KM}
        keep = [n for n, pair in enumerate(everything) if not out & {pair.west, pair.east}]
        kept = [everything[n] for n in keep]
        law = fit(kept, years, seen[keep], limits[keep], form)
        asked = [n for n, pair in enumerate(pairs) if index in (pair.west, pair.east)]
        told[asked] += correlations(law, [pairs[n] for n in asked], years) / 2
    return told


def _given(
    pairs: Sequence[Pair],
    years: Sequence[TypicalYear],
    chances: Sequence[Floats],
    told: Floats,
    lag_h: int,
) -> float:
    """Return how well the sky over the western station tells that over the eastern one nearby."""
    lag = LAGS_H.tolist().index(lag_h)
    scores = []
    for index, pair in enumerate(pairs):
        if pair.km < _NEAR_KM:
            here, there = pair.hours[lag]
            first, second = chances[pair.west][here], chances[pair.east][there]
            chance = _conditional(years[pair.west].clear[here], first, second, told[index, lag])
            scores.append(_brier(chance, years[pair.east].clear[there]))
    return float(np.mean(scores))


def _conditional(clear: Clear, first: Floats, second: Floats, correlation: float) -> Floats:
    """Return the chance that the second is clear, given whether the first is."""
    more = both_below(_limits(first), _limits(second), np.array(correlation))
    given = np.where(clear, (first * second + more) / first, second - more / (1 - first))
    return np.clip(given, 0, 1)


def _limits(chances: Floats) -> Floats:
    """Return normal quantiles."""
    grid, below = _NORMAL
    return np.interp(chances, below, grid)


def _drifting(pairs: Sequence[Pair], years: Sequence[TypicalYear]) -> Floats:
    """Return the correlation of the normal variable where clouds drift, by pair and lag."""
    clouds = DriftingClouds([_place(year) for year in years])
    lags = sorted({abs(int(lag)) for lag in LAGS_H})
    after = {lag: clouds.correlation(lag) for lag in lags}
    return np.array(
        [
            [
                after[lag][p.east, p.west] if lag >= 0 else after[-lag][p.west, p.east]
                for lag in LAGS_H.tolist()
            ]
            for p in pairs
        ]
    )


def _print(pairs: list[Pair], seen: Floats, limits: Floats, both: dict[str, Floats]) -> None:
    """Print the correlation of residuals by distance and lag, on standard error."""
    clear = np.interp(limits, *_NORMAL)
    scale = np.sqrt((clear * (1 - clear)).prod(axis=1))[:, None]
    found = {"stations": seen} | {name: expected(limits, told) for name, told in both.items()}
    shown = [LAGS_H.tolist().index(lag) for lag in _SHOWN_H]
    print("km, pairs, who, and by how many hours the east is later:", *_SHOWN_H, file=sys.stderr)
    for low, high in _CLASSES_KM:
        there = [n for n, pair in enumerate(pairs) if low <= pair.km < high]
        for name, values in found.items() if there else ():
            means = (values[there] / scale[there]).mean(axis=0)[shown]
            numbers = " ".join(f"{mean:6.3f}" for mean in means)
            print(f"{low:4}-{high:4} {len(there):3} {name:8} {numbers}", file=sys.stderr)


def _night_and_day(year: TypicalYear) -> Floats:
    """Return the chance of a clear sky as stations that are not left out have it, by night and day."""
    place = _place(year)
    known = [each for each in stations() if great_circle_km(place, each) > _LEFT_OUT_KM]
    climate = climate_between(place, known)
    return np.where(_dark(year), climate.clear_night, climate.clear_day)


def _seasons(year: TypicalYear) -> Floats:
    place = _place(year)
    known = [each for each in season_stations() if great_circle_km(place, each) > _LEFT_OUT_KM]
    return clear_chance(place, EPOCH, _middles(year), known)


def _dark(year: TypicalYear) -> Clear:
    times_s = _HOUR_S * _middles(year)
    return np.asarray(sun_altitude_deg([_place(year)], EPOCH, times_s)[0] < 0)


def _scores(year: TypicalYear, chance: Floats) -> Scores:
    day = parts_over(_place(year), EPOCH, _middles(year))[1]
    cell = 8 * year.month + (8 * day).astype(int)
    counts = np.bincount(cell)
    off = np.bincount(cell, chance) - np.bincount(cell, year.clear)
    filled = counts > 0
    square = (off[filled] ** 2 / counts[filled]).sum() / counts.sum()
    return Scores(_brier(chance, year.clear), float(np.sqrt(square)))


def _shares(cell: Hours, clear: Clear, told: Clear) -> Floats:
    """Return the share of clear hours in the cell of every hour, as some hours tell it."""
    counts = np.bincount(cell[told], minlength=cell.max() + 1)
    clears = np.bincount(cell[told], clear[told], minlength=cell.max() + 1)
    return np.asarray((clears / np.maximum(counts, 1))[cell])


def _brier(chance: Floats, clear: Clear) -> float:
    return float(((chance - clear) ** 2).mean())


def _mean(scores: Iterable[Scores]) -> Scores:
    brier, reliability = np.mean([(each.brier, each.reliability) for each in scores], axis=0)
    return Scores(float(brier), float(reliability))


def _middles(year: TypicalYear) -> Floats:
    return np.asarray(year.began_h + 0.5, dtype=np.float64)


def _place(year: TypicalYear) -> SeasonStation:
    return SeasonStation(year.name, year.lat_deg, year.lon_deg, ())


def _apart_km(year: TypicalYear, other: TypicalYear) -> float:
    return great_circle_km(_place(year), _place(other))


def main() -> None:
    """Print the scores."""
    given = words()
    if len(given) != 1:
        sys.exit("give a folder of TMY3 files in EPW format")
    try:
        tell(rows(Path(given[0])))
    except (TypicalYearError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
