"""The built-in experiment `paper`: how soon it starts, how fast it runs, how long its plans take."""

from __future__ import annotations

import json
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


def rows() -> Iterator[Row]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        yield start_up(Path(folder))
        yield rate(Path(folder), "24 key manager processes", 20)
        yield rate(Path(folder), "--hosts 2", 200, "--hosts", "2")
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
    return at_most("start-up over bare Ray", ours / bare, "times", 1.5, note)


def rate(folder: Path, name: str, wanted: float, *options: str) -> Row:
    """Windows a second of `paper` at --pace max."""
    out = str(folder / name.replace(" ", "-"))
    summary = _json([*QSAGIN, "run", "paper", "--out", out, "--json", *options])
    busy = summary["windows_run"] / summary["running_s"]
    windows_per_s = summary["windows"] / summary["running_s"]
    note = f"{busy:.0f} of them busy"
    return at_least(f"windows a second, {name}", windows_per_s, "1/s", wanted, note)


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
