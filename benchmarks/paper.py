"""The built-in experiment `paper`: how soon it starts, how fast it runs, how long its plans take."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bars import TOLD, Row, at_least, at_most, none, tell

HERE = Path(__file__).parent
QSAGIN = [sys.executable, "-m", "emulator"]
ACTORS_OF_PAPER = 24 + 4 + 2  # key managers; manager and controllers; clock and exporter
_TURNS = 3
_POINTS = 8


def rows() -> Iterator[Row]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        yield start_up(Path(folder))
        yield rate(Path(folder), "24 key manager processes", 20)
        began_s = time.monotonic()
        yield rate(Path(folder), "--hosts 2", 200, "--hosts", "2")
        yield from in_process(Path(folder), time.monotonic() - began_s)
        yield sweep(Path(folder))
    paper = _json([*QSAGIN, "plan", "paper", "--json"])
    yield at_most("plan paper", paper["solve_s"], "s", 3)
    yield at_most("plan paper, gap", paper["gap"], "", 1e-3)
    narrow = _json([*QSAGIN, "plan", "paper-w80", "--json"])
    yield none("plan paper-w80, unplaced", narrow["unplaced_units"], "units")
    yield Row("plan paper-w80", narrow["solve_s"], "s", verdict=TOLD)
    yield Row("plan paper-w80, gap", narrow["gap"], "", verdict=TOLD)


def start_up(folder: Path) -> Row:
    """From `qsagin run` to the first window, against bare Ray, in turns; the better of each."""
    bare_s, ours_s = [], []
    for turn in range(_TURNS):
        bare_s.append(
            _until_ready([sys.executable, str(HERE / "bare_ray.py"), str(ACTORS_OF_PAPER)])
        )
        ours_s.append(
            _until_ready([*QSAGIN, "run", "paper", "--out", str(folder / f"start{turn}")], end=True)
        )
    ours, bare = min(ours_s), min(bare_s)
    note = f"{ours:.1f} s, bare Ray {bare:.1f} s in the same run"
    return at_most("start-up over bare Ray", ours / bare, "times", 1.15, note)


def rate(folder: Path, name: str, wanted: float, *options: str) -> Row:
    """Windows a second of `paper` at --pace max."""
    out = str(folder / name.replace(" ", "-"))
    summary = _json([*QSAGIN, "run", "paper", "--out", out, "--json", *options])
    busy = summary["windows_run"] / summary["running_s"]
    windows_per_s = summary["windows"] / summary["running_s"]
    note = f"{busy:.0f} of them busy"
    return at_least(f"windows a second, {name}", windows_per_s, "1/s", wanted, note)


def in_process(folder: Path, by_hosts_s: float) -> Iterator[Row]:
    """Measure the whole command in one process, accounts and report included, and against `--hosts 2`."""
    began_s, before_s = time.monotonic(), _cpu_s()
    _json(
        [*QSAGIN, "run", "paper", "--engine", "in-process", "--out", str(folder / "here"), "--json"]
    )
    took_s, cpu_s = time.monotonic() - began_s, _cpu_s() - before_s
    yield at_most("paper in process, CPU of the whole command", cpu_s, "s", 5)
    note = f"{took_s:.1f} s against {by_hosts_s:.1f} s"
    yield at_least("paper in process, over --hosts 2", by_hosts_s / took_s, "times", 8, note)


def sweep(folder: Path) -> Row:
    """Extrapolate a sweep of 200 points of `paper` from some of them, once the first has ended."""
    ends_s = []
    command = [*QSAGIN, "sweep", "paper", "--seeds", ",".join(map(str, range(_POINTS)))]
    with subprocess.Popen(
        [*command, "--out", str(folder / "sweep")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as run:
        for line in run.stderr or []:
            ends_s += [time.monotonic()] * line.endswith(": done\n")
    a_point_s = (ends_s[-1] - ends_s[0]) / (len(ends_s) - 1)
    note = f"{a_point_s:.2f} s a point, of {len(ends_s)}"
    return at_most("sweep of 200 points, extrapolated", 200 * a_point_s, "s", 600, note)


def _cpu_s() -> float:
    """Return the CPU time of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _json(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _until_ready(command: list[str], *, end: bool = False) -> float:
    """Return the time until a command says `metrics:`; then end it, or let it end."""
    began_s = time.monotonic()
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as run:
        _wait_for(run.stderr or [], lambda line: line.startswith("metrics:"))
        ready_s = time.monotonic() - began_s
        if end:
            run.terminate()
        run.communicate()
    return ready_s


def _wait_for(lines: Any, wanted: Callable[[str], bool]) -> None:
    for line in lines:
        if wanted(line):
            return
    raise RuntimeError("the command ended before it was ready")


if __name__ == "__main__":
    tell(rows())
