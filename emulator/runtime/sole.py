"""One process at a time may work on a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sole(folder: Path, otherwise: Exception) -> Iterator[None]:
    """Hold the lock of a folder, which its holder's end releases, however it ends; raise if it is taken."""
    with (folder / "lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise otherwise from None
        yield
