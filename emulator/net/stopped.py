"""Which processes of this machine stay stopped (SIGSTOP), so that they are as good as lost.

Who waits for a process hears of its death, but never of a stop.  One that stays stopped for as long as
`STOPPED_LIMIT_S` is killed by whoever looks, so that it is started again or given up.  One that is let go
on between two looks, however shortly, is slow and not lost: the kernel counts how often it was taken off a
processor.  It loads nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STOPPED_LIMIT_S = 10.0
_SWITCHES = ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")


class StoppedWatch:
    """Kills those who stay stopped, once it has seen them so for longer than a limit."""

    def __init__(self, limit_s: float = STOPPED_LIMIT_S) -> None:
        self._limit_s = limit_s
        self._since: dict[int, tuple[str, float]] = {}

    def look(self, pids: Iterable[int]) -> list[int]:
        """Kill who was stopped for longer than the limit; return them."""
        now_s, killed = time.monotonic(), list[int]()
        marks = {pid: mark for pid in pids if (mark := _standstill(pid))}
        before, self._since = self._since, {}
        for pid, mark in marks.items():
            known, since_s = before.get(pid, ("", now_s))
            self._since[pid] = (mark, since_s if known == mark else now_s)
            if now_s - self._since[pid][1] > self._limit_s:
                killed.append(pid)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        return killed


def state_of(pid: int) -> str:
    """Return a process's state, as `T` for stopped; empty if there is no such process."""
    return status_of(pid).get("State", "")[:1]


def status_of(pid: int) -> dict[str, str]:
    """Return what the kernel tells of a process, by name; empty if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _standstill(pid: int) -> str:
    """Return how often a stopped process has run, which changes when it is let go on; else nothing."""
    status = status_of(pid)
    if not status.get("State", "").startswith("T"):
        return ""
    return " ".join(status.get(name, "") for name in _SWITCHES)
