"""What is seen from the ground at an instant: satellites and the Sun.

Times are seconds since the constellation's epoch; elevations are geometric, without refraction.  The Sun
is that of the Astronomical Almanac's low-precision formulas (0.01 degrees, 1950 to 2050).  Clouds and keys
are not known here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from emulator.world.orbits import (
    Constellation,
    Floats,
    earth_turn_rad,
    julian_days,
    require_between,
    require_utc,
)
from emulator.world.places import Place

_WGS84_KM, _WGS84_FLATTENING = 6378.137, 1 / 298.257223563


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
        return _zenith(self)

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

    Memory grows with the product of the three.  Raises OrbitError.
    """
    sine, square = sights(constellation.positions_km(times_s), sites)
    return Views(np.degrees(np.arcsin(np.clip(sine, -1, 1))), np.sqrt(square))


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


def sun_altitude_deg(places: Sequence[Place], epoch: datetime, times_s: Floats) -> Floats:
    """Return the altitude of the Sun's center by place and time, as from the Earth's center."""
    require_utc("epoch", epoch)
    turn = earth_turn_rad(epoch, times_s)
    return altitude_deg(places, sun_direction(epoch, times_s), turn)


def altitude_deg(places: Sequence[Place], directions: Floats, turn_rad: Floats) -> Floats:
    """Return the altitude of what is far away by place and time, as from the Earth's center.

    `directions` are unit vectors by time and axis, `turn_rad` is how far the Earth has turned by time.
    """
    x, y, z = directions.T
    cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
    fixed = np.array([cosine * x + sine * y, cosine * y - sine * x, z])
    ups = np.array([_zenith(place) for place in places])
    return np.asarray(np.degrees(np.arcsin(np.clip(ups @ fixed, -1, 1))))


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


def _zenith(place: Place) -> Floats:
    lat, lon = math.radians(place.lat_deg), math.radians(place.lon_deg)
    across = math.cos(lat)
    return np.array([across * math.cos(lon), across * math.sin(lon), math.sin(lat)])
