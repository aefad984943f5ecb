"""The page next to a run: a process that is started with it and ends with it.

It runs at low priority, in a session of its own, so that Ctrl-C in the terminal does not end it before the
run.  It holds the end of a pipe: when the run ends, in whatever way, the pipe closes, and the page
tells its viewers and ends.  A run never fails because its page does.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_S = 30.0
_END_S = 8.0


@contextmanager
def page_process(run_folder: Path, port: int | None) -> Iterator[PageProcess]:
    """Start a page next to a run, on any port if 0; no page if None."""
    page = PageProcess(run_folder, port)
    try:
        yield page
    finally:
        page.close()


class PageProcess:
    """A page, or none."""

    def __init__(self, run_folder: Path, port: int | None) -> None:
        self._process: subprocess.Popen[str] | None = None
        if port is not None:
            command = [sys.executable, "-m", "emulator", "page", str(run_folder)]
            self._process = subprocess.Popen(  # noqa: S603
                [*command, "--port", str(port), "--attached"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        """Where the page is, once it answers; empty if there is none."""
        if self._process is None or self._process.stdout is None:
            return ""
        ready, _, _ = select.select([self._process.stdout], [], [], _START_S)
        line = self._process.stdout.readline() if ready else ""
        return str(json.loads(line)["url"]) if line else ""

    def close(self) -> None:
        """Let the page tell its viewers that the run is over, and end it."""
        if self._process is None:
            return
        try:
            self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
