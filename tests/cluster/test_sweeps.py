"""A real sweep on Ray, ended twice and resumed; and what Ray leaves of a process's signals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from patience import patient, until

from emulator.sweep.folder import summary_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
QSAGIN = [sys.executable, "-m", "emulator"]
MEAN = "demand.distribution.poisson.mean_units"
FIRST, SECOND, THIRD, FOURTH = (
    f"{number}-mean_units={mean}-seed={seed}"
    for number, (mean, seed) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)], 1)
)
ON_RAY = """
import sys
from pathlib import Path
from emulator import launch
from emulator.sweep import workers
from emulator.sweep.folder import reopen
from emulator.sweep.job import carry_out_here
from emulator.sweep.runner import SweepOptions, _jobs
folder = reopen(Path(sys.argv[1]))
jobs = _jobs(folder, folder.grid.points(), SweepOptions())
with launch.ray_instance(2, None, folder.path):
    done = dict(workers.spread(carry_out_here, list(jobs), 2, lambda: False))
print(sorted(done.values()))
"""
ENDING = """
import os, signal, time
from pathlib import Path
from emulator import launch
signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
with launch.ray_instance(1, None, Path()):
    pass
os.kill(os.getpid(), signal.SIGTERM)
"""


def _struck(words: list[str], when: Callable[[], Any], how: signal.Signals) -> int:
    """Begin a sweep, end it when it is time for that, all of it if by SIGKILL; return its status."""
    with subprocess.Popen(
        [*QSAGIN, "sweep", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as sweep:
        until(when)
        family = psutil.Process(sweep.pid).children(recursive=True)
        sweep.send_signal(how)
        if how is signal.SIGKILL:
            for process in family:
                process.kill()
        sweep.wait(timeout=patient(120))
        _, alive = psutil.wait_procs(family, timeout=patient(30))
        assert not alive
    return sweep.returncode


@pytest.mark.system
def test_a_sweep_that_is_cut_short_twice_ends_as_one_in_peace(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    runs = folder / "runs"
    axes = ["--set", f"{MEAN}=1,2", "--seeds", "1,2"]
    options = ["--jobs", "1", "--engine", "processes"]
    new = ["tiny", *axes, "--out", str(folder), *options]
    again = ["--resume", str(folder), *options]
    assert _struck(new, (runs / SECOND / "plan.json").exists, signal.SIGINT) == 130
    finished = (runs / FIRST / "summary.json").stat().st_mtime
    assert (runs / SECOND / "summary.json").exists()  # whether or not it came to its end
    _struck(again, (runs / THIRD / "plan.json").exists, signal.SIGKILL)
    assert summary_of(runs / SECOND)

    done = subprocess.run(
        [*QSAGIN, "sweep", *again, "--json"],
        capture_output=True,
        text=True,
        timeout=patient(300),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["done"] == 4
    digests = {row["point"]: row["digest"] for row in document["rows"]}
    assert len(set(digests.values())) == 4
    assert (runs / FIRST / "summary.json").stat().st_mtime == finished

    experiment = folder / "points" / THIRD / "experiment.yaml"
    words = [*QSAGIN, "run", str(experiment), "--out", str(tmp_path / "alone"), "--json"]
    alone = subprocess.run(words, capture_output=True, text=True, timeout=patient(200), check=False)
    assert json.loads(alone.stdout)["digest"] == digests[THIRD]


def test_a_sweep_in_process_that_is_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    runs = folder / "runs"
    axes = ["--set", "demand.periods=400,401", "--seeds", "1,2"]
    new = ["tiny", *axes, "--out", str(folder), "--jobs", "1"]
    first, second = (f"{number}-periods=400-seed={number}" for number in (1, 2))
    assert _struck(new, (runs / second / "plan.json").exists, signal.SIGTERM) == 143
    assert summary_of(runs / first)
    finished = (runs / first / "summary.json").stat().st_mtime

    again = [*QSAGIN, "sweep", "--resume", str(folder), "--json"]
    done = subprocess.run(again, capture_output=True, text=True, timeout=patient(300), check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["done"] == 4
    assert (runs / first / "summary.json").stat().st_mtime == finished
    digests = {row["point"]: row["digest"] for row in document["rows"]}
    experiment = folder / "points" / second / "experiment.yaml"
    words = [*QSAGIN, "run", str(experiment), "--engine", "in-process", "--json"]
    alone = subprocess.run(words, capture_output=True, text=True, timeout=patient(200), check=False)
    assert json.loads(alone.stdout)["digest"] == digests[second]


def test_points_in_process_can_be_tasks_of_ray(tmp_path: Path) -> None:
    """As they are with --address."""
    folder = tmp_path / "sweep"
    axes = ["--set", f"{MEAN}=1,2"]
    here = [*QSAGIN, "sweep", "tiny", *axes, "--out", str(folder), "--json"]
    done = subprocess.run(here, capture_output=True, text=True, timeout=patient(200), check=True)
    digests = [row["digest"] for row in json.loads(done.stdout)["rows"]]
    shutil.rmtree(folder / "runs")
    there = [sys.executable, "-c", ON_RAY, str(folder)]
    done = subprocess.run(there, capture_output=True, text=True, timeout=patient(200), check=False)
    assert (done.returncode, done.stdout) == (0, "['', '']\n"), done.stderr
    points = sorted(path.name for path in (folder / "points").iterdir())
    summaries = [summary_of(folder / "runs" / point) or {} for point in points]
    assert [item["digest"] for item in summaries] == digests


def test_a_process_hears_signals_after_ray_has_ended() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
