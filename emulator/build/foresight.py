"""The forecast that an experiment asks for, fitted to what was seen before the run.

It is judged by the newsvendor quantile of the experiment's own prices.
"""

from __future__ import annotations

from statistics import fmean

from emulator.build.demand import requests_of
from emulator.build.demand_process import past_of
from emulator.build.environment import lead_windows
from emulator.build.on_demand_prices import prices_of, unit_prices_of
from emulator.build.quantum_links import usage_of
from emulator.build.setup import Setup, part
from emulator.build.skies import sky_over
from emulator.config.demand_forecast import Forecast, Method
from global_manager.forecasting import Forecaster, History, candidates, choose, named
from global_manager.forecasting.foresight import Foresight, worth
from global_manager.provisioning.routing import cheapest_paths_between, fiber_graph

_WINDOWS_TO_SERVE = 7
_LEAST_LEVEL, _MOST_LEVEL = 0.05, 0.99


@part
def foresight_of(setup: Setup) -> Foresight | None:
    """Return the forecast at the start of a run, if the experiment asks for one.  Raises ForecastError."""
    demand = setup.experiment.demand
    asked = demand.forecast
    if asked is None:
        return None
    history = History(past(setup, asked))
    forecasters = forecasters_of(asked)
    if len(forecasters) > 1:
        found, forecast = choose(
            history,
            forecasters,
            level_of(setup),
            ahead=1 + asked.revise_every_periods // 2,
        )
    else:
        found, forecast = forecasters[0], forecasters[0].fit(history)
    return Foresight(
        method=found.name,
        forecast=forecast,
        draws=worth(len(requests_of(setup)), demand.correlation),
        periods=asked.revise_every_periods,
        scenarios=demand.scenarios,
        least_saving=asked.least_saving,
    )


def least_period_s(setup: Setup) -> float:
    """Return how long a period must be for a plan made at its beginning to serve the next.

    It is made two windows after that and set up four windows later; the keys of the next period are made in
    an epoch that ends `lead_windows` before it (docs/design.md, section 3).
    """
    return (lead_windows(setup.topology) + _WINDOWS_TO_SERVE) * setup.experiment.clock.window_s


def past(setup: Setup, asked: Forecast) -> tuple[int, ...]:
    """Return what was seen before the run, or drawn from the process of demand."""
    if asked.seen is not None:
        return tuple(asked.seen)
    return past_of(setup.experiment, asked.past_periods)


def forecasters_of(asked: Forecast) -> tuple[Forecaster, ...]:
    """Return the forecasters to choose from."""
    seasons = tuple(asked.seasons)
    if asked.method is Method.BEST:
        return candidates(seasons)
    return (named(asked.method.value, seasons),)


def level_of(setup: Setup) -> float:
    """Return the quantile that is worth holding, 1 - reserved / on demand, as the mean over requests.

    Reserved is the cheapest path, on demand the cheaper usable medium; those without a path do not count.
    """
    prices = prices_of(setup.experiment)
    names = (node.name for node in setup.topology.nodes)
    used = ((i.link.a, i.link.b, float(i.unit_cost(prices))) for i in usage_of(setup).used)
    items = requests_of(setup)
    pairs = [(item.source, item.target) for item in items]
    paths = cheapest_paths_between(fiber_graph(names, used), pairs)
    sky, levels = sky_over(setup), []
    for pair, price in zip(pairs, unit_prices_of(setup), strict=True):
        dearest = min(price.uav, price.shortfall)
        chance = sky(*pair).satellite
        bought = chance * min(price.satellite, dearest) + (1 - chance) * dearest
        if pair in paths and bought > 0:
            levels.append(1 - paths[pair][0] / bought)
    level = fmean(levels) if levels else 0.5
    return min(_MOST_LEVEL, max(_LEAST_LEVEL, level))
