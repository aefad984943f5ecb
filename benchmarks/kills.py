"""SIGKILL on real actors: how many runs come out as if nothing had happened, and how soon actors answer.

`python benchmarks/kills.py [KILLS [SEED [key-managers]]]` runs `tiny` again and again, kills actors at
random moments (hosts, controllers, manager, clock, exporter; or hosts of key managers only) until so
many have been killed, and compares each run's digest with that of an undisturbed run.  It also tells
how long it took until the killed actor had published its address again.
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bars import Row, at_most, none, tell, words

from emulator.runtime.grpc_services import CLOCK
from emulator.store.registry import ActorRecord, Registry
from emulator.telemetry.exporter import METRICS

QSAGIN = [sys.executable, "-m", "emulator"]
_RETURN_LIMIT_S = 60.0
_KEY_MANAGERS = "key manager host"


@dataclass
class Campaign:
    """What has been seen so far."""

    chance: random.Random
    wanted: int
    digest: str
    key_managers_only: bool = False
    kills: Counter[str] = field(default_factory=Counter)
    back_s: dict[str, list[float]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    runs: int = 0

    def go(self) -> None:
        """Run and kill until it is enough."""
        while self.kills.total() < self.wanted:
            with tempfile.TemporaryDirectory() as folder:
                self._one(Path(folder) / "run")
            self.runs += 1
            said = f"{self.kills.total()} kills, {dict(self.faults)}"
            print(said, file=sys.stderr, flush=True)

    def _one(self, folder: Path) -> None:
        with _started(folder) as run:
            while not (folder / "plan.json").exists() and run.poll() is None:
                time.sleep(0.02)
            while run.poll() is None:
                time.sleep(self.chance.uniform(0.05, 1.0))
                self._kill_one(folder, run)
            text, told = run.communicate()
        self._judge(run.returncode, text, told)

    def _kill_one(self, folder: Path, run: subprocess.Popen[str]) -> None:
        registry = Registry(folder)
        names = [name for name in sorted(registry.everybody()) if name != METRICS]
        if self.key_managers_only:
            names = [name for name in names if _kind(name) == _KEY_MANAGERS]
        name = self.chance.choice(names)
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
                self.back_s.setdefault(_kind(name), []).append(time.monotonic() - began_s)
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


def _is_back(registry: Registry, name: str, before: ActorRecord) -> bool:
    now = registry.everybody()[name]
    return now.incarnation > before.incarnation and (now.published or name == CLOCK)


def _kind(name: str) -> str:
    return _KEY_MANAGERS if name.startswith(("kme-", "host-")) else name


def rows(kills: str = "200", seed: str = "1", whom: str = "all") -> Iterator[Row]:
    """Kill, and tell."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--out", str(Path(folder) / "run"), "--hosts", "2", "--json"]
        quiet = subprocess.run([*QSAGIN, "run", "tiny", *options], capture_output=True, check=True)
    digest = json.loads(quiet.stdout)["digest"]
    campaign = Campaign(random.Random(int(seed)), int(kills), digest, whom == "key-managers")
    campaign.go()
    count = campaign.kills.total()
    of = f"{count} kills in {campaign.runs} runs, seed {seed}"
    for fault, found in campaign.faults.items():
        yield none(f"{fault} after {count} kills of {whom}", found, "", f"{of}")
    for kind, back_s in sorted(campaign.back_s.items()):
        note = f"median {statistics.median(back_s):.2f} s of {len(back_s)}"
        bar = f"a killed {kind} answers again, slowest"
        if kind == _KEY_MANAGERS:
            yield at_most(bar, max(back_s), "s", 1.5, note)
        else:
            yield Row(bar, max(back_s), "s", note=note)


if __name__ == "__main__":
    tell(rows(*words()))
