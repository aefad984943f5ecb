"""Demand whose mean changes in time: the paths of processes, and what a plan knows of them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from itertools import pairwise
from math import exp, fsum, lgamma, log, sqrt
from pathlib import Path
from statistics import fmean, pvariance
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.assembly import assemble
from emulator.build.demand_process import factors_of, past_of
from emulator.build.loading import ExperimentError, read, write
from emulator.build.plan_report import basis_of
from emulator.build.problem import problem_of
from emulator.config.demand import Demand
from emulator.config.demand_forecast import Forecast
from emulator.world.demand_process import DemandProcess, count_quantile
from global_manager.provisioning.demand import mean_units

Write = Callable[..., Path]


def path_of(process: DemandProcess, seed: int = 1, first: int = 0) -> Callable[[int], float]:
    return process.path(lambda *question: random.Random(f"{seed}{question}").random(), first).factor


def factors(count: int = 8000, **fields: Any) -> list[float]:
    factor = path_of(DemandProcess(3.0, 3.0, **fields))
    return [factor(period) for period in range(count)]


def correlation(values: list[float], lag: int) -> float:
    mean = fmean(values)
    pairs = zip(values, values[lag:], strict=False)
    return fmean((a - mean) * (b - mean) for a, b in pairs) / pvariance(values)


def test_an_autoregressive_factor_has_its_mean_spread_and_correlation() -> None:
    found = factors(coefficient=0.8, deviation=0.5)
    logs = [log(item) for item in found]
    assert fmean(found) == pytest.approx(1.0, abs=0.06)
    assert sqrt(pvariance(logs)) == pytest.approx(0.5, abs=0.03)
    for lag in (1, 2, 4):
        assert correlation(logs, lag) == pytest.approx(0.8**lag, abs=0.06)


def test_regimes_stay_as_long_as_they_should_and_are_all_visited() -> None:
    found = factors(regimes=(0.5, 1.0, 1.5), stay=0.9)
    stays = fmean(a == b for a, b in pairwise(found))
    assert stays == pytest.approx(0.9, abs=0.015)
    assert [found.count(item) / len(found) for item in (0.5, 1.0, 1.5)] == pytest.approx(
        [1 / 3] * 3, abs=0.06
    )


def test_a_heavy_tail_has_mean_one_and_the_quantiles_of_its_law() -> None:
    found = sorted(factors(shape=2.5))
    for level in (0.5, 0.9, 0.99):
        expected = ((1 - level) ** (-1 / 2.5) - 1) * 1.5
        assert found[int(level * len(found))] == pytest.approx(expected, rel=0.12)


def test_seasons_and_trends_are_what_is_written_and_multiply() -> None:
    found = factors(10, season=(0.5, 1.5), end=2.0, periods=10)
    assert found == pytest.approx([s * (1 + t / 10) for t, s in enumerate([0.5, 1.5] * 5)])
    before = path_of(DemandProcess(3.0, 3.0, season=(0.5, 1.5), end=2.0, periods=10), first=-3)
    assert [before(period) for period in (-3, -2, -1, 0)] == [1.5, 0.5, 1.5, 0.5]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=10))
def test_a_path_is_the_same_in_whatever_order_it_is_asked(order: list[int]) -> None:
    process = DemandProcess(3, 3, coefficient=0.9, deviation=0.4, regimes=(0.5, 1.5), stay=0.8)
    whole = [path_of(process)(period) for period in range(61)]
    asked = path_of(process)
    assert [asked(period) for period in order] == [whole[period] for period in order]


@given(
    mean=st.floats(0.01, 40),
    excess=st.sampled_from([0.0, 0.5, 3.0]),
    uniform=st.floats(0, 0.999999),
)
def test_counts_are_quantiles_of_the_law(mean: float, excess: float, uniform: float) -> None:
    variance = mean * (1 + excess)

    def chance(k: int) -> float:
        if excess == 0:
            return exp(k * log(mean) - mean - lgamma(k + 1))
        r = mean / excess
        return exp(
            lgamma(k + r)
            - lgamma(r)
            - lgamma(k + 1)
            + r * log(1 / (1 + excess))
            + k * log(excess / (1 + excess))
        )

    found = count_quantile(mean, variance, uniform, 100_000)
    below = fsum(chance(k) for k in range(found))
    assert below <= uniform + 1e-9
    assert below + chance(found) > uniform - 1e-9


def test_great_means_have_the_right_median_and_spread() -> None:
    assert count_quantile(5000, 5000, 0.5, 100_000) == pytest.approx(5000, abs=1)
    assert count_quantile(5000, 5000, 0.975, 100_000) == pytest.approx(
        5000 + 1.96 * sqrt(5000), abs=3
    )
    assert count_quantile(5000, 5000, 0.5, 100) == 100


SEASON = {"season": [0.25, 1.0, 1.75, 1.0]}


def test_the_plan_sees_the_mixture_of_what_applications_draw(write_experiment: Write) -> None:
    setup = read(str(write_experiment(demand__process=SEASON, demand__scenarios=12)))
    expected = [0.25 * 1.5, 1.5, 1.75 * 1.5, 1.5]
    none = fmean(exp(-mean) for mean in expected)
    problem = problem_of(setup)
    assert problem.scenarios[0].probability == pytest.approx(none, rel=1e-3)
    assert mean_units(problem.scenarios) == pytest.approx(1.5, rel=1e-3)
    basis = basis_of(setup.experiment, problem)
    assert basis["process"] == SEASON | {"trend": 1.0}
    assert 0 < basis["tail_mass"] < 1e-3


def test_a_run_demands_what_its_process_says(write_experiment: Write) -> None:
    many = {"demand__periods": 2000, "demand__process": SEASON, "clock__window_s": 1}
    world = assemble(read(str(write_experiment(**many)))).world
    by_phase = [
        fmean(
            world.demanded_units(request, period)
            for period in range(phase, 2000, 4)
            for request in range(3)
        )
        for phase in range(4)
    ]
    for found, factor in zip(by_phase, SEASON["season"], strict=True):
        assert found == pytest.approx(1.5 * factor, abs=5 * sqrt(1.5 * factor / 1500))


def test_the_plan_does_not_know_the_path_of_the_run(write_experiment: Write) -> None:
    process = {"autoregressive": {"coefficient": 0.95, "deviation": 0.8}}
    setup = read(str(write_experiment(demand__process=process)))
    known = factors_of(setup)
    assert fmean(known) == pytest.approx(1.0, abs=0.15)
    assert max(known) > 2
    assert min(known) < 0.5


def test_the_past_is_drawn_from_the_seed_and_goes_on_into_the_run(write_experiment: Write) -> None:
    path = write_experiment(demand__process={"season": [0.0, 2.0]})
    experiment = read(str(path)).experiment
    seen = past_of(experiment, 101)
    assert seen == past_of(experiment, 101)
    assert all(units == 0 for units in seen[1::2])  # the last is of an odd period: of factor 2
    assert sum(seen[0::2]) > 100


def test_an_experiment_with_a_process_and_a_history_is_written_and_read_again(
    write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "past.csv").write_text("units\n" + "3\n0\n1\n" * 40)
    path = write_experiment(
        demand__process=SEASON, demand__forecast={"history": "past.csv", "method": "static"}
    )
    setup = read(str(path))
    folder = tmp_path / "written"
    folder.mkdir()
    again = read(str(write(setup, folder)))
    assert again.experiment.demand == setup.experiment.demand
    assert again.experiment.demand.forecast is not None
    assert again.experiment.demand.forecast.seen == [3, 0, 1] * 40
    assert problem_of(again).scenarios == problem_of(setup).scenarios


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"demand__process": {"season": [0.0, 0.0]}},
            "season: at least one factor must be positive",
        ),
        (
            {"demand__process": SEASON, "demand__distribution": {"empirical": {"counts": {1: 2}}}},
            "demand.process: scales the mean of a law",
        ),
        ({"demand__process": SEASON, "demand__reduce_to": 3}, "demand.reduce_to: does not go with"),
        (
            {
                "demand__process": SEASON,
                "faults": [{"kind": "demand-shift", "from_period": 2, "mean_units": 3}],
            },
            "leave it out, or demand.process",
        ),
        ({"demand__forecast": {"seasons": [24]}}, "demand.forecast.history: name a CSV file"),
        (
            {"demand__process": SEASON, "demand__forecast": {"method": "seasonal"}},
            "demand.forecast.seasons: method seasonal needs at least one",
        ),
        (
            {"demand__process": SEASON, "demand__forecast": {"seasons": [4, 6]}},
            "each must be a multiple of the one before",
        ),
        (
            {"demand__forecast": {"seen": [1, 2, 3]}},
            "demand.forecast.history: has 3 periods; a forecast needs at least 60",
        ),
        (
            {"demand__forecast": {"seen": [1] * 60, "method": "seasonal", "seasons": [40]}},
            "demand.forecast.method: seasonal-40: needs 80 periods, and there are 60",
        ),
        (
            {"demand__forecast": {"seen": [1] * 60}, "plan": {"look_every_periods": 2}},
            "plan.look_every_periods: a forecast watches every period",
        ),
        (
            {"demand__forecast": {"seen": [1] * 60}, "demand__period_s": 13},
            "demand.period_s: must be at least 14 with demand.forecast",
        ),
        ({"demand__forecast": {"history": "none.csv"}}, "demand.forecast.history: none.csv"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    write_experiment: Write, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ExperimentError) as error:
        read(str(write_experiment(**changes)))
    (line,) = str(error.value).splitlines()
    assert told in line


def test_what_the_page_writes_of_processes_and_forecasts_is_understood() -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yml\n(.*?)```", page, re.DOTALL)]
    demands = [block["demand"] for block in blocks if "demand" in block]
    process = next(demand for demand in demands if "process" in demand)
    forecast = next(demand for demand in demands if "forecast" in demand)
    read_process = Demand.model_validate(process | {"requests": {}}).process
    assert read_process is not None
    assert read_process.regimes is not None
    assert Demand.model_validate(forecast | {"requests": {}}).forecast == Forecast(
        history="past.csv"
    )
