"""Where things stand on the Earth, a sphere, and how far they are from each other; loads nothing for it."""

import math
from typing import Protocol

EARTH_KM = 6371.0


class Place(Protocol):
    """Anything with a name and coordinates."""

    @property
    def name(self) -> str:
        """What the place is called; no two alike."""

    @property
    def lat_deg(self) -> float:
        """Latitude, north positive."""

    @property
    def lon_deg(self) -> float:
        """Longitude, east positive."""


def great_circle_km(a: Place, b: Place) -> float:
    """Return the distance of two places over the Earth."""
    return distance_km(a.lat_deg, a.lon_deg, b.lat_deg, b.lon_deg)


def distance_km(lat_a_deg: float, lon_a_deg: float, lat_b_deg: float, lon_b_deg: float) -> float:
    """Return the distance over a sphere of 6371 km (haversine)."""
    lat_a, lat_b = math.radians(lat_a_deg), math.radians(lat_b_deg)
    half_lat, half_lon = (lat_b - lat_a) / 2, math.radians(lon_b_deg - lon_a_deg) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(chord)))
