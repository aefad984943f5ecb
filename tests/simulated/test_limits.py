"""Limits that plan and run share: what a run costs and loses is what its plan expects."""

from __future__ import annotations

from collections import Counter
from math import hypot, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from network import simulate
from test_loop import booked, changed

from emulator.build.futures import fresh_fields
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.config.experiment import Experiment, Limits
from emulator.config.uavs import Fleet
from global_manager.provisioning import solve
from protos.facts import FactKind

LIMITS, LOST = Limits(satellite_units=1, uav_units=2), 60_000
_99 = 2.576  # quantile of the normal distribution: outside once in a hundred


def limited(tiny: Experiment, *, correlated: bool, sky: str, periods: int) -> Experiment:
    whole = {"scenarios": 14}  # of so many units hardly anything is cut off for the plan
    demand = {"periods": periods, "correlated": correlated, "shortfall_cost": LOST} | whole
    experiment = changed(tiny, demand=demand, satellite={"sky": sky})
    return experiment.model_copy(update={"limits": LIMITS})


def by_period(setup: Setup, folder: Path) -> dict[str, Any]:
    """Return cost and losses of every period, and what was bought most."""
    book, assembly, _ = booked(setup, folder)
    lost, satellite, uav = Counter[int](), Counter[int](), Counter[int]()
    for row in book.rows:
        lost[row.period] += row.shortfall_units
        satellite[row.period] += row.satellite_units
        uav[row.period] += row.uav_units
    assert max(satellite.values()) == LIMITS.satellite_units
    assert max(uav.values()) == LIMITS.uav_units
    return {
        "problem": assembly.problem,
        "lost": [float(lost[period]) for period in range(book.periods)],
        "cost": book.cost_by_period(),
    }


def mean_and_error(values: list[float]) -> tuple[float, float]:
    return fmean(values), stdev(values) / sqrt(len(values))


def test_a_run_costs_and_loses_what_its_plan_expects_where_pools_bind(
    tiny: Setup, tmp_path: Path
) -> None:
    experiment = limited(tiny.experiment, correlated=True, sky="common", periods=1500)
    seen = by_period(tiny.with_experiment(experiment), tmp_path)
    plan = solve(seen["problem"], gap=1e-6)
    for name, expected in (("cost", plan.objective), ("lost", plan.expected_shortfall_units)):
        mean, error = mean_and_error(seen[name])
        assert abs(mean - expected) < _99 * error
        assert error < 0.15 * expected  # or the comparison would say little
    assert plan.gap < 1e-6


@pytest.mark.parametrize(("correlated", "sky"), [(False, "each-pair"), (True, "each-pair")])
def test_a_plan_over_drawn_futures_is_as_wrong_as_it_says(
    tiny: Setup, tmp_path: Path, correlated: bool, sky: str
) -> None:
    experiment = limited(tiny.experiment, correlated=correlated, sky=sky, periods=2400)
    setup = tiny.with_experiment(experiment)
    seen = by_period(setup, tmp_path)
    plan = solve(seen["problem"], gap=1e-6)
    fresh = fresh_fields(setup, seen["problem"], plan)["fresh"]
    mean, error = mean_and_error(seen["cost"])
    assert abs(mean - fresh["cost"]) < _99 * hypot(error, fresh["standard_error"])
    assert hypot(error, fresh["standard_error"]) < 0.03 * mean


def test_a_plan_with_limits_knows_the_hours_of_demand(tiny: Setup, tmp_path: Path) -> None:
    experiment = limited(tiny.experiment, correlated=False, sky="each-pair", periods=2400)
    day = [0.2] * 8 + [2.4] * 8 + [0.4] * 8
    demand = experiment.demand.model_copy(
        update={"hours": {"avatar": day, "digital-twin": day}, "period_s": 60.0}
    )
    setup = tiny.with_experiment(experiment.model_copy(update={"demand": demand}))
    seen = by_period(setup, tmp_path)
    plan = solve(seen["problem"], gap=1e-6)
    fresh = fresh_fields(setup, seen["problem"], plan)["fresh"]
    mean, error = mean_and_error(seen["cost"])
    assert abs(mean - fresh["cost"]) < _99 * hypot(error, fresh["standard_error"])
    assert hypot(error, fresh["standard_error"]) < 0.04 * mean


def test_orders_beyond_the_limits_are_not_even_sent_and_nothing_is_bought_twice(
    tiny: Setup,
) -> None:
    experiment = limited(tiny.experiment, correlated=True, sky="common", periods=60)
    network, _ = simulate(tiny.with_experiment(experiment), late=0.3, twice=0.3)
    bought, refused = Counter[tuple[int, str]](), 0
    for fact in network.all_facts():
        if fact.kind is FactKind.BOUGHT:
            bought[fact.period, fact.medium] += fact.units
        refused += fact.kind is FactKind.REFUSED and fact.medium == "uav"
    assert refused == 0
    assert max(n for (_, medium), n in bought.items() if medium == "satellite") == 1
    assert max(n for (_, medium), n in bought.items() if medium == "uav") == 2


def test_the_same_seed_draws_the_same_futures_and_another_seed_others(
    tiny: Setup,
) -> None:
    experiment = limited(tiny.experiment, correlated=False, sky="each-pair", periods=10)
    one, again = (problem_of(tiny.with_experiment(experiment)) for _ in range(2))
    other = problem_of(tiny.with_experiment(experiment.model_copy(update={"seed": 8})))
    assert one == again
    assert one.futures != other.futures
    assert len(one.futures) == experiment.limits.futures  # type: ignore[union-attr]
    for place in range(len(one.requests)):  # a Latin hypercube: as often as due, give or take one
        drawn = Counter(future.units[place] for future in one.futures)
        for scenario in one.scenarios:
            assert abs(drawn[scenario.units] - 100 * scenario.probability) <= 2


@pytest.mark.parametrize(
    ("uavs", "uavs_per_order", "turn_s", "leaving"),
    [(7, 2, 8, 7), (7, 1, 12, 3), (9, 2, 12, 4), (1, 2, 1, 1)],
)
def test_a_fleet_limits_the_plan_as_it_limits_the_run(
    tiny: Setup, uavs: int, uavs_per_order: int, turn_s: float, leaving: int
) -> None:
    # a UAV is away for 10 s and its turn-round: periods last 20 s
    fleet = Fleet(uavs=uavs, uavs_per_order=uavs_per_order, turn_s=turn_s)
    limits = LIMITS.model_copy(update={"uav_units": None, "satellite_units": 0})
    sections = {"demand": {"correlated": True, "periods": 40}, "uav": {"fleet": fleet}}
    experiment = changed(tiny.experiment, **sections).model_copy(update={"limits": limits})
    network, assembly = simulate(tiny.with_experiment(experiment))
    problem = assembly.problem
    assert problem.pools is not None
    assert (problem.pools.uav_units, problem.pools.uavs) == (None, leaving)
    assert {request.on_demand.uavs for request in problem.requests} == {uavs_per_order}
    orders = Counter(fact.period for fact in network.all_facts() if fact.kind is FactKind.BOUGHT)
    units = leaving // uavs_per_order
    assert max(orders.values(), default=0) == units
    kinds = Counter(fact.kind for fact in network.all_facts())
    assert kinds[FactKind.REFUSED] == 0
    assert (kinds[FactKind.BOUGHT] > 0) == (units > 0)
