"""Which joint futures the plan of an experiment with shared limits is priced on.

Where one draw of demand and one sky serve all requests, every demand and sky is listed and nothing is
left to chance.  Elsewhere futures are drawn: demand from its scenarios, and the sky as the world has it:
from orbits, night and clouds at the start of a period of the run chosen at random, or by a draw for each
pair of nodes.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from emulator.experiment.config import Experiment
from emulator.world.satellite_links import SatelliteLinks
from global_manager.provisioning.model import Plan, Problem
from global_manager.provisioning.scenario_sampling import (
    Skies,
    Stream,
    fresh_cost,
    with_futures_drawn,
)
from global_manager.provisioning.shared_recourse import has_pools
from protos.core import Timeline

_FRESH = 2000


def with_futures(
    experiment: Experiment, problem: Problem, overhead: SatelliteLinks | None, timeline: Timeline
) -> Problem:
    """Return the problem with joint futures, if its limits need any."""
    if experiment.limits is None or not has_pools(problem) or _can_be_listed(experiment, problem):
        return problem
    skies = (
        _assumed_skies(experiment, problem)
        if overhead is None
        else _computed_skies(overhead, problem, timeline)
    )
    return with_futures_drawn(problem, skies, experiment.limits.futures, experiment.seed)


def fresh_fields(experiment: Experiment, problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return what a plan costs on futures drawn afresh; nothing if its own are not drawn.

    Computed skies are drawn again from those of its own futures, assumed ones afresh.
    """
    if not problem.futures:
        return {}
    skies = _assumed_skies(experiment, problem)
    if experiment.satellite.orbits is not None:
        skies = _skies_again(problem)
    return {"fresh": asdict(fresh_cost(problem, plan, skies, _FRESH, experiment.seed))}


def _can_be_listed(experiment: Experiment, problem: Problem) -> bool:
    satellite = experiment.satellite
    chances = {request.on_demand.satellite_probability for request in problem.requests}
    is_common = satellite.orbits is None and satellite.sky == "common"
    one_sky = len(chances) <= 1 and (is_common or chances <= {0.0, 1.0})
    return problem.correlated and not problem.has_own_demands and one_sky


def _assumed_skies(experiment: Experiment, problem: Problem) -> Skies:
    """Return draws for each pair of nodes, or for all, as the world makes them."""
    satellite, pairs = experiment.satellite, _pairs(problem)

    def draw(stream: Stream) -> tuple[bool, ...]:
        if satellite.sky == "common":
            return (bool(stream.random() < satellite.probability),) * len(pairs)
        usable = {
            pair: bool(stream.random() < satellite.probability) for pair in sorted(set(pairs))
        }
        return tuple(usable[pair] for pair in pairs)

    return draw


def _computed_skies(overhead: SatelliteLinks, problem: Problem, timeline: Timeline) -> Skies:
    """Return the skies over periods of the run."""
    pairs = _pairs(problem)

    @cache
    def usable(a: str, b: str, period: int) -> bool:
        return overhead.share_of(a, b, [timeline.begins_s(period)]) > 0

    def draw(stream: Stream) -> tuple[bool, ...]:
        period = int(stream.integers(timeline.periods))
        return tuple(usable(a, b, period) for a, b in pairs)

    return draw


def _skies_again(problem: Problem) -> Skies:
    patterns = [future.usable for future in problem.futures]
    return lambda stream: patterns[int(stream.integers(len(patterns)))]


def _pairs(problem: Problem) -> list[tuple[str, str]]:
    ends = (sorted((request.source, request.target)) for request in problem.requests)
    return [(first, second) for first, second in ends]
