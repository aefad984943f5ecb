"""How cloudy a place is in the long run: real statistics of sky cover, and the distribution they imply.

Cover is the opaque fraction of the sky in tenths, as observers report it; a sky is clear up to 2/10.
A station's distribution has the table's shares of hours at 0 and at 10/10, and between them a Beta of the
table's mean and variance, rounded to tenths.  Its odds of a clear sky are then set to the table's,
separately for night and day, which keep their shapes on either side of 2/10.  Half of all hours are night.

A place that is no station takes the mean of the three nearest, weighted by 1 / distance^2: exact at a
station, and no better than the distance to the next one elsewhere (Houston is 600 km from any): a
station that is left out gets clear hours that are 11 points wrong on average.
Seasons are not known here: `cloud_seasons` has them.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emulator.world.distributions import beta_cdf
from emulator.world.places import Place, great_circle_km

Floats = NDArray[np.float64]
Known = TypeVar("Known", bound=Place)

CLEAR_OPAQUE = 0.2
CLEAR_TENTHS = 2
_TABLE = Path(__file__).parent / "weather_data" / "cloud_stats_tmy3.csv"
_NEAREST = 3
_AT_STATION_KM = 0.1
_LEAST = 1e-6  # no threshold lies at infinity


@dataclass(frozen=True)
class Climate:
    """Statistics of hourly opaque cover; all are fractions, and linear in mixtures of hours."""

    mean: float
    mean_square: float
    none: float  # hours without cover
    full: float  # hours of full cover
    clear: float  # hours of at most 2/10
    clear_night: float  # of the hours of night
    rho_1h: float  # autocorrelation
    rho_6h: float
    rho_24h: float

    @property
    def clear_day(self) -> float:
        """Hours of at most 2/10, of the hours of day."""
        return 2 * self.clear - self.clear_night


@dataclass(frozen=True)
class Station:
    """A weather station of the table."""

    name: str
    lat_deg: float
    lon_deg: float
    climate: Climate


@cache
def stations() -> tuple[Station, ...]:
    """Return the stations of the table."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return tuple(
        Station(row["station"], float(row["lat"]), float(row["lon"]), _climate(row)) for row in rows
    )


def climate_at(place: Place) -> Climate:
    """Return the climate of a place, interpolated between the nearest stations of the table."""
    return climate_between(place, stations())


def climate_between(place: Place, known: Sequence[Station]) -> Climate:
    """Return the climate of a place, interpolated between the nearest of some stations."""
    nearest = nearest_weights(place, known)
    rows = [astuple(station.climate) for station, _ in nearest]
    if len(rows) == 1:
        return nearest[0][0].climate
    weights = [weight for _, weight in nearest]
    return Climate(*(_mean(weights, column) for column in zip(*rows, strict=True)))


def nearest_weights(place: Place, known: Sequence[Known]) -> list[tuple[Known, float]]:
    """Return the nearest of some stations and their weights: of the station itself where there is one."""
    nearest = sorted(known, key=lambda station: great_circle_km(place, station))[:_NEAREST]
    distances_km = [great_circle_km(place, station) for station in nearest]
    if distances_km[0] < _AT_STATION_KM:
        return [(nearest[0], 1.0)]
    weights = [distance_km**-2 for distance_km in distances_km]
    return list(zip(nearest, weights, strict=True))


def thresholds(climate: Climate, clear: float) -> Floats:
    """Return ten values of a standard normal variable; as many tenths are covered as it exceeds.

    `clear` is the wanted chance of a clear sky: the climate's own, or that of night or day.
    """
    invert = NormalDist().inv_cdf
    return np.array(
        [invert(share) for share in np.clip(shares_up_to(climate, clear), _LEAST, 1 - _LEAST)]
    )


def shares_up_to(climate: Climate, clear: float | Floats) -> Floats:
    """Return how often at most 0, 1, ... 9 tenths are covered, given the chances of a clear sky."""
    up_to, clear = _shares(climate), np.asarray(clear)[..., None]
    own = up_to[CLEAR_TENTHS]
    above = 1 - (1 - up_to) * (1 - clear) / (1 - own)
    return np.asarray(np.where(up_to <= own, up_to * (clear / own), above))


@cache
def _shares(climate: Climate) -> Floats:
    """Return the share of hours with at most 0, 1, ... 9 tenths, before the clear odds are set."""
    between = 1 - climate.none - climate.full
    mean = (climate.mean - climate.full) / between
    variance = (climate.mean_square - climate.full) / between - mean**2
    weight = mean * (1 - mean) / variance - 1
    edges = np.arange(0.15, 0.9, 0.1)
    a, b = mean * weight, (1 - mean) * weight
    inside = np.array([beta_cdf(a, b, float(edge)) for edge in edges])
    return np.concatenate(
        [[climate.none], climate.none + between * inside, [1 - climate.full]],
    )


def _climate(row: Mapping[str, str]) -> Climate:
    mean, a, b = (float(row[name]) for name in ("mean_opaque", "beta_a", "beta_b"))
    names = ("frac0", "frac10", "clear_frac_all", "clear_frac_night", "rho1h", "rho6h", "rho24h")
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    return Climate(mean, mean**2 + variance, *(float(row[name]) for name in names))


def _mean(weights: Sequence[float], values: Sequence[float]) -> float:
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
