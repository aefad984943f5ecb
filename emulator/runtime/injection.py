"""Faults and weather for a run that goes on: asked for by anybody who may write to its folder.

Who asks checks the fault as an experiment would be checked, works out what it does to the world, and puts
both into a table in the run folder.  The clock takes it at the next boundary of two windows: from then on
it has a time, every host learns of it before it runs the next window, and it belongs to the run's schedule.
`record` writes it into the folder's experiment, which, run again, is the same run.
What is asked of a run that does not take it in time is withdrawn, and has not happened.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Any

import yaml

from emulator.experiment.config import Experiment
from emulator.nature.happenings import DemandShift, Happening

FILE = "injected.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS injection (number INTEGER PRIMARY KEY, fault TEXT, happening TEXT,
    window INTEGER, withdrawn INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS deed (name TEXT PRIMARY KEY);
"""
_BUSY_S = 30.0
_PATIENCE_S = 20.0
_LOOK_EVERY_S = 0.05


class InjectionError(ValueError):
    """A fault cannot be injected; one line that names field and remedy."""


@dataclass(frozen=True)
class Injected:
    """One that was asked for: its fields, what it does (empty: to processes), and since which window."""

    number: int
    fault: dict[str, Any]
    happening: str
    window: int | None


class Injections:
    """The table, for any number of processes that share the run folder."""

    def __init__(self, run_folder: Path) -> None:
        self._connection = sqlite3.connect(run_folder / FILE, timeout=_BUSY_S, isolation_level=None)
        self._connection.executescript(_SCHEMA)

    def ask(self, fault: Mapping[str, Any], happening: str) -> int:
        """Ask for a fault; return its number."""
        row = (json.dumps(fault), happening)
        cursor = self._connection.execute(
            "INSERT INTO injection (fault, happening) VALUES (?, ?)", row
        )
        return int(cursor.lastrowid or 0)

    def withdraw(self, number: int) -> bool:
        """Take back what has not been taken; return whether it could be."""
        changed = self._connection.execute(
            "UPDATE injection SET withdrawn = 1 WHERE number = ? AND window IS NULL", (number,)
        )
        return changed.rowcount > 0

    def accept(self, number: int, fault: Mapping[str, Any], happening: str, window: int) -> bool:
        """Give a fault its time; return whether it had not been withdrawn."""
        changed = self._connection.execute(
            "UPDATE injection SET fault = ?, happening = ?, window = ? "
            "WHERE number = ? AND window IS NULL AND withdrawn = 0",
            (json.dumps(fault), happening, window, number),
        )
        return changed.rowcount > 0

    def window_of(self, number: int) -> int | None:
        """Return since which window a fault is in force; None: not taken yet."""
        query = "SELECT window FROM injection WHERE number = ?"
        (window,) = self._connection.execute(query, (number,)).fetchone()
        return None if window is None else int(window)

    def waiting(self) -> list[Injected]:
        """Return what has not been taken."""
        return self._select("window IS NULL AND withdrawn = 0")

    def accepted(self) -> list[Injected]:
        """Return what is in force, in the order in which it was taken."""
        return self._select("window IS NOT NULL")

    def is_new(self, deed: str) -> bool:
        """Return, for one caller once, that something has not been done to a process yet."""
        changed = self._connection.execute("INSERT OR IGNORE INTO deed VALUES (?)", (deed,))
        return changed.rowcount > 0

    def close(self) -> None:
        """Close the table."""
        self._connection.close()

    def _select(self, condition: str) -> list[Injected]:
        query = "SELECT number, fault, happening, window FROM injection WHERE "
        rows = self._connection.execute(f"{query} {condition} ORDER BY window, number")
        return [Injected(number, json.loads(fault), *rest) for number, fault, *rest in rows]


def submit(run_folder: Path, fault: Mapping[str, Any]) -> Injected:
    """Have a live run take a fault; return it with its time.

    The fields are those of an entry of `faults`; `at_s` may be left out, or be a time to come, and `for_s`
    may stand for `until_s`.  Raises `InjectionError`.
    """
    from emulator.parts.schedule_reading import resolved

    if not (run_folder / "experiment.yaml").exists():
        raise InjectionError(f"{run_folder}: is not the folder of a run")
    if (run_folder / "summary.json").exists():
        raise InjectionError(f"{run_folder}: the run has ended")
    fields, happening = resolved(run_folder / "experiment.yaml", fault)
    with _table(run_folder) as injections:
        number = injections.ask(fields, happening)
        ends_s = time.monotonic() + _PATIENCE_S
        while injections.window_of(number) is None:
            if time.monotonic() > ends_s and injections.withdraw(number):
                problem = f"took no fault within {_PATIENCE_S:g} s; is it still going on?"
                raise InjectionError(f"{run_folder}: the run {problem}")
            time.sleep(_LOOK_EVERY_S)
        return next(item for item in injections.accepted() if item.number == number)


def dated(fault: Mapping[str, Any], happening: Happening) -> dict[str, Any]:
    """Return a fault's fields with the time at which it happens."""
    if isinstance(happening, DemandShift):
        return {**fault, "from_period": happening.from_period}
    start_s, end_s = getattr(happening, "start_s"), getattr(happening, "end_s")  # noqa: B009
    return {**fault, "at_s": start_s, "until_s": None if isinf(end_s) else end_s}


def as_begun(run_folder: Path, experiment: Experiment) -> Experiment:
    """Return the experiment of a run folder without what was injected: actors have heard of that."""
    if not (run_folder / FILE).exists():
        return experiment
    with _table(run_folder) as injections:
        injected = [item.fault for item in injections.accepted()]
    faults = []
    for event in experiment.faults:
        fields = event.model_dump(mode="json", by_alias=True)
        if fields in injected:
            injected.remove(fields)
        else:
            faults.append(event)
    return experiment.model_copy(update={"faults": faults})


def record(run_folder: Path) -> bool:
    """Write what was injected into the folder's experiment; return whether there was anything new."""
    if not (run_folder / FILE).exists():
        return False
    with _table(run_folder) as injections:
        faults = [item.fault for item in injections.accepted()]
    path = run_folder / "experiment.yaml"
    fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    new = [fault for fault in faults if fault not in fields["faults"]]
    if new:
        fields["faults"] += new
        half = path.with_suffix(".half")
        half.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
        half.replace(path)
    return bool(new)


@contextmanager
def _table(run_folder: Path) -> Iterator[Injections]:
    with closing(Injections(run_folder)) as injections:
        yield injections
