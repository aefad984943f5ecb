"""Rules about demand that an experiment must keep; each yields (field, what would be right)."""

from __future__ import annotations

from collections.abc import Callable

from emulator.build.demand import joint_of, requests_of, trace_of
from emulator.build.demand_files import DemandFileError
from emulator.build.demand_process import factors_of, mixture
from emulator.build.faults import Mistakes, without_place
from emulator.build.foresight import forecasters_of, least_period_s, past
from emulator.build.on_demand_prices import unit_prices_of
from emulator.build.setup import Setup
from emulator.config.demand_forecast import Forecast, Method
from global_manager.forecasting import ForecastError, History
from global_manager.provisioning import demand as laws

_LEAST_PAST = 60
MOST_MIXED = 2_000
"""Scenarios of a process, whose laws are mixed one by one."""
MOST_BY_HOUR = 100_000
"""Periods of a run whose reservations go by the hour."""
MOST_PAST_UNITS = 10_000_000
"""That are drawn one by one for the past of a forecast."""


def scenarios(setup: Setup) -> Mistakes:
    """Refuse laws of which the plan would see nothing."""
    demand = setup.experiment.demand
    for law in (demand.distribution, *demand.laws.values()):
        try:
            law.scenarios(demand.scenarios)
        except laws.DemandParameterError as error:  # all demand that was seen is cut off
            yield "demand.scenarios", f"must be {error.right}, not {error.value:g}"


def by_class(setup: Setup) -> Mistakes:
    """Refuse laws and hours of classes that no request has."""
    demand = setup.experiment.demand
    known = ", ".join(sorted(demand.kinds))
    for name in ("hours", "laws"):
        for kind in sorted(getattr(demand, name).keys() - demand.kinds):
            yield f"demand.{name}.{kind}", f"no request is of this class; there are {known}"


def drift(setup: Setup) -> Mistakes:
    """Refuse looks at demand where no single law could be found to have drifted."""
    demand = setup.experiment.demand
    if setup.experiment.plan.look_every_periods:
        for name in ("laws", "joint"):
            if getattr(demand, name):
                right = f"knows one law for all requests; leave it out, or demand.{name}"
                yield "plan.look_every_periods", right


def joint(setup: Setup) -> Mistakes:
    """Refuse joint futures that cannot be read, and what they would leave without effect."""
    demand = setup.experiment.demand
    if demand.joint is None:
        return
    for name in ("laws", "hours", "trace", "reduce_to"):
        if getattr(demand, name):
            yield (
                f"demand.{name}",
                "has no effect with joint futures; leave it out, or demand.joint",
            )
    yield from _readable("demand.joint", setup, joint_of)


def trace(setup: Setup) -> Mistakes:
    """Refuse a trace that cannot be read."""
    if setup.experiment.demand.trace is not None:
        yield from _readable("demand.trace", setup, trace_of)


def _readable(field: str, setup: Setup, read: Callable[[Setup], object]) -> Mistakes:
    try:
        read(setup)
    except DemandFileError as error:
        yield field, str(error)


def process(setup: Setup) -> Mistakes:
    """Refuse what does not go with a process of demand."""
    demand = setup.experiment.demand
    if demand.process is None:
        return
    if demand.distribution.moments is None:
        yield (
            "demand.process",
            "scales the mean of a law; counts as they were have none: use poisson or negative-binomial",
        )
        return
    for name in ("laws", "hours", "joint", "trace", "reduce_to"):
        if getattr(demand, name):
            yield f"demand.{name}", "does not go with demand.process; leave one of them out"
    if demand.scenarios > MOST_MIXED:
        yield "demand.scenarios", f"must be at most {MOST_MIXED:,} with demand.process"
        return
    try:
        mixture(demand.distribution, factors_of(setup), demand.scenarios)
    except laws.DemandError as error:
        yield "demand.process", str(error)


