"""Storms and fog: circles on the map that close the sky, or the view along the ground, for a while.

They are part of an experiment's schedule, not of chance, and stand still.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from emulator.cloud_climate import Place, great_circle_km


class EventKind(StrEnum):
    """What happens."""

    STORM = "storm"  # cloud, rain and wind
    FOG = "fog"  # a sky that cannot be seen, and no view


TYPICAL_VISIBILITY_KM = {EventKind.STORM: 2.0, EventKind.FOG: 0.2}
"""Heavy rain, and thick fog: the International Visibility Code, to one digit."""


@dataclass(frozen=True)
class Event:
    """One storm or bank of fog, over [start_s, end_s) and up to `radius_km` from its centre.

    It covers the whole sky unless `opaque` says less; the worst of events and sky holds.
    Raises ValueError for what cannot be.
    """

    kind: EventKind
    name: str
    lat_deg: float
    lon_deg: float
    radius_km: float
    start_s: float
    end_s: float
    opaque: float = 1.0
    visibility_km: float | None = None  # typical of the kind

    def __post_init__(self) -> None:
        if not (abs(self.lat_deg) <= 90 and abs(self.lon_deg) <= 180):
            at = f"{self.lat_deg}, {self.lon_deg}"
            raise ValueError(f"{self.name}: the centre must be on Earth, not at {at}")
        if not 0 < self.radius_km < math.inf:
            raise ValueError(f"{self.name}: radius_km must be positive, not {self.radius_km}")
        if not self.start_s < self.end_s:
            raise ValueError(
                f"{self.name}: end_s {self.end_s} must be after start_s {self.start_s}"
            )
        if not 0 <= self.opaque <= 1:
            raise ValueError(f"{self.name}: opaque must lie between 0 and 1, not {self.opaque}")
        if self.visibility_km is not None and not self.visibility_km > 0:
            raise ValueError(f"{self.name}: visibility_km must be positive")

    @property
    def view_km(self) -> float:
        """Visibility inside."""
        typical_km = TYPICAL_VISIBILITY_KM[self.kind]
        return typical_km if self.visibility_km is None else self.visibility_km

    def reaches(self, place: Place) -> bool:
        """Return whether a place lies inside."""
        return great_circle_km(self, place) <= self.radius_km

    def lasts(self, at_s: float) -> bool:
        """Return whether it is going on."""
        return self.start_s <= at_s < self.end_s
