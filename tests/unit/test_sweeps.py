"""Sweeps: what a grid holds, what is refused before anything is written, and what is left to do."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from emulator.build.loading import ExperimentError, read
from emulator.sweep import figure, runner, table
from emulator.sweep.folder import SweepFolder, create, reopen
from emulator.sweep.grid import experiments_of, grid_of, labels_of
from emulator.sweep.job import Job

Write = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]
MEAN = "demand.distribution.poisson.mean_units"
PRICE = "prices.on_demand_uav"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Points end at once, as those of mean demand 2 never do: they fail."""
    tried: list[Job] = []

    def spread(_work: Any, jobs: list[Job], _jobs: int, stopped: Callable[[], bool]) -> Any:
        for job in jobs:
            if stopped():
                return
            tried.append(job)
            fields = yaml.safe_load(job.experiment.read_text())
            mean = fields["demand"]["distribution"]["poisson"]["mean_units"]
            if mean != 2:
                _finish(job.run_folder, cost=100.0 * mean + fields["seed"])
            yield job, "no room" if mean == 2 else ""

    monkeypatch.setattr(runner.pool, "spread", spread)
    return tried


class Quiet(runner.SweepWatcher):
    """Watches a sweep and says nothing."""


def _finish(folder: Path, cost: float = 1.0, *, complete: bool = True, ok: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    summary = {
        **dict.fromkeys(
            ("requests", "periods", "late_units", "shortfall_units", "restarts", "windows"), 1
        ),
        "digest": "ab",
        "demanded_units": 10,
        "shortfall_s": 0.5,
        "down_s": 0.0,
        "wall_s": 2.0,
        "served_units": {"fiber": 6, "satellite": 1, "uav": 2},
        "cost": {
            "reservation": 1,
            "change": 0,
            "satellite": 2,
            "uav": 3,
            "shortfall": 4,
            "total": 10,
            "cash": 6,
        },
        "cost_per_period": {"mean": cost, "planned": None},
        "plan": {"gap": 0.0},
        "complete": complete,
        "audit": {"ok": ok},
    }
    (folder / "summary.json").write_text(json.dumps(summary))


def _made(path: Path, axes: dict[str, list[Any]], seeds: list[int] | None = None) -> SweepFolder:
    grid = grid_of("tiny", axes, seeds)
    return create(path, grid, experiments_of(grid))


def test_a_grid_has_every_combination_with_the_experiments_own_seed_by_default() -> None:
    points = grid_of("tiny", {MEAN: [1, 2], "plan.policy": ["stochastic", "none"]}, None).points()
    assert [tuple(point.values.values()) for point in points] == [
        (1, "stochastic"),
        (1, "none"),
        (2, "stochastic"),
        (2, "none"),
    ]
    assert {point.seed for point in points} == {7}
    assert points[3].name == "4-mean_units=2-policy=none-seed=7"


def test_an_axis_is_called_by_what_tells_it_from_the_others() -> None:
    axes = ["satellite.rate_bps", "uav.rate_bps", "plan.policy"]
    assert list(labels_of(axes).values()) == ["satellite.rate_bps", "uav.rate_bps", "policy"]


def test_a_sweep_file_says_what_options_say_and_options_take_its_place(tmp_path: Path) -> None:
    file = tmp_path / "load.yaml"
    file.write_text(yaml.safe_dump({"experiment": "tiny", "axes": {MEAN: [1, 2]}, "seeds": [3, 4]}))
    assert grid_of(str(file), {}, None) == grid_of("tiny", {MEAN: [1, 2]}, [3, 4])
    assert grid_of(str(file), {MEAN: [5]}, [6]) == grid_of("tiny", {MEAN: [5]}, [6])


def test_a_grid_reads_back_from_what_it_writes(tmp_path: Path, write_experiment: Write) -> None:
    path = write_experiment()
    grid = grid_of(
        str(path), {"faults": [[], [{"kind": "fog", "at_s": 1, "sites": ["A"]}]]}, [1, 2]
    )
    (tmp_path / "again.yaml").write_text(grid.text())
    assert grid_of(str(tmp_path / "again.yaml"), {}, None).points() == grid.points()


def test_a_grid_reads_back_from_elsewhere_though_its_experiment_was_named_from_here(
    tmp_path: Path, write_experiment: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_experiment()
    monkeypatch.chdir(path.parent)
    grid = grid_of(path.name, {MEAN: (2, 3)}, [4])
    elsewhere = tmp_path / "elsewhere" / "sweep.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(grid.text())
    assert grid_of(str(elsewhere), {}, None) == grid
    path.unlink()
    assert grid_of(str(elsewhere), {}, None) == grid


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"experiment": "tiny", "axis": {}}, "axis", "unknown field"),
        ({"experiment": "tiny", "axes": {MEAN: 3}}, f"axes.{MEAN}", "must be a list"),
        ({"experiment": "tiny", "axes": {MEAN: []}}, f"axes.{MEAN}", "needs a value"),
        ({"experiment": "tiny", "axes": {MEAN: [1, 1]}}, f"axes.{MEAN}", "differ"),
        ({"experiment": "tiny", "axes": {"seed": [1]}}, "axes.seed", "name seeds"),
        ({"experiment": "tiny", "seeds": [1, 1]}, "seeds", "differ"),
        ({"experiment": "tiny", "axes": {MEAN: list(range(10001))}}, "axes", "at most 10,000"),
        ({"experiment": "nowhere"}, "experiment", "no such file"),
    ],
)
def test_a_wrong_sweep_file_is_refused_by_field(
    tmp_path: Path, fields: dict[str, Any], field: str, problem: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(fields))
    with pytest.raises(ExperimentError) as error:
        grid_of(str(file), {}, None)
    (mistake,) = error.value.mistakes
    assert mistake.field == field
    assert problem in mistake.message


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--set", "demand.periods=3,-1"], "demand.periods: must be greater than or equal to 1"),
        (["--set", "demand.periodes=3"], "demand.periodes: unknown field"),
        (["--set", "name.x=3"], "name.x: name is 'tiny', which has no fields"),
        (["--set", "demand.requests.9.id=x"], "demand.requests.9.id: there is a list"),
        (["--set", "plan.policy=deterministic"], "plan.policy: deterministic is a bound"),
        (["--set", "demand.periods"], "--set: must be FIELD=VALUE"),
        (["--set", "demand.periods=1", "--set", "demand.periods=2"], "--set: names demand.periods"),
        (["--seeds", "1,x"], "--seeds: must be whole numbers"),
    ],
)
def test_every_combination_is_checked_before_anything_is_written(
    tmp_path: Path,
    qsagin: Call,
    tried: list[Job],
    words: list[str],
    line: str,
) -> None:
    out = tmp_path / "out"
    words = ["sweep", "tiny", "--out", str(out), "--set", f"{MEAN}=1,2", *words]
    status, said, problems = qsagin(*words)
    assert (status, said, problems.count("\n")) == (2, "", 1)
    assert line in problems
    assert not out.exists()
    assert not tried


