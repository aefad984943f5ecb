"""Real tunnels live and die with the emulated sky, as long as the emulation says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import environments
import pytest
from machines import until
from tunnels import (
    EXAMPLES,
    ROOT,
    Hosts,
    StrongSwanEnds,
    WireGuardEnds,
    agents,
    command,
    need_tools,
)

pytestmark = pytest.mark.system
QSAGIN = [sys.executable, "-m", "emulator"]
WINDOW_S = 1.0  # of tunnel.yaml


class Run:
    """A run in real time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        words = [str(EXAMPLES / "tunnel.yaml"), "--out", str(self.folder)]
        words += ["--pace", "realtime", "--hosts", "1", "--keys", "--json"]
        self.process = subprocess.Popen(
            [*QSAGIN, "run", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        until((self.folder / "access.json").exists, 90)

    def door(self, sae: str) -> tuple[str, Path]:
        """Return an SAE's door, and the folder of its credentials."""
        out = self.folder.parent.parent / sae
        words = ("access", str(self.folder), "--sae", sae, "--out", str(out), "--json")
        return json.loads(command(*QSAGIN, *words))["url"], out

    def cut(self, for_s: float) -> None:
        """Cut the fiber."""
        command(*QSAGIN, "inject", str(self.folder), "fiber-cut", "link=A,B", f"for_s={for_s}")

    def summary(self) -> dict[str, Any]:
        """Return the summary, when the run is over."""
        out, err = self.process.communicate(timeout=200)
        assert self.process.returncode == 0, err
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    need_tools("wg", "wireguard-go", "swanctl")
    found: Run = getattr(request, "param", Run)(tmp_path / "out")
    yield found
    if found.process.poll() is None:
        found.process.terminate()
        found.process.communicate(timeout=60)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with Hosts() as found:
        yield found


class ChaosRun(Run):
    """The run of a chaos experiment, which cuts the fiber itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        words = ["chaos", str(EXAMPLES / "cut.yaml"), "--out", str(folder), "--json"]
        self.process = subprocess.Popen(
            [*QSAGIN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        until((self.folder / "access.json").exists, 90)

    def cut(self, for_s: float) -> None:
        """Leave it to the experiment."""

    def summary(self) -> dict[str, Any]:
        """Return the summary, when the experiment is over and has held."""
        assert super().summary()["ok"]
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return found


def _renewals(log: Path) -> list[str]:
    return [line.split()[-1] for line in log.read_text().splitlines() if "renewed with" in line]


def _judge(run: Run, logs: list[Path]) -> None:
    """Cut the fiber under a tunnel, and hold its outage against what the emulation says."""
    until(lambda: len(_renewals(logs[1])) >= 3, 40)
    time.sleep(2)  # a probe that was answered
    run.cut(for_s=25)
    observed = run.folder / "observed.jsonl"
    until(observed.exists, 70)
    summary = run.summary()
    slave, master = map(_renewals, logs)
    assert set(master) <= set(slave)
    assert len(set(master)) == len(master) >= 8
    assert summary["audit"]["ok"]
    longest = max(summary["observed"], key=lambda item: item["observed_s"])
    assert longest["observed_s"] > 3
    assert longest["emulated_s"] is not None
    for name in ("from_s", "until_s"):
        assert abs(longest[name] - longest[f"emulated_{name}"]) <= WINDOW_S
    assert "measured from outside" in (run.folder / "report.html").read_text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("run", [ChaosRun], indirect=True, ids=["chaos"])
def test_a_wireguard_tunnel_is_out_as_long_as_the_emulation_has_no_key(
    run: Run, hosts: Hosts
) -> None:
    ends = WireGuardEnds(hosts)
    logs = agents(hosts, [ends.words(0), ends.words(1)], [run.door("alice"), run.door("bob")])
    hosts.probe(run.folder, {"tunnel": "WireGuard", "master": "alice", "slave": "bob"})
    _judge(run, logs)


@pytest.mark.timeout(300)
def test_a_strongswan_tunnel_is_out_as_long_as_the_emulation_has_no_key(
    run: Run, hosts: Hosts, tmp_path: Path
) -> None:
    vici = environments.wheel("vici", tmp_path)
    ends = StrongSwanEnds(hosts)
    doors = [run.door("alice"), run.door("bob")]
    logs = agents(hosts, [ends.words(0), ends.words(1)], doors, str(vici))
    hosts.probe(run.folder, {"tunnel": "strongSwan", "master": "alice", "slave": "bob"})
    _judge(run, logs)
