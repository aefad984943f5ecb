"""The table of faults that were injected into a live run, and of what was done to processes.

Anybody who may write to the run folder asks; the clock gives what was asked for its time, once.  What is
not taken in time is withdrawn by who has asked.  Nothing here knows what a fault does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Any

from emulator.world.events import DemandShift, OperatorSet, WorldEvent

FILE = "injected.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS injection (number INTEGER PRIMARY KEY, fault TEXT, event TEXT,
    window INTEGER, withdrawn INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS action (name TEXT PRIMARY KEY);
"""
_BUSY_S = 30.0


@dataclass(frozen=True)
class Injected:
    """One that was asked for: its fields, what it does (empty: to processes), and since which window."""

    number: int
    fault: dict[str, Any]
    event: str
    window: int | None


class Injections:
    """The table, for any number of processes that share the run folder; threads may take turns."""

    def __init__(self, run_folder: Path) -> None:
        self._connection = sqlite3.connect(
            run_folder / FILE, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection.executescript(_SCHEMA)

    def ask(self, fault: Mapping[str, Any], event: str) -> int:
        """Ask for a fault; return its number."""
        row = (json.dumps(fault), event)
        cursor = self._connection.execute("INSERT INTO injection (fault, event) VALUES (?, ?)", row)
        return int(cursor.lastrowid or 0)

    def withdraw(self, number: int) -> bool:
        """Take back what has not been taken; return whether it could be."""
        changed = self._connection.execute(
            "UPDATE injection SET withdrawn = 1 WHERE number = ? AND window IS NULL", (number,)
        )
        return changed.rowcount > 0

    def accept(self, number: int, fault: Mapping[str, Any], event: str, window: int) -> bool:
        """Give a fault its time; return whether it had not been withdrawn."""
        changed = self._connection.execute(
            "UPDATE injection SET fault = ?, event = ?, window = ? "
            "WHERE number = ? AND window IS NULL AND withdrawn = 0",
            (json.dumps(fault), event, window, number),
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
        """Return what is in force, in the order in which it was taken; windows need not ascend.

        Whoever has heard of the first ones hears of the others, so the order must stay.
        """
        return self._select("window IS NOT NULL")

    def is_new(self, action: str) -> bool:
        """Return, for one caller once, that something has not been done to a process yet."""
        changed = self._connection.execute("INSERT OR IGNORE INTO action VALUES (?)", (action,))
        return changed.rowcount > 0

    def close(self) -> None:
        """Close the table."""
        self._connection.close()

    def _select(self, condition: str) -> list[Injected]:
        query = "SELECT number, fault, event, window FROM injection WHERE "
        rows = self._connection.execute(f"{query} {condition} ORDER BY number")
        return [Injected(number, json.loads(fault), *rest) for number, fault, *rest in rows]


def dated(fault: Mapping[str, Any], event: WorldEvent) -> dict[str, Any]:
    """Return a fault's fields with the time at which it happens."""
    if isinstance(event, DemandShift):
        return {**fault, "from_period": event.from_period}
    if isinstance(event, OperatorSet):
        return {**fault, "at_s": event.start_s}
    start_s, end_s = getattr(event, "start_s"), getattr(event, "end_s")  # noqa: B009
    return {**fault, "at_s": start_s, "until_s": None if isinf(end_s) else end_s}