def test_a_mistake_is_told_once_with_the_first_point_that_has_it() -> None:
    grid = grid_of("tiny", {MEAN: [1, 2], "demand.periods": [3, 0]}, [1, 2])
    with pytest.raises(ExperimentError) as error:
        list(experiments_of(grid))
    (mistake,) = error.value.mistakes
    assert mistake.message.endswith(
        f"(with {MEAN} 1, demand.periods 0, seed 1, and 3 other points)"
    )


def test_the_experiment_of_a_point_is_the_base_with_its_values(tmp_path: Path) -> None:
    folder = _made(tmp_path, {MEAN: [1, 2], PRICE: [5]}, [3])
    setup = read(str(folder.experiment_file(folder.grid.points()[1])))
    base = read("tiny", 3, {MEAN: 2, PRICE: 5})
    assert (setup.experiment.demand, setup.experiment.prices, setup.experiment.seed) == (
        base.experiment.demand,
        base.experiment.prices,
        3,
    )
    assert setup.topology.links == base.topology.links


def test_a_sweep_that_fails_in_part_ends_with_1_and_has_a_row_for_every_point(
    tmp_path: Path,
    qsagin: Call,
    tried: list[Job],
) -> None:
    words = [
        "sweep",
        "tiny",
        "--out",
        str(tmp_path),
        "--set",
        f"{MEAN}=1,2",
        "--seeds",
        "1,2",
        "--json",
    ]
    status, out, err = qsagin(*words)
    document = json.loads(out)
    assert (status, document["done"], document["failed"]) == (1, 2, 2)
    assert "3-mean_units=2-seed=1: FAILED: no room" in err
    assert [(row[MEAN], row["seed"], row["state"], row["cost_per_period"], row["problem"])
            for row in document["rows"]] == [
        (1, 1, "done", 101.0, ""),
        (1, 2, "done", 102.0, ""),
        (2, 1, "failed", None, "no room"),
        (2, 2, "failed", None, "no room"),
    ]  # fmt: skip
    with (tmp_path / "sweep.csv").open() as file:
        assert [row["state"] for row in csv.DictReader(file)] == [
            "done",
            "done",
            "failed",
            "failed",
        ]
    assert pq.read_table(tmp_path / "sweep.parquet").column("uav_units").to_pylist() == [
        2,
        2,
        None,
        None,
    ]
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


