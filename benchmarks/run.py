"""`make bench`: every bar of performance in one table, as ratios and rates of this one run.

Nothing here is a test: figures depend on the machine and on what else it does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
QSAGIN = [sys.executable, "-m", "emulator"]
ACTORS_OF_PAPER = 24 + 4 + 1


def main() -> None:
    """Measure, and print one line a bar."""
    table = Table("bar", "measured", "wanted", "", box=None, pad_edge=False)
    for name, measured, wanted, holds in bars():
        table.add_row(name, f"{measured:.4g}", wanted, "ok" if holds else "MISSED")
    Console().print(table)


def bars() -> Iterator[tuple[str, float, str, bool]]:
    """Yield (bar, measured, wanted, whether it holds)."""
    with tempfile.TemporaryDirectory() as folder:
        yield start_up(Path(folder))
        yield rate(Path(folder), "24 key manager processes", 20)
        yield rate(Path(folder), "--hosts 2", 200, "--hosts", "2")
    yield from plans()


def start_up(folder: Path) -> tuple[str, float, str, bool]:
    """From `qsagin run` to the first window, against bare Ray; the better of two of each."""
    bare = min(
        _until_ready([sys.executable, str(HERE / "bare_ray.py"), str(ACTORS_OF_PAPER)])
        for _ in range(2)
    )
    run = [*QSAGIN, "run", "paper", "--out"]
    ours = min(_until_ready([*run, str(folder / f"start{n}")], end=True) for n in range(2))
    ratio = ours / bare
    return (f"start-up over bare Ray ({ours:.1f} s / {bare:.1f} s)", ratio, "<= 1.5", ratio <= 1.5)


def rate(folder: Path, name: str, wanted: float, *options: str) -> tuple[str, float, str, bool]:
    """Windows a second of `paper` at --pace max."""
    out = str(folder / name.replace(" ", "-"))
    summary = _json([*QSAGIN, "run", "paper", "--out", out, "--json", *options])
    windows_per_s = summary["windows"] / summary["running_s"]
    busy = summary["windows_run"] / summary["running_s"]
    name = f"windows/s, {name} ({busy:.0f} of them busy)"
    return name, windows_per_s, f">= {wanted:g}", windows_per_s >= wanted


def plans() -> Iterator[tuple[str, float, str, bool]]:
    """Time and gap of the plans of the paper's network."""
    paper = _json([*QSAGIN, "plan", "paper", "--json"])
    yield _at_most("plan paper, s", paper["solve_s"], 3)
    yield _at_most("plan paper, gap", paper["gap"], 1e-3)
    narrow = _json([*QSAGIN, "plan", "paper-w80", "--json"])
    yield _at_most("plan paper-w80, unplaced units", narrow["unplaced_units"], 0)
    yield f"plan paper-w80, gap (in {narrow['solve_s']:.1f} s)", narrow["gap"], "told", True


def _at_most(name: str, measured: float, limit: float) -> tuple[str, float, str, bool]:
    return name, measured, f"<= {limit:g}", measured <= limit


def _json(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, check=True)
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
    main()
