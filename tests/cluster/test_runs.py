"""Real runs: Ray actors, one process each; determinism, metrics, and how a run ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from patience import patient, until

pytestmark = pytest.mark.cluster
Write = Callable[..., Path]
COMMAND = [sys.executable, "-m", "emulator", "run"]


@dataclass(frozen=True)
class Family:
    """Everything that descends from the runs of one test, told by a mark in its environment."""

    mark: str

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"QSAGIN_TEST": self.mark}

    def alive(self) -> list[int]:
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if self._owns(path)]

    def _owns(self, path: Path) -> bool:
        try:
            state = (path / "stat").read_text().rsplit(")", 1)[1].split()[0]
            return (
                state != "Z"
                and f"QSAGIN_TEST={self.mark}".encode() in (path / "environ").read_bytes()
            )
        except OSError:
            return False


@pytest.fixture
def family() -> Family:
    return Family(uuid.uuid4().hex)


def _run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=patient(180),
        check=False,
        env=os.environ | environment,
    )


def _start(family: Family, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=family.environment,
    )


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, str]:
    """`tiny` with one process an entity."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    home = tmp_path_factory.mktemp("home")
    family = Family(uuid.uuid4().hex)
    marked = {"HOME": str(home), "QSAGIN_TEST": family.mark}
    done = _run("tiny", "--out", str(folder), "--json", **marked)
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []
    until(lambda: not family.alive(), 10)
    return json.loads(done.stdout), folder, done.stderr


def test_a_run_leaves_all_its_files_and_they_agree(
    tiny_run: tuple[dict[str, Any], Path, str],
) -> None:
    summary, folder, _ = tiny_run
    assert json.loads((folder / "summary.json").read_text()) == summary
    names = {path.name for path in folder.iterdir()}
    assert {
        "experiment.yaml",
        "plan.json",
        "summary.json",
        "ledger.parquet",
        "journal",
        "report.html",
    } <= names
    rows = pq.read_table(folder / "ledger.parquet").to_pylist()
    assert sum(row["cost"] for row in rows) == summary["cost"]["total"]
    assert sum(row["demanded_units"] for row in rows) == summary["demanded_units"]
    served = sum(summary["served_units"].values())
    assert summary["demanded_units"] == served + summary["shortfall_units"]
    assert len(list((folder / "journal").glob("*.sqlite"))) == 3 + 4
    assert summary["complete"]
    assert summary["audit"]["ok"]
    assert summary["basis"]["scenarios"] == 5
    assert "chance of 0.019" in (folder / "report.html").read_text()


def test_it_is_quiet(tiny_run: tuple[dict[str, Any], Path, str]) -> None:
    _, _, stderr = tiny_run
    assert [line for line in stderr.splitlines() if not line.startswith("metrics: ")] == []


def test_the_digest_does_not_depend_on_hosts_or_pace_but_on_the_seed(
    tiny_run: tuple[dict[str, Any], Path, str], tmp_path: Path
) -> None:
    summary, folder, _ = tiny_run
    again = str(folder / "experiment.yaml")
    two = json.loads(
        _run(again, "--out", str(tmp_path / "2"), "--hosts", "2", "--pace", "400", "--json").stdout
    )
    other = json.loads(
        _run("tiny", "--out", str(tmp_path / "s"), "--seed", "8", "--hosts", "1", "--json").stdout
    )
    assert two["digest"] == summary["digest"]
    assert other["digest"] != summary["digest"]


