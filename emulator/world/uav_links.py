"""What UAVs offer two nodes: the rate of the chain between them, as far as weather lets it fly.

A chain follows the great circle, with one UAV for each hop of `hop_km`, begun or whole.  Where weather
matters, fog or wind at either end grounds UAVs, and haze dims the hops of a computed chain; where it does
not, the air is clear and calm.  The light of the sky is that of the brighter end; by day, at either end,
the air shimmers.  Between nodes that are too far apart, or whose chain yields nothing in the clearest and
darkest night, UAVs never serve.
A pure function of its configuration; heavy to import, so it is loaded only where UAVs matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from controllers.ports import LinkSample
from emulator.physics.bbm92 import PairRate
from emulator.physics.drone import Setup, chain_rate, relayed_rate, under_sky
from emulator.physics.relay import span_count
from emulator.world.events import WorldEvent
from emulator.world.places import great_circle_km
from emulator.world.sky_light import SkyLight
from emulator.world.visibility import Site
from emulator.world.weather import CLEAR_AIR_KM, Sky

FOG_KM = 1.0
"""With less of a view it is fog: World Meteorological Organization."""


@dataclass(frozen=True)
class Chains:
    """Chains between sites, with the number of lens relays or trusted relays that the distance takes.

    Unless there is `daylight`, all hours are as a moonless night.
    """

    sites: tuple[Site, ...]
    setup: Setup
    trusted: bool
    light: SkyLight
    daylight: bool = True

    def distance_km(self, a: str, b: str) -> float:
        """Return the great-circle distance of two sites.  Raises `KeyError` for an unknown site."""
        return great_circle_km(self._site[a], self._site[b])

    def uavs(self, a: str, b: str) -> int:
        """Return how many UAVs the chain between two sites takes."""
        return span_count(self.distance_km(a, b), self.setup.hop_km)

    def rate(self, a: str, b: str, visibility_km: float, now_s: float | None) -> PairRate:
        """Return what the chain yields now, or without Moon and Sun."""
        radiance, is_day = max(map(self.light.darkest, (a, b))), False
        if now_s is not None and self.daylight:
            radiance = max(self.light.radiance(end, now_s) for end in (a, b))
            is_day = any(self.light.is_day(end, now_s) for end in (a, b))
        setup = under_sky(self.setup, radiance, is_day=is_day)
        setup = replace(setup, hop=replace(setup.hop, visibility_km=visibility_km))
        rate = relayed_rate if self.trusted else chain_rate
        return rate(setup, self.distance_km(a, b), self.uavs(a, b))

    def yields(self, a: str, b: str) -> bool:
        """Return whether the chain makes any key in the clearest and darkest night."""
        return self.rate(a, b, CLEAR_AIR_KM, None).secret_bits > 0

    @cached_property
    def _site(self) -> Mapping[str, Site]:
        return {site.name: site for site in self.sites}


@dataclass(frozen=True)
class Grounding:
    """The weather that keeps UAVs on the ground."""

    sky: Sky
    fog: bool
    max_wind_m_s: float | None

    def holds(self, site: str, now_s: float) -> bool:
        """Return whether nothing may take off or stay in the air at a site."""
        foggy = self.fog and self.sky.visibility_km(site, now_s) < FOG_KM
        limit_m_s = self.max_wind_m_s
        windy = limit_m_s is not None and self.sky.wind_m_s(site, now_s) > limit_m_s
        return foggy or windy


@dataclass(frozen=True)
class UavLinks:
    """UAVs in the air of an experiment.

    Without `chains` they offer what is `assumed`; without `grounding` they fly in any weather; between
    `unserved` pairs, earlier name first, never.
    """

    assumed: LinkSample
    chains: Chains | None
    grounding: Grounding | None
    unserved: frozenset[tuple[str, str]] = frozenset()

    def with_event(self, event: WorldEvent) -> UavLinks:
        """Return the air in which that happens too."""
        grounding = self.grounding
        if grounding is None:
            return self
        return replace(self, grounding=replace(grounding, sky=grounding.sky.with_event(event)))

    def never_serves(self, a: str, b: str) -> bool:
        """Whether no chain ever joins two nodes."""
        return (min(a, b), max(a, b)) in self.unserved

    def sample(self, a: str, b: str, now_s: float) -> LinkSample:
        """Return what a chain offers two nodes now."""
        offer = self.assumed
        if self.never_serves(a, b):
            return LinkSample(0.0, offer.qber, usable=False)
        if self.chains is not None:
            rate = self.chains.rate(a, b, self._visibility_km(a, b, now_s), now_s)
            offer = LinkSample(rate.secret_bits, rate.qber)
        grounding = self.grounding
        if grounding is not None and any(grounding.holds(node, now_s) for node in (a, b)):
            return replace(offer, usable=False)
        return offer

    def _visibility_km(self, a: str, b: str, now_s: float) -> float:
        if self.grounding is None:
            return CLEAR_AIR_KM
        return min(self.grounding.sky.visibility_km(node, now_s) for node in (a, b))
