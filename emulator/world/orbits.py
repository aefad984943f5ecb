"""Where satellites are: orbits, constellations, and positions over the turning Earth.

Orbits come from published elements that pass every check a typing error would fail, or from a Walker
pattern; both are propagated by SGP4 (Vallado et al., AIAA 2006-6753, WGS-72).  Times are seconds since
the constellation's epoch, an instant in UTC.  Everything is a pure function of its arguments, and all
values can be pickled.

UT1 is taken to be UTC (at most 0.9 s, or 0.4 km on the ground) and the pole is held still (some 10 m).
Nothing here knows files, sites, light or keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sgp4 import omm
from sgp4.alpha5 import from_alpha5
from sgp4.api import SGP4_ERRORS, WGS72, Satrec, SatrecArray
from sgp4.io import compute_checksum

Floats = NDArray[np.float64]

MU_KM3_PER_S2 = 398600.8  # WGS-72, as SGP4 has it
EQUATOR_KM = 6378.135  # WGS-72
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)

_SGP4_ZERO = datetime(1949, 12, 31, tzinfo=UTC)
_LOWEST_PERIGEE_KM = 120.0
_TURNS_PER_DAY = (0.5, 17.0)
_STRAY = 0.1  # of its own distance, by which no satellite leaves its ellipse within a month
_SGP4_TYPES = (
    "",
    "0",
    "2",
    "3",
)  # ephemeris types; 4 is SGP4-XP, whose elements mean something else
_CHUNK = 256  # satellites that are propagated together, which bounds memory
_OLDEST_DAYS = 30.0  # SGP4 errs by kilometers a day; beyond a month a pass is minutes off
_LINE1 = re.compile(
    r"1 [ \dA-HJ-NP-Z][ \d]{3}\d[UCS ] .{8} \d{5}\.\d{8} [ +-]\.\d{8} [ +-]\d{5}[+-]\d "
    r"[ +-]\d{5}[+-]\d [ \d] [ \d]{4}\d"
)
_LINE2 = re.compile(
    r"2 [ \dA-HJ-NP-Z][ \d]{3}\d [ \d]{2}\d\.\d{4} [ \d]{2}\d\.\d{4} \d{7} "
    r"[ \d]{2}\d\.\d{4} [ \d]{2}\d\.\d{4} [ \d]\d\.\d{8}[ \d]{5}\d"
)


class OrbitError(ValueError):
    """An orbit, a site or a time makes no sense."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)  # pickle rebuilds from these
        self.field, self.problem = field, problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class OutsideModelError(OrbitError):
    """Elements are sound, but of an orbit that is not emulated here."""


@dataclass(frozen=True)
class TleOrbit:
    """An orbit as published, in two lines of 69 characters; refused if any check fails."""

    name: str
    line1: str
    line2: str

    def __post_init__(self) -> None:
        for number, line, form in ((1, self.line1, _LINE1), (2, self.line2, _LINE2)):
            field = f"{self.name} line {number}"
            if len(line) != 69:
                raise OrbitError(field, f"must have 69 characters, not {len(line)}: {line[:80]!r}")
            if not (line.isascii() and form.fullmatch(line)):
                raise OrbitError(field, f"is not line {number} of a two-line element set: {line!r}")
            if compute_checksum(line) != int(line[68]):
                raise OrbitError(field, f"adds up to {compute_checksum(line)}, but says {line[68]}")
        if self.line1[2:7] != self.line2[2:7]:
            raise OrbitError(self.name, "its lines are of different satellites")
        self._require_sane()

    def _require_sane(self) -> None:
        require_between(self.name, "day of year", float(self.line1[20:32]), 1, 367)
        require_between(self.name, "inclination_deg", float(self.line2[8:16]), 0, 180)
        for field, first in (("raan_deg", 17), ("perigee_deg", 34), ("anomaly_deg", 43)):
            require_between(self.name, field, float(self.line2[first : first + 8]), 0, 360)
        turns_per_day, eccentricity = float(self.line2[52:63]), float("0." + self.line2[26:33])
        _require_emulated(self.name, turns_per_day, eccentricity, self.line1[62].strip())

    @property
    def number(self) -> int:
        """Return the catalogue number; above 99,999 its first digits are a letter (Alpha-5)."""
        return int(from_alpha5(self.line1[2:7].strip()))

    @property
    def elements_at(self) -> datetime:
        """Return the instant the elements are of."""
        satrec = self.satrec()
        days = satrec.jdsatepoch - 2451545.0 + satrec.jdsatepochF
        return J2000 + timedelta(days=days)

    def satrec(self) -> Any:
        """Return the propagator."""
        return Satrec.twoline2rv(self.line1, self.line2, WGS72)


