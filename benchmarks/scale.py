"""How cost grows with the network: runs of 100, 300, 1000 and 3000 nodes, five requests a node.

`python benchmarks/scale.py [--nodes 100,300] [--requests-a-node 1] [--periods 8] [--limit SECONDS]` runs
drawn networks (`networks.py`) at `--pace max` on two hosts (more where certificates could not name all who
would share one), and prints and writes, for each size, the times to plan, start and run, windows a second
(of the whole run, and from its first period on, when everything has been set up), the CPU time and the
memory of all processes of the run: proportional set size, at its highest of a look every five seconds.
A run that takes longer than the limit is ended and told by the windows that it got through; a size whose
run gave nothing has empty fields.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import psutil
from bars import Row, at_least, at_most, tell
from matplotlib.figure import Figure
from networks import write_experiment

from emulator.build.environment import timeline_of
from emulator.build.loading import read
from emulator.store import journal, journals

RESULTS = Path(__file__).parent / "results"
_HOSTS = 2
_BAR_NODES = 1000
_WEIGH_EVERY_S = 5.0
_END_LIMIT_S = 180.0  # for the accounts of a run that has been ended


@dataclass(frozen=True)
class Line:
    """One size; times are wall seconds but for `cpu_s`, `load` is the machine's when the run began."""

    nodes: int
    requests: int
    complete: bool
    plan_s: float | None
    startup_s: float | None
    running_s: float | None
    windows: int
    windows_per_s: float | None
    windows_per_s_in_periods: float | None
    cpu_s: float
    wall_s: float
    memory_mib: float
    memory_a_node_kib: float
    load: float


@dataclass
class _Watched:
    """What was seen of a run: its most memory, CPU time by process, and when it was in which window."""

    most_bytes: int = 0
    cpu_s: dict[int, float] = field(default_factory=dict)
    windows: list[tuple[float, int]] = field(default_factory=list)
    weigh_s: float = 0.0

    def look(self, pid: int, folder: Path) -> None:
        """Look once."""
        family = _family(pid)
        if time.monotonic() >= self.weigh_s:  # takes some tenths of a second of CPU
            self.most_bytes = max(self.most_bytes, _memory_bytes(family))
            self.weigh_s = time.monotonic() + _WEIGH_EVERY_S
        for process in family:
            with suppress(psutil.Error):
                times = process.cpu_times()
                self.cpu_s[process.pid] = times.user + times.system
        with suppress(journal.JournalError):
            self.windows.append((time.monotonic(), journals.last_window(folder)))

    def windows_per_s_from(self, window: int) -> float | None:
        """Return the speed from a window on; None if it was never seen running from there."""
        later = [seen for seen in self.windows if seen[1] >= window]
        moving = [seen for seen in later if seen[1] < later[-1][1]]
        if not moving:
            return None
        (began_s, first), (ended_s, last) = moving[0], later[len(moving)]
        return round((last - first) / (ended_s - began_s), 2)


def measure(nodes: int, requests_a_node: int, periods: int, limit_s: float) -> Line:
    """Run one size."""
    requests, load = requests_a_node * nodes, os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        experiment = write_experiment(Path(place) / "drawn", nodes, requests, periods)
        out = Path(place) / "run"
        first_period_s = timeline_of(read(str(experiment))).first_period_s  # windows are of 1 s
        plan_s = _plan_s(experiment, limit_s)
        command = [sys.executable, "-m", "emulator", "run", str(experiment), "--out", str(out)]
        began_s = time.monotonic()
        with subprocess.Popen(
            [*command, "--hosts", str(_HOSTS), "--pace", "max"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as run:
            watched = _watch(run, out, began_s + limit_s)
        wall_s = time.monotonic() - began_s
        path = out / "summary.json"
        told: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    running_s, windows = told.get("running_s"), told.get("windows", 0)
    return Line(
        nodes,
        requests,
        told.get("complete", False),
        plan_s,
        told.get("startup_s"),
        running_s,
        windows,
        round(windows / running_s, 2) if running_s else None,
        watched.windows_per_s_from(math.ceil(first_period_s)),
        round(sum(watched.cpu_s.values()), 1),
        round(wall_s, 1),
        round(watched.most_bytes / 2**20, 1),
        round(watched.most_bytes / 2**10 / nodes, 1),
        round(load, 1),
    )


def _plan_s(experiment: Path, limit_s: float) -> float | None:
    """Return how long `qsagin plan` solves, or None if it takes longer than the limit."""
    command = [sys.executable, "-m", "emulator", "plan", str(experiment), "--json"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return None
    return round(float(json.loads(done.stdout)["solve_s"]), 2)


def _watch(run: subprocess.Popen[bytes], folder: Path, ends_s: float) -> _Watched:
    """Look at a run until it ends: by SIGINT when time is up, and by force if it does not obey."""
    watched, is_ending = _Watched(), False
    while run.poll() is None:
        watched.look(run.pid, folder)
        if not is_ending and time.monotonic() > ends_s:
            run.send_signal(signal.SIGINT)
            is_ending = True
        if time.monotonic() > ends_s + _END_LIMIT_S:
            run.kill()
        time.sleep(1)
    return watched


def _family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started."""
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory_bytes(family: list[psutil.Process]) -> int:
    """Return the proportional set size of processes."""
    total = 0
    for process in family:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def write(lines: list[Line]) -> None:
    """Write the table and the figure."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "scale.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [item.name for item in fields(Line)])
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    shown = (
        ("windows_per_s_in_periods", "windows a second, once set up"),
        ("memory_mib", "memory, MiB"),
        ("startup_s", "start-up, s"),
    )
    for axes, (name, title) in zip(figure.subplots(1, len(shown)), shown, strict=True):
        found = [(line.nodes, value) for line in lines if (value := getattr(line, name))]
        axes.loglog(*zip(*found, strict=True), "o-") if found else None
        axes.set(xlabel="nodes", title=title)
        axes.grid(visible=True, which="both", alpha=0.3)
    figure.savefig(RESULTS / "scale.png", dpi=120)


def rows(line: Line) -> Iterator[Row]:
    """Say of one size what there are bars for."""
    name, note = f"{line.nodes} nodes", "" if line.complete else "cut short by its limit"
    rate = line.windows_per_s or 0.0
    if line.nodes == _BAR_NODES:
        yield at_least(f"windows a second, {name}", rate, "1/s", 20, note)
        yield at_most(f"memory, {name}", line.memory_mib / 2**10, "GiB", 4, note)
    else:
        yield Row(f"windows a second, {name}", rate, "1/s", note=note)
        yield Row(f"memory, {name}", line.memory_mib / 2**10, "GiB", note=note)
    later = line.windows_per_s_in_periods
    if later is not None:
        yield Row(f"windows a second once set up, {name}", later, "1/s", note=note)
    for what, taken_s in (("plan", line.plan_s), ("start-up", line.startup_s)):
        if taken_s is not None:
            yield Row(f"{what}, {name}", taken_s, "s")


def main() -> None:
    """Measure the sizes asked for, and tell each as soon as it is known; write all that there are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nodes", default="100,300,1000,3000")
    parser.add_argument("--requests-a-node", type=int, default=5)
    parser.add_argument("--periods", type=int, default=8)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a size")
    parser.add_argument("--json", action="store_true", help="rows as JSON; write no files")
    options = parser.parse_args()
    lines: list[Line] = []
    for nodes in map(int, options.nodes.split(",")):
        lines.append(measure(nodes, options.requests_a_node, options.periods, options.limit))
        tell(rows(lines[-1]))
        if not options.json:
            write(lines)


if __name__ == "__main__":
    main()
