"""What it costs that no key is lost with its process: `paper` with journals on disk against --volatile.

Both are run with two hosts at --pace max.  Of each pair, the share of windows a second that is lost;
turns begin with one and with the other, so that a machine that grows busier does not favour either.

    python benchmarks/durability.py [PAIRS]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bars import Row, interval, surely_at_most, tell, words

_PAIRS = 3


@dataclass(frozen=True)
class Spent:
    """What a run took: windows a second while they ran; processor time a window of all its processes.

    Processor time counts from start to end, for nobody can tell from outside when windows begin: what
    is added while windows run is a larger share of that than it seems here.
    """

    windows_per_s: float
    cpu_s_a_window: float


def run_paper(out: Path, *options: str) -> Spent:
    """Run `paper` into a new folder."""
    command = [sys.executable, "-m", "emulator", "run", "paper", "--hosts", "2"]
    before_s = _children_cpu_s()
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


def rows(pairs: int = _PAIRS) -> Iterator[Row]:
    """Measure so many pairs."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(pairs):
            order = (False, True) if pair % 2 else (True, False)
            spent = {
                volatile: run_paper(
                    Path(folder, f"{pair}-{volatile}"), *(["--volatile"] if volatile else [])
                )
                for volatile in order
            }
            found.append((spent[False], spent[True]))
    yield _lost("speed lost to durability", [_slower(a, b) for a, b in found], found)
    cpu = interval([100 * (a.cpu_s_a_window / b.cpu_s_a_window - 1) for a, b in found])
    yield Row("processor time added by durability", cpu.mean, "%", note=str(cpu))


def _slower(durable: Spent, volatile: Spent) -> float:
    return 100 * (1 - durable.windows_per_s / volatile.windows_per_s)


def _lost(bar: str, shares: list[float], found: list[tuple[Spent, Spent]]) -> Row:
    told = ", ".join(f"{a.windows_per_s:.0f}/{b.windows_per_s:.0f}" for a, b in found)
    note = f"{len(found)} pairs: {told} windows/s"
    return surely_at_most(bar, interval(shares), "%", 25, note)


if __name__ == "__main__":
    tell(rows(*map(int, words())))
