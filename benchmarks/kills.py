"""SIGKILL on real actors: how many runs come out as if nothing had happened, and how soon actors answer.

`python benchmarks/kills.py [KILLS] [SEED]` runs `tiny` again and again, kills actors at random moments
(hosts, controllers, manager, clock, exporter) until so many have been killed, and compares each run's
digest with that of an undisturbed run.  It also tells how long it took until the killed actor had
published its address again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.runtime.doors import CLOCK
from emulator.runtime.registry import Registry, Whereabouts
from emulator.telemetry.exporter import METRICS

QSAGIN = [sys.executable, "-m", "emulator"]
_RETURN_LIMIT_S = 60.0


@dataclass
class Campaign:
    """What has been seen so far."""

    luck: random.Random
    wanted: int
    digest: str
    kills: Counter[str] = field(default_factory=Counter)
    back_s: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    runs: int = 0

    def go(self) -> None:
        """Run and kill until it is enough."""
        while self.kills.total() < self.wanted:
            with tempfile.TemporaryDirectory() as folder:
                self._one(Path(folder) / "run")
            self.runs += 1
            print(f"{self.kills.total()} kills, {dict(self.faults)}", flush=True)

    def _one(self, folder: Path) -> None:
        with _started(folder) as run:
            while not (folder / "plan.json").exists() and run.poll() is None:
                time.sleep(0.02)
            while run.poll() is None:
                time.sleep(self.luck.uniform(0.05, 1.0))
                self._kill_one(folder, run)
            text, told = run.communicate()
        self._judge(run.returncode, text, told)

    def _kill_one(self, folder: Path, run: subprocess.Popen[str]) -> None:
        registry = Registry(folder)
        name = self.luck.choice([name for name in sorted(registry.everybody()) if name != METRICS])
        before = registry.everybody()[name]
        if run.poll() is not None or (folder / "summary.json").exists():
            return
        try:
            os.kill(before.pid, signal.SIGKILL)
        except ProcessLookupError:  # the run has just ended it
            return
        self.kills[_kind(name)] += 1
        began_s = time.monotonic()
        while run.poll() is None and time.monotonic() - began_s < _RETURN_LIMIT_S:
            if _is_back(registry, name, before):
                self.back_s.append(time.monotonic() - began_s)
                return
            time.sleep(0.01)

    def _judge(self, status: int, text: str, told: str) -> None:
        if status != 0:
            last = (told.splitlines() or [""])[-1]
            self.faults[f"exit status {status}: {last}"] += 1
            return
        summary: dict[str, Any] = json.loads(text)
        check = summary["audit"]
        self.faults["duplicates"] += check["duplicate_deliveries"]
        self.faults["mismatches"] += check["mismatched_keys"]
        self.faults["unknown keys"] += check["unknown_keys"]
        self.faults["void deliveries"] += check["void_deliveries"]
        self.faults["unaccounted bits"] += check["unaccounted_bits"]
        self.faults["other digests"] += summary["digest"] != self.digest


def _started(folder: Path) -> subprocess.Popen[str]:
    options = ["--hosts", "2", "--pace", "20", "--json"]
    return subprocess.Popen(
        [*QSAGIN, "run", "tiny", "--out", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _is_back(registry: Registry, name: str, before: Whereabouts) -> bool:
    now = registry.everybody()[name]
    return now.incarnation > before.incarnation and (now.published or name == CLOCK)


def _kind(name: str) -> str:
    return "key manager host" if name.startswith(("kme-", "host-")) else name


def main() -> None:
    """Kill, and tell."""
    kills, seed = (int(word) for word in (sys.argv[1:] + ["200", "1"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        options = ["--out", str(Path(folder) / "run"), "--hosts", "2", "--json"]
        quiet = subprocess.run([*QSAGIN, "run", "tiny", *options], capture_output=True, check=True)
    campaign = Campaign(random.Random(seed), kills, json.loads(quiet.stdout)["digest"])
    campaign.go()
    print(
        f"seed {seed}: {campaign.kills.total()} kills in {campaign.runs} runs: {dict(campaign.kills)}"
    )
    print(f"faults: {dict(campaign.faults)}")
    print(
        f"back after {statistics.median(campaign.back_s):.2f} s (median), "
        f"{max(campaign.back_s):.2f} s (most)"
    )


if __name__ == "__main__":
    main()
