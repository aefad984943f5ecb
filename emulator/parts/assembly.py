"""From an experiment to what its parts are told: the problem, the world, and one config an actor.

Everything is derived here, once, from the experiment, its network and its seed; nothing is started.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from controllers.fiber import FiberControllerConfig
from controllers.fleet import FleetConfig
from controllers.key_manager import KeyManagerConfig
from controllers.on_demand import OnDemandConfig
from controllers.serving import Application
from controllers.uav import FlightConfig
from emulator.experiment.config import Capacity, Experiment
from emulator.experiment.demand_config import RequestItem
from emulator.experiment.reading import lead_windows
from emulator.experiment.satellite_config import Mode
from emulator.experiment.topology import Topology
from emulator.parts.daytime import as_law, rhythm_of, with_marginals
from emulator.parts.fiber_links import QuantumLink, Unused, quantum_links, usable
from emulator.parts.flights import airborne_of, chains_of, fleet_of, flights_of
from emulator.parts.futures import with_futures
from emulator.parts.limits import pools_of
from emulator.parts.schedule import schedule_of
from emulator.parts.skies import sites_of, sky_of
from emulator.world.contacts import Beams, Entangled, Source, Trusted, contacts
from emulator.world.events import PowerCut, SatelliteLoss
from emulator.world.satellite_links import SatelliteLinks
from emulator.world.weather import Forecast, Sky
from emulator.world.world import FreeSpace, World
from global_manager.manager import ManagerConfig
from global_manager.ordering import unit_cost
from global_manager.provisioning.model import (
    Fiber,
    Medium,
    OnDemand,
    Policy,
    Problem,
    Request,
    Scenario,
)
from global_manager.provisioning.prices import Prices
from global_manager.provisioning.routing import fiber_graph, has_path, hop_counts
from global_manager.reserving import Schedule
from protos.core import Timeline

SETUP_WINDOWS = 4
RETRY_WINDOWS = 10


@dataclass(frozen=True)
class Assembly:
    """All parts of one experiment."""

    problem: Problem
    links: tuple[QuantumLink, ...]
    world: World
    overhead: SatelliteLinks | None
    timeline: Timeline
    manager: ManagerConfig
    fiber: FiberControllerConfig
    satellite: OnDemandConfig
    uav: OnDemandConfig
    fleet: FleetConfig | None
    flights: FlightConfig
    key_managers: tuple[KeyManagerConfig, ...]

    @property
    def sky(self) -> Sky | None:
        """The weather of the run, if it has any."""
        found = self.overhead.sky if self.overhead else self.world.sky
        return found if isinstance(found, Sky) else None


def assemble(experiment: Experiment, topology: Topology) -> Assembly:
    """Derive everything that is needed to plan and to run."""
    timeline = timeline_of(experiment, topology)
    overhead = overhead_of(experiment, topology, timeline)
    problem = problem_of(experiment, topology, overhead)
    links = quantum_links(experiment.fiber, topology)
    retry_after_s = RETRY_WINDOWS * experiment.clock.window_s
    pools, keys = problem.pools, experiment.keys
    on_demand = partial(
        OnDemandConfig,
        unit_bits=keys.unit_bits,
        qber_limit=keys.qber_limit,
        retry_after_s=retry_after_s,
        timeline=timeline,
    )
    return Assembly(
        problem=problem,
        links=links,
        world=_world(experiment, topology, links, problem, timeline),
        overhead=overhead,
        timeline=timeline,
        manager=ManagerConfig(
            problem=problem,
            media=_media(problem),
            schedule=Schedule(
                timeline,
                setup_s=SETUP_WINDOWS * experiment.clock.window_s,
                lead_s=lead_windows(topology) * experiment.clock.window_s,
            ),
            retry_after_s=retry_after_s,
            replan=experiment.plan.replan and experiment.plan.policy is Policy.STOCHASTIC,
            look_every_periods=experiment.plan.look_every_periods,
            drift_sigmas=experiment.plan.drift_sigmas,
            correlated=experiment.demand.correlated,
        ),
        fiber=FiberControllerConfig(
            fibers=tuple(
                (item.link.a, item.link.b, experiment.network.wavelengths) for item in links
            ),
            directed_capacity=problem.directed_capacity,
            monitor_s=max(experiment.fiber.monitor_s, experiment.clock.window_s),
            qber_limit=experiment.keys.qber_limit,
            retry_after_s=retry_after_s,
            wait_to_restore_s=experiment.fiber.wait_to_restore_s,
        ),
        satellite=on_demand(
            setup_s=experiment.satellite.setup_s,
            units_per_period=pools.satellite_units if pools else None,
        ),
        uav=on_demand(
            setup_s=experiment.uav.setup_s,
            units_per_period=pools.uav_units if pools else None,
        ),
        fleet=fleet_of(experiment),
        flights=flights_of(experiment, topology, problem.requests),
        key_managers=_key_managers(experiment, topology, problem, timeline, retry_after_s),
    )


def problem_of(
    experiment: Experiment, topology: Topology, overhead: SatelliteLinks | None = None
) -> Problem:
    """Return the provisioning problem of an experiment.

    Links that do not bring a key a wavelength and period are left out.  With orbits, how often a satellite
    is usable for a request is estimated from the emulated world, over the starts of all periods; storms,
    fogs and forced skies of the schedule are not foreseen.
    """
    timeline = timeline_of(experiment, topology)
    overhead = overhead or overhead_of(experiment, topology, timeline)
    if overhead is not None:
        sky = sky_of(experiment, topology, scheduled=False)
        overhead = replace(overhead, sky=sky, losses=())
    share = _usable_share(experiment, timeline, overhead)
    links, _ = usable(
        quantum_links(experiment.fiber, topology), experiment.keys, experiment.demand.period_s
    )
    prices = Prices(**experiment.price_table.model_dump())
    network = experiment.network
    requests = _requests(experiment, topology, prices, share)
    problem = Problem(
        nodes=tuple(node.name for node in topology.nodes),
        fibers=tuple(
            Fiber(item.link.a, item.link.b, item.unit_cost(prices), network.wavelengths)
            for item in links
        ),
        requests=with_marginals(requests, rhythm_of(experiment, topology, requests), timeline),
        scenarios=scenarios_of(experiment),
        directed_capacity=network.capacity is Capacity.PER_DIRECTION,
        pools=pools_of(experiment),
        correlated=experiment.demand.correlated,
    )
    return with_futures(experiment, problem, overhead, timeline)


def unused_of(experiment: Experiment, topology: Topology) -> Unused:
    """Return which links a plan leaves out, and whom that leaves without any path."""
    links = quantum_links(experiment.fiber, topology)
    left, unused = usable(links, experiment.keys, experiment.demand.period_s)
    names = (node.name for node in topology.nodes)
    graph = fiber_graph(names, ((i.link.a, i.link.b, 1.0) for i in left))
    apart = (
        item.id
        for item in _request_items(experiment, topology)
        if not has_path(graph, item.source, item.target)
    )
    return Unused(unused, tuple(apart))


def scenarios_of(experiment: Experiment) -> tuple[Scenario, ...]:
    """Return the scenarios that the plan sees and the applications draw from."""
    demand = experiment.demand
    return demand.kept(demand.distribution.scenarios(demand.scenarios))


def _requests(
    experiment: Experiment, topology: Topology, prices: Prices, share: Callable[[str, str], float]
) -> tuple[Request, ...]:
    names = (node.name for node in topology.nodes)
    chains = chains_of(experiment, topology)
    hops = hop_counts(fiber_graph(names, ((link.a, link.b, 1.0) for link in topology.links)))
    return tuple(
        Request(
            id=item.id,
            application=item.application,
            source=item.source,
            target=item.target,
            on_demand=OnDemand(
                uav_cost=prices.uav_unit(
                    hops[item.source][item.target],
                    chains.uavs(item.source, item.target) if chains else None,
                ),
                satellite_cost=prices.satellite_unit(hops[item.source][item.target]),
                satellite_probability=share(item.source, item.target),
            ),
        )
        for item in _request_items(experiment, topology)
    )


def request_ids(experiment: Experiment, topology: Topology) -> list[str]:
    """Return the names of all requests; a request's number is its place here."""
    return [item.id for item in _request_items(experiment, topology)]


