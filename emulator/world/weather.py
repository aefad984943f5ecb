"""The sky over every site: cover, visibility, wind; and a forecast of clear skies.

Truth is a pure function of (seed, sites, epoch, events, recording, clouds) and the question, the same in
any process and in any order.  Cover comes from the recording where it names the site, else from chance
with the statistics of real stations, held for the hour as in an hourly report; events are laid over it.
Wind and a poor view come with events and recordings only: elsewhere the air is calm and clear.  Events
that have not begun cannot be foreseen; the paths and ends of those that have are known.

The satellite controller goes by a `Forecast`: persistence that fades into the climate, and errs.  It says
clear with the chance c + w (now - c): c is how often such an hour is clear (`clear_climate`), now is 1
under a clear sky and 0 under another, and w is skill exp(-lead / memory).  With skill 1 it is right at
once; with skill 0, or long before, it knows nothing but climate.
Nothing here knows orbits, links or keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from math import exp
from typing import Any

from emulator.world.cloud_climate import CLEAR_OPAQUE
from emulator.world.cloud_process import DRIFTING, CloudProcess, CloudSettings
from emulator.world.events import WorldEvent
from emulator.world.keyed_random import number
from emulator.world.places import Place
from emulator.world.weather_events import Event, EventKind
from emulator.world.weather_replay import Recording

CLEAR_AIR_KM = 23.0  # visibility of the standard clear atmosphere (MODTRAN, rural)
_HOUR_S = 3600
_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sky:
    """The weather of one experiment; `epoch` is emulated second 0, in UTC.

    Draws depend on the order of sites, not on their names.  Two skies with equal fields agree.  Every
    question raises KeyError for an unknown site, and ValueError for a time before 0.  Not for several
    threads at once.
    """

    seed: int
    sites: tuple[Place, ...]
    epoch: datetime = _NEW_YEAR
    events: tuple[Event, ...] = ()
    recording: Recording | None = None
    clouds: CloudSettings = DRIFTING

    def __post_init__(self) -> None:
        names = [site.name for site in self.sites]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"sites must be some, and of different names, not {names}")
        if self.epoch.tzinfo is None:
            raise ValueError(f"epoch must be in UTC, not naive: {self.epoch}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the memory: the other side computes the same."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def number(self, site: str) -> int:
        """Return a site's number in the order of the sites, from 1 on."""
        return self._number[site]

    def opaque(self, site: str, at_s: float) -> float:
        """Return the fraction of the sky that is covered."""
        events = self.events_over(site, at_s)
        forced = _forced(events)
        cover = self._cover(site, at_s) if forced is None else forced.opaque
        return max([cover, *_covers(events)])

    def with_event(self, event: WorldEvent) -> "Sky":
        """Return the sky in which that happens too, if it is weather."""
        if not isinstance(event, Event):
            return self
        return replace(self, events=(*self.events, event))

    def is_clear(self, site: str, at_s: float) -> bool:
        """Return whether at most 2/10 of the sky are covered."""
        return self.opaque(site, at_s) <= CLEAR_OPAQUE

    def will_be_clear(self, site: str, at_s: float, known_at_s: float) -> bool:
        """Return whether the sky will be clear, unless an event begins that is not known yet."""
        events = self._foreseen(site, at_s, known_at_s)
        forced = _forced(events)
        cover = self._cover(site, at_s) if forced is None else forced.opaque
        return max([cover, *_covers(events)]) <= CLEAR_OPAQUE

    def visibility_km(self, site: str, at_s: float) -> float:
        """Return the visibility along the ground; 23 km where nothing else is known."""
        spell = self.recording.at(site, at_s) if self.recording else None
        view_km = CLEAR_AIR_KM
        if spell is not None and spell.visibility_km is not None:
            view_km = spell.visibility_km
        return min([view_km, *(event.view_km for event in self.events_over(site, at_s))])

    def wind_m_s(self, site: str, at_s: float) -> float:
        """Return the wind; 0 where nothing else is known."""
        return max((event.gust_m_s for event in self.events_over(site, at_s)), default=0.0)

    def events_over(self, site: str, at_s: float) -> tuple[Event, ...]:
        """Return the events over a site, in the order in which they began."""
        place = self._site[site]
        return tuple(event for event in self._events if event.reaches(place, at_s))

    def clear_climate(self, site: str, at_s: float) -> float:
        """Return how often the sky is clear at such an hour, by chance alone."""
        return self._clouds.clear_climate(self._place[site], self._hour(at_s))

    def _cover(self, site: str, at_s: float) -> float:
        """Return the cover without events."""
        hour = self._hour(at_s)
        spell = self.recording.at(site, at_s) if self.recording else None
        return self._clouds.tenths(self._place[site], hour) / 10 if spell is None else spell.opaque

    def _foreseen(self, site: str, at_s: float, issued_at_s: float) -> list[Event]:
        return [event for event in self.events_over(site, at_s) if event.start_s <= issued_at_s]

    def _hour(self, at_s: float) -> int:
        if at_s < 0:
            raise ValueError(f"the sky begins at 0 s; nothing is known at {at_s} s")
        return int(at_s // _HOUR_S)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {site.name: number for number, site in enumerate(self.sites, start=1)}

    @cached_property
    def _drawn(self) -> list[Place]:
        """Sites in the order in which chance draws for them: that of their numbers as text.

        Names have no say; USNET, whose names are these numbers, keeps the sky it has always had.
        """
        return sorted(self.sites, key=lambda site: str(self.number(site.name)))

    @cached_property
    def _place(self) -> dict[str, int]:
        return {site.name: index for index, site in enumerate(self._drawn)}

    @cached_property
    def _clouds(self) -> CloudProcess:
        return CloudProcess(self.seed, self._drawn, self.epoch, self.clouds)

    @cached_property
    def _site(self) -> dict[str, Place]:
        return {site.name: site for site in self.sites}

    @cached_property
    def _events(self) -> list[Event]:
        return sorted(self.events, key=lambda event: event.start_s)


@dataclass(frozen=True)
class Forecast:
    """A forecast's quality: `skill` from 0 to 1, and the e-folding time of persistence.

    Errors are drawn by (seed, number of the site, hour of issue, hour in question): asked again, it says
    the same, as long as the sky is the same.  It does not know how the weather is made.
    """

    seed: int
    skill: float
    memory_s: float

    def expects_clear(self, sky: Sky, station: str, at_s: float, issued_s: float) -> bool:
        """Return what a forecast says; of the past it knows what was seen."""
        seen_s = min(issued_s, at_s)
        chance = self.clear_chance(sky, station, at_s, seen_s)
        hours = int(seen_s // _HOUR_S), int(at_s // _HOUR_S)
        question = (self.seed, sky.number(station), *hours)
        return number(question, person=b"qsagin-forecast") < chance

    def clear_chance(self, sky: Sky, station: str, at_s: float, issued_s: float) -> float:
        """Return the chance with which a forecast says clear."""
        climate = sky.clear_climate(station, at_s)
        weight = self.skill * exp(-(at_s - issued_s) / self.memory_s)
        return climate + weight * (sky.is_clear(station, issued_s) - climate)


def _forced(events: Sequence[Event]) -> Event | None:
    """Return the forced sky among events in order, the last one if there are several."""
    return next((e for e in reversed(events) if e.kind is EventKind.CLOUD), None)


def _covers(events: Sequence[Event]) -> list[float]:
    """Return what storms and fogs cover of the sky."""
    return [event.opaque for event in events if event.kind is not EventKind.CLOUD]
