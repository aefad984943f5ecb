"""Opening the databases of a run folder, to read them or to write to what is there.

A process that is killed in the middle of a transaction can leave a rollback journal, and then nobody reads
the database until somebody who may write has put it back (SQLite calls that journal hot).  Readers do so
first; nothing that was committed changes, and a journal that a living writer holds is let be.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote


def connect_to_read(path: Path, timeout_s: float = 5.0) -> sqlite3.Connection:
    """Return a connection that changes nothing.  Raises `sqlite3.DatabaseError`."""
    if rollback_journal_of(path).exists():
        with closing(connect_to_write(path, timeout_s)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return _connect(path, "ro", timeout_s)


def connect_to_write(path: Path, timeout_s: float = 5.0) -> sqlite3.Connection:
    """Return a connection to a database that is there.  Raises `sqlite3.DatabaseError`."""
    return _connect(path, "rw", timeout_s)


def rollback_journal_of(path: Path) -> Path:
    """Return where SQLite keeps what a transaction overwrites, while there is one."""
    return path.with_name(f"{path.name}-journal")


def _connect(path: Path, mode: str, timeout_s: float) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode={mode}"  # whatever signs are in its name
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s)