def test_resuming_tries_only_what_is_not_finished(tmp_path: Path, tried: list[Job]) -> None:
    folder = _made(tmp_path, {MEAN: [1, 2, 3]}, [1])
    first, second, third = folder.grid.points()
    _finish(folder.run_folder(first))
    _finish(folder.run_folder(third), complete=False)
    outcome = runner.sweep(reopen(tmp_path), runner.SweepOptions(), Quiet())
    assert [job.run_folder.name for job in tried] == [second.name, third.name]
    assert outcome.problems == {second.name: "no room", third.name: ""}
    tried.clear()
    assert runner.sweep(reopen(tmp_path), runner.SweepOptions(), Quiet()).problems
    assert [job.run_folder.name for job in tried] == [second.name]


def test_a_point_whose_audit_found_faults_has_failed(tmp_path: Path) -> None:
    folder = _made(tmp_path, {MEAN: [1]}, [1])
    _finish(folder.run_folder(folder.grid.points()[0]), ok=False)
    (row,) = table.rows_of(folder, {})
    assert (row.state, row.problem) == (table.FAILED, "the audit found faults")


def test_a_signal_leaves_what_is_finished_and_says_how_to_go_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qsagin: Call,
    tried: list[Job],
) -> None:
    def strike(_self: object, _point: object, _problem: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("emulator.commands.displays.SweepDisplay.ended", strike)
    words = ["sweep", "tiny", "--out", str(tmp_path), "--set", f"{MEAN}=1,3,4", "--json"]
    status, out, err = qsagin(*words)
    assert (status, len(tried)) == (130, 1)
    assert [row["state"] for row in json.loads(out)["rows"]] == ["done", "unfinished", "unfinished"]
    assert err.endswith(f"ended by SIGINT; resume with `qsagin sweep --resume {tmp_path}`\n")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--set", "a=1"], "--resume: takes a sweep as it is"),
        ([], "holds no sweep.yaml; is it the folder of a sweep?"),
    ],
)
def test_what_is_no_sweep_is_not_gone_on_with(
    tmp_path: Path,
    qsagin: Call,
    words: list[str],
    problem: str,
) -> None:
    status, _, err = qsagin("sweep", "--resume", str(tmp_path), *words)
    assert status == 2
    assert problem in err


def test_a_sweep_that_goes_on_is_left_alone(tmp_path: Path, qsagin: Call) -> None:
    folder = _made(tmp_path, {MEAN: [1]}, [1])
    with folder.alone():
        status, _, err = qsagin("sweep", "--resume", str(tmp_path))
    assert (status, err) == (2, f"--resume: {tmp_path} is a sweep that is still running\n")


@pytest.mark.parametrize(
    "axes", [{}, {MEAN: [1, 3], PRICE: [1, 2, 3]}, {PRICE: list(range(1, 9)), MEAN: [1]}]
)
def test_the_figure_has_a_panel_for_each_axis_and_quantity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axes: dict[str, list[Any]]
) -> None:
    folder = _made(tmp_path, axes, [1, 2])
    for point in folder.grid.points():
        _finish(folder.run_folder(point), cost=float(point.number))
    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    figure.draw(table.rows_of(folder, {}), "tiny", tmp_path / "sweep.png")
    assert len(drawn[0].axes) == 3 * max(1, len(axes))