def forecast(setup: Setup) -> Mistakes:
    """Refuse what does not go with a forecast, and one that cannot be fitted."""
    demand, asked = setup.experiment.demand, setup.experiment.demand.forecast
    if asked is None:
        return
    field = "demand.forecast"
    if asked.seen is None and demand.process is None:
        yield f"{field}.history", "name a CSV file of what was seen, or give demand.process"
        return
    moments = demand.distribution.moments
    if asked.seen is None and moments and moments[0] * asked.past_periods > MOST_PAST_UNITS:
        right = f"must be at most {int(MOST_PAST_UNITS / moments[0]):,} where so much is demanded"
        yield f"{field}.past_periods", right
        return
    if asked.method.needs_seasons and not asked.seasons:
        yield f"{field}.seasons", f"method {asked.method.value} needs at least one, such as [24]"
        return
    for name in ("laws", "hours", "joint", "reduce_to"):
        if getattr(demand, name):
            yield f"demand.{name}", "does not go with demand.forecast; leave one of them out"
    if setup.experiment.plan.look_every_periods:
        yield "plan.look_every_periods", "a forecast watches every period; leave it at 0"
    if demand.period_s < least_period_s(setup):
        right = f"must be at least {least_period_s(setup):g} with demand.forecast"
        yield "demand.period_s", f"{right}, or a new plan comes too late for the next period"
    yield from _fit(asked, History(past(setup, asked)))


def _fit(asked: Forecast, history: History) -> Mistakes:
    """Refuse a history that the forecast cannot be fitted to; `best` leaves out what cannot."""
    if len(history.units) < _LEAST_PAST:
        problem = f"has {len(history.units)} periods; a forecast needs at least {_LEAST_PAST}"
        yield "demand.forecast.history", problem
        return
    try:
        if asked.method is not Method.BEST:
            forecasters_of(asked)[0].fit(history)
    except ForecastError as error:
        yield "demand.forecast.method", str(error)


def price_of_lost_key(setup: Setup) -> Mistakes:
    """Refuse a price below that of a UAV, which would have the run buy nothing and call it cheap."""
    given, field = setup.experiment.demand.shortfall_cost, "demand.shortfall_cost"
    names = {node.name for node in setup.topology.nodes}
    if given is None or any({item.source, item.target} - names for item in requests_of(setup)):
        return  # an unknown end is told elsewhere
    if setup.experiment.uav.goes_by_distance and without_place(setup.topology):
        return  # and so is a node without a place
    least: dict[str, int] = {}
    for item, price in zip(requests_of(setup), unit_prices_of(setup), strict=True):
        least[item.application] = max(least.get(item.application, 0), price.uav)
    for name in sorted(given.keys() - least.keys()) if isinstance(given, dict) else ():
        known = ", ".join(sorted(least))
        yield f"{field}.{name}", f"no request is of this class; there are {known}"
    for name, dearest in least.items():
        lost = given.get(name, dearest) if isinstance(given, dict) else given
        if lost < dearest:
            where = f"{field}.{name}" if isinstance(given, dict) else field
            right = f"must be at least {dearest:,}, the dearest unit by UAV of class {name}"
            yield where, f"{right}, not {lost:,}"


def by_hour(setup: Setup) -> Mistakes:
    """Refuse what does not go with reservations by the hour."""
    demand, plan = setup.experiment.demand, setup.experiment.plan
    if not plan.by_hour:
        return
    if demand.forecast is not None:
        yield "demand.forecast", "makes plans of its own; leave it out, or plan.by_hour"
    if plan.look_every_periods:
        yield "plan.look_every_periods", "cannot tell a drift from an hour; leave it out"
    if demand.periods > MOST_BY_HOUR:
        yield "demand.periods", f"must be at most {MOST_BY_HOUR:,} with plan.by_hour"
    if demand.period_s < least_period_s(setup):
        right = f"must be at least {least_period_s(setup):g} with plan.by_hour"
        yield "demand.period_s", f"{right}, or a change comes too late for the next period"


def hours(setup: Setup) -> Mistakes:
    """Refuse what does not go with demand that follows the hours of the day."""
    demand, plan = setup.experiment.demand, setup.experiment.plan
    if not demand.hours:
        return
    if any(demand.law(kind).empirical is not None for kind in demand.hours):
        yield (
            "demand.hours",
            "scale the mean of a law; with what was seen as it was there is none: fit it, or use poisson",
        )
    without = "leave it out, or demand.hours"
    for kind, day in demand.hours.items():
        for factor in sorted(set(day)):
            try:
                demand.law(kind).scaled(factor).scenarios(demand.scenarios)
            except laws.DemandError as error:
                yield f"demand.hours.{kind}", f"with factor {factor:g}: {error}"
            except ValueError:
                break  # told above
    if demand.reduce_to is not None:
        yield "demand.reduce_to", f"would reduce every hour's law apart; {without}"
    if plan.look_every_periods:
        yield "plan.look_every_periods", f"cannot tell a drift from the time of day; {without}"
