"""What an oracle's schedule does to fibers, satellites, UAVs and demand; see `oracle` for the rules.

A pure function of what is given.  It knows no entity and no message.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oracle_nature import Offer, demanded, is_clear, is_noisy, poisson, tapped
from oracle_terms import SATELLITE, UAV, Calendar, Given, Link, calendar_of

Fault = Mapping[str, Any]
WHOLE = 170
"""Units at which a law of demand is cut off in the world: there is nothing left."""


def is_on(event: Fault, at_s: float) -> bool:
    """Return whether a fault is there at a time."""
    return bool(event["at_s"] <= at_s < until(event))


def until(event: Fault) -> float:
    """Return when a fault is over."""
    until_s = event.get("until_s")
    return math.inf if until_s is None else until_s


@dataclass(frozen=True)
class World:
    """Nature under the schedule."""

    given: Given

    @cached_property
    def calendar(self) -> Calendar:
        """When windows, periods and epochs are."""
        return calendar_of(self.given)

    def faults(self, kind: str) -> list[Fault]:
        """Return the faults of a kind, in the order of the schedule."""
        return [event for event in self.given.fields["faults"] if event["kind"] == kind]

    def is_dark(self, node: str, at_s: float) -> bool:
        """Return whether a node has no power."""
        return any(cut["node"] == node and is_on(cut, at_s) for cut in self.faults("power-cut"))

    def state(self, link: Link, at_s: float) -> str:
        """Return what a fiber is at a moment: `up`, `loss` or `noise`."""
        if self._carries_nothing(link, at_s):
            return "loss"
        offer = self._offer(link, at_s, at_s)
        limit = self.given.fields["keys"]["qber_limit"]
        return "noise" if offer.skr_bps == 0 or offer.qber > limit else "up"

    def block_units(self, link: Link, since_s: float, at_s: float, units: int) -> int:
        """Return how many keys a block on so many wavelengths carries."""
        if self._carries_nothing(link, at_s):
            return 0
        keys, lasted_s = self.given.fields["keys"], at_s - since_s
        offer = self._offer(link, since_s, at_s)
        sifted_bits = int(units * offer.sifted_bps * lasted_s)
        if offer.skr_bps == 0 or is_noisy(offer, sifted_bits, keys["qber_limit"]):
            return 0
        wavelength_bits = min(keys["unit_bits"], 8 * int(offer.skr_bps * lasted_s / 8))
        return int(units * wavelength_bits // keys["unit_bits"])

    def sees_satellite(self, source: str, target: str, now_s: float) -> bool:
        """Return whether a satellite serves two nodes."""
        faults, nodes = self.given.fields["faults"], self.given.graph.nodes
        if any(is_on(loss, now_s) for loss in self.faults("satellite-loss")):
            return False
        if self.is_dark(source, now_s) or self.is_dark(target, now_s):
            return False
        period = int((now_s - self.calendar.first_s) // self.calendar.period_s)
        chance = self.given.luck_of_sky[source, target, period]
        return chance < self.given.fields[SATELLITE]["probability"] and all(
            is_clear(faults, node, nodes[node].get("lat"), nodes[node].get("lon"), now_s)
            for node in (source, target)
        )

    def sees_uav(self, source: str, target: str, now_s: float) -> bool:
        """Return whether UAVs could serve two nodes."""
        is_dark = self.is_dark(source, now_s) or self.is_dark(target, now_s)
        return not is_dark and self.lost_uavs(now_s, now_s) < math.inf

    def lost_uavs(self, since_s: float, until_s: float) -> float:
        """Return the most UAVs that are lost at a time."""
        losses = self.faults("uav-loss")
        times = [since_s, *(e["at_s"] for e in losses if since_s < e["at_s"] <= until_s)]
        return max(sum(e["uavs"] or math.inf for e in losses if is_on(e, at_s)) for at_s in times)

    def service_s(self, medium: str, units: int) -> float | None:
        """Return how long a medium needs for so many units; None if they have too many errors."""
        options, keys = self.given.fields[medium], self.given.fields["keys"]
        if options["qber"] > keys["qber_limit"]:
            return None
        return float(units * keys["unit_bits"] / options["skr_bps"])

    @property
    def fleet(self) -> Mapping[str, Any] | None:
        """The fleet of UAVs, if it is limited."""
        fleet: Mapping[str, Any] | None = self.given.fields[UAV]["fleet"]
        return fleet

    def demanded(self, request: int, period: int) -> int:
        """Return how many units a request needs in a period."""
        begun = [e for e in self.faults("demand-shift") if e["from_period"] <= period]
        last = sorted(begun, key=lambda e: int(e["from_period"]))[-1:]
        mean = last[0]["mean_units"] if last else self.mean_units
        return demanded(poisson(mean, WHOLE), self.given.luck_of_demand[request, period])

    @property
    def mean_units(self) -> float:
        """The mean demand that the plan is told."""
        return float(self.given.fields["demand"]["distribution"]["poisson"]["mean_units"])

    def _carries_nothing(self, link: Link, at_s: float) -> bool:
        is_cut = any(is_on(cut, at_s) for cut in self._on("fiber-cut", link))
        return is_cut or any(self.is_dark(node, at_s) for node in link)

    def _offer(self, link: Link, since_s: float, at_s: float) -> Offer:
        km = self.given.graph.edges[link]["length_km"]
        most_km = self.given.fields["fiber"]["span_km"]
        span_km = km / max(1, math.ceil(km / most_km - 1e-9))
        bends = [e for e in self._on("link-degraded", link) if is_on(e, at_s)]
        share = sum(_share(tap, since_s, at_s) for tap in self._on("eavesdropper", link))
        return tapped(span_km, min(1.0, share), max((e["loss_db"] for e in bends), default=0.0))

    def _on(self, kind: str, link: Link) -> list[Fault]:
        return [event for event in self.faults(kind) if set(event["link"]) == set(link)]


def _share(tap: Fault, since_s: float, at_s: float) -> float:
    """Return which share of all pulses a tap intercepts in a time, or at an instant."""
    if since_s == at_s:
        return tap["fraction"] if is_on(tap, at_s) else 0.0
    heard_s = min(at_s, until(tap)) - max(since_s, tap["at_s"])
    return float(tap["fraction"] * max(0.0, heard_s) / (at_s - since_s))
