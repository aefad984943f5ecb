"""What is done to processes on purpose, and what is done about processes that stand still.

A killed actor is started again, and makes up its past; a stopped one goes on after a while.  Neither
changes an outcome.  One that stays stopped for long is taken for lost, and killed, so that it is started
again.  Only processes of this machine can be reached.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from emulator.store.registry import Registry
from emulator.world.events import ProcessAction

_TURN_S = 0.1


_AWAKE_SHARE = 0.1


def do(run_folder: Path, actor: str, deed: ProcessAction, wall_s: float) -> bool:
    """Do something to an actor's process; return whether there is one here."""
    found = Registry(run_folder).find(actor)
    if found is None or not found.is_here or not state_of(found.pid):
        return False
    match deed:
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
    """Run a script beside us, which goes on if we are the ones that are stopped or killed."""
    subprocess.Popen(  # noqa: S602 - numbers only
        script,
        shell=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
