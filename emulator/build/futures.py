"""The joint futures on which a plan with limits is priced: whom the world can serve, and what is needed.

Where one draw of demand and one sky serve all requests, every demand and sky is listed and nothing is left
to chance.  Elsewhere futures are drawn: demand from its laws, and the sky as the world has it: from orbits,
night and clouds at the starts of periods spread over the run, or by a draw for each pair of nodes.  Where
demand follows the hours of the day, a future has the laws of the hour of its period.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache
from math import fsum, sqrt
from statistics import fmean, stdev
from typing import Any

import numpy as np

from emulator.build.demand import as_scenarios, plan_profile_of
from emulator.build.demand_process import factors_of, under
from emulator.build.environment import timeline_of
from emulator.build.free_space import flown_of, served_of
from emulator.build.setup import Setup
from emulator.config.experiment import Limits
from emulator.config.risk import RiskOptions
from emulator.world.distributions import student_t_quantile
from global_manager.provisioning.model import Plan, Problem, Risk, Scenario
from global_manager.provisioning.replications import replicated_gaps
from global_manager.provisioning.risk import cvar
from global_manager.provisioning.scenario_sampling import (
    FreshCost,
    Moment,
    Moments,
    Stream,
    costs_of_futures,
    fresh_cost,
    fresh_tail,
    with_futures_drawn,
)
from global_manager.provisioning.second_stage import joint_futures
from global_manager.provisioning.shared_recourse import has_pools

_FRESH = 2000
_FRESH_TAIL = 10_000
_REPLICATIONS = 8


def with_futures(setup: Setup, problem: Problem, periods: Sequence[int], seed: int) -> Problem:
    """Return the problem of some periods with joint futures, if its limits or its risk need any."""
    wanted = setup.experiment.plan.risk
    if isinstance(wanted, RiskOptions) and wanted.weight:
        risky = replace(problem, risk=Risk(wanted.level, wanted.weight))
        return with_risky_futures(setup, risky, periods, seed)
    limits = setup.experiment.limits or Limits()
    if not has_pools(problem) or _can_be_listed(setup, problem):
        return problem
    return with_futures_drawn(problem, _moments(setup, problem, periods), limits.futures, seed)


def with_risky_futures(
    setup: Setup, problem: Problem, periods: Sequence[int], seed: int
) -> Problem:
    """Return the problem with the futures over which a tail is priced: all, or as many as are drawn."""
    if _can_be_listed(setup, problem):
        return replace(problem, futures=joint_futures(problem))
    wanted = setup.experiment.plan.risk
    count = (wanted if isinstance(wanted, RiskOptions) else RiskOptions()).futures
    return with_futures_drawn(problem, _moments(setup, problem, periods), count, seed)


def fresh_fields(setup: Setup, problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return what a plan costs on other futures, and its true gap; nothing if its own are not drawn."""
    if not has_pools(problem) or not problem.futures:
        return {}
    moments, seed = _moments(setup, problem), setup.experiment.seed
    fresh = fresh_cost_of(setup, problem, plan)
    gaps = replicated_gaps(problem, plan, moments, _REPLICATIONS, seed)
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


