"""The end of the command is the end of the run, whatever ends it, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from patience import patient, until

from emulator.net.stopped import STOPPED_LIMIT_S

pytestmark = pytest.mark.cluster
RUN = [sys.executable, "-m", "emulator", "run", "tiny", "--hosts", "1", "--pace", "15", "--json"]


@contextmanager
def _running(folder: Path) -> Iterator[tuple[psutil.Popen, list[psutil.Process]]]:
    """Yield a run that has a plan, with its processes; nothing of it may be left afterwards."""
    command = [*RUN, "--out", str(folder)]
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        family: list[psutil.Process] = []
        try:
            until((folder / "plan.json").exists)
            family = run.children(recursive=True)
            yield run, family
        finally:
            _, left = psutil.wait_procs([run, *family], timeout=patient(60))
            for process in left:
                process.kill()
    assert left == []


def _quiet_digest(folder: Path) -> str:
    command = [*RUN[:-3], "--json", "--out", str(folder)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=patient(120)
    )
    return str(json.loads(ended.stdout)["digest"])


def _worker(family: list[psutil.Process]) -> psutil.Process:
    """Return the process that does the work: the supervisor's child."""
    return next(item for item in family if "emulator" in item.cmdline())


def _named(run: psutil.Popen, name: str) -> psutil.Process | None:
    """Return a process of a run by its name, or a word of its command; None while there is none.

    One that has been forked and does not run its own program yet has the command of its parent.
    """
    for item in run.children(recursive=True):
        with suppress(psutil.Error):
            words = item.cmdline()
            if item.name() == name or (name in words and words != run.cmdline()):
                return item
    return None


def test_a_run_whose_command_is_killed_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    quiet = _quiet_digest(tmp_path / "quiet")
    with _running(tmp_path / "run") as (run, family):
        _worker(family).kill()
        out, err = run.communicate(timeout=patient(120))
    assert run.returncode == 0, err
    assert "resuming the run" in err
    assert json.loads(out)["digest"] == quiet


def test_a_run_whose_command_is_killed_when_it_has_answered_answers_no_more(
    tmp_path: Path,
) -> None:
    with _running(tmp_path / "run") as (run, family):
        lines = list(iter(run.stdout.readline, "}\n"))
        with suppress(psutil.NoSuchProcess):
            _worker(family).kill()
        rest, err = run.communicate(timeout=patient(120))
    assert run.returncode == 0, err
    assert json.loads("".join([*lines, "}"]))["complete"]
    assert not rest


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with _running(tmp_path / "run") as (run, _):
        run.send_signal(number)
        run.communicate(timeout=patient(60))
    assert run.returncode == 128 + number
    assert not json.loads((tmp_path / "run" / "summary.json").read_text())["complete"]


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
def test_an_interrupt_while_modules_are_loaded_ends_a_run_without_a_word(
    tmp_path: Path, delay_s: float
) -> None:
    command = [*RUN, "--out", str(tmp_path / "run")]
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        until(run.children)
        time.sleep(delay_s)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=patient(60))
    assert (run.returncode, out, err) == (128 + signal.SIGINT, "", "")


def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    with _running(tmp_path / "run") as (run, family):
        _worker(family).suspend()  # so that it cannot end in order
        began_s = time.monotonic()
        for _ in range(2):
            run.send_signal(signal.SIGINT)
            time.sleep(0.3)
        run.communicate(timeout=patient(60))
        took_s = time.monotonic() - began_s
    assert run.returncode == 128 + signal.SIGINT
    assert took_s < 8


