"""Every built-in chaos experiment holds; drawn faults and what is done to processes end with a report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.chaos import actions, trial
from emulator.chaos.actions import NETWORKS
from emulator.config.schedule import RandomEvent
from emulator.store.registry import Registry

pytestmark = pytest.mark.system
KINDS = RandomEvent.model_json_schema()["properties"]["kinds"]["items"]["enum"]
COUNTRY = yaml.safe_load((NETWORKS / "country.yaml").read_text(encoding="utf-8"))


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emulator", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )


def _run(
    folder: Path, name: str, faults: list[dict[str, Any]], pace: str = "max", **changes: Any
) -> dict[str, Any]:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(COUNTRY | changes | {"faults": faults}), encoding="utf-8")
    out = folder / name
    done = _command("run", str(path), "--out", str(out), "--hosts", "1", "--pace", pace, "--json")
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["complete"]
    assert summary["audit"]["ok"]
    return summary


@pytest.mark.parametrize("name", trial.built_in())
def test_every_built_in_chaos_experiment_holds(name: str, tmp_path: Path) -> None:
    done = _command("chaos", name, "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "run" / "report.html").exists()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faults_of_all_kinds_by_chance_leave_every_key_accounted_for(
    seed: int, tmp_path: Path
) -> None:
    drawn = {"kind": "random", "count": 25, "kinds": KINDS, "at_s": 100, "mean_s": 90}
    assert _run(tmp_path, f"seed-{seed}", [drawn], seed=seed)["faults"]


def test_what_is_done_to_processes_changes_nothing(tmp_path: Path) -> None:
    victims = ("global-manager", "uav-controller", "7", "clock")
    process_faults = [
        {"kind": "process", "actor": actor, "action": deed, "at_s": 200 + 60 * place, "wall_s": 1}
        for place, (actor, deed) in enumerate(
            (actor, deed) for actor in victims for deed in ("stop", "slow", "kill")
        )
    ]
    quiet = _run(tmp_path, "quiet", [])
    struck = _run(
        tmp_path, "struck", process_faults, pace="40"
    )  # so that who is killed is back before the end
    assert struck["digest"] == quiet["digest"]
    assert struck["restarts"] >= len(victims)


def test_a_process_that_is_stopped_for_good_does_not_hang_the_run(tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    actions.start_run("country", folder, pace="40")
    actions.wait_until(folder, 200)
    before = Registry(Path(folder)).everybody()["satellite-controller"]
    os.kill(before.pid, signal.SIGSTOP)
    began_s = time.monotonic()
    assert actions.end_run(folder, within_s=200)
    assert time.monotonic() - began_s < 100
    summary = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
    assert summary["restarts"] >= 1
    assert summary["audit"]["ok"]
    assert (Path(folder) / "report.html").exists()
