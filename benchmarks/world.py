"""How long a day of the whole network takes, and how much of that goes into sampling the emulated world.

Runs an experiment as it is, then with a counter of processor time around every question that an actor
asks of its world or of the satellites; each counter writes down its total as it grows, in the process
where the actor lives. The sum over all processes is stated against the time in which windows ran, as if
nothing ran at once.

    python benchmarks/world.py [EXPERIMENT [HOSTS]]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bars import Row, at_most, tell, words
from counting import Counter
from quiet import Quiet

from emulator import run as running
from emulator.build.loading import read
from emulator.build.manager_role import Actors
from emulator.engines import processes as engine
from emulator.engines.job import Options
from emulator.runtime.pacing import Pace

_MOST_WALL_S = 180.0


def counted(actors: Actors, folder: str) -> Actors:
    """Return the same roles, each with a counter around what it asks."""

    def count(role: Any) -> Any:
        names = [name for name in ("world", "view") if getattr(role, name, None) is not None]
        return replace(role, **{name: Counter(getattr(role, name), folder) for name in names})

    groups = (actors.leads, actors.key_managers)
    leads, key_managers = (tuple(map(count, group)) for group in groups)
    return replace(actors, leads=leads, key_managers=key_managers)


def rows(name: str = "sagin-day", hosts: str = "2") -> Iterator[Row]:
    """Run twice: as it is, for its wall time, and counted, for the share of the world."""
    processes = f"{name}, {hosts} key manager processes"
    with tempfile.TemporaryDirectory() as folder:
        wall_s = _run(name, int(hosts), Path(folder, "run"))["wall_s"]
        yield at_most(processes, wall_s, "s", _MOST_WALL_S)
    plain = vars(engine)["actors_of"]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as counters:
        vars(running)["actors_of"] = lambda *parts: counted(plain(*parts), counters)
        running_s = _run(name, int(hosts), Path(folder, "run"))["running_s"]
        world_s = sum(float(path.read_text()) for path in Path(counters).iterdir())
    note = f"{world_s:.2f} s of processor time, {running_s:.1f} s running"
    yield at_most(f"sampling the world, {processes}", 100 * world_s / running_s, "%", 10, note)


def _run(name: str, hosts: int, out: Path) -> dict[str, Any]:
    options = Options(Pace.parse("max"), hosts=hosts)
    outcome = running.run(read(name), out, options, Quiet())
    if outcome.failure:
        sys.exit(f"{name}: {outcome.failure}")
    return outcome.summary


if __name__ == "__main__":
    tell(rows(*words()))
