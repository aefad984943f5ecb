"""`make bench`: every performance bar of the project in one table, and a history of what was measured.

Each benchmark is a command of its own beside this file and reports its rows as they come.  The table
says how busy the machine was (load average of the last minute) before each benchmark began: figures
taken under load are what they are.  `benchmarks/results/latest.csv` has this table,
`benchmarks/history.csv` every table before it, with date, commit and machine.  Nothing here is a test;
the exit status is 1 only if something could not be measured.

    python benchmarks/run.py            about a quarter of an hour on two quiet cores
    python benchmarks/run.py --all      also 200 kills, 1000 nodes, mpi-sppy, ...: about an hour
    python benchmarks/run.py paper.py   some of either
"""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bars import MISSED, OK, UNCLEAR, Row
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
LATEST, HISTORY = HERE / "results" / "latest.csv", HERE / "history.csv"
FAILED = "FAILED"
_LIMIT_S = 2400.0
_QUICK = (
    "paper.py",
    "epochs.py",
    "provisioning.py",
    "large_plans.py",
    "formulations.py",
    "satellites.py",
    "world.py",
    "durability.py",
    "kills.py 10 1 key-managers",
    "exporter.py",
    "scraping.py 6",
    "polling.py",
    "accounts.py",
    "page.py",
    "scale.py --nodes 100 --limit 120",
)
_LONG = (
    "world.py sagin-day 24",
    "kills.py 200 7",
    "strikes.py 20",
    "scraping.py",
    "host_loss.py",
    "scale.py --nodes 300,1000 --limit 600",
    "path_wavelengths.py",
    "plan_and_run.py",
    "plan_and_run.py sagin-day 8",
    "mpi_sppy.py",
    "risk.py",
    "robust.py",
)
_STYLES = {OK: "green", MISSED: "bold red", FAILED: "bold red", UNCLEAR: "yellow"}


def main() -> None:
    """Measure, print the table, and keep it."""
    scripts = [word for word in sys.argv[1:] if word != "--all"]
    there_are = (*_QUICK, *_LONG) if "--all" in sys.argv else _QUICK
    chosen = [item for item in there_are if not scripts or item.split()[0] in scripts]
    if not chosen:
        sys.exit(f"no such benchmark; there are {', '.join(there_are)}")
    began_s, head = time.monotonic(), _machine()
    table = Table("bar", "figure", "unit", "wanted", "ratio", "", "load", box=None, pad_edge=False)
    rows = []
    with suppress(KeyboardInterrupt):  # what has been measured until then is told and kept
        for load, row in _measured(chosen):
            rows.append(head | {"load": load} | vars(row))
            ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
            shown = [f"{row.figure:.4g}", row.unit, row.wanted, ratio, row.verdict, f"{load:g}"]
            table.add_row(row.bar, *shown, style=_STYLES.get(row.verdict))
    Console(width=150 if not sys.stdout.isatty() else None).print(table)
    print(f"{head['commit']}, {head['cores']} cores, {(time.monotonic() - began_s) / 60:.0f} min")
    if rows:
        _keep(rows)
    sys.exit(any(row["verdict"] == FAILED for row in rows))


def _measured(items: Iterable[str]) -> Iterator[tuple[float, Row]]:
    """Run benchmarks one after the other; yield each row with the load before its benchmark."""
    for item in items:
        load = round(os.getloadavg()[0], 2)
        print(f"{item} (load {load:g})", file=sys.stderr, flush=True)
        for row in _rows(item):
            print(f"  {row}", file=sys.stderr, flush=True)
            yield load, row


def _rows(item: str) -> Iterator[Row]:
    """Run a benchmark; yield its rows, the last one a failure if it could not go on."""
    script, *words = item.split()
    python = os.environ.get("MPI_SPPY_PYTHON", "") if script == "mpi_sppy.py" else sys.executable
    if not python:
        print(f"  left out: MPI_SPPY_PYTHON is not set; see {script}", file=sys.stderr)
        return
    command = [python, str(HERE / script), *words, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as run:
        limit = threading.Timer(_LIMIT_S, run.terminate)
        limit.daemon = True  # nobody waits for it
        limit.start()
        for line in run.stdout or []:
            yield Row(**json.loads(line))
        limit.cancel()
    if run.returncode:
        yield Row(item, float("nan"), "", verdict=FAILED, note=f"exit status {run.returncode}")


def _machine() -> dict[str, Any]:
    """Return when, what and where this is."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = "+" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit + changed,
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
    }


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(HERE), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _keep(rows: list[dict[str, Any]]) -> None:
    """Write this table, and add it to the history."""
    LATEST.parent.mkdir(exist_ok=True)
    is_new = not HISTORY.exists()
    for path, mode, headed in ((LATEST, "w", True), (HISTORY, "a", is_new)):
        with path.open(mode, newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            if headed:
                writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
