"""Faults of processes, done on purpose, and a watchdog for processes that stay stopped.

A killed actor is restarted and replays its mail; a stopped one resumes after a while.  Neither changes an
outcome.  One that stays stopped for long is taken for lost and killed, so that it is restarted.  Only
processes of this machine can be reached.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from emulator.store.registry import Registry
from emulator.world.events import ProcessAction

_TURN_S = 0.1
_AWAKE_SHARE = 0.1


def do(run_folder: Path, actor: str, action: ProcessAction, wall_s: float) -> bool:
    """Kill, stop or slow an actor's process; return whether there is one here."""
    found = Registry(run_folder).find(actor)
    if found is None or not found.is_here or not state_of(found.pid):
        return False
    match action:
        case ProcessAction.KILL:
            with suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGKILL)
        case ProcessAction.STOP:
            _later(f"kill -STOP {found.pid}; sleep {wall_s}; kill -CONT {found.pid}")
        case ProcessAction.SLOW:
            asleep_s, awake_s = _TURN_S * (1 - _AWAKE_SHARE), _TURN_S * _AWAKE_SHARE
            turn = (
                f"kill -STOP {found.pid}; sleep {asleep_s}; kill -CONT {found.pid}; sleep {awake_s}"
            )
            turns = max(1, round(wall_s / _TURN_S))
            _later(f"for turn in $(seq {turns}); do {turn}; done; kill -CONT {found.pid}")
    return True


def state_of(pid: int) -> str:
    """Return a process's state, as `T` for stopped; empty if there is no such process."""
    try:
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()[0]
        )
    except OSError:
        return ""


def _later(script: str) -> None:
    """Run a script in a session of its own, so that it continues if this process is stopped or killed."""
    subprocess.Popen(  # noqa: S602 - numbers only
        script,
        shell=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


STOPPED_LIMIT_S = 10.0


class Watchdog:
    """Kills actors that stay stopped."""

    def __init__(self, run_folder: Path, limit_s: float = STOPPED_LIMIT_S) -> None:
        self._registry, self._limit_s = Registry(run_folder), limit_s
        self._stopped_s: dict[int, float] = {}

    def look(self) -> list[str]:
        """Kill actors that were stopped for longer than the limit; return their names."""
        now_s, killed = time.monotonic(), []
        stopped: dict[int, float] = {}
        for name, actor in self._registry.everybody().items():
            if not actor.is_here or not actor.pid or state_of(actor.pid) != "T":
                continue
            stopped[actor.pid] = self._stopped_s.get(actor.pid, now_s)
            if now_s - stopped[actor.pid] > self._limit_s:
                killed.append(name)
                with suppress(ProcessLookupError):
                    os.kill(actor.pid, signal.SIGKILL)
        self._stopped_s = stopped
        return killed
