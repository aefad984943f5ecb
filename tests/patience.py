"""How long tests wait: as long as it takes on this machine, as busy as it is now.

Tests of whole runs wait for processes to start, work and end.  A limit that suits two quiet cores is
stretched by how much longer than there a fresh process takes to import what every actor imports; that is
measured every minute.  A test that must tell "never" from "late" waits for a condition, not for a time.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

_QUIET_S = 0.5  # on two quiet cores
_MOST = 20.0


def patient(limit_s: float) -> float:
    """Return a limit of two quiet cores as one of this machine now, in seconds."""
    return limit_s * _stretch(int(time.monotonic() // 60))


def until(what: Callable[[], Any], limit_s: float = 120.0) -> Any:
    """Wait until a condition holds and return what it found.

    Raises `TimeoutError` if it does not in `limit_s` of two quiet cores.
    """
    ends_s = time.monotonic() + patient(limit_s)
    while time.monotonic() < ends_s:
        if found := what():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"did not happen within {limit_s:g} s of a quiet machine")


@cache
def _stretch(_minute: int) -> float:
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import ray"], check=True, capture_output=True)
    return min(_MOST, max(1.0, (time.monotonic() - began_s) / _QUIET_S))
