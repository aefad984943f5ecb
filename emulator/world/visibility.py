"""What is seen from the ground at an instant: satellites, their shadow, and the Sun.

Times are seconds since the constellation's epoch; elevations are geometric, without refraction.  The Sun
is that of the Astronomical Almanac's low-precision formulas (0.01 degrees, 1950 to 2050), the Earth's
shadow a cylinder.  Clouds and keys are not known here.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from emulator.world.orbits import (
    EQUATOR_KM,
    Constellation,
    Floats,
    earth_turn_rad,
    julian_days,
    require_between,
    require_utc,
)

_WGS84_KM, _WGS84_FLATTENING = 6378.137, 1 / 298.257223563
_CHUNK = 400_000  # satellite-site-times worked on at once: few enough for the caches


@dataclass(frozen=True)
class Site:
    """A place on the ground: geodetic WGS-84 coordinates, height above the ellipsoid."""

    name: str
    lat_deg: float
    lon_deg: float
    altitude_m: float = 0.0

    def __post_init__(self) -> None:
        require_between(self.name, "lat_deg", self.lat_deg, -90, 90)
        require_between(self.name, "lon_deg", self.lon_deg, -180, 360)
        require_between(self.name, "altitude_m", self.altitude_m, -500, 9_000)

    @property
    def up(self) -> Floats:
        """Return the unit vector to the zenith, fixed to the Earth."""
        lat, lon = math.radians(self.lat_deg), math.radians(self.lon_deg)
        across = math.cos(lat)
        return np.array([across * math.cos(lon), across * math.sin(lon), math.sin(lat)])

    @property
    def position_km(self) -> Floats:
        """Return the vector from the center of the Earth, fixed to the Earth."""
        squeeze = (1 - _WGS84_FLATTENING) ** 2
        sine = math.sin(math.radians(self.lat_deg))
        normal_km = _WGS84_KM / math.sqrt(1 - (1 - squeeze) * sine**2)
        radii_km = np.array([normal_km, normal_km, normal_km * squeeze]) + self.altitude_m / 1_000
        return np.asarray(radii_km * self.up)


@dataclass(frozen=True)
class Views:
    """How sites see satellites: arrays by satellite, site and time."""

    elevation_deg: Floats
    range_km: Floats


def views(constellation: Constellation, sites: Sequence[Site], times_s: Floats) -> Views:
    """Return elevation and slant range of every satellite from every site at every time.

    Memory grows with the product of the three; `sweep` does the same in chunks.  Raises OrbitError.
    """
    sine, square = sights(constellation.positions_km(times_s), sites)
    return Views(np.degrees(np.arcsin(np.clip(sine, -1, 1))), np.sqrt(square))


def sweep(
    constellation: Constellation,
    sites: Sequence[Site],
    start_s: float,
    end_s: float,
    step_s: float = 1.0,
) -> Iterator[tuple[Floats, Views]]:
    """Yield times and views from start to before end, a chunk that fits the caches at a time."""
    times_s = np.arange(start_s, end_s, step_s)
    length = max(1, _CHUNK // (len(sites) * len(constellation.orbits)))
    for first in range(0, len(times_s), length):
        chunk_s = times_s[first : first + length]
        yield chunk_s, views(constellation, sites, chunk_s)


def sights(positions_km: Floats, sites: Sequence[Site]) -> tuple[Floats, Floats]:
    """Return sine of elevation and squared range by satellite, site and time."""
    ups = np.array([site.up for site in sites])
    places = np.array([site.position_km for site in sites])
    columns = np.ascontiguousarray(positions_km.transpose(0, 2, 1))
    square = np.matmul(-2 * places, columns)
    square += np.sum(columns**2, axis=1)[:, None, :]
    square += np.sum(places**2, axis=1)[None, :, None]
    sine = np.matmul(ups, columns)
    sine -= np.sum(ups * places, axis=1)[None, :, None]
    sine /= np.sqrt(square)
    return sine, square


def sun_altitude_deg(sites: Sequence[Site], epoch: datetime, times_s: Floats) -> Floats:
    """Return the altitude of the Sun's center by site and time, as from the Earth's center."""
    require_utc("epoch", epoch)
    x, y, z = sun_direction(epoch, times_s).T
    turn = earth_turn_rad(epoch, times_s)
    east, north = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    ups = np.array([site.up for site in sites])
    return np.asarray(np.degrees(np.arcsin(np.clip(ups @ np.array([east, north, z]), -1, 1))))


def sun_direction(epoch: datetime, times_s: Floats) -> Floats:
    """Return unit vectors to the Sun by time and axis, equator and equinox of date.

    Astronomical Almanac, section C, low-precision formulas for the Sun's apparent place.
    """
    whole, fraction = julian_days(epoch, times_s)
    days = whole - 2451545.0 + fraction
    anomaly = np.radians(357.528 + 0.9856003 * days)
    equation_deg = 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly)
    longitude = np.radians(280.460 + 0.9856474 * days + equation_deg)
    tilt = np.radians(23.439 - 4e-7 * days)
    sine = np.sin(longitude)
    return np.stack([np.cos(longitude), np.cos(tilt) * sine, np.sin(tilt) * sine], axis=-1)


def sunlit(constellation: Constellation, times_s: Floats) -> NDArray[np.bool_]:
    """Return whether each satellite is in sunlight, by satellite and time."""
    positions_km = constellation.teme_km(times_s)
    along_km = np.einsum("stx,tx->st", positions_km, sun_direction(constellation.epoch, times_s))
    aside_km = np.sqrt(np.maximum(0, np.sum(positions_km**2, axis=-1) - along_km**2))
    return np.asarray((along_km > 0) | (aside_km > EQUATOR_KM))
