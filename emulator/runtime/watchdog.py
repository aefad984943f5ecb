"""What is done about processes that stand still: an actor that stays stopped is killed, and so restarted.

Only processes of this machine can be reached.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from emulator.runtime.process_faults import state_of
from emulator.store.registry import Registry

STOPPED_LIMIT_S = 10.0


class Watchdog:
    """Kills actors that stay stopped."""

    def __init__(self, run_folder: Path, limit_s: float = STOPPED_LIMIT_S) -> None:
        self._registry, self._limit_s = Registry(run_folder), limit_s
        self._stopped_s: dict[int, float] = {}

    def look(self) -> list[str]:
        """Kill whom the limit has passed for; return their names."""
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