def test_a_run_ends_in_order_if_its_supervisor_is_lost(tmp_path: Path) -> None:
    with _running(tmp_path / "run") as (run, _):
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=patient(60))
    assert not json.loads((tmp_path / "run" / "summary.json").read_text())["complete"]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("raylet", signal.SIGKILL),
        ("gcs_server", signal.SIGKILL),
        ("raylet", signal.SIGSTOP),
    ],
)
def test_a_run_whose_ray_is_lost_is_brought_back(
    tmp_path: Path, name: str, number: signal.Signals
) -> None:
    quiet = _quiet_digest(tmp_path / "quiet")
    with _running(tmp_path / "run") as (run, family):
        next(item for item in family if item.name() == name).send_signal(number)
        out, err = run.communicate(timeout=patient(200))
    assert run.returncode == 0, err
    assert json.loads(out)["digest"] == quiet


@pytest.mark.parametrize("name", ["gcs_server", "raylet", "emulator"])
def test_who_is_stopped_while_a_run_starts_is_taken_for_lost(tmp_path: Path, name: str) -> None:
    quiet = _quiet_digest(tmp_path / "quiet")
    command = [*RUN, "--out", str(tmp_path / "run")]
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        until(lambda: _named(run, name)).suspend()
        began_s = time.monotonic()
        assert "the command was lost" in run.stderr.readline()
        noticed_s = time.monotonic() - began_s
        assert "starting over" in run.stderr.readline()
        out, _ = run.communicate(timeout=patient(120))
    assert noticed_s < patient(STOPPED_LIMIT_S + 10)
    assert json.loads(out)["digest"] == quiet


@pytest.mark.parametrize("name", ["ray::RuntimeEnvAgent", "ray::DashboardAgent", "raylet"])
def test_a_run_that_loses_a_process_of_ray_as_it_starts_is_started_over(
    tmp_path: Path, name: str
) -> None:
    quiet = _quiet_digest(tmp_path / "quiet")
    command = [*RUN, "--out", str(tmp_path / "run")]
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        until(lambda: _named(run, name)).kill()
        out, err = run.communicate(timeout=patient(120))
    assert run.returncode == 0, err
    assert json.loads(out)["digest"] == quiet


def test_a_run_ends_though_one_of_its_actors_is_stopped_as_it_ends(tmp_path: Path) -> None:
    with _running(tmp_path / "run") as (run, family):
        next(item for item in family if item.name().startswith("ray::_Server")).suspend()
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=patient(60))
    assert run.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "run" / "summary.json").exists()


def test_what_dead_runs_have_left_is_swept_away(tmp_path: Path) -> None:
    left = tmp_path / "qsagin-dead"
    left.mkdir()
    (left / "alive").touch()
    other = tmp_path / "qsagin-other"
    other.mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    link = Path("/tmp") / f"q{os.getpid()}"
    link.symlink_to(tmp_path)
    try:
        environment["TMPDIR"] = str(link)
        command = [*RUN[:-3], "--out", str(tmp_path / "run")]
        subprocess.run(
            command, capture_output=True, check=True, timeout=patient(120), env=environment
        )
    finally:
        link.unlink()
    assert not left.exists()
    assert other.exists()
    assert [path.name for path in tmp_path.glob("qsagin-*")] == ["qsagin-other"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_chaos_experiment_and_its_run_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "trial"
    command = [sys.executable, "-m", "emulator", "chaos", "fiber-cut", "--out", str(folder)]
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as trial:
        until(lambda: list(folder.glob("run*/plan.json")))
        family = trial.children(recursive=True)
        trial.send_signal(number)
        _, err = trial.communicate(timeout=patient(90))
    _, left = psutil.wait_procs(family, timeout=patient(30))
    assert trial.returncode == 128 + number, err
    assert json.loads((folder / "journal.json").read_text())["status"] == "interrupted"
    assert left == []


def test_the_run_of_a_chaos_experiment_that_is_killed_ends_too(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    command = [sys.executable, "-m", "emulator", "chaos", "fiber-cut", "--out", str(folder)]
    with psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as trial:
        until(lambda: list(folder.glob("run*/plan.json")))
        family = trial.children(recursive=True)
        trial.kill()
    _, left = psutil.wait_procs(family, timeout=patient(60))
    assert left == []
