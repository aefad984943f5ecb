"""Signs of life from the process that does the work to the one that watches it, over an inherited pipe.

A beat is one byte, which says in which phase the work is.  Without a supervisor nothing is said.
"""

from __future__ import annotations

import os
from contextlib import suppress

HEARTBEAT, TEMPORARY = "QSAGIN_HEARTBEAT", "QSAGIN_TEMPORARY"
STARTING, JOINING, RUNNING, LEAVING, FILES = b"s", b"j", b"r", b"l", b"f"
"""Actors are started, all here or on the machines of a cluster, and run; Ray is left; files of the run,
journals too, are checked or written."""
ANSWERED, DONE = b"a", b"d"
"""What the work has come to was printed; and the process ends, which native code does without a word."""
LOST = 75
"""The exit status of work that was lost through no fault of its own (EX_TEMPFAIL of sysexits.h)."""


def beat(phase: bytes) -> None:
    """Tell that the work goes on, in a phase."""
    pipe = os.environ.get(HEARTBEAT)
    if pipe is not None:
        with suppress(OSError, ValueError):
            os.write(int(pipe), phase)
