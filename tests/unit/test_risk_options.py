"""`plan.risk` of an experiment: what is planned for, told and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import fsum
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import emulator as qsagin_api
from emulator.build.futures import risk_fields, with_risky_futures
from emulator.build.loading import ExperimentError, read
from emulator.build.plan_report import basis_of, sentences
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.results.audit import audit
from global_manager.provisioning import Plan, solve
from global_manager.provisioning.model import Risk

Write = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]
COMMON = {"demand__correlated": True, "satellite__sky": "common"}


def setup_of(path: Path, seed: int | None = None) -> Setup:
    return read(str(path), seed)


def test_without_weight_the_plan_is_the_one_without_a_risk(write_experiment: Write) -> None:
    for changes in ({}, COMMON):
        without = problem_of(setup_of(write_experiment(**changes)))
        weightless = problem_of(setup_of(write_experiment(plan__risk={"weight": 0}, **changes)))
        assert weightless == without
        assert solve(weightless) == solve(without)


def test_futures_are_listed_where_one_demand_and_one_sky_serve_all(write_experiment: Write) -> None:
    problem = problem_of(setup_of(write_experiment(plan__risk={}, **COMMON)))
    assert problem.risk == Risk(0.95, 0.3)
    assert len(problem.futures) == 5 * 2
    assert fsum(future.probability for future in problem.futures) == pytest.approx(1)
    for scenario in problem.scenarios:
        same = [f.probability for f in problem.futures if f.units == (scenario.units,) * 3]
        assert fsum(same) == pytest.approx(scenario.probability)


def test_elsewhere_they_are_drawn_as_many_as_asked_for(write_experiment: Write) -> None:
    problem = problem_of(setup_of(write_experiment(plan__risk={"futures": 240})))
    assert len(problem.futures) == 240
    for place, request in enumerate(problem.requests):
        for scenario in problem.demand_of(request):
            share = fmean(future.units[place] == scenario.units for future in problem.futures)
            assert share == pytest.approx(scenario.probability, abs=2 / 240)


def costs_by_hand(setup: Setup, plan: Plan) -> list[tuple[float, float]]:
    """Cost and probability of every future where one demand and one sky serve all."""
    problem = problem_of(setup)
    held = {item.request: item.units for item in plan.allocations}
    found = []
    for scenario in problem.scenarios:
        for usable, chance in ((True, 0.5), (False, 0.5)):
            cost = float(plan.first_stage_cost)
            for request in problem.requests:
                offer = request.on_demand
                unit = min(offer.uav_cost, offer.satellite_cost) if usable else offer.uav_cost
                cost += unit * max(0, scenario.units - held.get(request.id, 0))
            found.append((cost, scenario.probability * chance))
    return found


def exact_tail(costs: list[tuple[float, float]], level: float) -> float:
    left, total = 1 - level, 0.0
    for cost, chance in sorted(costs, reverse=True):
        part = min(left, chance)
        left, total = left - part, total + part * cost
    return total / (1 - level)


def test_what_is_told_is_exact_on_listed_futures_and_near_it_on_fresh_ones(
    write_experiment: Write,
) -> None:
    path = write_experiment(plan__risk={"weight": 0.5, "level": 0.9}, **COMMON)
    ratios = []
    for seed in range(12):
        setup = setup_of(path, seed)
        problem = problem_of(setup)
        plan = solve(problem)
        told = risk_fields(setup, problem, plan)["risk"]
        costs = costs_by_hand(setup, plan)
        tail = exact_tail(costs, 0.9)
        assert told["cvar"] == plan.cvar == pytest.approx(tail)
        mean = fsum(cost * chance for cost, chance in costs)
        assert told["mean"] == pytest.approx(mean)
        assert plan.objective == pytest.approx(0.5 * mean + 0.5 * tail)
        fresh = told["out_of_sample"]
        assert not told["futures_drawn"]
        assert fresh["mean"] == pytest.approx(mean, abs=5 * fresh["mean_standard_error"])
        ratios.append((fresh["cvar"] - tail) / fresh["standard_error"])
    assert fmean(ratio**2 for ratio in ratios) < 3  # 1 if the standard error is what it says
    assert max(map(abs, ratios)) < 4


def test_out_of_sample_the_tail_is_cheaper_than_without_a_risk(write_experiment: Write) -> None:
    found = {}
    for weight in (0, 0.5):
        setup = setup_of(write_experiment(plan__risk={"weight": weight}))
        problem = problem_of(setup)
        found[weight] = risk_fields(setup, problem, solve(problem))["risk"]["out_of_sample"]
    before, after = found[0], found[0.5]
    errors = before["standard_error"] + after["standard_error"]
    assert after["cvar"] < before["cvar"] - 3 * errors
    assert after["mean"] > before["mean"]


def test_a_plan_without_weight_is_told_on_the_futures_it_would_have_had(
    write_experiment: Write,
) -> None:
    setup = setup_of(write_experiment(plan__risk={"weight": 0, "futures": 200}))
    problem = problem_of(setup)
    told = risk_fields(setup, problem, solve(problem))["risk"]
    futures = with_risky_futures(setup, problem, range(12), setup.experiment.seed).futures
    assert told["futures"] == len(futures) == 200
    assert not problem.futures


def test_commands_tell_mean_and_tail(write_experiment: Write, qsagin: Call) -> None:
    path = str(write_experiment(plan__risk={"weight": 0.4, "futures": 200}))
    status, out, err = qsagin("plan", path, "--json")
    assert status == 0, err
    told = json.loads(out)
    risk = told["risk"]
    assert (risk["measure"], risk["level"], risk["weight"]) == ("cvar", 0.95, 0.4)
    assert told["objective"] == pytest.approx(0.6 * risk["mean"] + 0.4 * risk["cvar"])
    assert told["expected_cost"] == pytest.approx(risk["mean"])
    assert told["cvar"] == risk["cvar"]
    assert risk["out_of_sample"]["futures"] == 10_000
    assert risk["out_of_sample"]["standard_error"] > 0
    status, out, err = qsagin("plan", path)
    assert status == 0, err
    assert "200 (drawn)" in out
    assert "10,000 fresh" in out
    status, out, err = qsagin("compare", path, "--json")
    assert status == 0, err
    for row in json.loads(out)["rows"]:
        assert row["objective"] == pytest.approx(0.6 * row["total_cost"] + 0.4 * row["cvar"])


def test_a_run_plans_with_the_risk_and_expects_the_mean(write_experiment: Write) -> None:
    risk = {"weight": 0.6, "futures": 200}
    run = qsagin_api.load(write_experiment(plan__risk=risk)).run()
    plan = run.summary["plan"]
    assert plan["objective"] == pytest.approx(0.4 * plan["expected_cost"] + 0.6 * plan["cvar"])
    assert run.summary["cost_per_period"]["planned"] == pytest.approx(plan["expected_cost"])
    assert run.summary["basis"]["risk"] == {"measure": "cvar", "level": 0.95} | risk


def test_a_run_that_loses_a_fiber_plans_again(write_experiment: Write) -> None:
    cut = [{"kind": "fiber-cut", "link": ["A", "B"], "at_s": 65, "until_s": 185}]
    run = qsagin_api.load(write_experiment(plan__risk={"futures": 200}, faults=cut)).run()
    assert run.summary["replans"]
    assert audit(run.folder).ok


def test_the_basis_says_what_is_minimised(write_experiment: Write) -> None:
    setup = setup_of(write_experiment(plan__risk={"futures": 200}))
    lines = list(sentences(basis_of(setup.experiment, problem_of(setup))))
    assert any("0.7 of the mean" in line and "200 joint futures" in line for line in lines)
    setup = setup_of(write_experiment(plan__risk={"weight": 0}))
    lines = list(sentences(basis_of(setup.experiment, problem_of(setup))))
    assert any("no weight" in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"limits": {"uav_units": 3}}, "limits"),
        ({"uav__fleet": {"uavs": 20, "endurance_s": 600}}, "uav.fleet"),
        ({"plan__look_every_periods": 2}, "plan.look_every_periods"),
        ({"plan__policy": "deterministic"}, "plan.policy"),
        ({"plan__risk": {"level": 0.99, "futures": 499}}, "plan.risk.futures"),
        ({"plan__risk": {"level": 1}}, "plan.risk.level"),
        ({"plan__risk": {"weight": 1.1}}, "plan.risk.weight"),
        ({"plan__risk": {"futures": 10_001}}, "plan.risk.futures"),
        ({"plan__risk": {"measure": "variance"}}, "plan.risk.measure"),
        ({"plan__risk": {"wieght": 1}}, "plan.risk.wieght"),
    ],
)
def test_what_does_not_go_with_a_risk_is_refused_in_one_line(
    write_experiment: Write, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        setup_of(write_experiment(**({"plan__risk": {}} | changes)))
    assert [item.field for item in caught.value.mistakes] == [field]
    assert "\n" not in caught.value.mistakes[0].message


def test_a_level_takes_just_enough_futures(write_experiment: Write) -> None:
    setup_of(write_experiment(plan__risk={"level": 0.99, "futures": 500}))
    setup_of(write_experiment(plan__risk={"level": 0, "futures": 10}))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--export", "p.cor"), "risk"),
        (("--export", "p.lp", "--formulation", "columns"), "risk"),
        (("--policy", "deterministic"), "deterministic weighs no risk"),
    ],
)
def test_what_a_command_cannot_do_with_a_risk_is_one_line(
    write_experiment: Write,
    qsagin: Call,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    complaint: str,
) -> None:
    path = write_experiment(plan__risk={"futures": 200})
    monkeypatch.chdir(path.parent)
    status, out, err = qsagin("plan", str(path), *words)
    assert (status, out) == (2, "")
    assert complaint in err.splitlines()[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {"demand__correlated": 0.4},
        {"demand__hours": {"avatar": [1.5] * 12 + [0.5] * 12}},
        {"demand__laws": {"avatar": {"poisson": {"mean_units": 0.7}}}},
        {"demand__process": {"regimes": {"factors": [0.4, 1.6], "stay": 0.9}}},
        {"fiber__wavelength": "key-rate"},
        {"network__capacity": "per-direction"},
    ],
)
def test_whatever_demand_is_a_plan_is_proven_and_priced(
    write_experiment: Write, changes: dict[str, Any]
) -> None:
    setup = setup_of(write_experiment(plan__risk={"weight": 0.5, "futures": 200}, **changes))
    problem = problem_of(setup)
    plan = solve(problem)
    assert len(problem.futures) == 200
    assert plan.gap <= 0.001
    assert plan.cvar is not None
    told = risk_fields(setup, problem, plan)["risk"]
    fresh = told["out_of_sample"]
    assert plan.objective == pytest.approx((told["mean"] + told["cvar"]) / 2)
    assert fresh["mean"] == pytest.approx(told["mean"], rel=0.1)
    assert fresh["cvar"] == pytest.approx(told["cvar"], rel=0.2)


def test_joint_futures_of_demand_are_drawn_from(write_experiment: Write) -> None:
    path = write_experiment(plan__risk={"futures": 200}, demand__joint="joint.csv")
    rows = ["scenario,probability,request,units"]
    for scenario, chance, units in (("calm", 0.9, 1), ("storm", 0.1, 4)):
        rows += [f"{scenario},{chance},{request},{units}" for request in ("r1", "r2", "r3")]
    (path.parent / "joint.csv").write_text("\n".join(rows) + "\n")
    problem = problem_of(setup_of(path))
    assert {future.units for future in problem.futures} == {(1, 1, 1), (4, 4, 4)}
    stormy = [future for future in problem.futures if future.units[0] == 4]
    assert len(stormy) / len(problem.futures) == pytest.approx(0.1, abs=0.01)
    mean = solve(replace(problem, risk=None, futures=()))
    careful = solve(replace(problem, risk=Risk(0.95, 1.0)))
    assert sum(a.units for a in careful.allocations) > sum(a.units for a in mean.allocations)
