"""What satellites see of ground stations by night, and what a stretch of it makes in key.

Each satellite pass whose highest point is in the night of its station is an opening.  Transmittance is
computed once, on a grid of 5 s that all stretches share; a stretch is distilled as one finite block.
Clouds, and who is served, are not known here.  Heavy to import.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil

import numpy as np

from controllers.ports import Contact
from emulator.contacts import ContactRules, Opening, Slot, booked, stretches
from emulator.orbits import CircularOrbit, Constellation, TleOrbit
from emulator.passes import Pass, passes_over
from emulator.physics.bb84 import vacuum_weak_rate
from emulator.physics.downlink import Downlink, transmittance
from emulator.physics.pass_keys import (
    DECOY_DOWNLINK_DEVICES,
    decoy_block,
    decoy_pass_bits,
    decoy_setup,
)
from emulator.sky import Site, sun_altitude_deg, views

STEP_S = 5.0


@dataclass(frozen=True)
class Beams:
    """Satellites over ground stations, from 0 to `horizon_s`."""

    constellation: Constellation
    sites: tuple[Site, ...]
    horizon_s: float
    min_elevation_deg: float
    max_sun_altitude_deg: float
    device: str

    def contacts(self, rules: ContactRules) -> tuple[Contact, ...]:
        """Return all contacts that make key under a clear sky, by start."""
        value = cache(self._contact)
        worth = {
            opening: value(next(stretches(opening, rules.contact_s))).bits
            for opening in self._openings()
        }
        slots = booked({item: bits for item, bits in worth.items() if bits > 0}, rules)
        return tuple(contact for slot in slots if (contact := value(slot)).bits > 0)

    def _openings(self) -> list[Opening]:
        return [
            Opening(each.rise_s, each.set_s, each.satellite, (each.site,), each.culmination_s)
            for each in self._night_passes
        ]

    def _contact(self, slot: Slot) -> Contact:
        """Return what a stretch of an opening makes."""
        station = DECOY_DOWNLINK_DEVICES[self.device].setup
        setup = decoy_setup(station)
        satellite, (site,) = slot.opening.satellite, slot.opening.stations
        shares = self._shares(satellite, site, slot)
        bits = decoy_pass_bits(station, decoy_block(setup, shares, STEP_S))
        qber = vacuum_weak_rate(setup, max(shares, default=0.0)).qber
        return Contact(satellite, (site,), slot.start_s, slot.end_s, int(bits), qber)

    def _shares(self, satellite: str, site: str, slot: Slot) -> list[float]:
        """Return transmittances in steps of STEP_S."""
        known = self._transmittance[satellite, site]
        return [known[step] for step in _steps(slot.start_s, slot.end_s)]

    @cached_property
    def _transmittance(self) -> dict[tuple[str, str], dict[int, float]]:
        """Return transmittance by satellite and site, by step, in all passes by night."""
        steps: dict[tuple[str, str], list[int]] = defaultdict(list)
        for item in self._night_passes:
            steps[item.satellite, item.site] += _steps(item.rise_s, item.set_s)
        link = DECOY_DOWNLINK_DEVICES[self.device].setup.link
        return {pair: dict(self._along(*pair, seen, link)) for pair, seen in steps.items()}

    def _along(
        self, satellite: str, site: str, steps: list[int], link: Downlink
    ) -> Iterator[tuple[int, float]]:
        """Yield steps and transmittances of one link."""
        one = Constellation((self._orbit[satellite],), self.constellation.epoch)
        seen = views(one, [self._site[site]], STEP_S * np.array(steps, dtype=float))
        for step, range_km, elevation_deg in zip(
            steps, seen.range_km[0, 0], seen.elevation_deg[0, 0], strict=True
        ):
            yield step, transmittance(link, float(range_km), float(elevation_deg))

    @cached_property
    def _night_passes(self) -> list[Pass]:
        found = passes_over(
            self.constellation, self.sites, 0.0, self.horizon_s, self.min_elevation_deg
        )
        return [item for item in found if self._is_night(item)]

    def _is_night(self, item: Pass) -> bool:
        times_s = np.array([item.culmination_s])
        altitude = sun_altitude_deg([self._site[item.site]], self.constellation.epoch, times_s)
        return float(altitude[0, 0]) <= self.max_sun_altitude_deg

    @cached_property
    def _site(self) -> dict[str, Site]:
        return {site.name: site for site in self.sites}

    @cached_property
    def _orbit(self) -> dict[str, TleOrbit | CircularOrbit]:
        return {orbit.name: orbit for orbit in self.constellation.orbits}


def _steps(start_s: float, end_s: float) -> range:
    """Return the steps of the grid from start to before end."""
    return range(ceil(start_s / STEP_S), ceil(end_s / STEP_S))
