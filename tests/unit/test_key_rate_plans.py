"""Plans and checks where a wavelength brings what its key rate makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from emulator.build.loading import read
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from global_manager.provisioning import Plan, solve

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]

BY_RATE = [  # slowest first, at every distance from 40 to 80 km
    ("bb84-one-decoy-finite", "gys"),
    ("bb84-finite", "gys"),
    ("bb84-one-decoy", "gys"),
    ("bb84", "gys"),
    ("bb84-infinite", "gys"),
    ("bb84-one-decoy", "t12"),
    ("bb84", "t12"),
    ("bb84-infinite", "t12"),
    ("bb84-one-decoy-finite", "boaron"),
    ("bb84-one-decoy", "boaron"),
    ("bb84", "boaron"),
    ("bb84-infinite", "boaron"),
]


def equipped(setup: Setup, protocol: str, device: str) -> Setup:
    """The same experiment with other devices on its fibers, long enough for the first blocks of all."""
    experiment = setup.experiment
    fiber = experiment.fiber.model_copy(update={"protocol": protocol, "device": device})
    demand = experiment.demand.model_copy(update={"periods": 600})
    return setup.with_experiment(experiment.model_copy(update={"fiber": fiber, "demand": demand}))


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    """The plan of `paper-rate` by device, slowest first."""
    setup = read("paper-rate")
    return [solve(problem_of(equipped(setup, *devices))) for devices in BY_RATE]


def test_the_plan_of_paper_rate_changes_with_every_device(plans: list[Plan]) -> None:
    reserved = [
        [(item.path, item.wavelengths, item.units) for item in plan.allocations] for plan in plans
    ]

    assert all(one != other for i, one in enumerate(reserved) for other in reserved[:i])


def test_faster_devices_never_cost_more_and_bring_no_less(plans: list[Plan]) -> None:
    costs = [plan.objective for plan in plans]
    units = [sum(item.units for item in plan.allocations) for plan in plans]

    for slower, faster in pairwise(plans):
        assert faster.lower_bound <= slower.objective * (1 + 1e-9)
        assert faster.objective <= slower.objective * (1 + 1e-3)  # the gap to which both are solved
    assert costs[0] > costs[1] > costs[2] > costs[3] > costs[4] > costs[5]
    assert units == sorted(units)


def test_one_unit_a_wavelength_plans_alike_for_all_devices(write_experiment: Write) -> None:
    objectives = {
        solve(problem_of(equipped(read(str(write_experiment())), "bb84", device))).objective
        for device in ("gys", "t12", "boaron")
    }

    assert len(objectives) == 1


def plan_links(qsagin: Call, path: Path) -> list[dict[str, Any]]:
    status, out, _ = qsagin("plan", str(path), "--json")
    assert status == 0
    links: list[dict[str, Any]] = json.loads(out)["links"]
    return links


def test_plan_tells_what_a_wavelength_of_a_link_brings(
    qsagin: Call, write_experiment: Write
) -> None:
    for wavelength in ("unit", "key-rate"):
        path = write_experiment(fiber={"device": "gys", "wavelength": wavelength})
        for link in plan_links(qsagin, path):
            made = int(link["skr_bps"] * 20 / 256)
            assert link["yield_units"] == made > 1
            assert link["units_per_wavelength"] == (made if wavelength == "key-rate" else 1)


def test_check_remarks_on_settings_that_waste_nearly_all_that_links_make(
    qsagin: Call, write_experiment: Write
) -> None:
    fast = {"device": "t12"}
    for fiber, words in (
        (fast, "counts for one unit"),
        (fast | {"wavelength": "key-rate"}, "needs more than 4 units"),
        ({"device": "gys", "wavelength": "key-rate"}, None),
    ):
        law = {"poisson": {"mean_units": 1.5}}
        scenarios = 5 if words else 60
        path = write_experiment(fiber=fiber, demand__distribution=law, demand__scenarios=scenarios)
        status, out, err = qsagin("check", str(path), "--json")
        document = json.loads(out)
        assert (status, document["ok"]) == (0, True)
        assert [words in line for line in document["remarks"]] == [True] * bool(words)
        assert all(f"{path}: remark: {line}" in err for line in document["remarks"])


def test_a_run_that_loses_a_fiber_is_planned_again_and_adds_up(
    qsagin: Call, write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "ring.csv").write_text("source,target,length_km\nA,B,20\nB,C,60\nA,C,80\n")
    path = write_experiment(
        network__topology="ring.csv",
        demand__distribution={"poisson": {"mean_units": 30}},
        demand__scenarios=60,
        fiber={"device": "gys", "wavelength": "key-rate"},
        faults=[{"kind": "fiber-cut", "link": ["A", "B"], "at_s": 100}],
    )
    folder = tmp_path / "run"
    status, out, _ = qsagin(
        "run", str(path), "--engine", "in-process", "--out", str(folder), "--json"
    )
    summary = json.loads(out)
    assert (status, summary["served_units"]["fiber"] > 0, summary["failed_plans"]) == (0, True, 0)
    reserved = json.loads((folder / "plan.json").read_text())["allocations"]
    assert any(item["units"] > len(item["wavelengths"]) > 0 for item in reserved)
    status, out, _ = qsagin("audit", str(folder), "--json")
    assert (status, json.loads(out)["problems"]) == (0, [])
