"""What surrounds a run at an instant: satellites and where they can be used, clouds, storms, key rates.

Asked of the world itself, which is a pure function of experiment and time; no actor is asked.  Contacts are
not computed: a footprint is where a satellite stands high enough, whether by night or under clouds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import cos, radians
from typing import Any

import numpy as np

from emulator.build.assembly import Assembly, assemble
from emulator.build.environment import sites_of, sky_of
from emulator.build.setup import Setup
from emulator.config.satellites import SatelliteOptions
from emulator.config.schedule import FaultEvent
from emulator.report.layout import Layout, layout_of
from emulator.world.orbits import Constellation, Floats, OrbitError
from emulator.world.places import EARTH_KM
from emulator.world.weather import Sky
from emulator.world.weather_events import Circle
from protos.syntax import MediumCode

_MARGIN_DEG = 6.0


@dataclass(frozen=True)
class Scenery:
    """The surroundings of one experiment."""

    setup: Setup

    def events_of(self, faults: Iterable[FaultEvent]) -> Iterator[tuple[float, str]]:
        """Yield when faults begin and end, in seconds and in words."""
        for event in faults:
            fields = event.model_dump(mode="json", exclude_none=True)
            begins_s = fields.get("at_s")
            if begins_s is None:
                begins_s = self.assembly.timeline.begins_s(fields.get("from_period", 0))
            words = " ".join((event.kind, *_subjects(fields)))
            yield begins_s, f"{words} begins"
            if "until_s" in fields:
                yield fields["until_s"], f"{words} ends"

    def at(self, now_s: float) -> dict[str, Any]:
        """Return everything with its position, as (longitude, latitude) in degrees."""
        return {
            "satellites": list(self._satellites(now_s)),
            "clouds": self._clouds(now_s),
            "storms": list(self._storms(now_s)),
            "rates_bps": self._rates_bps(now_s),
        }

    @cached_property
    def assembly(self) -> Assembly:
        """All parts of the experiment but its orbits, whose contacts take long to compute."""
        experiment = self.setup.experiment
        satellite = SatelliteOptions(setup_s=experiment.satellite.setup_s)
        assumed = experiment.model_copy(update={"satellite": satellite})
        return assemble(self.setup.with_experiment(assumed))

    @cached_property
    def layout(self) -> Layout:
        """The positions of nodes."""
        return layout_of(self.setup.topology)

    @cached_property
    def _sky(self) -> Sky | None:
        return sky_of(self.setup)

    @cached_property
    def _constellation(self) -> Constellation | None:
        orbits = self.setup.experiment.satellite.orbits
        return orbits.constellation() if orbits else None

    def _satellites(self, now_s: float) -> Iterator[tuple[str, float, float, float]]:
        """Yield name, longitude, latitude and radius of the footprint of those that are near."""
        orbits = self.setup.experiment.satellite.orbits
        if self._constellation is None or orbits is None:
            return
        try:
            fixed = self._constellation.positions_km(np.array([now_s]))[:, 0, :]
        except OrbitError:  # no longer in orbit
            return
        height = np.linalg.norm(fixed, axis=1)
        footprints_deg = footprint_deg(height, orbits.min_elevation_deg)
        middle, reach_deg = self._middle
        apart_deg = np.degrees(np.arccos(np.clip(fixed @ middle / height, -1, 1)))
        near = apart_deg < reach_deg + footprints_deg + _MARGIN_DEG
        longitudes = np.degrees(np.arctan2(fixed[:, 1], fixed[:, 0]))
        latitudes = np.degrees(np.arcsin(fixed[:, 2] / height))
        for number in np.flatnonzero(near):
            where = (longitudes[number], latitudes[number], footprints_deg[number])
            longitude, latitude, radius = (round(float(value), 2) for value in where)
            yield self._constellation.names[number], longitude, latitude, radius

    @cached_property
    def _middle(self) -> tuple[Floats, float]:
        """The direction of the network from the center of the Earth, and how far it reaches."""
        ups = np.array([site.up for site in sites_of(self.setup.topology)])
        middle = ups.mean(axis=0) / np.linalg.norm(ups.mean(axis=0))
        return middle, float(np.degrees(np.arccos(np.clip(ups @ middle, -1, 1)).max()))

    def _clouds(self, now_s: float) -> dict[str, float]:
        """Return the cover of the sky over each node."""
        sky = self._sky
        if sky is None:
            return {}
        return {site.name: round(sky.opaque(site.name, now_s), 2) for site in sky.sites}

    def _storms(self, now_s: float) -> Iterator[dict[str, Any]]:
        """Yield weather events that have an area of their own."""
        for event in self._sky.events if self._sky else ():
            if event.start_s <= now_s < event.end_s and isinstance(event.area, Circle):
                circle = event.area.after(now_s - event.start_s)
                where = [round(circle.lon_deg, 2), round(circle.lat_deg, 2)]
                radius_deg = np.degrees(circle.radius_km / EARTH_KM)
                yield {"kind": event.kind.value, "at": where, "radius_deg": round(radius_deg, 2)}

    def _rates_bps(self, now_s: float) -> list[float]:
        """Return the key rate of one wavelength of each fiber, in the order of the network."""
        world = self.assembly.world
        samples = (
            world.sample(MediumCode.FIBER, link.a, link.b, now_s)
            for link in self.setup.topology.links
        )
        return [round(sample.skr_bps * sample.usable, 3) for sample in samples]


def _subjects(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the subjects of a fault."""
    for name in ("link", "node", "entity", "actor", "satellites", "sites", "action"):
        if name in fields:
            value = fields[name]
            joint = "-" if name == "link" else ", "
            yield value if isinstance(value, str) else joint.join(value)


def footprint_deg(radius_km: Floats, min_elevation_deg: float) -> Floats:
    """Return how far from the point below it a satellite is seen at that elevation, on a round Earth."""
    elevation = radians(min_elevation_deg)
    return np.asarray(
        np.degrees(np.arccos(np.clip(EARTH_KM * cos(elevation) / radius_km, -1, 1)) - elevation)
    )
