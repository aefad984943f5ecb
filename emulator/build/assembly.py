"""All that a run is told: the problem, the world, and one config per actor.

Everything is derived from the setup; nothing is started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from controllers.fiber import FiberControllerConfig
from controllers.fleet import FleetConfig
from controllers.key_access import NodeAccess
from controllers.key_delivery import Application
from controllers.key_manager import KeyManagerConfig
from controllers.on_demand import OnDemandConfig
from controllers.uav import FlightConfig
from emulator.build.access import accesses_of
from emulator.build.demand import demand_of, requests_of
from emulator.build.environment import SETUP_WINDOWS, lead_windows, sky_of, timeline_of
from emulator.build.foresight import foresight_of
from emulator.build.free_space import fleet_of, flights_of, satellites_of, uav_links_of
from emulator.build.problem import hours_of, problem_of
from emulator.build.quantum_links import QuantumLink, first_keys_of, links_of, units_per_wavelength
from emulator.build.schedule import schedule_of
from emulator.build.setup import Setup, part
from emulator.build.stores import stores_of
from emulator.world.satellite_links import SatelliteLinks
from emulator.world.weather import Sky
from emulator.world.world import FreeSpace, World
from global_manager.forecasting.foresight import Foresight
from global_manager.manager import ManagerConfig
from global_manager.orders import unit_cost
from global_manager.provisioning.model import Medium, OwnPolicy, Policy, Problem, Request
from global_manager.reservations import ReservationSchedule
from protos.core import Timeline

RETRY_WINDOWS = 10


@dataclass(frozen=True)
class Assembly:
    """All parts of one experiment."""

    problem: Problem
    links: tuple[QuantumLink, ...]
    world: World
    satellite_links: SatelliteLinks | None
    timeline: Timeline
    manager: ManagerConfig
    fiber: FiberControllerConfig
    satellite: OnDemandConfig
    uav: OnDemandConfig
    fleet: FleetConfig | None
    flights: FlightConfig
    key_managers: tuple[KeyManagerConfig, ...]
    accesses: Mapping[str, NodeAccess]
    foresight: Foresight | None = None

    @property
    def sky(self) -> Sky | None:
        """The weather of the run, if it has any."""
        found = self.satellite_links.sky if self.satellite_links else self.world.sky
        return found if isinstance(found, Sky) else None


def _replans(policy: Policy | OwnPolicy) -> bool:
    return policy is Policy.STOCHASTIC or isinstance(policy, OwnPolicy)


def own_policy(policy: Policy | OwnPolicy) -> OwnPolicy | None:
    """Return a policy that is the user's own; None for one that is built in."""
    return policy if isinstance(policy, OwnPolicy) else None


@part
def assemble(setup: Setup) -> Assembly:
    """Derive everything that is needed to plan and to run."""
    experiment, timeline = setup.experiment, timeline_of(setup)
    problem, links = problem_of(setup), links_of(setup)
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
        world=_world(setup),
        satellite_links=satellites_of(setup),
        timeline=timeline,
        manager=ManagerConfig(
            problem=problem,
            media=_media(problem),
            schedule=ReservationSchedule(
                timeline,
                setup_s=SETUP_WINDOWS * experiment.clock.window_s,
                lead_s=lead_windows(setup.topology) * experiment.clock.window_s,
            ),
            retry_after_s=retry_after_s,
            unit_bits=keys.unit_bits,
            replan=experiment.plan.replan and _replans(experiment.plan.policy),
            policy=own_policy(experiment.plan.policy),
            jointly=experiment.limits is not None,
            look_every_periods=experiment.plan.look_every_periods,
            drift_sigmas=experiment.plan.drift_sigmas,
            correlation=experiment.demand.correlation,
            foresee_every_periods=(
                experiment.demand.forecast.revise_every_periods if experiment.demand.forecast else 0
            ),
            hours=hours_of(setup),
            first_keys=first_keys_of(setup),
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
            units_per_wavelength=tuple(units_per_wavelength(setup, item) for item in links),
        ),
        satellite=on_demand(
            setup_s=experiment.satellite.setup_s,
            units_per_period=pools.satellite_units if pools else None,
        ),
        uav=on_demand(
            setup_s=experiment.uav.setup_s,
            units_per_period=pools.uav_units if pools else None,
        ),
        fleet=fleet_of(setup),
        flights=flights_of(setup),
        key_managers=_key_managers(setup, retry_after_s),
        accesses=accesses_of(setup),
        foresight=foresight_of(setup),
    )


def _world(setup: Setup) -> World:
    experiment = setup.experiment
    satellite, uav = experiment.satellite, experiment.uav
    return World(
        seed=experiment.seed,
        timeline=timeline_of(setup),
        fibers=tuple((item.link.a, item.link.b, item.sample) for item in links_of(setup)),
        satellite=FreeSpace(
            satellite.skr_bps,
            satellite.qber,
            satellite.probability,
            one_for_all=satellite.sky == "common",
        ),
        uav=FreeSpace(uav.skr_bps, uav.qber, 1.0),
        demand=demand_of(setup),
        nodes=tuple(node.name for node in setup.topology.nodes),
        sky=sky_of(setup) if experiment.satellite.orbits is None else None,
        uav_links=uav_links_of(setup),
        schedule=schedule_of(setup),
    )


def _media(problem: Problem) -> tuple[tuple[Medium, ...], ...]:
    """Return the media of each request, cheapest first; none that costs more than to lose the key."""
    return tuple(map(_worth_buying, problem.requests))


def _worth_buying(request: Request) -> tuple[Medium, ...]:
    costs = {medium: unit_cost(request, medium) for medium in (Medium.UAV, Medium.SATELLITE)}
    most = request.on_demand.shortfall_cost
    return tuple(sorted((m for m, cost in costs.items() if cost <= most), key=costs.__getitem__))


def _key_managers(setup: Setup, retry_after_s: float) -> tuple[KeyManagerConfig, ...]:
    keys, topology = setup.experiment.keys, setup.topology
    applications: dict[str, list[Application]] = {node.name: [] for node in topology.nodes}
    neighbours: dict[str, set[str]] = {node.name: set() for node in topology.nodes}
    reported: dict[str, set[str]] = {node.name: set() for node in topology.nodes}
    for link in topology.links:
        neighbours[link.a].add(link.b)
        neighbours[link.b].add(link.a)
        reported[link.a].add(link.b)
    ending: dict[str, dict[int, int]] = {node.name: {} for node in topology.nodes}
    for index, (request, store) in enumerate(
        zip(requests_of(setup), stores_of(setup), strict=True)
    ):
        if store.beyond_units:
            ending[request.source][index] = ending[request.target][index] = store.beyond_units
        item = Application(index, request.id, request.application, request.target)
        applications[request.source].append(item)
    return tuple(
        KeyManagerConfig(
            node=node,
            neighbours=frozenset(neighbours[node]),
            reported=frozenset(reported[node]),
            applications=tuple(items),
            timeline=timeline_of(setup),
            unit_bits=keys.unit_bits,
            qber_limit=keys.qber_limit,
            retry_after_s=retry_after_s,
            lifetime_s=keys.lifetime_s,
            lifetime_periods=keys.lifetime_periods,
            bridging_units=ending[node],
            tells_kept=keys.is_kept_count_of,
        )
        for node, items in applications.items()
    )
