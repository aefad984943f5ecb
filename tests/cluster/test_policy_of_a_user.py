"""A policy in the working directory, in runs made of processes: found by the actors, and resumed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import patient, until

from emulator.results.status import status_of

pytestmark = pytest.mark.cluster
COMMAND = [sys.executable, "-m", "emulator", "run"]
DEAREST = """
from global_manager.provisioning.own_policy import Order, ProvisioningPolicy
class Mine(ProvisioningPolicy):
    def reserve(self, view):
        return ()
    def recourse(self, view):
        return [Order(s.request.id, s.media[-1], s.units) for s in view.shortages if s.media]
"""


def _run(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=patient(180),
        check=False,
        cwd=here,
    )


def test_processes_find_it_and_resume_with_it_only_if_it_is_the_same(tmp_path: Path) -> None:
    source, tiny = tmp_path / "of_mine.py", ("tiny", "--policy", "of_mine:Mine")
    source.write_text(DEAREST, encoding="utf-8")
    quiet = _run(tmp_path, *tiny, "--engine", "in-process", "--json")
    assert quiet.returncode == 0, quiet.stderr
    words = [*COMMAND, *tiny, "--hosts", "1", "--out", "run", "--pace", "40"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE) as run:
        until((tmp_path / "run" / "plan.json").exists)
        until(lambda: status_of(tmp_path / "run")["window"] > 100)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=patient(60))

    source.write_text(f"{DEAREST}# changed\n", encoding="utf-8")
    refused = _run(tmp_path, "--resume", "run")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "the source of its policy of_mine:Mine is not what" in refused.stderr
    source.unlink()
    refused = _run(tmp_path, "--resume", "run")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "policy of_mine:Mine: cannot be imported" in refused.stderr

    source.write_text(DEAREST, encoding="utf-8")
    done = _run(tmp_path, "--resume", "run", "--json")
    assert done.returncode == 0, done.stderr
    resumed, undisturbed = json.loads(done.stdout), json.loads(quiet.stdout)
    for field in ("digest", "cost", "policy", "policy_source", "policy_failures"):
        assert resumed[field] == undisturbed[field]
    assert resumed["cost"]["satellite"] == 0 < resumed["cost"]["uav"]
