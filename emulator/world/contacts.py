"""Which satellite tracks which ground station, when, and what key that makes under a clear sky.

To a trusted satellite a pass is open whose highest point finds the Sun low enough over its station; to a
source of entangled pairs, what such passes over two stations have in common.  The light of the sky over a
station in the middle of a contact is that of all of it.  A pass gets at most `contact_s` of
the time in which it is open to a contact.  Contacts of one satellite or of one station are `acquire_s`
apart, unless it can hold several at once.  Passes choose in the order of what they are worth, each the free
stretch nearest to its best moment; one that finds none is lost.  That is a greedy schedule, made from
orbits alone, before weather or demand is known; it is not the best one.

Transmittance is computed once, on a grid of 5 s that all stretches share; a stretch is distilled as one
finite block.  Pure functions: the same schedule in any process and from any order of openings, whatever the
names of stations; of equals the one comes first whose stations come first.  Clouds, and who is served, are
not known here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil
from typing import Protocol

import numpy as np

from controllers.ports import Contact
from emulator.physics.bb84 import vacuum_weak_rate
from emulator.physics.bb84_finite import FiniteSetup
from emulator.physics.downlink import Downlink, transmittance
from emulator.physics.pass_keys import (
    DecoyDownlink,
    PairDownlink,
    decoy_block,
    decoy_pass_bits,
    decoy_setup,
    pair_counts,
    pair_pass_bits,
    pair_setup,
)
from emulator.world.orbits import CircularOrbit, Constellation, PublishedOrbit
from emulator.world.passes import Pass, passes_over
from emulator.world.sky_light import SkyLight
from emulator.world.visibility import Site, sun_altitude_deg, views

STEP_S = 5.0

_SLIDE_S = 10.0  # between the stretches that a pass tries


@dataclass(frozen=True)
class ContactRules:
    """How many contacts at a time (None: any number), how long, and how far apart."""

    per_station: int | None = 1
    per_satellite: int | None = 1
    contact_s: float | None = None
    acquire_s: float = 0.0


@dataclass(frozen=True)
class Opening:
    """A stretch in which one satellite can serve one station, or two at once."""

    start_s: float
    end_s: float
    satellite: str
    stations: tuple[str, ...]
    best_s: float


@dataclass(frozen=True)
class Slot:
    """What an opening got."""

    opening: Opening
    start_s: float
    end_s: float

    @property
    def middle_s(self) -> float:
        """The instant half-way."""
        return (self.start_s + self.end_s) / 2


@dataclass(frozen=True)
class Beams:
    """Satellites over ground stations, from 0 to `horizon_s`."""

    constellation: Constellation
    sites: tuple[Site, ...]
    horizon_s: float
    min_elevation_deg: float
    max_sun_altitude_deg: float

    def transmittances(self, link: Downlink) -> Transmittances:
        """Return transmittance by satellite and site, by step of STEP_S, in all open passes."""
        steps: dict[tuple[str, str], list[int]] = defaultdict(list)
        for item in self.passes:
            steps[item.satellite, item.site] += _steps(item.rise_s, item.set_s)
        return {pair: dict(self._along(*pair, seen, link)) for pair, seen in steps.items()}

    @cached_property
    def passes(self) -> list[Pass]:
        """All passes under a Sun that is low enough."""
        found = passes_over(
            self.constellation, self.sites, 0.0, self.horizon_s, self.min_elevation_deg
        )
        if self.max_sun_altitude_deg >= 90:
            return found
        return [item for item in found if self._is_dark(item)]

    def _is_dark(self, item: Pass) -> bool:
        times_s = np.array([item.culmination_s])
        altitude = sun_altitude_deg([self._site[item.site]], self.constellation.epoch, times_s)
        return float(altitude[0, 0]) <= self.max_sun_altitude_deg

    def _along(
        self, satellite: str, site: str, steps: list[int], link: Downlink
    ) -> Iterator[tuple[int, float]]:
        """Yield steps and transmittances of one satellite over one site."""
        one = Constellation((self._orbit[satellite],), self.constellation.epoch)
        seen = views(one, [self._site[site]], STEP_S * np.array(steps, dtype=float))
        for step, range_km, elevation_deg in zip(
            steps, seen.range_km[0, 0], seen.elevation_deg[0, 0], strict=True
        ):
            yield step, transmittance(link, float(range_km), float(elevation_deg))

    @cached_property
    def _site(self) -> dict[str, Site]:
        return {site.name: site for site in self.sites}

    @cached_property
    def _orbit(self) -> dict[str, PublishedOrbit | CircularOrbit]:
        return {orbit.name: orbit for orbit in self.constellation.orbits}


Transmittances = dict[tuple[str, str], dict[int, float]]


class Source(Protocol):
    """What a satellite sends, and when it can."""

    @property
    def beams(self) -> Beams:
        """The satellites and stations."""

    def openings(self) -> list[Opening]:
        """Return all stretches in which it could be received."""

    def contact(self, slot: Slot) -> Contact:
        """Return what a stretch of an opening makes."""


@dataclass(frozen=True)
class Trusted:
    """Decoy states down to one station at a time; the satellite knows every key."""

    beams: Beams
    station: DecoyDownlink
    light: SkyLight

    def openings(self) -> list[Opening]:
        """Return the passes that are dark enough."""
        return [
            Opening(each.rise_s, each.set_s, each.satellite, (each.site,), each.culmination_s)
            for each in self.beams.passes
        ]

    def contact(self, slot: Slot) -> Contact:
        """Return what a stretch of a pass makes, as one block (`decoy_pass_bits`)."""
        satellite, (site,) = slot.opening.satellite, slot.opening.stations
        setup = decoy_setup(self.station, self.light.radiance(site, slot.middle_s))
        known = self._transmittances[satellite, site]
        shares = [known[step] for step in _steps(slot.start_s, slot.end_s)]
        bits = decoy_pass_bits(self.station, decoy_block(setup, shares, STEP_S))
        qber = vacuum_weak_rate(setup, max(shares, default=0.0)).qber
        return Contact(satellite, (site,), slot.start_s, slot.end_s, int(bits), qber)

    @cached_property
    def _transmittances(self) -> Transmittances:
        return self.beams.transmittances(self.station.link)


@dataclass(frozen=True)
class Entangled:
    """Pairs of photons down to two stations at once, for these pairs of stations; no satellite knows a key.

    The secrecy and correctness of a key are those of `FiniteSetup`.
    """

    beams: Beams
    station: PairDownlink
    light: SkyLight
    pairs: tuple[tuple[str, str], ...]

    def openings(self) -> list[Opening]:
        """Return what dark passes over two stations have in common."""
        passes: dict[tuple[str, str], list[Pass]] = defaultdict(list)
        for item in self.beams.passes:
            passes[item.satellite, item.site].append(item)
        return [
            Opening(start_s, end_s, satellite, (a, b), (start_s + end_s) / 2)
            for satellite in self.beams.constellation.names
            for a, b in self.pairs
            for one in passes.get((satellite, a), [])
            for other in passes.get((satellite, b), [])
            if (start_s := max(one.rise_s, other.rise_s)) < (end_s := min(one.set_s, other.set_s))
        ]

    def contact(self, slot: Slot) -> Contact:
        """Return what a stretch of a common view makes, as one block (`pair_pass_bits`)."""
        satellite, (a, b) = slot.opening.satellite, slot.opening.stations
        skies = (self.light.radiance(each, slot.middle_s) for each in (a, b))
        setup, (down_a, down_b) = pair_setup(self.station, *skies), self._transmittances
        shares = [
            (down_a[satellite, a][step], down_b[satellite, b][step])
            for step in _steps(slot.start_s, slot.end_s)
        ]
        counts = pair_counts(setup, shares, STEP_S)
        eps = FiniteSetup.eps_secrecy, FiniteSetup.eps_correctness
        bits = pair_pass_bits(counts, setup.ec_efficiency, *eps)
        qber = counts.wrong / counts.sifted if counts.sifted else 0.5
        return Contact(satellite, (a, b), slot.start_s, slot.end_s, int(bits), qber)

    @cached_property
    def _transmittances(self) -> tuple[Transmittances, Transmittances]:
        link_a, link_b = self.station.link_a, self.station.link_b
        first = self.beams.transmittances(link_a)
        return first, first if link_a == link_b else self.beams.transmittances(link_b)


def contacts(source: Source, rules: ContactRules) -> tuple[Contact, ...]:
    """Return all contacts that make key under a clear sky, by start."""
    value = cache(source.contact)
    worth = {
        opening: value(next(stretches(opening, rules.contact_s))).bits
        for opening in source.openings()
    }
    stations = [site.name for site in source.beams.sites]
    slots = booked({item: bits for item, bits in worth.items() if bits > 0}, rules, stations)
    return tuple(contact for slot in slots if (contact := value(slot)).bits > 0)


def booked(
    worth: Mapping[Opening, float], rules: ContactRules, stations: Sequence[str]
) -> list[Slot]:
    """Return the contacts of openings, given their worth in any unit, by start.

    `stations` are all, in the order that decides between equals.
    """
    number = {station: index for index, station in enumerate(stations)}

    def rank(opening: Opening) -> tuple[float, float, str, tuple[int, ...], float]:
        numbers = tuple(number[name] for name in opening.stations)
        return opening.start_s, opening.end_s, opening.satellite, numbers, opening.best_s

    taken: dict[tuple[str, str], list[Slot]] = defaultdict(list)
    found: list[Slot] = []
    for opening in sorted(sorted(worth, key=rank), key=worth.__getitem__, reverse=True):
        users = [(("satellite", opening.satellite), rules.per_satellite)]
        users += [(("station", name), rules.per_station) for name in opening.stations]
        for slot in stretches(opening, rules.contact_s):
            if all(_has_room(taken[user], slot, most, rules.acquire_s) for user, most in users):
                for user, _ in users:
                    taken[user].append(slot)
                found.append(slot)
                break
    return sorted(found, key=lambda slot: (slot.start_s, *rank(slot.opening)))


def stretches(opening: Opening, contact_s: float | None) -> Iterator[Slot]:
    """Yield what a contact may be, the nearest to the best moment first."""
    spare_s = 0.0 if contact_s is None else opening.end_s - opening.start_s - contact_s
    if contact_s is None or spare_s <= 0:
        yield Slot(opening, opening.start_s, opening.end_s)
        return
    best_s = min(max(opening.best_s - opening.start_s - contact_s / 2, 0.0), spare_s)
    steps = range(-int(best_s // _SLIDE_S), int((spare_s - best_s) // _SLIDE_S) + 1)
    for step in sorted(steps, key=lambda step: (abs(step), step)):
        start_s = opening.start_s + best_s + step * _SLIDE_S
        yield Slot(opening, start_s, start_s + contact_s)


def _has_room(taken: list[Slot], slot: Slot, most: int | None, apart_s: float) -> bool:
    """Return whether at no instant of a slot, and of the time to acquire it, all contacts are taken."""
    if most is None:
        return True
    first_s, last_s = slot.start_s - apart_s, slot.end_s + apart_s
    near = [other for other in taken if other.start_s < last_s and first_s < other.end_s]
    if len(near) < most:
        return True
    instants = [first_s, *(other.start_s for other in near if other.start_s > first_s)]
    return all(sum(o.start_s <= at_s < o.end_s for o in near) < most for at_s in instants)


def _steps(start_s: float, end_s: float) -> range:
    """Return the steps of the grid from start to before end."""
    return range(ceil(start_s / STEP_S), ceil(end_s / STEP_S))
