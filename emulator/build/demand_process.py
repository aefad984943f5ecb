"""What a process of demand means for a plan, and what was seen of it before a run.

The plan knows the law of the process and not its path: it sees the mixture of the laws that a request has
over periods of the run, each of a path of its own, since what has a memory is stationary.  `past_of`
draws the history that a manager may have seen.
"""

from __future__ import annotations

from functools import partial
from math import fsum

import numpy as np

from emulator.build.setup import Setup, part
from emulator.config.demand import MOST_UNITS, Distribution
from emulator.config.experiment import Experiment
from emulator.world import keyed_random
from emulator.world.demand_process import DemandProcess
from global_manager.provisioning.demand import DemandParameterError
from global_manager.provisioning.model import Scenario

_PATHS, _MOST_FACTORS, _GROUPS = 200, 20_000, 200
_PLAN, _PAST = "demand-process-plan", "demand-process-past"
_LEAST_FACTOR = 1e-9


def process_of(experiment: Experiment) -> DemandProcess | None:
    """Return the process of demand, if there is one."""
    demand = experiment.demand
    found, moments = demand.process, demand.distribution.moments
    if found is None or moments is None:
        return None
    return DemandProcess(
        *moments,
        season=_of_mean_one(found.season or []),
        coefficient=found.autoregressive.coefficient if found.autoregressive else 0.0,
        deviation=found.autoregressive.deviation if found.autoregressive else 0.0,
        regimes=_of_mean_one(found.regimes.factors if found.regimes else []),
        stay=found.regimes.stay if found.regimes else 1.0,
        end=found.trend,
        periods=demand.periods,
        shape=found.tail_shape or 0.0,
    )


@part
def factors_of(setup: Setup) -> tuple[float, ...]:
    """Return what `drawn_factors` does, drawn once for a setup."""
    return drawn_factors(setup.experiment)


def drawn_factors(experiment: Experiment) -> tuple[float, ...]:
    """Return factors that are equally likely in a period of the run, as far as the plan knows.

    Drawn for periods spread evenly over the run, in equal groups by size, each with its mean.  None
    without a process.
    """
    process = process_of(experiment)
    if process is None:
        return ()
    periods = experiment.demand.periods
    count = min(periods * _PATHS, _MOST_FACTORS)
    found = [
        process.path(partial(_uniform, experiment.seed, _PLAN, number), period).factor(period)
        for number, period in enumerate(n * periods // count for n in range(count))
    ]
    groups = np.array_split(np.sort(np.array(found)), min(_GROUPS, len(found)))
    return tuple(float(group.mean()) for group in groups)


def under(law: Distribution, factor: float) -> Distribution:
    """Return a law under a factor of its mean, which stays within what an experiment may say."""
    mean = law.moments[0] if law.moments else 1.0
    return law.scaled(min(max(factor, _LEAST_FACTOR), MOST_UNITS / mean))


def mixture(law: Distribution, factors: tuple[float, ...], count: int) -> tuple[Scenario, ...]:
    """Return scenarios of 0 .. count-1 units of a law whose factor is any of these, renormalised."""
    parts: dict[int, list[float]] = {}
    for each in (under(law, factor) for factor in factors):
        kept = 1 - each.tail_mass(count)
        for item in each.scenarios(count):
            parts.setdefault(item.units, []).append(item.probability * kept)
    total = fsum(fsum(part) for part in parts.values())
    if total <= 0:
        raise DemandParameterError("scenarios", "greater: all demand is cut off", count)
    return tuple(Scenario(units, fsum(parts[units]) / total) for units in sorted(parts))


def tail_mass(law: Distribution, factors: tuple[float, ...], count: int) -> float:
    """Return the chance of `count` units or more, which `mixture` leaves out."""
    return fsum(under(law, factor).tail_mass(count) for factor in factors) / len(factors)


def past_of(experiment: Experiment, periods: int) -> tuple[int, ...]:
    """Return what one request needed in the periods before the run, the oldest first, as drawn.

    Seasons continue into the run; what else has a memory begins without one.  None without a process.
    """
    process = process_of(experiment)
    if process is None:
        return ()
    draw = partial(_uniform, experiment.seed, _PAST)
    path = process.path(draw, first=-periods)
    return tuple(
        process.units(path.factor(period), draw("units", period), MOST_UNITS)
        for period in range(-periods, 0)
    )


def _of_mean_one(factors: list[float]) -> tuple[float, ...]:
    return tuple(len(factors) * factor / fsum(factors) for factor in factors)


def _uniform(seed: int, *question: str | int) -> float:
    return keyed_random.number((seed, *question), person=b"qsagin-past")
