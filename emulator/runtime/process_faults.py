"""Faults of processes, done on purpose, and a watchdog for processes that stay stopped.

A killed actor is restarted and replays its mail; a stopped one resumes after a while.  Neither changes an
outcome.  One that stays stopped for long is taken for lost and killed, so that it is restarted.  Only
processes of this machine can be reached.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from emulator.net.stopped import STOPPED_LIMIT_S, StoppedWatch, state_of
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


class Watchdog:
    """Kills actors of this machine that stay stopped."""

    def __init__(self, run_folder: Path, limit_s: float = STOPPED_LIMIT_S) -> None:
        self._registry, self._watch = Registry(run_folder), StoppedWatch(limit_s)

    def look(self) -> list[str]:
        """Kill actors that were stopped for longer than the limit; return their names."""
        here = {
            actor.pid: name
            for name, actor in self._registry.everybody().items()
            if actor.is_here and actor.pid
        }
        return [here[pid] for pid in self._watch.look(here)]
