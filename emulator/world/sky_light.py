"""How bright the sky is over a site at an instant: its own glow, the Moon and the Sun.

The Moon is that of the Astronomical Almanac's low-precision formulas (section D: 0.3 degrees in longitude,
0.2 in latitude, 1950 to 2050), with its parallax at the site; the Sun is that of `visibility`.  Radiances
are spectral, in W / (m^2 sr um), and those of a clear sky: clouds are not known here.

A pure function of its configuration; heavy to import, so it is loaded only where light matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from emulator.physics.sky_light import daylight, moonlight
from emulator.world.orbits import Floats, earth_turn_rad, julian_days, require_utc
from emulator.world.places import Place
from emulator.world.visibility import altitude_deg, sun_direction

DAY_DEG = -6.0
"""With the Sun above it the air shimmers: the end of civil twilight."""

_LONGITUDE = (  # degrees; degrees and degrees a century of the arguments
    (6.29, 135.0, 477198.87),
    (-1.27, 259.3, -413335.36),
    (0.66, 235.7, 890534.22),
    (0.21, 269.9, 954397.74),
    (-0.19, 357.5, 35999.05),
    (-0.11, 186.5, 966404.03),
)
_LATITUDE = (
    (5.13, 93.3, 483202.02),
    (0.28, 228.2, 960400.89),
    (-0.28, 318.3, 6003.15),
    (-0.17, 217.6, -407332.21),
)
_PARALLAX_DEG = 0.95
_MOST_LOOKS = 10_000  # that are remembered


@dataclass(frozen=True)
class SkyLight:
    """The light over sites; `epoch` is emulated second 0, in UTC.

    `glow` is what a moonless night has, and `site_glow` what it has over some sites instead; `full_moon`
    is the light of a full Moon at 45 degrees, `day` that of a bright day.
    """

    sites: tuple[Place, ...]
    epoch: datetime
    glow: float
    full_moon: float
    day: float
    site_glow: Mapping[str, float] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the memory: the other side computes the same."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def radiance(self, site: str, at_s: float) -> float:
        """Return the radiance of the zenith over a site.  Raises `KeyError` for an unknown site."""
        return self._known(site, at_s)[0]

    def is_day(self, site: str, at_s: float) -> bool:
        """Return whether the Sun is so high over a site that the air shimmers."""
        return self._known(site, at_s)[1] > DAY_DEG

    def darkest(self, site: str) -> float:
        """Return the radiance without Moon and Sun."""
        return self.site_glow.get(site, self.glow)

    def _look(self, site: str, at_s: float) -> tuple[float, float]:
        """Return the radiance, and the altitude of the Sun in degrees."""
        places, bodies = [self._site[site]], self._bodies(at_s)
        sun_deg = float(altitude_deg(places, bodies.sun, bodies.turn_rad)[0, 0])
        moon_deg = float(_moon_altitude_deg(places, bodies.moon, bodies.turn_rad)[0, 0])
        moon = self.full_moon * moonlight(moon_deg, bodies.phase_deg)
        return self.darkest(site) + moon + self.day * daylight(sun_deg), sun_deg

    @cached_property
    def _known(self) -> Callable[[str, float], tuple[float, float]]:
        return lru_cache(_MOST_LOOKS)(self._look)

    @cached_property
    def _bodies(self) -> Callable[[float], _Bodies]:
        return lru_cache(_MOST_LOOKS)(lambda at_s: _bodies_at(self.epoch, at_s))

    @cached_property
    def _site(self) -> Mapping[str, Place]:
        return {site.name: site for site in self.sites}


class _Bodies(NamedTuple):
    """Unit vectors to Sun and Moon at an instant, the turn of the Earth, and the phase of the Moon."""

    sun: Floats
    moon: Floats
    turn_rad: Floats
    phase_deg: float


def _bodies_at(epoch: datetime, at_s: float) -> _Bodies:
    times_s = np.array([at_s])
    sun, moon = sun_direction(epoch, times_s), moon_direction(epoch, times_s)
    return _Bodies(sun, moon, earth_turn_rad(epoch, times_s), float(_phase_deg(sun, moon)[0]))


def moon_direction(epoch: datetime, times_s: Floats) -> Floats:
    """Return unit vectors to the Moon by time and axis, equator and equinox of date."""
    require_utc("epoch", epoch)
    whole, fraction = julian_days(epoch, times_s)
    days = whole - 2451545.0 + fraction
    centuries = days / 36_525
    longitude = np.radians(218.32 + 481267.881 * centuries + _periodic(_LONGITUDE, centuries))
    latitude = np.radians(_periodic(_LATITUDE, centuries))
    tilt = np.radians(23.439 - 4e-7 * days)
    x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    z = np.sin(latitude)
    return np.stack(
        [x, np.cos(tilt) * y - np.sin(tilt) * z, np.sin(tilt) * y + np.cos(tilt) * z], axis=-1
    )


def moon_altitude_deg(places: Sequence[Place], epoch: datetime, times_s: Floats) -> Floats:
    """Return the altitude of the Moon's center by place and time, as from the place."""
    moon, turn_rad = moon_direction(epoch, times_s), earth_turn_rad(epoch, times_s)
    return _moon_altitude_deg(places, moon, turn_rad)


def _moon_altitude_deg(places: Sequence[Place], moon: Floats, turn_rad: Floats) -> Floats:
    geocentric = altitude_deg(places, moon, turn_rad)
    return np.asarray(geocentric - _PARALLAX_DEG * np.cos(np.radians(geocentric)))


def moon_phase_deg(epoch: datetime, times_s: Floats) -> Floats:
    """Return the angle between Sun and Earth as from the Moon: 0 is full, 180 new.

    180 degrees less the elongation, which is right within 0.2 degrees, as the Sun is far away.
    """
    return _phase_deg(sun_direction(epoch, times_s), moon_direction(epoch, times_s))


def _phase_deg(sun: Floats, moon: Floats) -> Floats:
    cosine = np.sum(moon * sun, axis=-1)
    return np.asarray(180 - np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _periodic(terms: Sequence[tuple[float, float, float]], centuries: Floats) -> Floats:
    angles = ((size, np.radians(at + rate * centuries)) for size, at, rate in terms)
    return np.asarray(sum(size * np.sin(angle) for size, angle in angles))
