"""Which notifications of a run have been taken by somebody outside, kept in the run folder.

One that was taken is written down at once; only between the two a lost process has it sent again.
After a power loss more may be sent again: nothing waits for the disk.  Nothing here knows what a
notification says.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

FILE = "notices.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS taken (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (one INTEGER PRIMARY KEY CHECK (one = 1), window INTEGER);
"""
_BUSY_S = 30.0


class NoticeTable:
    """The table; for one process at a time, whose threads may take turns."""

    def __init__(self, run_folder: Path) -> None:
        self._connection = sqlite3.connect(
            run_folder / FILE, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(_SCHEMA)

    @property
    def window(self) -> int:
        """The last window of which everything has been taken; -1: none."""
        found = self._connection.execute("SELECT window FROM reached").fetchone()
        return -1 if found is None else int(found[0])

    def is_taken(self, name: str) -> bool:
        """Return whether a notification has been taken."""
        query = "SELECT 1 FROM taken WHERE id = ?"
        return self._connection.execute(query, (name,)).fetchone() is not None

    def take(self, name: str) -> None:
        """Write down that a notification has been taken."""
        self._connection.execute("INSERT OR IGNORE INTO taken VALUES (?)", (name,))

    def reach(self, window: int) -> None:
        """Write down that everything of a window has been taken."""
        self._connection.execute("INSERT OR REPLACE INTO reached VALUES (1, ?)", (window,))

    def close(self) -> None:
        """Close the table."""
        self._connection.close()
