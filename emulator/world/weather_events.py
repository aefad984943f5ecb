"""Storms, fog and forced skies: what a schedule lays over the weather of chance, for a while.

Each covers an area: a circle on the map, which may travel, or sites by name.  A storm is cloud, rain and
wind, a fog a sky that cannot be seen and no view along the ground; a forced sky is what it is said to be.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from emulator.world.places import EARTH_KM, Place, great_circle_km

_HOUR_S = 3600.0


class EventKind(StrEnum):
    """What happens."""

    STORM = "storm"
    FOG = "fog"
    CLOUD = "cloud"  # the sky itself, clear or covered, in place of chance or recording


TYPICAL_VISIBILITY_KM = {EventKind.STORM: 2.0, EventKind.FOG: 0.2}
"""Heavy rain, and thick fog: the International Visibility Code, to one digit."""

TYPICAL_WIND_M_S = {EventKind.STORM: 25.0}
"""A storm begins at 24.5 m/s: Beaufort 10, World Meteorological Organization."""


@dataclass(frozen=True)
class Named:
    """Some sites, wherever they are."""

    sites: frozenset[str]

    def covers(self, place: Place, _elapsed_s: float) -> bool:
        """Return whether a place is one of them."""
        return place.name in self.sites


@dataclass(frozen=True)
class Circle:
    """A circle on the map, at rest or under way.

    The center leaves on a course (degrees from north, eastward) and keeps to that great circle.
    Raises ValueError for what is not on Earth.
    """

    lat_deg: float
    lon_deg: float
    radius_km: float
    course_deg: float = 0.0
    speed_km_h: float = 0.0
    name: str = "center"

    def __post_init__(self) -> None:
        if not (abs(self.lat_deg) <= 90 and abs(self.lon_deg) <= 180):
            raise ValueError(f"the center must be on Earth, not at {self.lat_deg}, {self.lon_deg}")
        if not 0 < self.radius_km < math.inf:
            raise ValueError(f"radius_km must be positive, not {self.radius_km}")
        if not (0 <= self.speed_km_h < math.inf and math.isfinite(self.course_deg)):
            raise ValueError(f"speed_km_h must be zero or more, not {self.speed_km_h}")

    def covers(self, place: Place, elapsed_s: float) -> bool:
        """Return whether a place lies inside, so long after the circle has set out."""
        return great_circle_km(self.after(elapsed_s), place) <= self.radius_km

    def after(self, elapsed_s: float) -> "Circle":
        """Return the circle as it stands some time later, at rest."""
        if not self.speed_km_h:
            return self
        angle = self.speed_km_h * elapsed_s / _HOUR_S / EARTH_KM
        lat, lon = math.radians(self.lat_deg), math.radians(self.lon_deg)
        course = math.radians(self.course_deg)
        sine = math.sin(lat) * math.cos(angle) + math.cos(lat) * math.sin(angle) * math.cos(course)
        east = math.sin(course) * math.sin(angle) * math.cos(lat)
        lon += math.atan2(east, math.cos(angle) - math.sin(lat) * sine)
        lat_deg = math.degrees(math.asin(max(-1.0, min(1.0, sine))))
        return Circle(lat_deg, math.remainder(math.degrees(lon), 360), self.radius_km)


@dataclass(frozen=True)
class Event:
    """One event over [start_s, end_s) and over its area.

    It covers the whole sky unless `opaque` says less.  Of storms, fogs and sky the worst holds; a forced
    sky takes the sky's place, the last one that began if there are several.
    Raises ValueError for what cannot be.
    """

    kind: EventKind
    area: Circle | Named
    start_s: float
    end_s: float
    opaque: float = 1.0
    visibility_km: float | None = None  # typical of the kind
    wind_m_s: float | None = None  # typical of the kind

    def __post_init__(self) -> None:
        if not self.start_s < self.end_s:
            raise ValueError(f"end_s {self.end_s} must be after start_s {self.start_s}")
        if not 0 <= self.opaque <= 1:
            raise ValueError(f"opaque must lie between 0 and 1, not {self.opaque}")
        if self.visibility_km is not None and not self.visibility_km > 0:
            raise ValueError(f"visibility_km must be positive, not {self.visibility_km}")
        if self.wind_m_s is not None and not self.wind_m_s >= 0:
            raise ValueError(f"wind_m_s must be zero or more, not {self.wind_m_s}")

    @property
    def view_km(self) -> float:
        """Visibility inside; infinite where the event has no say in it."""
        typical_km = TYPICAL_VISIBILITY_KM.get(self.kind, math.inf)
        return typical_km if self.visibility_km is None else self.visibility_km

    @property
    def gust_m_s(self) -> float:
        """Wind inside; 0 where the event has no say in it."""
        typical_m_s = TYPICAL_WIND_M_S.get(self.kind, 0.0)
        return typical_m_s if self.wind_m_s is None else self.wind_m_s

    def reaches(self, place: Place, at_s: float) -> bool:
        """Return whether it is going on at a place."""
        return self.start_s <= at_s < self.end_s and self.area.covers(place, at_s - self.start_s)
