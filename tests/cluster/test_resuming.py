"""Runs that were interrupted, by a signal or with everything they had started, are resumed."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from patience import patient, until

from emulator.results.status import status_of

pytestmark = pytest.mark.cluster
COMMAND = [sys.executable, "-m", "emulator", "run"]
TINY = ["tiny", "--hosts", "2", "--json"]


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, timeout=patient(180)
    )


def _cut_short(folder: Path, how: signal.Signals) -> None:
    """Run `tiny` until it has had a third of its periods, then end it: all of it, if by SIGKILL."""
    words = [*COMMAND, *TINY, "--out", str(folder), "--pace", "40"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        until((folder / "plan.json").exists)
        until(lambda: status_of(folder)["window"] > 100)
        family = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(how)
        if how is signal.SIGKILL:
            for process in family:
                process.kill()
        psutil.wait_procs(family, timeout=patient(30))
        run.wait(timeout=patient(60))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = _run(*TINY, "--out", str(tmp_path_factory.mktemp("quiet") / "run"))
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_cut_short_ends_as_if_nothing_had_been(
    quiet: dict[str, Any], tmp_path: Path, how: signal.Signals
) -> None:
    folder = tmp_path / "run"
    _cut_short(folder, how)
    assert status_of(folder)["window"] < quiet["windows"] - 50
    done = _run("--resume", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["digest"] == quiet["digest"]
    assert summary["complete"]
    assert summary["audit"]["ok"]
    assert {key: summary[key] for key in ("windows", "served_units", "cost", "shortfall_s")} == {
        key: quiet[key] for key in ("windows", "served_units", "cost", "shortfall_s")
    }
    again = _run("--resume", str(folder))
    assert again.returncode == 2
    assert again.stderr == f"--resume: {folder} has finished; there is nothing to resume\n"
    continued = _run("--resume", str(folder), "--continued", "--json")
    assert (continued.returncode, json.loads(continued.stdout)) == (0, summary)


def test_a_run_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [*COMMAND, *TINY, "--out", str(folder), "--pace", "20"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        until((folder / "plan.json").exists)
        other = _run("--resume", str(folder))
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=patient(60))
    assert other.returncode == 2
    assert other.stderr == f"--resume: {folder} is still running\n"
    assert run.returncode == 143


def test_a_resumption_that_cannot_start_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    _cut_short(folder, signal.SIGTERM)
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = _run("--resume", str(folder), "--metrics-port", port)
    assert done.returncode == 2
    assert done.stderr.startswith(f"--metrics-port: port {port} cannot be used")
    script = (
        "import os, sys\n"
        "from emulator import launch\n"
        "os.environ['QSAGIN_SUPERVISED'] = '1'\n"  # else another process would do the work
        "def unfit(*_words): raise launch.JoinError('here', 'is not fit')\n"
        "launch.ray_instance = unfit\n"
        f"sys.argv = ['qsagin', 'run', '--resume', {str(folder)!r}]\n"
        "from emulator.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(60),
    )
    assert (done.returncode, done.stderr) == (2, "--address: here is not fit\n")
    after = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before
