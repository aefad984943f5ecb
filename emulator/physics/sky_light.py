"""How Moon and Sun brighten the sky, by their altitude and the Moon's phase.

Both are factors of a radiance that the caller has: that of the sky under a full Moon at 45 degrees, and
that of a bright day.  The sky is looked at in the zenith; nearer to the Moon or the Sun it is brighter.
Colour is that of visible light; clouds, dust and the Moon's distance are not known here.
"""

import math

NEW_MOON_SKY, DAY_SKY = 1e-5, 15.0
"""Spectral radiance of a moonless night and of a bright day in W / (m^2 sr um), orders of magnitude.

Miao, Han, Gong, Zhang, Diao, Guo, NJP 7, 215 (2005): nights are down to 1.5e-6, days 1.5 to 150.
"""
FULL_MOON_SKY = 7e-5
"""The same of the zenith under a full Moon at 45 degrees.

Krisciunas, Schaefer, PASP 103, 1033 (1991): 1600 nL in V, of which one is 4.53e-8 W / (m^2 sr um).
"""

_EXTINCTION_MAG = 0.172  # in V per air mass, on Mauna Kea: the same
_BRIGHT_DAY_DEG = 10.0
_DARKEST_DEG = -18.0
_SUN = (  # from this altitude on: log10 of lux as a cubic of altitude / 90 degrees
    (5.0, (3.05, 13.28, -45.98, 64.33)),
    (-0.8, (2.88, 22.26, -207.64, 1034.30)),
    (-5.0, (2.88, 21.81, -258.11, -858.36)),
    (-12.0, (2.70, 12.17, -431.69, -1899.83)),
    (_DARKEST_DEG, (13.84, 262.72, 1447.42, 2797.93)),
)


def moonlight(altitude_deg: float, phase_deg: float) -> float:
    """Return how bright the Moon makes the sky, as a share of what a full one does at 45 degrees.

    Equations 3, 15, 20 and 21 of Krisciunas and Schaefer (1991).  A `phase_deg` of 0 is a full Moon, of 180
    a new one; 0 with the Moon below the horizon.
    """
    if altitude_deg <= 0:
        return 0.0
    magnitudes = 0.026 * abs(phase_deg) + 4e-9 * phase_deg**4
    return float(10 ** (-0.4 * magnitudes)) * _scattered(altitude_deg) / _scattered(45.0)


def daylight(altitude_deg: float) -> float:
    """Return how bright the Sun makes the sky, as a share of a bright day's.

    Illuminance as Janiczek and DeYoung have it, U.S. Naval Observatory Circular 171 (1987): down to 18
    degrees below the horizon, and up to 10 above it, from where on most of it is no longer that of the sky.
    """
    if altitude_deg < _DARKEST_DEG:
        return 0.0
    return _lux(min(altitude_deg, _BRIGHT_DAY_DEG)) / _lux(_BRIGHT_DAY_DEG)


def _scattered(altitude_deg: float) -> float:
    """Return the moonlight that the zenith scatters, in a unit of its own."""
    away_deg = 90 - altitude_deg
    rayleigh = 10**5.36 * (1.06 + math.cos(math.radians(away_deg)) ** 2)
    aerosols = 10 ** (6.15 - away_deg / 40)
    air_mass = (1 - 0.96 * math.sin(math.radians(away_deg)) ** 2) ** -0.5
    return float((rayleigh + aerosols) * 10 ** (-0.4 * _EXTINCTION_MAG * air_mass))


def _lux(altitude_deg: float) -> float:
    part = altitude_deg / 90
    cubic = next(each for least_deg, each in _SUN if altitude_deg >= least_deg)
    return float(10 ** sum(number * part**power for power, number in enumerate(cubic)))
