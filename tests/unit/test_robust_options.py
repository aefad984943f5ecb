"""`plan.risk` of measure wasserstein: what is planned for, told and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import emulator as qsagin_api
from emulator.build.loading import ExperimentError, read
from emulator.build.plan_report import basis_of, sentences
from emulator.build.problem import problem_of
from emulator.results.audit import audit
from global_manager.provisioning import solve
from global_manager.provisioning.model import Ball

Write = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]
NEAR = {"measure": "wasserstein", "radius_units": 0.5}


def test_every_request_has_the_ball_of_its_class(write_experiment: Write) -> None:
    risk = NEAR | {"radius_units": {"avatar": 0.25, "ai-model": 2}, "most_units": 7}
    problem = problem_of(read(str(write_experiment(plan__risk=risk))))
    balls = {item.application: item.ball for item in problem.requests}
    assert balls == {"avatar": Ball(0.25, 7), "ai-model": Ball(2, 7), "digital-twin": None}
    assert problem.risk is None
    assert not problem.futures


def test_by_default_no_law_exceeds_the_scenarios(write_experiment: Write) -> None:
    problem = problem_of(read(str(write_experiment(plan__risk=NEAR))))
    assert {item.ball for item in problem.requests} == {Ball(0.5, 4)}


def test_with_no_radius_the_plan_is_the_one_without_a_risk(write_experiment: Write) -> None:
    without = solve(problem_of(read(str(write_experiment()))))
    found = solve(problem_of(read(str(write_experiment(plan__risk=NEAR | {"radius_units": 0})))))
    assert found.allocations == without.allocations
    assert found.worst_case_cost == pytest.approx(without.objective)


def test_commands_tell_mean_and_worst_case(
    write_experiment: Write, qsagin: Call, tmp_path: Path
) -> None:
    path = str(write_experiment(plan__risk=NEAR))
    status, out, err = qsagin("plan", path, "--json")
    assert status == 0, err
    told = json.loads(out)
    assert told["objective"] == told["worst_case_cost"] >= told["expected_cost"]
    mean = told["first_stage_cost"] + told["expected_recourse_cost"]
    assert told["expected_cost"] == pytest.approx(mean)
    risk = told["risk"]
    assert (risk["radius_units"], risk["most_units"]) == (0.5, 4)
    assert (risk["mean"], risk["worst_case"]) == (told["expected_cost"], told["objective"])
    for row in risk["classes"]:
        assert row["worst_case_mean_units"] == pytest.approx(row["mean_units"] + 0.5)
    status, out, err = qsagin("plan", path)
    assert status == 0, err
    assert "Wasserstein distance of 0.5 units, of at most 4 units" in out
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(told), encoding="utf-8")
    status, out, err = qsagin("evaluate", path, str(plan), "--json")
    assert status == 0, err
    priced = json.loads(out)
    for name in ("objective", "worst_case_cost", "expected_cost", "lower_bound"):
        assert priced[name] == pytest.approx(told[name])
    status, out, err = qsagin("plan", path, "--import", str(plan), "--json")
    assert status == 0, err
    assert json.loads(out)["worst_case_cost"] == pytest.approx(told["worst_case_cost"])


def test_compare_tells_worst_cases(write_experiment: Write, qsagin: Call) -> None:
    status, out, err = qsagin("compare", str(write_experiment(plan__risk=NEAR)), "--json")
    assert status == 0, err
    told = json.loads(out)
    rows = {row["policy"]: row for row in told["rows"]}
    assert "deterministic" not in rows
    values = told["values"][0]
    assert values["RP"] == rows["stochastic"]["worst_case_cost"]
    assert values["EEV"] == rows["expected-value"]["worst_case_cost"]
    assert all(row["worst_case_cost"] >= row["total_cost"] for row in rows.values())


def test_a_run_expects_the_mean_and_its_audit_adds_up(
    write_experiment: Write, tmp_path: Path
) -> None:
    risk = NEAR | {"radius_units": 2.0}
    path = write_experiment(plan__risk=risk, demand__periods=4)
    run = qsagin_api.load(path).run(out=tmp_path / "run")
    plan = run.summary["plan"]
    assert run.summary["cost_per_period"]["planned"] == pytest.approx(plan["expected_cost"])
    assert plan["objective"] == plan["worst_case_cost"]
    assert run.summary["basis"]["risk"] == risk | {"most_units": 4}
    assert audit(tmp_path / "run").ok


def test_a_basis_says_what_is_minimised(write_experiment: Write) -> None:
    risk = NEAR | {"radius_units": {"avatar": 0.25}}
    setup = read(str(write_experiment(plan__risk=risk)))
    told = " ".join(sentences(basis_of(setup.experiment, problem_of(setup))))
    assert "0.25 units for avatar" in told


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"plan__risk": {"measure": "wasserstein"}}, "plan.risk.radius_units"),
        ({"plan__risk": NEAR | {"radius_units": -1}}, "plan.risk.radius_units"),
        ({"plan__risk": NEAR | {"radius_units": "far"}}, "plan.risk.radius_units"),
        ({"plan__risk": NEAR | {"radius_units": {"nobody": 1}}}, "plan.risk.radius_units.nobody"),
        ({"plan__risk": NEAR | {"radius_units": {"avatar": -1}}}, "plan.risk.radius_units.avatar"),
        ({"plan__risk": NEAR | {"most_units": 3}}, "plan.risk.most_units"),
        ({"plan__risk": NEAR | {"most_units": 100_001}}, "plan.risk.most_units"),
        ({"plan__risk": NEAR | {"level": 0.9}}, "plan.risk.level"),
        ({"plan__risk": {"radius_units": 1}}, "plan.risk.radius_units"),
        ({"plan__risk": NEAR, "limits": {"satellite_units": 3}}, "limits"),
        ({"plan__risk": NEAR, "uav__fleet": {"uavs": 4}}, "uav.fleet"),
        ({"plan__risk": NEAR, "plan__by_hour": True}, "plan.by_hour"),
        ({"plan__risk": NEAR, "plan__policy": "deterministic"}, "plan.policy"),
        ({"plan__risk": NEAR, "keys__store_units": 3}, "keys.store_units"),
        ({"plan__risk": 7}, "plan.risk"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    write_experiment: Write, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(str(write_experiment(**changes)))
    assert field in [mistake.field for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--export", "p.cor"), "no list of futures"), (("--policy", "deterministic"), "plan.risk")],
)
def test_what_commands_cannot_do_is_a_line(
    write_experiment: Write,
    qsagin: Call,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, str],
    words: str,
) -> None:
    path = write_experiment(plan__risk=NEAR)
    monkeypatch.chdir(path.parent)
    status, _, err = qsagin("plan", str(path), *arguments)
    assert status == 2
    assert words in err.splitlines()[-1]