@dataclass(frozen=True)
class OmmOrbit:
    """An orbit as published in an Orbit Mean-Elements Message (CCSDS 502.0), for SGP4.

    `mean_motion_dot` and `mean_motion_ddot` are in turns a day per day and per day squared, halved and
    divided by six as in two-line elements; `bstar` is per Earth radius.
    """

    name: str
    number: int
    elements_at: datetime
    turns_per_day: float
    eccentricity: float
    inclination_deg: float
    raan_deg: float
    perigee_deg: float
    anomaly_deg: float
    bstar: float
    mean_motion_dot: float = 0.0
    mean_motion_ddot: float = 0.0
    ephemeris_type: int = 0

    def __post_init__(self) -> None:
        require_utc(f"{self.name} epoch", self.elements_at)
        require_between(self.name, "eccentricity", self.eccentricity, 0, 1)
        require_between(self.name, "inclination_deg", self.inclination_deg, 0, 180)
        for field in ("raan_deg", "perigee_deg", "anomaly_deg"):
            require_between(self.name, field, getattr(self, field), 0, 360)
        for field in ("bstar", "mean_motion_dot", "mean_motion_ddot"):
            require_between(self.name, field, getattr(self, field), -10, 10)
        kind = str(self.ephemeris_type)
        _require_emulated(self.name, self.turns_per_day, self.eccentricity, kind)

    def satrec(self) -> Any:
        """Return the propagator."""
        satrec = Satrec()
        fields = {
            "CLASSIFICATION_TYPE": "U",
            "OBJECT_ID": "",
            "EPHEMERIS_TYPE": 0,
            "ELEMENT_SET_NO": 0,
            "REV_AT_EPOCH": 0,
            "NORAD_CAT_ID": 0,  # SGP4 has no room for numbers of nine digits, nor a use for any
            "EPOCH": self.elements_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "MEAN_MOTION": self.turns_per_day,
            "ECCENTRICITY": self.eccentricity,
            "INCLINATION": self.inclination_deg,
            "RA_OF_ASC_NODE": self.raan_deg,
            "ARG_OF_PERICENTER": self.perigee_deg,
            "MEAN_ANOMALY": self.anomaly_deg,
            "BSTAR": self.bstar,
            "MEAN_MOTION_DOT": self.mean_motion_dot,
            "MEAN_MOTION_DDOT": self.mean_motion_ddot,
        }
        omm.initialize(satrec, fields, WGS72)
        return satrec


PublishedOrbit = TleOrbit | OmmOrbit


@dataclass(frozen=True)
class CircularOrbit:
    """A (nearly) circular orbit without drag, at an instant."""

    name: str
    elements_at: datetime
    altitude_km: float  # of the mean orbit above the equator
    inclination_deg: float
    raan_deg: float
    anomaly_deg: float  # from the ascending node

    def __post_init__(self) -> None:
        require_utc("elements_at", self.elements_at)
        require_between(self.name, "altitude_km", self.altitude_km, 160, 40_000)
        require_between(self.name, "inclination_deg", self.inclination_deg, 0, 180)

    def satrec(self) -> Any:
        """Return the propagator."""
        axis_km = EQUATOR_KM + self.altitude_km
        turn_rad_per_min = 60 * math.sqrt(MU_KM3_PER_S2 / axis_km**3)
        days = (self.elements_at - _SGP4_ZERO) / timedelta(days=1)
        angles = [self.inclination_deg, self.anomaly_deg, self.raan_deg]
        inclination, anomaly, raan = (math.radians(angle) for angle in angles)
        satrec, eccentricity = Satrec(), 1e-4  # exactly zero has no perigee to count from
        satrec.sgp4init(
            WGS72, "i", 0, days, 0.0, 0.0, 0.0, eccentricity, 0.0, inclination, anomaly,
            turn_rad_per_min, raan,
        )  # fmt: skip
        return satrec


