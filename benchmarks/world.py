"""How much of a run's time goes into sampling the emulated world; wanted: under 10 % at --pace max.

Runs an experiment with a counter of processor time around every question that an actor asks of its world
or of the satellites; each counter writes down its total as it grows, in the process where the actor lives.
The sum over all processes is stated against the time in which windows ran, as if nothing ran at once.

    python benchmarks/world.py [EXPERIMENT [HOSTS]]
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from counting import Counter

from emulator import run as running
from emulator.experiment.reading import read
from emulator.parts.cast import Cast
from emulator.runtime.clock import Pace


def counted(cast: Cast, folder: str) -> Cast:
    """Return the same roles, each with a counter around what it asks."""

    def count(role: Any) -> Any:
        names = [name for name in ("world", "overhead") if getattr(role, name, None) is not None]
        return replace(role, **{name: Counter(getattr(role, name), folder) for name in names})

    leads, key_managers = (tuple(map(count, group)) for group in (cast.leads, cast.key_managers))
    return Cast(leads, key_managers)


def main(name: str = "sagin-day", hosts: str = "2") -> None:
    """Run, and print the share."""
    plain = running.cast_of
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as counters:
        running.cast_of = lambda *parts: counted(plain(*parts), counters)
        options = running.Options(Pace.parse("max"), int(hosts))
        out = Path(folder, "run")
        outcome = running.run(*read(name), out, options, running.Watcher())
        world_s = sum(float(path.read_text()) for path in Path(counters).iterdir())
    if outcome.failure:
        sys.exit(f"{name}: {outcome.failure}")
    running_s = outcome.summary["running_s"]
    print(
        f"{name}, {hosts} hosts: {world_s:.2f} s of processor time in the world, "
        f"{running_s:.1f} s running: {world_s / running_s:.1%} (wanted: < 10 %)"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