def _request_items(experiment: Experiment, topology: Topology) -> list[RequestItem]:
    requests = experiment.demand.requests
    if not isinstance(requests, dict):
        return list(requests)
    names = [node.name for node in topology.nodes]
    stream = np.random.Generator(np.random.PCG64([experiment.seed, 0x5245]))
    items = []
    for kind, count in requests.items():
        for number in range(1, count + 1):
            source, target = (names[place] for place in stream.choice(len(names), 2, replace=False))
            fields = {"id": f"{kind}-{number}", "class": kind, "source": source, "target": target}
            items.append(RequestItem.model_validate(fields))
    return items


def timeline_of(experiment: Experiment, topology: Topology) -> Timeline:
    """Return when periods are.

    Keys of the first period are made in the period before it, and need time to cross.
    """
    windows = SETUP_WINDOWS + lead_windows(topology)
    first_period_s = windows * experiment.clock.window_s + experiment.demand.period_s
    return Timeline(first_period_s, experiment.demand.period_s, experiment.demand.periods)


def _world(
    experiment: Experiment,
    topology: Topology,
    links: tuple[QuantumLink, ...],
    problem: Problem,
    timeline: Timeline,
) -> World:
    satellite, uav = experiment.satellite, experiment.uav
    return World(
        seed=experiment.seed,
        timeline=timeline,
        nodes=tuple(node.name for node in topology.nodes),
        fibers=tuple((item.link.a, item.link.b, item.sample) for item in links),
        satellite=FreeSpace(
            satellite.skr_bps,
            satellite.qber,
            satellite.probability,
            one_for_all=satellite.sky == "common",
        ),
        uav=FreeSpace(uav.skr_bps, uav.qber, 1.0),
        demand=as_law(problem.scenarios),
        correlated=experiment.demand.correlated,
        sky=sky_of(experiment, topology) if experiment.satellite.orbits is None else None,
        uav_links=airborne_of(experiment, topology),
        demand_profile=rhythm_of(experiment, topology, problem.requests),
        schedule=schedule_of(experiment, topology),
    )


