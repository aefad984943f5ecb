"""The provisioning problem of an experiment: what is demanded, what it costs, and what all requests share.

*Limits* are what all requests together can buy on demand in a period, the same for the plan and for the
run.  A plan with limits is priced on joint futures (`futures`).
"""

from __future__ import annotations

from math import ceil

from emulator.build.demand import (
    joint_of,
    requests_of,
    scenarios_of,
    with_marginals,
)
from emulator.build.free_space import unserved_by_uav, usable_share_of
from emulator.build.futures import with_futures
from emulator.build.on_demand_prices import prices_of, unit_prices_of
from emulator.build.quantum_links import Unused, usage_of
from emulator.build.setup import Setup, part
from emulator.config.experiment import Capacity, Experiment
from emulator.config.uavs import Fleet
from global_manager.provisioning.model import (
    Fiber,
    OnDemand,
    Pools,
    Problem,
    Request,
)
from global_manager.provisioning.routing import fiber_graph, has_path


@part
def problem_of(setup: Setup) -> Problem:
    """Return the provisioning problem of an experiment.

    Links that do not bring a key per wavelength and period are left out.  With orbits, how often a
    satellite is usable for a request is estimated from the emulated world, over the starts of all
    periods; storms, fogs and forced skies of the schedule are not foreseen.
    """
    experiment, network = setup.experiment, setup.experiment.network
    prices = prices_of(experiment)
    problem = Problem(
        nodes=tuple(node.name for node in setup.topology.nodes),
        fibers=tuple(
            Fiber(item.link.a, item.link.b, item.unit_cost(prices), network.wavelengths)
            for item in usage_of(setup).used
        ),
        requests=with_marginals(setup, _priced_requests(setup)),
        scenarios=scenarios_of(setup),
        directed_capacity=network.capacity is Capacity.PER_DIRECTION,
        pools=pools_of(experiment),
        correlation=experiment.demand.correlation,
        joint=joint_of(setup),
    )
    return with_futures(setup, problem)


@part
def unused_of(setup: Setup) -> Unused:
    """Return which links a plan leaves out, and which requests have no path, or no UAVs."""
    usage = usage_of(setup)
    names = (node.name for node in setup.topology.nodes)
    graph = fiber_graph(names, ((item.link.a, item.link.b, 1.0) for item in usage.used))
    apart = (
        item.id for item in requests_of(setup) if not has_path(graph, item.source, item.target)
    )
    unserved = unserved_by_uav(setup)
    without = (
        item.id
        for item in requests_of(setup)
        if (min(item.source, item.target), max(item.source, item.target)) in unserved
    )
    return Unused(usage.reasons, tuple(apart), tuple(without))


def pools_of(experiment: Experiment) -> Pools | None:
    """Return the shared limits of an experiment, or None if it has none.

    Where UAVs fly from a fleet at an assumed rate and no other limit is given, it is the fleet's.
    """
    limits, fleet = experiment.limits, experiment.uav.fleet
    if limits is None:
        return None
    uav_units = limits.uav_units
    if uav_units is None and fleet is not None and experiment.uav.rate == "assumed":
        uav_units = _fleet_units(fleet, experiment)
    return Pools(limits.satellite_units, uav_units)


def _priced_requests(setup: Setup) -> tuple[Request, ...]:
    share = usable_share_of(setup)
    return tuple(
        Request(
            id=item.id,
            application=item.application,
            source=item.source,
            target=item.target,
            on_demand=OnDemand(
                uav_cost=price.uav,
                satellite_cost=price.satellite,
                satellite_probability=share(item.source, item.target),
                shortfall_cost=price.shortfall,
            ),
        )
        for item, price in zip(requests_of(setup), unit_prices_of(setup), strict=True)
    )


def _fleet_units(fleet: Fleet, experiment: Experiment) -> int:
    """Return how many orders a fleet can fly in every period, at worst of one unit each.

    A UAV is away for both ways, a service and the turn-round; orders come when periods begin.
    """
    uav, demand = experiment.uav, experiment.demand
    service_s = demand.scenarios * experiment.keys.unit_bits / uav.skr_bps
    away_s = 2 * uav.setup_s + service_s + fleet.turn_s
    periods_away = max(1, ceil(away_s / demand.period_s))
    return fleet.uavs // fleet.uavs_per_order // periods_away
