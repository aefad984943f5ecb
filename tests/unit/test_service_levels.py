"""`plan.service_levels` of an experiment: what is reserved, told and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import emulator as qsagin_api
from emulator.build.loading import ExperimentError, read
from emulator.build.problem import problem_of
from emulator.results.audit import audit
from global_manager.provisioning import solve

Write = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]
LEVELS = {"avatar": 0.95, "ai-model": 0.8}


def test_every_class_has_the_quantile_of_its_law(write_experiment: Write) -> None:
    laws = {"ai-model": {"empirical": {"counts": {0: 7, 1: 1, 4: 2}}}}
    problem = problem_of(
        read(str(write_experiment(plan__service_levels=LEVELS, demand__laws=laws)))
    )
    least = {item.application: item.least_units for item in problem.requests}
    # Poisson of mean 1.5 up to 4 units: P(d <= 2) = .824, P(d <= 3) = .952
    assert least == {"avatar": 3, "ai-model": 1, "digital-twin": 0}
    held = {item.request: item.units for item in solve(problem).allocations}
    assert all(held[item.id] >= item.least_units for item in problem.requests)


def test_a_wavelength_may_bring_more_than_a_unit(write_experiment: Write) -> None:
    path = write_experiment(plan__service_levels={"avatar": 0.99}, fiber__wavelength="key-rate")
    problem = problem_of(read(str(path)))
    plan = solve(problem)
    (own,) = (a for a, r in zip(plan.allocations, problem.requests, strict=True) if r.least_units)
    assert own.units >= 4
    assert len(own.wavelengths) < own.units


def test_commands_tell_what_is_reached_and_what_it_costs(
    write_experiment: Write, qsagin: Call
) -> None:
    cost = solve(problem_of(read(str(write_experiment())))).objective
    path = str(write_experiment(plan__service_levels=LEVELS))
    status, out, err = qsagin("plan", path, "--json")
    assert status == 0, err
    told = json.loads(out)
    service = told["service"]
    rows = {row["class"]: row for row in service["classes"]}
    assert (rows["avatar"]["least_units"], rows["ai-model"]["least_units"]) == (3, 2)
    for name, level in LEVELS.items():
        assert rows[name]["level"] == level <= rows[name]["reached"] <= 1
    assert service["cost_without"] == pytest.approx(cost)
    assert service["price"] == pytest.approx(told["objective"] - cost)
    assert 0 < service["price"] <= service["price_most"] + 1e-9
    assert service["price_least"] <= service["price"] + 1e-9
    status, out, err = qsagin("plan", path)
    assert status == 0, err
    assert "Reserved units serve at least this share" in out
    assert "so they cost" in out


def test_a_plan_made_elsewhere_is_told_the_level_it_breaks(
    write_experiment: Write, qsagin: Call, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(qsagin("plan", str(write_experiment()), "--json")[1], encoding="utf-8")
    path = str(write_experiment(plan__service_levels={"avatar": 1}))
    status, out, _ = qsagin("evaluate", path, str(plan), "--json")
    assert status == 1
    (line,) = json.loads(out)["violations"]
    assert line == "request r1: has 2 units reserved, and its service level takes 4"
    status, _, err = qsagin("plan", path, "--import", str(plan))
    assert status == 2
    assert "its service level takes 4" in err.splitlines()[-1]


@pytest.mark.parametrize(
    "command", [("check",), ("plan",), ("compare",), ("run", "--engine", "in-process")]
)
def test_levels_without_room_are_a_line(
    write_experiment: Write, qsagin: Call, command: tuple[str, ...]
) -> None:
    levels = {"avatar": 0.99, "ai-model": 0.99}
    path = write_experiment(plan__service_levels=levels, network__wavelengths=4)
    status, out, err = qsagin(*command, str(path))
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert "fibers have room for at most 4 of 8 such units" in last
    assert "r1 0 of 4" in last
    assert last.startswith(f"{path}: plan.service_levels: ")
    assert last.endswith("lower the levels (ai-model 0.99, avatar 0.99), or add wavelengths")


def test_a_run_reserves_them_and_its_audit_adds_up(write_experiment: Write, tmp_path: Path) -> None:
    path = write_experiment(plan__service_levels={"avatar": 1}, demand__periods=4)
    qsagin_api.load(path).run(out=tmp_path / "run")
    plan = json.loads((tmp_path / "run" / "plan.json").read_text(encoding="utf-8"))
    held = {item["request"]: item["units"] for item in plan["allocations"]}
    assert held["r1"] == 4
    assert audit(tmp_path / "run").ok


def test_a_run_whose_levels_have_no_room_reserves_nothing_and_says_so(
    write_experiment: Write,
) -> None:
    path = write_experiment(
        plan__service_levels={"avatar": 1}, network__wavelengths=3, demand__periods=2
    )
    run = qsagin_api.load(path).run()
    assert run.summary["failed_plans"] == 1
    assert run.summary["served_units"]["fiber"] == 0


def test_a_fiber_that_is_lost_leaves_levels_as_far_as_they_go(write_experiment: Write) -> None:
    cut = [{"kind": "fiber-cut", "link": ["A", "B"], "at_s": 65, "until_s": 185}]
    path = write_experiment(plan__service_levels={"avatar": 1, "ai-model": 1}, faults=cut)
    run = qsagin_api.load(path).run()
    around, back = run.summary["replans"]
    assert around["lacking_units"] == 4  # of r1, which has no other way; r3 needs the other fiber
    assert around["expected_cost"] < around["objective"]
    assert "lacking_units" not in back
    assert run.summary["failed_plans"] == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"plan__service_levels": {"nobody": 0.5}}, "plan.service_levels.nobody"),
        ({"plan__service_levels": {"avatar": 1.01}}, "plan.service_levels.avatar"),
        ({"plan__service_levels": {"avatar": -0.1}}, "plan.service_levels.avatar"),
        ({"plan__service_levels": {"avatar": "95 %"}}, "plan.service_levels.avatar"),
        ({"plan__service_levels": 0.95}, "plan.service_levels"),
        ({"limits": {"satellite_units": 3}}, "limits"),
        ({"uav__fleet": {"uavs": 4}}, "uav.fleet"),
        ({"plan__by_hour": True}, "plan.by_hour"),
        ({"plan__risk": {}}, "plan.risk"),
        ({"plan__look_every_periods": 3}, "plan.look_every_periods"),
        ({"keys__store_units": 3}, "keys.store_units"),
        ({"plan__policy": "none"}, "plan.policy"),
        ({"plan__policy": "random"}, "plan.policy"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    write_experiment: Write, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(str(write_experiment(**({"plan__service_levels": LEVELS} | changes))))
    assert [mistake.field for mistake in caught.value.mistakes] == [field]
    assert "\n" not in caught.value.mistakes[0].message


def test_they_go_with_laws_known_only_nearly(write_experiment: Write) -> None:
    risk = {"measure": "wasserstein", "radius_units": 0.3}
    problem = problem_of(read(str(write_experiment(plan__service_levels=LEVELS, plan__risk=risk))))
    plan = solve(problem)
    held = {item.request: item.units for item in plan.allocations}
    assert all(held[item.id] >= item.least_units for item in problem.requests)
    assert plan.objective == plan.worst_case_cost


@pytest.mark.parametrize("policy", ["none", "random"])
def test_policies_that_do_not_mind_are_refused(
    write_experiment: Write, qsagin: Call, policy: str
) -> None:
    path = write_experiment(plan__service_levels=LEVELS)
    status, out, err = qsagin("plan", str(path), "--policy", policy)
    assert (status, out) == (2, "")
    assert "keeps no service levels" in err.splitlines()[-1]
