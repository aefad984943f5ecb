"""The provisioning problem of an experiment: what is demanded, what it costs, and what all requests share.

*Limits* are what all requests together can buy on demand in a period, the same for the plan and for the
run. A plan with limits is priced on *joint futures*.  Where one draw of demand and one sky serve all
requests, every demand and sky is listed and nothing is left to chance.  Elsewhere futures are drawn:
demand from its scenarios, and the sky as the world has it: from orbits, night and clouds at the start of
a period of the run chosen at random, or by a draw for each pair of nodes.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from math import ceil, sqrt
from statistics import fmean, stdev
from typing import Any

from emulator.build.demand import joint_of, requests_of, scenarios_of, with_marginals
from emulator.build.environment import timeline_of
from emulator.build.free_space import foreseen_satellites_of, usable_share_of
from emulator.build.on_demand_prices import prices_of, unit_prices_of
from emulator.build.quantum_links import Unused, usage_of
from emulator.build.setup import Setup, part
from emulator.config.experiment import Capacity, Experiment
from emulator.config.uavs import Fleet
from emulator.world.distributions import student_t_quantile
from emulator.world.satellite_links import SatelliteLinks
from global_manager.provisioning.model import (
    Fiber,
    OnDemand,
    Plan,
    Pools,
    Problem,
    Request,
)
from global_manager.provisioning.replications import replicated_gaps
from global_manager.provisioning.routing import fiber_graph, has_path
from global_manager.provisioning.scenario_sampling import (
    Skies,
    Stream,
    fresh_cost,
    with_futures_drawn,
)
from global_manager.provisioning.shared_recourse import has_pools
from protos.core import Timeline

_FRESH = 2000
_REPLICATIONS = 8


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
    return _with_futures(setup, problem)


@part
def unused_of(setup: Setup) -> Unused:
    """Return which links a plan leaves out, and which requests that leaves without any path."""
    usage = usage_of(setup)
    names = (node.name for node in setup.topology.nodes)
    graph = fiber_graph(names, ((item.link.a, item.link.b, 1.0) for item in usage.used))
    apart = (
        item.id for item in requests_of(setup) if not has_path(graph, item.source, item.target)
    )
    return Unused(usage.reasons, tuple(apart))


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


def fresh_fields(experiment: Experiment, problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return what a plan costs on other futures, and its true gap; nothing if its own are not drawn.

    Computed skies are drawn again from those of its own futures, assumed ones afresh.
    """
    if not problem.futures:
        return {}
    skies = _assumed_skies(experiment, problem)
    if experiment.satellite.orbits is not None:
        skies = _skies_again(problem)
    fresh = fresh_cost(problem, plan, skies, _FRESH, experiment.seed)
    gaps = replicated_gaps(problem, plan, skies, _REPLICATIONS, experiment.seed)
    reach = student_t_quantile(0.9, len(gaps) - 1) * stdev(gaps) / sqrt(len(gaps))
    upper = fmean(gaps) + reach
    gap = {
        "replications": len(gaps),
        "futures": len(problem.futures),
        "mean": fmean(gaps),
        "upper_95": upper,
        "relative_upper_95": upper / fresh.cost if fresh.cost else 0.0,
    }
    return {"fresh": asdict(fresh), "true_gap": gap}


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


def _with_futures(setup: Setup, problem: Problem) -> Problem:
    """Return the problem with joint futures, if its limits need any."""
    experiment = setup.experiment
    if experiment.limits is None or not has_pools(problem) or _can_be_listed(experiment, problem):
        return problem
    satellites = foreseen_satellites_of(setup)
    skies = (
        _assumed_skies(experiment, problem)
        if satellites is None
        else _computed_skies(satellites, problem, timeline_of(setup))
    )
    return with_futures_drawn(problem, skies, experiment.limits.futures, experiment.seed)


def _can_be_listed(experiment: Experiment, problem: Problem) -> bool:
    satellite = experiment.satellite
    chances = {request.on_demand.satellite_probability for request in problem.requests}
    is_common = satellite.orbits is None and satellite.sky == "common"
    one_sky = len(chances) <= 1 and (is_common or chances <= {0.0, 1.0})
    return problem.correlated and not problem.has_own_demands and one_sky


def _assumed_skies(experiment: Experiment, problem: Problem) -> Skies:
    """Return draws for each pair of nodes, or for all, as the world makes them."""
    satellite, pairs = experiment.satellite, _pairs(problem)
    number = {name: index for index, name in enumerate(problem.nodes)}
    apart = sorted(set(pairs), key=lambda pair: (number[pair[0]], number[pair[1]]))

    def draw(stream: Stream) -> tuple[bool, ...]:
        if satellite.sky == "common":
            return (bool(stream.random() < satellite.probability),) * len(pairs)
        usable = {pair: bool(stream.random() < satellite.probability) for pair in apart}
        return tuple(usable[pair] for pair in pairs)

    return draw


def _computed_skies(satellites: SatelliteLinks, problem: Problem, timeline: Timeline) -> Skies:
    """Return the skies over periods of the run."""
    pairs = _pairs(problem)

    @cache
    def usable(a: str, b: str, period: int) -> bool:
        return satellites.share_of(a, b, [timeline.begins_s(period)]) > 0

    def draw(stream: Stream) -> tuple[bool, ...]:
        period = int(stream.integers(timeline.periods))
        return tuple(usable(a, b, period) for a, b in pairs)

    return draw


def _skies_again(problem: Problem) -> Skies:
    patterns = [future.usable for future in problem.futures]
    return lambda stream: patterns[int(stream.integers(len(patterns)))]


def _pairs(problem: Problem) -> list[tuple[str, str]]:
    """Return the ends of each request, the earlier node first."""
    number = {name: index for index, name in enumerate(problem.nodes)}
    ends = ((request.source, request.target) for request in problem.requests)
    return [(a, b) if number[a] <= number[b] else (b, a) for a, b in ends]
