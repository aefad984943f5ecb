"""Pairs of stations with a common month of the same year: how they agree, and the law that fits it.

The residual of an hour is 1 or 0 for a clear sky less its chance by the law of seasons.  Of each pair and
lag the mean product of residuals is compared with what a correlation of the normal variable makes of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from emulator.world.cloud_fronts import FrontLaw
from emulator.world.cloud_seasons import SeasonStation, clear_chance
from emulator.world.places import great_circle_km
from emulator.world.typical_years import TypicalYear

Floats = NDArray[np.float64]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAGS_H = np.array([-36, -24, -18, -12, -9, -6, -3, -1, 0, 1, 3, 6, 9, 12, 18, 24, 36])
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(12)
_ALMOST_ONE = 0.999
_SPEED_KM_H = 34.0
_TIED = 0.02  # to where it begins, so that what the data do not tell stays
_ROUNDS, _STEP = 25, 1e-4


@dataclass(frozen=True)
class Pair:
    """Two stations by index, the western one first, and hours of theirs by lag of the eastern one."""

    west: int
    east: int
    month: int
    km: float
    hours: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]


@dataclass(frozen=True)
class Form:
    """What a fit is free to change, by where it begins (see `law`), and the share of the cosine."""

    start: tuple[float, ...]
    wave: float = 1.0

    def law(self, numbers: Floats) -> FrontLaw:
        """Return a law; without the last two numbers it stays where it is, and is not stretched."""
        shares = np.exp(numbers[:2]) / (1 + np.exp(numbers[:2]).sum())
        shower_h, front_h, spell_h, scale_km = np.exp(numbers[2:6])
        speed, stretch = np.append(numbers[6:], [0.0, 0.0])[:2]
        fitted = (*shares, shower_h, front_h, spell_h, scale_km, _SPEED_KM_H * speed)
        return FrontLaw(*map(float, (*fitted, self.wave, np.exp(stretch))))


FLOWING = Form((-0.8, 0.8, 0.3, 4.0, 4.0, 6.3, 1.0))
OTHERS = {
    "without flow": Form(FLOWING.start[:6]),
    "without disagreement": Form(FLOWING.start, wave=0.0),
    "stretched": Form((*FLOWING.start, 0.0)),
}


def pairs_of(years: Sequence[TypicalYear]) -> list[Pair]:
    """Return all pairs, and each station with itself in every month."""
    found = []
    for a, b in itertools.combinations_with_replacement(range(len(years)), 2):
        west, east = sorted((a, b), key=lambda item: years[item].lon_deg)
        for month in range(1, 13):
            here, there = (np.flatnonzero(years[item].month == month) for item in (west, east))
            if years[west].year[here[0]] == years[east].year[there[0]]:
                hours = tuple(_common(years, (west, here), (east, there), lag) for lag in LAGS_H)
                km = great_circle_km(_place(years[west]), _place(years[east]))
                found.append(Pair(west, east, month, km, hours))
    return found


def chances_of(years: Sequence[TypicalYear], known: Sequence[SeasonStation]) -> list[Floats]:
    """Return the chance of a clear sky in every hour of every station, by stations that are known."""
    return [
        clear_chance(_place(year), EPOCH, np.asarray(year.began_h + 0.5), known) for year in years
    ]


def products(pairs: Sequence[Pair], years: Sequence[TypicalYear], chances: list[Floats]) -> Floats:
    """Return the mean product of residuals, by pair and lag."""
    rest = [year.clear - chance for year, chance in zip(years, chances, strict=True)]
    return np.array(
        [[(rest[p.west][i] * rest[p.east][j]).mean() for i, j in p.hours] for p in pairs]
    )


def limits_of(pairs: Sequence[Pair], years: Sequence[TypicalYear], chances: list[Floats]) -> Floats:
    """Return the normal value below which the sky is clear in the mean, by pair and end."""
    invert = NormalDist().inv_cdf

    def limit(item: int, month: int) -> float:
        return invert(float(chances[item][years[item].month == month].mean()))

    return np.array([(limit(p.west, p.month), limit(p.east, p.month)) for p in pairs])


def expected(limits: Floats, correlation: Floats) -> Floats:
    """Return the mean product of residuals that a correlation makes, by pair and lag."""
    return both_below(limits[:, :1], limits[:, 1:], correlation)


def both_below(one: Floats, other: Floats, correlation: Floats) -> Floats:
    """Return the chance that two normal variables are below limits, less that of independent ones.

    The integral of their density over the correlation (Drezner, Wesolowsky 1990).
    """
    whole = np.clip(correlation, -_ALMOST_ONE, _ALMOST_ONE)[..., None]
    r = whole * (_NODES + 1) / 2
    x, y = one[..., None], other[..., None]
    density = np.exp(-(x**2 - 2 * r * x * y + y**2) / (2 * (1 - r**2))) / np.sqrt(1 - r**2)
    return np.asarray((density * whole * _NODE_WEIGHTS).sum(axis=-1) / (4 * np.pi))


def correlations(law: FrontLaw, pairs: Sequence[Pair], years: Sequence[TypicalYear]) -> Floats:
    """Return what a law says of the normal variable, by pair and lag of the eastern station."""
    where = np.radians([(year.lat_deg, year.lon_deg) for year in years])
    west, east = (where[[getattr(p, end) for p in pairs]][:, None] for end in ("west", "east"))
    return law.correlation(east, west, LAGS_H.astype(float))


def fit(
    pairs: Sequence[Pair],
    years: Sequence[TypicalYear],
    seen: Floats,
    limits: Floats,
    form: Form = FLOWING,
) -> FrontLaw:
    """Return the law of least squares, by damped Gauss-Newton steps from where it begins."""
    start = np.array(form.start)

    def misses(numbers: Floats) -> Floats:
        told = expected(limits, correlations(form.law(numbers), pairs, years))
        return np.append((told - seen).ravel(), _TIED * (numbers - start))

    numbers, damping = start, 1.0
    miss = misses(numbers)
    for _ in range(_ROUNDS):
        steps = np.eye(len(numbers)) * _STEP
        slope = np.array([(misses(numbers + step) - miss) / _STEP for step in steps])
        bend = slope @ slope.T
        tried = numbers - np.linalg.solve(bend + damping * np.diag(np.diag(bend)), slope @ miss)
        new = misses(tried)
        if new @ new < miss @ miss:
            numbers, miss, damping = tried, new, damping / 3
        else:
            damping *= 4
    return form.law(numbers)


def _common(
    years: Sequence[TypicalYear],
    west: tuple[int, NDArray[np.int64]],
    east: tuple[int, NDArray[np.int64]],
    lag_h: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return hours of the western station, and those of the eastern one that are so much later."""
    begun = [years[item].began_h[hours] for item, hours in (west, east)]
    _, here, there = np.intersect1d(begun[0] + lag_h, begun[1], return_indices=True)
    return west[1][here], east[1][there]


def _place(year: TypicalYear) -> SeasonStation:
    return SeasonStation(year.name, year.lat_deg, year.lon_deg, ())
