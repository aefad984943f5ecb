"""What a plan costs over a run in which some reservations have no key at first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.build.late_start import late_start_fields
from emulator.build.loading import read
from emulator.build.problem import problem_of
from emulator.build.quantum_links import block_sentences
from global_manager.provisioning import solve
from global_manager.provisioning.recourse import expected_unit_cost

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]

PERIODS = 24


def slow(write_experiment: Write, tmp_path: Path, **fiber: Any) -> Path:
    """Three nodes in a row whose links gather for five and seven periods of a minute."""
    (tmp_path / "row.csv").write_text("source,target,length_km\nA,B,10\nB,C,20\n")
    return write_experiment(
        network__topology="row.csv",
        demand__periods=PERIODS,
        demand__period_s=60,
        demand__distribution={"empirical": {"counts": {2: 1}}},
        demand__requests=[
            {"id": "near", "class": "avatar", "source": "A", "target": "B"},
            {"id": "far", "class": "avatar", "source": "C", "target": "A"},
        ],
        prices={"on_demand_satellite": 10**6, "on_demand_uav": 10**6},
        fiber={"repeaters": "untrusted", "block_bits": 2e7} | fiber,
    )


def test_what_is_bought_until_blocks_are_full_is_added_to_what_a_plan_costs(
    write_experiment: Write, tmp_path: Path
) -> None:
    setup = read(str(slow(write_experiment, tmp_path)))
    problem = problem_of(setup)
    plan = solve(problem)
    assert [item.units for item in plan.allocations] == [2, 2]
    near, far = (2 * expected_unit_cost(item.on_demand) for item in problem.requests)

    found = late_start_fields(setup, problem, plan)

    bought = (4 * near + 6 * far) / PERIODS
    assert found == {"objective_over_run": pytest.approx(plan.objective + bought)}


def test_plan_tells_it_where_first_keys_are_late_and_nowhere_else(
    qsagin: Call, write_experiment: Write, tmp_path: Path
) -> None:
    for protocol, tells in (("mdi-finite", True), ("mdi", False)):
        size = {"block_bits": 2e7 if tells else None}
        path = slow(write_experiment, tmp_path, untrusted={"protocol": protocol}, **size)
        status, out, _ = qsagin("plan", str(path), "--json")
        document = json.loads(out)
        assert status == 0
        assert ("objective_over_run" in document) == tells
        assert [bool(line["block_s"]) for line in document["links"]] == [tells] * 2
        assert len(document["blocks"]) == tells
        status, out, _ = qsagin("check", str(path), "--json")
        assert [line for line in json.loads(out)["remarks"] if "gather" in line] == document[
            "blocks"
        ]


def test_the_report_of_a_run_tells_when_first_keys_come(
    qsagin: Call, write_experiment: Write, tmp_path: Path
) -> None:
    path, folder = slow(write_experiment, tmp_path), tmp_path / "run"
    (sentence,) = block_sentences(read(str(path)))
    assert "first key comes 300 to 420 s after" in sentence

    status, _, _ = qsagin(
        "run", str(path), "--engine", "in-process", "--out", str(folder), "--json"
    )

    assert status == 0
    assert sentence in " ".join((folder / "report.html").read_text().split())
