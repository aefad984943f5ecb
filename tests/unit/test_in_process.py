"""`run --engine in-process`: what it leaves, what it refuses, and how it ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from emulator.runtime import injection
from emulator.runtime.in_process import InProcessNetwork
from emulator.runtime.injection import InjectionError
from emulator.store import journals
from emulator.store.files import Engine, engine_of

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]
HERE = ("--engine", "in-process")
CRASH = {"kind": "process", "actor": "clock", "action": "kill", "at_s": 30}


@pytest.fixture
def ran(qsagin: Call, tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """`tiny` in process: its summary and its folder."""
    folder = tmp_path / "tiny"
    status, out, _ = qsagin("run", "tiny", *HERE, "--out", str(folder), "--json")
    assert status == 0
    summary: dict[str, Any] = json.loads(out)
    return summary, folder


def test_a_run_leaves_what_all_runs_leave_and_one_journal(
    ran: tuple[dict[str, Any], Path], qsagin: Call
) -> None:
    summary, folder = ran
    assert json.loads((folder / "summary.json").read_text()) == summary
    names = {path.name for path in folder.iterdir()}
    left = {"experiment.yaml", "plan.json", "ledger.parquet", "decisions.parquet", "report.html"}
    assert left <= names
    assert [path.name for path in (folder / "journal").iterdir()] == ["in-process.sqlite"]
    assert (summary["complete"], summary["restarts"], engine_of(folder)) == (
        True,
        0,
        Engine.IN_PROCESS,
    )
    status, out, _ = qsagin("audit", str(folder), "--json")
    assert (status, json.loads(out)["digest"]) == (0, summary["digest"])
    status, out, _ = qsagin("trace", str(folder), "--request", "r1", "--json")
    told = [item["what"] for item in json.loads(out)]
    assert (status, told.count("Set qsChannel 2 units")) == (0, 3)


def test_the_chain_of_its_journal_finds_what_was_altered(
    ran: tuple[dict[str, Any], Path], qsagin: Call
) -> None:
    _, folder = ran
    with closing(sqlite3.connect(folder / "journal" / "in-process.sqlite")) as connection:
        connection.execute("UPDATE fact SET bits = bits + 8 WHERE rowid = 100")
        connection.commit()
    assert any("is not what was committed" in line for line in journals.faults(folder))
    assert qsagin("audit", str(folder))[0] == 1


def test_without_a_folder_the_summary_is_the_same_and_nothing_is_left(
    ran: tuple[dict[str, Any], Path],
    qsagin: Call,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("QSAGIN_TEMPORARY", str(scratch))
    status, out, _ = qsagin("run", "tiny", *HERE, "--json")
    times = dict.fromkeys(("wall_s", "startup_s", "running_s"))
    assert status == 0
    assert json.loads(out) | times == ran[0] | times
    assert list(scratch.iterdir()) == []
    status, out, _ = qsagin("run", "tiny", *HERE)
    assert ran[0]["digest"] in out
    assert "report.html" not in out


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("--hosts", "2"), "--hosts"),
        (("--metrics-port", "0"), "--metrics-port"),
        (("--volatile",), "--volatile"),
        (("--ports", "20000-20999"), "--ports"),
        (("--placement", "pack"), "--placement"),
        (("--address", "127.0.0.1:9"), "--address"),
    ],
)
def test_what_concerns_processes_is_refused_in_one_line(
    qsagin: Call, tmp_path: Path, words: tuple[str, ...], flag: str
) -> None:
    status, _, err = qsagin("run", "tiny", *HERE, "--out", str(tmp_path / "x"), *words)
    assert status == 2
    assert err.splitlines() == [
        f"{flag}: concerns processes; leave it out, or say --engine processes"
    ]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_faults_of_processes_are_refused_before_anything_is_written(
    qsagin: Call, write_experiment: Write, tmp_path: Path, command: str
) -> None:
    path = write_experiment(faults=[{"kind": "uav-loss", "at_s": 10, "until_s": 20}, CRASH])
    status, _, err = qsagin(command, str(path), *HERE, "--out", str(tmp_path / "x"))
    assert status == 2
    (line,) = err.splitlines()
    assert "faults.1 strikes a process" in line
    assert "--engine processes" in line
    assert not (tmp_path / "x").exists()


def test_a_live_run_takes_no_fault_of_a_process(ran: tuple[dict[str, Any], Path]) -> None:
    _, folder = ran
    with pytest.raises(InjectionError, match="has no processes"):
        injection._resolved(folder / "experiment.yaml", CRASH)


def test_an_interrupted_run_is_begun_again_and_comes_to_the_same(
    ran: tuple[dict[str, Any], Path], qsagin: Call
) -> None:
    summary, folder = ran
    assert qsagin("run", "--resume", str(folder))[0] == 2  # has finished
    (folder / "summary.json").unlink()
    status, _, err = qsagin("run", "--resume", str(folder), *HERE)
    assert (status, "--engine" in err) == (2, True)
    status, out, err = qsagin("run", "--resume", str(folder), "--json")
    assert status == 0
    assert json.loads(out)["digest"] == summary["digest"]
    assert "it is begun again" in err.splitlines()[0]


def test_a_core_that_fails_ends_the_run_with_what_there_is(
    qsagin: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_window = InProcessNetwork.run_window

    def fail(network: InProcessNetwork, window: int) -> None:
        if window > 100:
            raise ArithmeticError("two and two\nare five")
        run_window(network, window)

    monkeypatch.setattr(InProcessNetwork, "run_window", fail)
    folder = tmp_path / "x"
    status, out, err = qsagin("run", "tiny", *HERE, "--out", str(folder), "--json")
    summary = json.loads(out)
    assert status == 1
    assert not summary["complete"]
    assert summary["failure"].endswith("failed: ArithmeticError: two and two are five")
    assert summary["audit"]["ok"]
    assert f"qsagin run --resume {folder}" in err


def test_sweeps_with_processes_only_take_hosts(qsagin: Call, tmp_path: Path) -> None:
    status, _, err = qsagin("sweep", "tiny", "--hosts", "2", "--out", str(tmp_path / "x"))
    assert (status, "--hosts: concerns processes" in err) == (2, True)