@dataclass(frozen=True)
class Constellation:
    """Satellites, and the instant from which times count."""

    orbits: tuple[PublishedOrbit | CircularOrbit, ...]
    epoch: datetime

    def __post_init__(self) -> None:
        require_utc("epoch", self.epoch)
        if not self.orbits or len(set(self.names)) < len(self.orbits):
            raise OrbitError("orbits", "must be one or more, each with a name of its own")
        for orbit in self.orbits:
            if isinstance(orbit, TleOrbit | OmmOrbit):
                require_fresh(orbit, self.epoch)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the satellites, in the order of every array."""
        return tuple(orbit.name for orbit in self.orbits)

    def teme_km(self, times_s: Floats) -> Floats:
        """Return inertial positions by satellite, time and axis (true equator, mean equinox).

        Raises OrbitError where SGP4 finds no orbit, as when a satellite has decayed.
        """
        whole, fraction = julian_days(self.epoch, times_s)
        satrecs = SatrecArray([orbit.satrec() for orbit in self.orbits])
        errors, positions_km, _ = satrecs.sgp4(whole, fraction)
        if np.any(errors):
            satellite, time = np.argwhere(errors)[0]
            at = f"{times_s[time]:.0f} s after {self.epoch.isoformat()}"
            reason = SGP4_ERRORS[int(errors[satellite, time])]
            raise OrbitError(self.names[satellite], f"has no position {at}: {reason}")
        return np.asarray(positions_km)

    def positions_km(self, times_s: Floats) -> Floats:
        """Return positions by satellite, time and axis, fixed to the Earth."""
        inertial, turn = self.teme_km(times_s), earth_turn_rad(self.epoch, times_s)
        cosine, sine = np.cos(turn), np.sin(turn)
        fixed = np.empty_like(inertial)
        fixed[..., 0] = cosine * inertial[..., 0] + sine * inertial[..., 1]
        fixed[..., 1] = cosine * inertial[..., 1] - sine * inertial[..., 0]
        fixed[..., 2] = inertial[..., 2]
        return fixed


def require_fresh(orbit: PublishedOrbit, epoch: datetime) -> None:
    """Raise OutsideModelError if elements are too old, or too young, for a run that begins then."""
    age_days = age_days_of(orbit, epoch)
    if abs(age_days) > _OLDEST_DAYS:
        problem = f"is {abs(age_days):.0f} days from the elements of {orbit.name}"
        of = f"which are of {orbit.elements_at:%Y-%m-%d}"
        raise OutsideModelError("epoch", f"{problem}, {of}; {_OLDEST_DAYS:.0f} is the most")


def age_days_of(orbit: PublishedOrbit, epoch: datetime) -> float:
    """Return how old elements are at an instant; less than 0: they are of a later one."""
    return (epoch - orbit.elements_at) / timedelta(days=1)


def astray(
    orbits: Sequence[PublishedOrbit | CircularOrbit], epoch: datetime, end_s: float
) -> dict[int, OutsideModelError]:
    """Return which of these orbits cannot be followed until the end, by index, and why.

    A satellite comes down, or its elements diverge: SGP4 then finds positions where no satellite on such
    an ellipse can be.  They are looked at every hour, and every five minutes of the last day.
    """
    last_day_s = np.arange(max(0.0, end_s - 86_400), end_s, 300.0)
    times_s = np.unique([*np.arange(0.0, end_s, 3600.0), *last_day_s, end_s])
    whole, fraction = julian_days(epoch, times_s)
    found = {}
    for first in range(0, len(orbits), _CHUNK):
        satrecs = [orbit.satrec() for orbit in orbits[first : first + _CHUNK]]
        errors, positions_km, _ = SatrecArray(satrecs).sgp4(whole, fraction)
        for offset, (satrec, codes, at_km) in enumerate(
            zip(satrecs, errors, positions_km, strict=True)
        ):
            problem = _trouble(satrec, codes, at_km, times_s, epoch)
            if problem:
                number = first + offset
                found[number] = OutsideModelError(orbits[number].name, problem)
    return found


def _trouble(satrec: Any, codes: Any, at_km: Floats, times_s: Floats, epoch: datetime) -> str:
    """Return what is wrong first with the positions of a satellite; nothing if nothing is."""
    axis_km, stray = satrec.a * EQUATOR_KM, _STRAY
    nearest_km, farthest_km = axis_km * (1 - satrec.ecco), axis_km * (1 + satrec.ecco)
    far_km = np.linalg.norm(at_km, axis=1)
    inside = (far_km >= nearest_km * (1 - stray)) & (far_km <= farthest_km * (1 + stray))
    wrong = (codes != 0) | ~inside
    if not wrong.any():
        return ""
    first = int(np.argmax(wrong))
    at = f"{times_s[first]:.0f} s after {epoch.isoformat()}"
    if codes[first]:
        return f"has no position {at}: {SGP4_ERRORS[int(codes[first])]}"
    range_km = f"{nearest_km:.0f} to {farthest_km:.0f} km"
    return (
        f"diverges: {far_km[first]:.0f} km from the Earth's center {at}, on an orbit of {range_km}"
    )


def walker(
    epoch: datetime,
    *,
    satellites: int,
    planes: int,
    phasing: int,
    inclination_deg: float,
    altitude_km: float,
    star: bool = False,
) -> Constellation:
    """Return the pattern i: T/P/F, evenly spread over planes and along each; the first at the node.

    Planes are spread over 360 degrees of ascending nodes (delta), or over 180 (star); a plane is
    ahead of the one before by F 360 / T degrees: Walker, J. Br. Interplanet. Soc. 37, 559 (1984).
    Raises OrbitError.
    """
    if planes < 1 or satellites < 1 or satellites % planes:
        raise OrbitError("satellites", f"{satellites} do not fill {planes} planes evenly")
    if not 0 <= phasing < planes:
        raise OrbitError("phasing", f"must lie between 0 and {planes - 1}, not {phasing}")
    each = satellites // planes
    orbits = tuple(
        CircularOrbit(
            name=f"sat-{plane + 1}-{slot + 1}",
            elements_at=epoch,
            altitude_km=altitude_km,
            inclination_deg=inclination_deg,
            raan_deg=(180 if star else 360) * plane / planes,
            anomaly_deg=(360 * slot / each + 360 * phasing * plane / satellites) % 360,
        )
        for plane in range(planes)
        for slot in range(each)
    )
    return Constellation(orbits, epoch)


def julian_days(epoch: datetime, times_s: Floats) -> tuple[Floats, Floats]:
    """Return Julian dates as whole (and a half) days and fractions, to keep the precision."""
    since = epoch - J2000
    days = (
        since.seconds + since.microseconds / 1e6 + np.ascontiguousarray(times_s, float)
    ) / 86_400
    whole = np.floor(days)
    return 2451545.0 + since.days + whole, days - whole


def earth_turn_rad(epoch: datetime, times_s: Floats) -> Floats:
    """Return Greenwich mean sidereal time (IAU 1982; Aoki et al., A&A 105, 359), as SGP4 uses it."""
    whole, fraction = julian_days(epoch, times_s)
    centuries = (whole - 2451545.0 + fraction) / 36_525
    drift_s = 67310.54841 + centuries * (
        8640184.812866 + centuries * (0.093104 - 6.2e-6 * centuries)
    )
    return np.asarray(2 * math.pi * ((fraction + drift_s / 86_400) % 1))  # whole days: whole turns


def require_between(owner: str, field: str, value: float, low: float, high: float) -> None:
    """Raise OrbitError unless the value lies in [low, high]."""
    if not low <= value <= high:
        raise OrbitError(f"{owner} {field}", f"must lie between {low:g} and {high:g}, not {value}")


def _require_emulated(name: str, turns_per_day: float, eccentricity: float, kind: str) -> None:
    """Raise OutsideModelError for an orbit too high, too low, or made for another theory than SGP4."""
    if kind not in _SGP4_TYPES:
        problem = f"elements are of ephemeris type {kind}, not for SGP4"
        raise OutsideModelError(name, problem)
    low, high = _TURNS_PER_DAY
    if not low <= turns_per_day <= high:
        problem = f"must lie between {low:g} and {high:g}, not {turns_per_day}"
        raise OutsideModelError(f"{name} turns a day", problem)
    axis_km = (MU_KM3_PER_S2 * (86_400 / (2 * math.pi * turns_per_day)) ** 2) ** (1 / 3)
    perigee_km = axis_km * (1 - eccentricity) - EQUATOR_KM
    if perigee_km < _LOWEST_PERIGEE_KM:
        problem = f"{turns_per_day} turns a day come down to {perigee_km:.0f} km"
        raise OutsideModelError(f"{name} mean motion", problem)


def require_utc(field: str, instant: datetime) -> None:
    """Raise OrbitError unless the instant says that it is in UTC."""
    if instant.utcoffset() != timedelta(0):
        raise OrbitError(field, f"must be in UTC, and say so, not {instant.isoformat()}")
