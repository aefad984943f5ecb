"""Which satellite can bring key to two ground stations, and when: contacts and clouds together.

A trusted satellite shares one key with each of two ground stations, in a contact with the one and a contact
with the other, and announces their exclusive or; a source of entangled pairs serves both in one contact.
An order can be served if one satellite completes what it takes within `max_wait_s`; the key is there when
the last contact is over.
Which contacts there are follows from orbits and nights alone (`emulator.world.contacts`).  A contact makes
key if the sky over its stations is clear in the middle of it.

A pure function of its configuration.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from controllers.ports import Contact, Passage
from emulator.world.events import PowerCut, SatelliteLoss, WorldEvent
from emulator.world.weather import Forecast, Sky


@dataclass(frozen=True)
class SatelliteLinks:
    """All contacts of some stations.

    `sky` None means that it is always clear.  `forecast` None means that what is expected comes true,
    unless an event begins that is not known yet.
    """

    stations: tuple[str, ...]
    contacts: tuple[Contact, ...]
    max_wait_s: float
    sky: Sky | None
    forecast: Forecast | None = None
    losses: tuple[SatelliteLoss | PowerCut, ...] = ()

    def with_event(self, event: WorldEvent) -> SatelliteLinks:
        """Return the same with that event too."""
        losses = self.losses
        if isinstance(event, SatelliteLoss | PowerCut):
            losses = (*losses, event)
        return replace(self, sky=self.sky and self.sky.with_event(event), losses=losses)

    def passages(self, a: str, b: str, now_s: float) -> list[Passage]:
        """Return what two stations may wait for from now on, soonest first.

        Raises `KeyError` for an unknown station.
        """
        there = self._by_station[b]
        found: list[Passage] = []
        for satellite, here in self._by_station[a].items():
            for first in self._in_time(here, now_s):
                if b in first.stations:
                    found.append(Passage((first,)))
                found += [
                    Passage((first, second))
                    for second in self._in_time(there.get(satellite, []), now_s)
                    if len(first.stations) == len(second.stations) == 1
                ]
        return sorted(found, key=lambda item: item.ready_s)

    def is_promised(self, contact: Contact, now_s: float) -> bool:
        """Return whether a contact is expected to make its key."""
        at_s = _middle_s(contact)
        if self._is_lost(contact, [item for item in self.losses if item.start_s <= now_s]):
            return False
        if self.sky is None:
            return True
        return all(self._expects_clear(self.sky, name, at_s, now_s) for name in contact.stations)

    def has_made(self, contact: Contact) -> bool:
        """Return whether the sky over a contact is clear, and satellite and stations are in service."""
        at_s = _middle_s(contact)
        return not self._is_lost(contact, self.losses) and (
            self.sky is None or all(self.sky.is_clear(name, at_s) for name in contact.stations)
        )

    def share_of(self, a: str, b: str, times_s: list[float]) -> float:
        """Return at which share of these times an order would be served.

        An order takes the first passage that is promised, and fails if it does not make key.
        """
        return sum(self._serves(a, b, at_s) for at_s in times_s) / max(1, len(times_s))

    def _serves(self, a: str, b: str, now_s: float) -> bool:
        for passage in self.passages(a, b, now_s):
            if all(self.is_promised(contact, now_s) for contact in passage.contacts):
                return all(self.has_made(contact) for contact in passage.contacts)
        return False

    def _expects_clear(self, sky: Sky, station: str, at_s: float, now_s: float) -> bool:
        if self.forecast is None:
            return sky.will_be_clear(station, at_s, now_s)
        return self.forecast.expects_clear(sky, station, at_s, now_s)

    def _is_lost(self, contact: Contact, losses: Iterable[SatelliteLoss | PowerCut]) -> bool:
        """Whether the satellite of a contact is gone in its middle, or a station is without power."""
        at_s = _middle_s(contact)
        return any(
            item.start_s <= at_s < item.end_s
            and (
                item.takes(contact.satellite)
                if isinstance(item, SatelliteLoss)
                else item.node in contact.stations
            )
            for item in losses
        )

    def _in_time(self, ahead: list[Contact], now_s: float) -> list[Contact]:
        """Return those of one satellite's contacts that end from now on, and soon enough."""
        first, last = (
            bisect_right(ahead, at_s, key=lambda item: item.end_s)
            for at_s in (now_s, now_s + self.max_wait_s)
        )
        return ahead[first:last]

    @cached_property
    def _by_station(self) -> dict[str, dict[str, list[Contact]]]:
        """Contacts by station and satellite, by end."""
        ahead: dict[str, dict[str, list[Contact]]] = {
            station: defaultdict(list) for station in self.stations
        }
        for contact in sorted(self.contacts, key=lambda item: item.end_s):
            for station in contact.stations:
                ahead[station][contact.satellite].append(contact)
        return {station: dict(by_satellite) for station, by_satellite in ahead.items()}


def _middle_s(contact: Contact) -> float:
    return (contact.start_s + contact.end_s) / 2
