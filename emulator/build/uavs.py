"""The UAVs of an experiment: its fleet, what chains between nodes offer, and which flights orders need."""

from __future__ import annotations

from dataclasses import replace

from controllers.fleet import FleetConfig
from controllers.ports import LinkSample
from controllers.uav import FlightConfig
from emulator.build.demand import requests_of
from emulator.build.environment import sites_of, sky_of
from emulator.build.setup import Setup, part
from emulator.config.uavs import Chain
from emulator.physics.drone import UAV_DEVICES
from emulator.world.uav_links import Chains, Grounding, UavLinks


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
    devices = replace(UAV_DEVICES[chain.device].setup, hop_km=chain.hop_km)
    return Chains(sites_of(setup.topology), devices, trusted=chain.relays == "trusted")


@part
def uav_links_of(setup: Setup) -> UavLinks | None:
    """Return what UAVs offer, or None if that is as assumed in any weather."""
    chains, uav = chains_of(setup), setup.experiment.uav
    sky = sky_of(setup) if uav.weather else None
    if chains is None and sky is None:
        return None
    grounding = None
    if uav.weather is not None and sky is not None:
        grounding = Grounding(sky, uav.weather.fog, uav.weather.max_wind_m_s)
    return UavLinks(LinkSample(uav.skr_bps, uav.qber), chains, grounding)


def flights_of(setup: Setup) -> FlightConfig:
    """Return what the UAV controller is told about flights."""
    uav, chains = setup.experiment.uav, chains_of(setup)
    pairs = setup.topology.pairs((item.source, item.target) for item in requests_of(setup))
    return FlightConfig(
        uavs_per_order=uav.fleet.uavs_per_order if uav.fleet else 1,
        chains={(min(pair), max(pair)): chains.uavs(*pair) for pair in pairs} if chains else {},
        look_s=uav.weather.look_s if uav.weather else None,
    )
