"""How often the sky is clear by season and by time of day, at stations and between them.

The logit of the chance is one wave over the year, two over the day (of 24 h and 12 h, in mean solar time),
and the products of the year's with the day's first: eleven numbers a station, fitted by maximum
likelihood to its typical year.  So nothing jumps between months or hours.  A table of months would be
worse: each month of a typical year is one month of one year, and of days left out such a table tells less
than the odds of the whole year do (`benchmarks/clouds.py` measures).

A place that is no station has the mean chance of the three nearest, as in `cloud_climate`.  All stations
are in the United States: elsewhere, and south of the equator above all, seasons are not known.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.world.cloud_climate import nearest_weights
from emulator.world.places import Place

Floats = NDArray[np.float64]

TABLE = Path(__file__).parent / "weather_data" / "cloud_seasons_tmy3.csv"
NUMBERS = (
    *("level", "year_cos", "year_sin", "day_cos", "day_sin", "half_cos", "half_sin"),
    *("year_cos_day_cos", "year_cos_day_sin", "year_sin_day_cos", "year_sin_day_sin"),
)
_ORIGIN = datetime(2001, 1, 1, tzinfo=UTC)  # begins the 400 years of the calendar
_YEAR_D = 365.2425
_DAY_S, _DAY_H = 86_400.0, 24
_PRIOR = 1.0  # inverse variance of every number but the level: no station goes astray
_STEPS = 25


@dataclass(frozen=True)
class SeasonStation:
    """A weather station and the numbers of its law, in the order of `NUMBERS`."""

    name: str
    lat_deg: float
    lon_deg: float
    numbers: tuple[float, ...]

    def chance(self, year: Floats, day: Floats) -> Floats:
        """Return the chance of a clear sky; `year` and `day` are the parts of them that are over."""
        return np.asarray(1 / (1 + np.exp(-(waves(year, day) @ np.array(self.numbers)))))


@cache
def season_stations() -> tuple[SeasonStation, ...]:
    """Return the stations of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return tuple(
        SeasonStation(
            row["station"],
            float(row["lat"]),
            float(row["lon"]),
            tuple(float(row[name]) for name in NUMBERS),
        )
        for row in rows
    )


def clear_chance(
    place: Place,
    epoch: datetime,
    hours: Floats,
    known: Sequence[SeasonStation] | None = None,
) -> Floats:
    """Return the chance of a clear sky over a place, in hours since the epoch (their middles)."""
    year, day = parts_over(place, epoch, hours)
    nearest = nearest_weights(place, known or season_stations())
    chances = [station.chance(year, day) for station, _ in nearest]
    return np.average(chances, axis=0, weights=[weight for _, weight in nearest])


def parts_over(place: Place, epoch: datetime, hours: Floats) -> tuple[Floats, Floats]:
    """Return the part of the year and of the solar day of a place that is over."""
    since_d = (epoch - _ORIGIN).total_seconds() / _DAY_S + hours / _DAY_H
    return since_d / _YEAR_D % 1, (since_d + place.lon_deg / 360) % 1


def waves(year: Floats, day: Floats) -> Floats:
    """Return what the numbers of a law weigh, by instant and number."""
    year_cos, year_sin = _wave(year)
    day_cos, day_sin = _wave(day)
    products = (a * b for a in (year_cos, year_sin) for b in (day_cos, day_sin))
    terms = [np.ones_like(day), year_cos, year_sin, day_cos, day_sin, *_wave(2 * day), *products]
    return np.stack(terms, axis=-1)


def fitted(seen: Floats, clear: NDArray[np.bool_]) -> Floats:
    """Return the numbers that make the clear hours likeliest, by Newton's method; `seen` by hour."""
    prior = np.full(seen.shape[1], _PRIOR)
    prior[0] = 0.0
    numbers = np.zeros(seen.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-(seen @ numbers)))
        slope = seen.T @ (clear - chance) - prior * numbers
        bend = (seen.T * (chance * (1 - chance))) @ seen + np.diag(prior)
        numbers = numbers + np.linalg.solve(bend, slope)
    return numbers


def _wave(turns: Floats) -> tuple[Floats, Floats]:
    return np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
