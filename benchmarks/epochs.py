"""What one hop of one reservation costs in one period: CPU time of whole commands, in either engine.

`python benchmarks/epochs.py [--nodes 60] [--requests-a-node 10] [--periods 4,16] [--engine ENGINE]` runs a
drawn network (`networks.py`) with many requests on few links, once with few periods and once with more.
The difference of the CPU times of all processes is divided by the hops of all reservations and by the
difference of the periods.  So planning, start-up and what else a command does once do not count, and
accounts do.  Nobody waits for Ray's processes, so all are looked at four times a second, and what one takes
after the last look is not seen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from bars import Row, at_most, tell
from networks import write_experiment

_ENGINES = {"in-process": ("--engine", "in-process"), "processes": ("--hosts", "2")}
_WANTED_MS = 0.04
_LOOK_EVERY_S = 0.25


def rows(
    nodes: int, requests_a_node: int, periods: tuple[int, int], engines: Iterable[str]
) -> Iterator[Row]:
    """Measure engines."""
    requests = requests_a_node * nodes
    for engine in engines:
        options = _ENGINES[engine]
        with tempfile.TemporaryDirectory() as place:
            short_s, hops = _run(Path(place) / "short", nodes, requests, periods[0], options)
            long_s, _ = _run(Path(place) / "long", nodes, requests, periods[1], options)
        hop_periods = hops * (periods[1] - periods[0])
        note = f"{hop_periods} hop-periods in {long_s - short_s:.1f} s, accounts included"
        figure = 1000 * (long_s - short_s) / hop_periods
        yield at_most(f"CPU a request-hop-period, {engine}", figure, "ms", _WANTED_MS, note)


def _run(
    folder: Path, nodes: int, requests: int, periods: int, options: tuple[str, ...]
) -> tuple[float, int]:
    """Return the CPU time of a command and all that it started, and the hops of all reservations."""
    experiment = write_experiment(folder, nodes, requests, periods)
    command = [sys.executable, "-m", "emulator", "run", str(experiment), "--pace", "max"]
    with subprocess.Popen(
        [*command, "--out", str(folder / "run"), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        taken_s = _cpu_s(run)
    if run.returncode:
        sys.exit(f"a run of {experiment} has failed")
    plan: dict[str, Any] = json.loads((folder / "run" / "plan.json").read_text())
    return taken_s, sum(len(item["path"]) - 1 for item in plan["allocations"] if item["units"])


def _cpu_s(run: subprocess.Popen[bytes]) -> float:
    """Wait for a command, and return the CPU time of all processes that were seen of it."""
    used_s: dict[tuple[int, float], float] = {}
    while run.poll() is None:
        with suppress(psutil.Error):
            root = psutil.Process(run.pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    used_s[process.pid, process.create_time()] = times.user + times.system
        time.sleep(_LOOK_EVERY_S)
    return sum(used_s.values())


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--requests-a-node", type=int, default=10)
    parser.add_argument("--periods", default="4,16", help="few and more, by comma")
    parser.add_argument("--engine", choices=list(_ENGINES), help="one only")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    few, more = map(int, options.periods.split(","))
    engines = [options.engine] if options.engine else _ENGINES
    tell(rows(options.nodes, options.requests_a_node, (few, more), engines))


if __name__ == "__main__":
    main()