def risk_fields(setup: Setup, problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return mean and CVaR of what a period costs under a plan; nothing if none is asked for.

    They are those of the futures that the plan was made for, and of others.
    """
    wanted = setup.experiment.plan.risk
    if not isinstance(wanted, RiskOptions):
        return {}
    seed, moments = setup.experiment.seed, _moments(setup, problem)
    periods = range(setup.experiment.demand.periods)
    risky = problem if problem.risk else with_risky_futures(setup, problem, periods, seed)
    costs, probability = costs_of_futures(risky, plan)
    fresh = fresh_tail(problem, plan, moments, _FRESH_TAIL, seed=seed, level=wanted.level)
    return {
        "risk": wanted.model_dump()
        | {
            "futures": len(risky.futures),
            "futures_drawn": not _can_be_listed(setup, problem),
            "mean": fsum(probability * costs),
            "cvar": cvar(costs, probability, wanted.level),
            "out_of_sample": asdict(fresh),
        }
    }


def fresh_cost_of(
    setup: Setup, problem: Problem, plan: Plan, periods: Sequence[int] | None = None
) -> FreshCost:
    """Return what a plan for drawn futures costs on others, of these periods or of all."""
    moments = _moments(setup, problem, periods)
    return fresh_cost(problem, plan, moments, _FRESH, setup.experiment.seed)


def _can_be_listed(setup: Setup, problem: Problem) -> bool:
    satellite = setup.experiment.satellite
    chances = {request.on_demand.satellite_probability for request in problem.requests}
    is_common = satellite.orbits is None and satellite.sky == "common"
    one_sky = len(chances) <= 1 and (is_common or chances <= {0.0, 1.0})
    is_plain = problem.correlated and not problem.has_own_demands
    return is_plain and one_sky and flown_of(setup) is None


def _moments(setup: Setup, problem: Problem, periods: Sequence[int] | None = None) -> Moments:
    """Return draws of what the world has at the starts of periods: sky, air, and the hour of demand."""
    timeline, profile = timeline_of(setup), plan_profile_of(setup)
    laws_of_factors = _laws_of_factors(setup, problem)
    pairs, sky, flown = _pairs(problem), _sky(setup, problem), flown_of(setup)

    def flies(period: int) -> tuple[bool, ...]:
        return () if flown is None else tuple(flown(a, b, period) for a, b in pairs)

    @cache
    def laws(period: int) -> tuple[tuple[Scenario, ...], ...]:
        if profile is None:
            return ()
        own = (profile.law(index, timeline.begins_s(period)) for index in range(len(pairs)))
        return tuple(
            problem.demand_of(request) if law is None else as_scenarios(law)
            for request, law in zip(problem.requests, own, strict=True)
        )

    def of_period(period: int, stream: Stream) -> Moment:
        if laws_of_factors:
            law = laws_of_factors[int(stream.integers(len(laws_of_factors)))]
            return Moment(sky(period, stream), (law,) * len(pairs), flies(period))
        return Moment(sky(period, stream), laws(period), flies(period))

    def draw(stream: Stream, n: int) -> list[Moment]:
        """Return moments of periods spread evenly over those there are."""
        among = range(timeline.periods) if periods is None else periods
        places = (np.arange(n) + stream.random(n)) / n * len(among)
        return [of_period(among[int(place)], stream) for place in stream.permutation(places)]

    return draw


def _laws_of_factors(setup: Setup, problem: Problem) -> list[tuple[Scenario, ...]]:
    """Return the equally likely laws of a process of demand; none where a forecast is planned for."""
    demand = setup.experiment.demand
    if demand.forecast or problem.correlated:
        return []
    factors = factors_of(setup)
    return [under(demand.distribution, factor).scenarios(demand.scenarios) for factor in factors]


def _sky(setup: Setup, problem: Problem) -> Callable[[int, Stream], tuple[bool, ...]]:
    """Return whom satellites can serve in a period: as computed, or by draws as the world makes them."""
    satellite, served = setup.experiment.satellite, served_of(setup)
    pairs = _pairs(problem)
    number = {name: index for index, name in enumerate(problem.nodes)}
    apart = sorted(set(pairs), key=lambda pair: (number[pair[0]], number[pair[1]]))

    def sky(period: int, stream: Stream) -> tuple[bool, ...]:
        if served is not None:
            return tuple(served(a, b, period) for a, b in pairs)
        if satellite.sky == "common":
            return (bool(stream.random() < satellite.probability),) * len(pairs)
        usable = {pair: bool(stream.random() < satellite.probability) for pair in apart}
        return tuple(usable[pair] for pair in pairs)

    return sky


def _pairs(problem: Problem) -> list[tuple[str, str]]:
    """Return the ends of each request, the earlier node first."""
    number = {name: index for index, name in enumerate(problem.nodes)}
    ends = ((request.source, request.target) for request in problem.requests)
    return [(a, b) if number[a] <= number[b] else (b, a) for a, b in ends]