def overhead_of(
    experiment: Experiment, topology: Topology, timeline: Timeline
) -> SatelliteLinks | None:
    """Return the satellites of an experiment, or None if they are assumed."""
    orbits = experiment.satellite.orbits
    if orbits is None:
        return None
    sites = sites_of(topology)
    names = tuple(site.name for site in sites)
    beams = Beams(
        constellation=orbits.constellation(),
        sites=sites,
        horizon_s=timeline.end_s + orbits.max_wait_s,
        min_elevation_deg=orbits.min_elevation_deg,
        max_sun_altitude_deg=orbits.max_sun_altitude_deg,
    )
    forecast = orbits.forecast
    varies = orbits.clouds or experiment.weather.replay is not None
    schedule = schedule_of(experiment, topology)
    source: Source = Trusted(beams, orbits.decoy_station)
    if orbits.mode is Mode.ENTANGLED:
        requests = _request_items(experiment, topology)
        ends = {tuple(sorted((names.index(r.source), names.index(r.target)))) for r in requests}
        pairs = tuple((names[a], names[b]) for a, b in sorted(ends))
        source = Entangled(beams, orbits.pair_station, pairs)
    return SatelliteLinks(
        stations=names,
        contacts=contacts(source, orbits.contact_rules),
        max_wait_s=orbits.max_wait_s,
        sky=sky_of(experiment, topology),
        forecast=Forecast(experiment.seed, **forecast.model_dump())
        if forecast and varies
        else None,
        losses=schedule.of(SatelliteLoss) + schedule.of(PowerCut),
    )


def _usable_share(
    experiment: Experiment, timeline: Timeline, overhead: SatelliteLinks | None
) -> Callable[[str, str], float]:
    if overhead is None:
        return lambda _a, _b: experiment.satellite.probability
    times_s = [timeline.begins_s(period) for period in range(timeline.periods)]
    return cache(lambda a, b: overhead.share_of(a, b, times_s))


def _media(problem: Problem) -> tuple[tuple[Medium, ...], ...]:
    """Return the media of each request, cheapest first."""
    both = (Medium.UAV, Medium.SATELLITE)
    return tuple(
        tuple(sorted(both, key=lambda medium: unit_cost(request, medium)))
        for request in problem.requests
    )


def _key_managers(
    experiment: Experiment,
    topology: Topology,
    problem: Problem,
    timeline: Timeline,
    retry_after_s: float,
) -> tuple[KeyManagerConfig, ...]:
    applications: dict[str, list[Application]] = {node.name: [] for node in topology.nodes}
    neighbours: dict[str, set[str]] = {node.name: set() for node in topology.nodes}
    for link in topology.links:
        neighbours[link.a].add(link.b)
        neighbours[link.b].add(link.a)
    for place, request in enumerate(problem.requests):
        item = Application(place, request.id, request.application, request.target)
        applications[request.source].append(item)
    return tuple(
        KeyManagerConfig(
            node=node,
            neighbours=frozenset(neighbours[node]),
            applications=tuple(items),
            timeline=timeline,
            unit_bits=experiment.keys.unit_bits,
            qber_limit=experiment.keys.qber_limit,
            retry_after_s=retry_after_s,
            lifetime_s=experiment.keys.lifetime_s,
        )
        for node, items in applications.items()
    )