def test_the_run_in_one_process_has_the_same_digest_ledger_and_summary(
    tiny_run: tuple[dict[str, Any], Path, str], tmp_path: Path
) -> None:
    summary, folder, _ = tiny_run
    here = tmp_path / "here"
    done = _run("tiny", "--engine", "in-process", "--out", str(here), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    times = dict.fromkeys(("wall_s", "startup_s", "running_s"))
    assert json.loads(done.stdout) | times == summary | times
    for table in ("ledger.parquet", "decisions.parquet"):
        assert pq.read_table(here / table).equals(pq.read_table(folder / table))
    assert json.loads((here / "plan.json").read_text()) == json.loads(
        (folder / "plan.json").read_text()
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_in_one_process_that_is_interrupted_ends_in_order(
    family: Family, tmp_path: Path, how: signal.Signals
) -> None:
    folder = tmp_path / "run"
    words = ("tiny", "--engine", "in-process", "--pace", "20", "--out", str(folder))
    with _start(family, *words) as run:
        until((folder / "plan.json").exists)
        run.send_signal(how)
        _, err = run.communicate(timeout=patient(60))
    assert run.returncode == 128 + how
    assert err.splitlines()[-1] == f"ended by {how.name}; partial results are in {folder}"
    summary = json.loads((folder / "summary.json").read_text())
    assert not summary["complete"]
    assert summary["audit"]["ok"]
    until(lambda: not family.alive(), 10)


def test_an_eavesdropper_is_seen_by_actors_and_told_in_the_summary(
    write_experiment: Write, tmp_path: Path
) -> None:
    thief = {
        "kind": "eavesdropper",
        "link": ["A", "B"],
        "fraction": 0.6,
        "at_s": 130,
        "until_s": 200,
    }
    links = [{"link": ["B", "C"], "kind": "untrusted"}]
    fiber = {"links": links, "monitor_s": 60, "wait_to_restore_s": 0}
    path = write_experiment(faults=[thief], fiber=fiber)
    done = _run(str(path), "--out", str(tmp_path / "run"), "--hosts", "1", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [(row["link"], row["kind"]) for row in summary["links"]] == [
        ("A-B", "trusted"),
        ("B-C", "untrusted"),
    ]
    assert summary["links"][0]["discarded_blocks"] > 0
    assert summary["links"][1]["discarded_blocks"] == 0
    (alarm,) = summary["alarms"]
    assert (alarm["link"], alarm["raised_s"], alarm["cleared_s"]) == ("A-B", 180, 240)
    assert summary["audit"]["ok"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_leaves_partial_results_and_no_process(
    family: Family, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    folder = tmp_path / "run"
    words = ("tiny", "--out", str(folder), "--hosts", "1", "--pace", "20")
    with _start(family, *words) as run:
        until((folder / "plan.json").exists)
        url = next(line for line in run.stderr or [] if line.startswith("metrics: ")).split()[1]
        until(lambda: "qsagin_node_up" in _scrape(url))
        run.send_signal(number)
        out, err = run.communicate(timeout=patient(30))
    assert run.returncode == status
    assert f"ended by {number.name}" in err
    summary = json.loads((folder / "summary.json").read_text())
    assert not summary["complete"]
    assert summary["audit"]["ok"]
    assert 0 < summary["windows"] < 300
    assert "Traceback" not in out + err
    until(lambda: not family.alive(), 10)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_actors_start_leaves_no_process(
    family: Family, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    folder = tmp_path / "run"
    with _start(family, "tiny", "--out", str(folder)) as run:
        until(lambda: len(family.alive()) > 4)
        run.send_signal(number)
        _, err = run.communicate(timeout=patient(40))
    assert run.returncode == status
    assert "Traceback" not in err
    assert (folder / "summary.json").exists()
    until(lambda: not family.alive(), 10)


def test_a_metrics_port_that_is_taken_is_told_before_anything_is_started(
    family: Family, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ("tiny", "--out", str(tmp_path / "run"), "--hosts", "1", "--metrics-port", port)
        done = _run(*words, QSAGIN_TEST=family.mark)
    assert done.returncode == 2
    assert done.stderr.startswith(f"--metrics-port: port {port} cannot be used")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert not family.alive()


def _scrape(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        text: str = response.read().decode()
        return text


def test_a_run_under_weather_repeats_itself_from_its_folder_alone(
    tmp_path: Path, write_experiment: Write
) -> None:
    fog = {"kind": "fog", "sites": ["B"], "at_s": 100, "until_s": 200}
    path = write_experiment(satellite__probability=1.0, weather={"replay": "sky.csv"}, faults=[fog])
    (tmp_path / "tiny.nodes.csv").write_text("node,lat,lon\nA,40,-100\nB,41,-100\nC,42,-100\n")
    (tmp_path / "sky.csv").write_text("site,start_s,opaque\nA,0,0\nA,150,1\n")
    first, again = tmp_path / "first", tmp_path / "again"
    done = _run(str(path), "--out", str(first), "--hosts", "1", "--json")
    assert done.returncode == 0, done.stderr
    (tmp_path / "sky.csv").unlink()

    repeated = _run(str(first / "experiment.yaml"), "--out", str(again), "--hosts", "1", "--json")

    assert repeated.returncode == 0, repeated.stderr
    summary = json.loads(done.stdout)
    assert json.loads(repeated.stdout)["digest"] == summary["digest"]
    assert (again / "weather.csv").read_text() == (first / "weather.csv").read_text()
    assert min(summary["served_units"][medium] for medium in ("satellite", "uav")) > 0
