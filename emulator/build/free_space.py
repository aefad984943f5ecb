"""The free-space services of an experiment: satellites on their orbits, and UAVs by fleet and chain.

Satellites that are only assumed are none here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from controllers.fleet import FleetConfig
from controllers.ports import LinkSample
from controllers.uav import FlightConfig
from emulator.build.demand import requests_of
from emulator.build.environment import foreseen_sky_of, light_of, sites_of, sky_of, timeline_of
from emulator.build.schedule import schedule_of
from emulator.build.setup import Setup, part
from emulator.config.satellites import Mode
from emulator.config.uavs import Chain
from emulator.world.contacts import Beams, Entangled, Source, Trusted, contacts
from emulator.world.events import PowerCut, SatelliteLoss
from emulator.world.places import great_circle_km
from emulator.world.satellite_links import SatelliteLinks
from emulator.world.uav_links import Chains, Grounding, UavLinks
from emulator.world.weather import Forecast, Sky


@part
def satellites_of(setup: Setup) -> SatelliteLinks | None:
    """Return the satellites of an experiment, or None if they are assumed."""
    foreseen = foreseen_satellites_of(setup)
    if foreseen is None:
        return None
    schedule = schedule_of(setup)
    losses = schedule.of(SatelliteLoss) + schedule.of(PowerCut)
    return replace(foreseen, sky=sky_of(setup), losses=losses)


@part
def foreseen_satellites_of(setup: Setup) -> SatelliteLinks | None:
    """Return the same without what the schedule does to satellites and sky, which no plan foresees."""
    experiment, orbits = setup.experiment, setup.experiment.satellite.orbits
    if orbits is None:
        return None
    sites = sites_of(setup.topology)
    beams = Beams(
        constellation=orbits.constellation(),
        sites=sites,
        horizon_s=timeline_of(setup).end_s + orbits.max_wait_s,
        min_elevation_deg=orbits.min_elevation_deg,
        max_sun_altitude_deg=orbits.max_sun_altitude_deg,
    )
    source: Source = Trusted(beams, orbits.decoy_station, light_of(setup))
    if orbits.mode is Mode.ENTANGLED:
        ends = ((item.source, item.target) for item in requests_of(setup))
        pairs = setup.topology.pairs(ends)
        source = Entangled(beams, orbits.pair_station, light_of(setup), pairs)
    varies = orbits.clouds or experiment.weather.replay is not None
    forecast = None
    if orbits.forecast and varies:
        forecast = Forecast(experiment.seed, **orbits.forecast.model_dump())
    return SatelliteLinks(
        stations=tuple(site.name for site in sites),
        contacts=contacts(source, orbits.contact_rules),
        max_wait_s=orbits.max_wait_s,
        sky=foreseen_sky_of(setup),
        forecast=forecast,
        losses=(),
    )


@part
def served_of(setup: Setup) -> Callable[[str, str, int], bool] | None:
    """Return whether a satellite serves two nodes at the start of a period; None if that is assumed."""
    satellites, timeline = foreseen_satellites_of(setup), timeline_of(setup)
    if satellites is None:
        return None
    return cache(lambda a, b, period: satellites.share_of(a, b, [timeline.begins_s(period)]) > 0)


@part
def flown_of(setup: Setup) -> Callable[[str, str, int], bool] | None:
    """Return whether UAVs serve an order of a period's start, as far as it is foreseen.

    None if nothing but the distance matters.  An order needs its chain when it is made, and when it is
    there; later weather is left to chance.
    """
    links, timeline = _uav_links(setup, foreseen_sky_of(setup)), timeline_of(setup)
    qber_limit, setup_s = setup.experiment.keys.qber_limit, setup.experiment.uav.setup_s
    if links is None or (
        links.grounding is None and (not links.chains or not links.chains.daylight)
    ):
        return None

    def serves(a: str, b: str, at_s: float) -> bool:
        offer = links.sample(a, b, at_s)
        return offer.usable and offer.skr_bps > 0 and offer.qber <= qber_limit

    @cache
    def flies(a: str, b: str, period: int) -> bool:
        at_s = timeline.begins_s(period)
        return links.never_serves(a, b) or (serves(a, b, at_s) and serves(a, b, at_s + setup_s))

    return flies


def fleet_of(setup: Setup) -> FleetConfig | None:
    """Return the UAV fleet of an experiment, or None if there are always enough."""
    uav, fleet = setup.experiment.uav, setup.experiment.uav.fleet
    if fleet is None:
        return None
    return FleetConfig(fleet.uavs, fleet.endurance_s, uav.setup_s, fleet.turn_s)


@part
def chains_of(setup: Setup) -> Chains | None:
    """Return the chains of UAVs between nodes, or None if their rate is assumed."""
    uav = setup.experiment.uav
    if uav.rate == "assumed":
        return None
    chain = uav.chain or Chain()
    return Chains(
        sites_of(setup.topology),
        chain.devices(),
        trusted=chain.relays == "trusted",
        light=light_of(setup),
        daylight=chain.daylight,
    )


@part
def unserved_by_uav(setup: Setup) -> frozenset[tuple[str, str]]:
    """Return the ends of requests that no UAV ever serves, the earlier name first.

    They are farther apart than `uav.max_chain_km`, or the chain between them yields nothing.
    """
    chains, most_km = chains_of(setup), setup.experiment.uav.max_chain_km
    site = {each.name: each for each in sites_of(setup.topology)}

    def is_unserved(a: str, b: str) -> bool:
        too_far = most_km is not None and great_circle_km(site[a], site[b]) > most_km
        return too_far or (chains is not None and not chains.yields(a, b))

    if chains is None and most_km is None:
        return frozenset()
    pairs = setup.topology.pairs((item.source, item.target) for item in requests_of(setup))
    return frozenset((min(pair), max(pair)) for pair in pairs if is_unserved(*pair))


def is_unserved_by_uav(setup: Setup, a: str, b: str) -> bool:
    """Whether no UAV ever serves a request between two nodes."""
    return (min(a, b), max(a, b)) in unserved_by_uav(setup)


@part
def uav_links_of(setup: Setup) -> UavLinks | None:
    """Return what UAVs offer, or None if that is as assumed in any weather."""
    return _uav_links(setup, sky_of(setup))


def _uav_links(setup: Setup, weather: Sky | None) -> UavLinks | None:
    chains, uav = chains_of(setup), setup.experiment.uav
    sky = weather if uav.weather else None
    unserved = unserved_by_uav(setup)
    if chains is None and sky is None and not unserved:
        return None
    grounding = None
    if uav.weather is not None and sky is not None:
        grounding = Grounding(sky, uav.weather.fog, uav.weather.max_wind_m_s)
    return UavLinks(LinkSample(uav.skr_bps, uav.qber), chains, grounding, unserved)


@part
def flights_of(setup: Setup) -> FlightConfig:
    """Return what the UAV controller is told about flights."""
    uav, chains = setup.experiment.uav, chains_of(setup)
    pairs = setup.topology.pairs((item.source, item.target) for item in requests_of(setup))
    return FlightConfig(
        uavs_per_order=uav.fleet.uavs_per_order if uav.fleet else 1,
        chains={(min(pair), max(pair)): chains.uavs(*pair) for pair in pairs} if chains else {},
        look_s=uav.weather.look_s if uav.weather else None,
    )
