"""The provisioning problem of an experiment: what is demanded, what it costs, and what all requests share.

*Limits* are what all requests together can buy on demand in a period, the same for the plan and for the
run.  A plan with limits is priced on joint futures (`futures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from controllers.fleet import Fleet, FleetConfig
from emulator.build.demand import (
    joint_of,
    requests_of,
    scenarios_of,
    with_marginals,
)
from emulator.build.environment import timeline_of
from emulator.build.foresight import foresight_of
from emulator.build.free_space import (
    chains_of,
    fleet_of,
    flights_of,
    is_unserved_by_uav,
)
from emulator.build.futures import with_futures
from emulator.build.known_nearly import ball_of
from emulator.build.on_demand_prices import prices_of, unit_prices_of
from emulator.build.quantum_links import (
    Unused,
    block_sentences,
    units_per_wavelength,
    usage_of,
    wasted_share,
)
from emulator.build.service import with_levels
from emulator.build.setup import Setup, part
from emulator.build.skies import sky_in, with_skies
from emulator.build.stores import seen_through_stores, with_stores
from emulator.config.demand import RequestItem
from emulator.config.experiment import Capacity
from emulator.config.fiber import Wavelength
from emulator.world.weather import CLEAR_AIR_KM
from global_manager.provisioning.hourly import Hours
from global_manager.provisioning.model import (
    Fiber,
    OnDemand,
    Pools,
    Problem,
    Request,
    Scenario,
)
from global_manager.provisioning.routing import fiber_graph, parts_of

_HOUR_SEED = 10_007  # between the seeds of two hours' futures
MUCH_WASTED = 0.9
"""Of what links yield: a setting that wastes more is remarked on."""


@part
def problem_of(setup: Setup) -> Problem:
    """Return the provisioning problem of an experiment.

    Links that do not bring a key per wavelength and period are left out.  With orbits, how often a
    satellite is usable for a request is estimated from the emulated world, over the starts of all
    periods, and so is how often UAVs are grounded; storms, fogs and forced skies of the schedule are not
    foreseen.
    """
    return _problem(setup, range(setup.experiment.demand.periods), setup.experiment.seed)


@part
def hours_of(setup: Setup) -> Hours | None:
    """Return the problems of the hours of the day (UTC); None unless reservations go by the hour.

    A period belongs to the hour in which it begins.
    """
    options = setup.experiment.plan
    if not options.by_hour:
        return None
    by_hour = periods_by_hour(setup)
    number = {period: n for n, own in enumerate(by_hour) for period in own}
    return Hours(
        problems=tuple(
            _problem(setup, own, setup.experiment.seed + n * _HOUR_SEED)
            for n, own in enumerate(by_hour, 1)
        ),
        hour_of=tuple(number[period] for period in range(len(number))),
        change_cost=options.change_cost,
    )


def periods_by_hour(setup: Setup) -> list[list[int]]:
    """Return the periods that begin in each hour of the day (UTC), hours in the order of the run."""
    found: dict[int, list[int]] = {}
    for period in range(timeline_of(setup).periods):
        found.setdefault(utc_hour_of(setup, period), []).append(period)
    return list(found.values())


def utc_hour_of(setup: Setup, period: int) -> int:
    """Return the hour of the day (UTC) in which a period begins."""
    epoch = setup.experiment.epoch
    utc_s = epoch.hour * 3600 + epoch.minute * 60 + epoch.second
    return int((utc_s + timeline_of(setup).begins_s(period)) // 3600) % 24


def _problem(setup: Setup, periods: Sequence[int], seed: int) -> Problem:
    """Return the problem of some periods, its futures drawn from a seed."""
    experiment, network = setup.experiment, setup.experiment.network
    prices = prices_of(experiment)
    problem = Problem(
        nodes=tuple(node.name for node in setup.topology.nodes),
        fibers=tuple(
            Fiber(
                item.link.a,
                item.link.b,
                item.unit_cost(prices),
                network.wavelengths,
                units_per_wavelength(setup, item),
            )
            for item in usage_of(setup).used
        ),
        requests=_requests(setup, periods),
        scenarios=_planned_for(setup),
        directed_capacity=network.capacity is Capacity.PER_DIRECTION,
        pools=pools_of(setup),
        correlation=experiment.demand.correlation,
        joint=joint_of(setup),
    )
    return with_futures(setup, problem, periods, seed)


def _planned_for(setup: Setup) -> tuple[Scenario, ...]:
    """Return the scenarios of requests without a law of their own: as foreseen, if anything is."""
    foresight = foresight_of(setup)
    if foresight:
        return foresight.scenarios_of(foresight.forecast)
    return seen_through_stores(setup, scenarios_of(setup))


@part
def unused_of(setup: Setup) -> Unused:
    """Return which links a plan leaves out, and which requests have no path, or no UAVs."""
    usage = usage_of(setup)
    names = (node.name for node in setup.topology.nodes)
    part = parts_of(fiber_graph(names, ((item.link.a, item.link.b, 1.0) for item in usage.used)))
    apart = (item.id for item in requests_of(setup) if part[item.source] != part[item.target])
    without = (
        item.id
        for item in requests_of(setup)
        if is_unserved_by_uav(setup, item.source, item.target)
    )
    return Unused(usage.reasons, tuple(apart), tuple(without))


def remarks_of(setup: Setup) -> list[str]:
    """Say what is no mistake and may surprise all the same, a line each."""
    experiment = setup.experiment
    most_needed = experiment.demand.scenarios - 1
    share = wasted_share(setup, most_needed)
    if share <= MUCH_WASTED:
        return block_sentences(setup)
    if experiment.fiber.wavelength is Wavelength.UNIT:
        why = "a wavelength counts for one unit; with fiber.wavelength: key-rate it brings what it makes"
    else:
        why = f"no request needs more than {most_needed} units in a period"
    waste = f"{share:.1%} of the key that a wavelength of every link makes is of no use: {why}"
    return [waste, *block_sentences(setup)]


def pools_of(setup: Setup) -> Pools | None:
    """Return what requests share: `limits`, and the fleet of UAVs; None if there is neither.

    Without `limits`, a fleet that all requests together cannot spend is none either.
    """
    limits, fleet = setup.experiment.limits, fleet_of(setup)
    uavs = fleet.uavs // _periods_away(setup, fleet) if fleet else None
    if limits is not None:
        return Pools(limits.satellite_units, limits.uav_units, uavs)
    if uavs is None or sum(_uavs_of(setup, item) for item in requests_of(setup)) <= uavs:
        return None
    return Pools(None, None, uavs)


def _requests(setup: Setup, periods: Sequence[int]) -> tuple[Request, ...]:
    requests = with_marginals(setup, _priced_requests(setup, periods), periods)
    requests = with_levels(setup, requests, scenarios_of(setup))
    if setup.experiment.keys.matters_to_plan:
        return with_stores(setup, requests)
    pools = pools_of(setup)
    return requests if pools and pools.limited else with_skies(setup, requests, periods)


def _priced_requests(setup: Setup, periods: Sequence[int]) -> tuple[Request, ...]:
    over = sky_in(setup, periods)
    skies = (over(item.source, item.target) for item in requests_of(setup))
    return tuple(
        Request(
            id=item.id,
            application=item.application,
            source=item.source,
            target=item.target,
            on_demand=OnDemand(
                uav_cost=price.uav,
                satellite_cost=price.satellite,
                satellite_probability=sky.satellite,
                shortfall_cost=price.shortfall,
                uavs=_uavs_of(setup, item),
                grounded=sky.grounded,
            ),
            ball=ball_of(setup.experiment, item.application),
            keeping_cost=setup.experiment.keys.keeping_cost,
        )
        for item, price, sky in zip(requests_of(setup), unit_prices_of(setup), skies, strict=True)
    )


def _uavs_of(setup: Setup, item: RequestItem) -> int:
    """Return how many UAVs of a shared fleet an order takes: its chain, once a crew."""
    fleet, flights = fleet_of(setup), flights_of(setup)
    if fleet is None:
        return 1
    first, second = sorted((item.source, item.target))
    chain = flights.chains.get((first, second), flights.uavs_per_order)
    return Fleet(fleet).uavs_for(chain, _service_s(setup, item))


def _periods_away(setup: Setup, fleet: FleetConfig) -> int:
    """Return for how many periods a UAV is away: both ways, the longest service and the turn-round.

    Orders come when periods begin, and as many UAVs as may leave in one can leave in each.
    """
    service_s = max((_service_s(setup, item) for item in requests_of(setup)), default=0.0)
    away_s = 2 * fleet.deploy_s + service_s + fleet.turn_s
    return max(1, ceil(away_s / setup.experiment.demand.period_s))


def _service_s(setup: Setup, item: RequestItem) -> float:
    """Return how long the largest order that the plan expects is served, in clear air by night."""
    uav, chains = setup.experiment.uav, chains_of(setup)
    rate_bps = uav.skr_bps
    if chains is not None:
        rate_bps = chains.rate(item.source, item.target, CLEAR_AIR_KM, None).secret_bits
    most = max(scenario.units for scenario in scenarios_of(setup))
    return most * setup.experiment.keys.unit_bits / rate_bps if rate_bps > 0 else 0.0
