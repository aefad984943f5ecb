"""From an experiment to its UAVs: fleet, chains, what they offer, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from controllers.fleet import FleetConfig
from controllers.ports import LinkSample
from controllers.uav import FlightConfig
from emulator.experiment.config import Experiment
from emulator.experiment.topology import Topology
from emulator.experiment.uav_config import Chain
from emulator.parts.skies import sites_of, sky_of
from emulator.physics.drone import UAV_DEVICES
from emulator.world.uav_links import Chains, Grounding, UavLinks
from global_manager.provisioning.model import Request


def fleet_of(experiment: Experiment) -> FleetConfig | None:
    """Return the UAV fleet of an experiment, or None if there are always enough."""
    fleet = experiment.uav.fleet
    if fleet is None:
        return None
    return FleetConfig(fleet.uavs, fleet.endurance_s, experiment.uav.setup_s, fleet.turn_s)


def chains_of(experiment: Experiment, topology: Topology) -> Chains | None:
    """Return the chains between nodes, or None if the rate is assumed."""
    if experiment.uav.rate == "assumed":
        return None
    chain = experiment.uav.chain or Chain()
    setup = replace(UAV_DEVICES[chain.device].setup, hop_km=chain.hop_km)
    return Chains(sites_of(topology), setup, trusted=chain.relays == "trusted")


def airborne_of(experiment: Experiment, topology: Topology) -> UavLinks | None:
    """Return what UAVs offer, or None if that is as assumed in any weather."""
    chains, uav = chains_of(experiment, topology), experiment.uav
    sky = sky_of(experiment, topology) if uav.weather else None
    if chains is None and sky is None:
        return None
    grounding = None
    if uav.weather is not None and sky is not None:
        grounding = Grounding(sky, uav.weather.fog, uav.weather.max_wind_m_s)
    return UavLinks(LinkSample(uav.skr_bps, uav.qber), chains, grounding)


def flights_of(
    experiment: Experiment, topology: Topology, requests: Sequence[Request]
) -> FlightConfig:
    """Return what the UAV controller is told about flights."""
    uav, chains = experiment.uav, chains_of(experiment, topology)
    pairs = {(min(r.source, r.target), max(r.source, r.target)) for r in requests}
    return FlightConfig(
        uavs_per_order=uav.fleet.uavs_per_order if uav.fleet else 1,
        chains={pair: chains.uavs(*pair) for pair in sorted(pairs)} if chains else {},
        look_s=uav.weather.look_s if uav.weather else None,
    )


def flight_faults(experiment: Experiment, topology: Topology) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the UAVs of an experiment, as (field, what would be right)."""
    uav, deploy_s = experiment.uav, experiment.uav.setup_s
    if uav.fleet is not None and uav.fleet.endurance_s <= 2 * deploy_s:
        message = f"must exceed twice uav.setup_s ({deploy_s:g} s), the way out and back"
        yield "uav.fleet.endurance_s", message
    lost = [node.name for node in topology.nodes if node.lat_deg is None]
    if uav.rate == "assumed" and uav.chain is not None:
        yield "uav.chain", "is for a computed rate; leave it out, or set uav.rate to computed"
    if uav.rate == "computed" and uav.fleet is not None and uav.fleet.uavs_per_order > 1:
        yield "uav.fleet.uavs_per_order", "follows from the length of the chain; leave it out"
    if uav.rate == "computed" and lost:
        message = (
            f"needs coordinates (lat, lon) of every node; there are none of {', '.join(lost[:5])}"
        )
        yield "uav.rate", message
