"""SIGKILL on the real processes of a run: they come back, and the outcome is that of a quiet run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import patient, until

from emulator.store.registry import Registry
from emulator.telemetry.exporter import METRICS

pytestmark = pytest.mark.cluster
RUN = [sys.executable, "-m", "emulator", "run"]
COMMAND = [*RUN, "tiny", "--hosts", "1", "--json", "--out"]


def test_without_journals_on_disk_a_lost_actor_ends_the_run_with_partial_results(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [*COMMAND, str(folder), "--pace", "20", "--volatile"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        until((folder / "actors.sqlite").exists)
        registry = Registry(folder)
        until(
            lambda: (
                METRICS in registry.everybody()
                and all(
                    item.published or name == "clock" for name, item in registry.everybody().items()
                )
            )
        )
        time.sleep(2)
        os.kill(registry.everybody()["uav-controller"].pid, signal.SIGKILL)
        _, err = run.communicate(timeout=patient(120))
    assert run.returncode == 1, err
    assert "uav-controller" in err
    summary = json.loads((folder / "summary.json").read_text())
    assert not summary["complete"]
    assert (folder / "ledger.parquet").exists()
    assert (folder / "report.html").exists()


def test_every_kind_of_actor_can_be_killed_and_nobody_can_tell(tmp_path: Path) -> None:
    quiet = subprocess.run(
        [*COMMAND, str(tmp_path / "quiet")],
        capture_output=True,
        text=True,
        check=True,
        timeout=patient(120),
    )
    folder = tmp_path / "run"
    with subprocess.Popen(
        [*COMMAND, str(folder), "--pace", "15"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        until((folder / "plan.json").exists)
        registry = Registry(folder)
        victims = sorted(registry.everybody().keys() - {METRICS})
        for name in victims:
            before = registry.everybody()[name]
            os.kill(before.pid, signal.SIGKILL)
            until(lambda: registry.everybody()[name].incarnation > before.incarnation)  # noqa: B023
        out, err = run.communicate(timeout=patient(120))
    assert run.returncode == 0, err
    summary = json.loads(out)
    assert summary["restarts"] >= len(victims) - 1  # the last may have come too late to matter
    assert summary["digest"] == json.loads(quiet.stdout)["digest"]
    assert summary["audit"]["ok"]
    assert {"clock", "exporter", "fiber-controller", "global-manager"} < set(victims)


@pytest.mark.system
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_a_schedule_does_to_processes_the_run_is_that_of_a_quiet_one(
    seed: int, write_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    process_faults = list(_drawn_actions(random.Random(seed)))
    print(*process_faults, sep="\n")
    quiet = _digest("tiny", tmp_path / "quiet")
    disturbed = str(write_experiment(faults=process_faults))
    assert _digest(disturbed, tmp_path / "run", "--pace", "15") == quiet
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["restarts"] >= 1  # of two; what is killed last may come back too late to count
    assert summary["audit"]["ok"]


def _drawn_actions(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield what is done to whom, at any time of the run: each action twice, in any order."""
    actors = ["clock", "exporter", "global-manager", "fiber-controller", "uav-controller", "B"]
    process_faults = ["kill", "stop", "slow"] * 2
    chance.shuffle(process_faults)
    chance.shuffle(actors)
    for action, actor in zip(process_faults, actors, strict=True):
        wall_s = round(chance.uniform(0.5, 3.0), 1)
        at_s = chance.randrange(2, 200)
        yield {"kind": "process", "actor": actor, "action": action, "at_s": at_s, "wall_s": wall_s}


def _digest(experiment: str, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [*RUN, experiment, "--hosts", "1", "--json", "--out", str(folder), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(180),
    )
    assert done.returncode == 0, done.stderr
    digest: str = json.loads(done.stdout)["digest"]
    return digest
