"""The journal of one entity: what it noted, window by window, in one SQLite database.

A window's facts are committed together, before anything that the window sends leaves the process.
Facts are only ever appended.  Readers may look while a run goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from protos.core import Fact

FOLDER = "journal"
COLUMNS = ("window", *(field.name for field in fields(Fact)))
_TEXT = ("kind", "medium", "peer", "end", "key_id", "note")
_SCHEMA = ", ".join(
    f'"{name}" ' + ("TEXT" if name in _TEXT else "BLOB" if name == "fingerprint" else "INTEGER")
    for name in COLUMNS
)
_INSERT = f"INSERT INTO fact VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608


class JournalError(Exception):
    """A journal cannot be read."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class Journal:
    """The writing side."""

    def __init__(self, run_folder: Path, entity: str) -> None:
        path = run_folder / FOLDER / f"{entity}.sqlite"
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS fact ({_SCHEMA})")

    def commit(self, window: int, facts: Iterable[Fact]) -> None:
        """Append the facts of a window, all or none."""
        rows = [(window, *values_of(fact)) for fact in facts]
        if rows:
            self._connection.execute("BEGIN")
            self._connection.executemany(_INSERT, rows)
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Fold the write-ahead log into the database, and close it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


def values_of(fact: Fact) -> tuple[str | int | bytes, ...]:
    """Return a fact's values in column order, without the deep copy of `dataclasses.astuple`."""
    return (
        fact.kind.value,
        fact.request,
        fact.period,
        fact.serial,
        fact.medium,
        fact.peer,
        fact.end,
        fact.units,
        fact.bits,
        fact.cost,
        fact.key_id,
        fact.fingerprint,
        fact.note,
    )


def entities(run_folder: Path) -> list[str]:
    """Return the entities that have a journal.  Raises `JournalError` if there is none."""
    names = sorted(path.stem for path in (run_folder / FOLDER).glob("*.sqlite"))
    if not names:
        raise JournalError(str(run_folder), "holds no journal; is it the folder of a run?")
    return names


def rows(run_folder: Path, entity: str, query: str) -> Iterator[tuple[object, ...]]:
    """Yield what a query over one journal's table `fact` gives.  Raises `JournalError`."""
    path = run_folder / FOLDER / f"{entity}.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            yield from connection.execute(query)
    except sqlite3.DatabaseError as error:
        raise JournalError(str(path), f"cannot be read: {error}") from error


def check(run_folder: Path, entity: str) -> None:
    """Have SQLite check a journal's structure.  Raises `JournalError` if it is damaged."""
    (found,) = next(rows(run_folder, entity, "PRAGMA integrity_check(1)"), ("no answer",))
    if found != "ok":
        path = run_folder / FOLDER / f"{entity}.sqlite"
        raise JournalError(str(path), f"is damaged: {found}")
