"""One run of `paper` with two hosts, and what it spent: for benchmarks that compare runs in pairs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spent:
    """What a run took: windows a second while they ran; processor time a window of all its processes.

    Processor time counts from start to end, for nobody can tell from outside when windows begin: what
    is added while windows run is a larger share of that than it seems here.
    """

    windows_per_s: float
    cpu_s_a_window: float


def run_paper(
    out: Path, *options: str, meanwhile: AbstractContextManager[None] | None = None
) -> Spent:
    """Run `paper` into a new folder, with something going on meanwhile."""
    command = [sys.executable, "-m", "emulator", "run", "paper", "--hosts", "2"]
    before_s = _children_cpu_s()
    with meanwhile or nullcontext():
        done = subprocess.run(
            [*command, "--out", str(out), "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    summary = json.loads(done.stdout)
    windows = summary["windows"]
    spent_s = _children_cpu_s() - before_s
    return Spent(windows / summary["running_s"], spent_s / windows)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
