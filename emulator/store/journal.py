"""The journal of one actor: what its entities were told, noted and hold, in one SQLite database.

A window is one transaction: the mail that was read in it, the facts that were noted, and what has become
of keys, committed before anything that the window sends leaves the process.  So an actor that starts again
from its last checkpoint, and reads the mail of every window since, knows all that others have heard from
it.  Facts are only ever appended, and what was committed is chained by hashes (`emulator.store.chain`).
Checkpoints and key tables hold key and are sealed; mail holds none.
Only the incarnation that opened the journal last may write.  Readers are in `emulator.store.journals`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.input_checks import BadInputError
from emulator.store import chain
from emulator.store.chain import Chain, Link
from emulator.store.files import file_name, origin
from emulator.store.key_table import SCHEMA, KeyRows, KeyTable
from emulator.store.sealing import Seal
from protos.facts import Fact
from protos.key_changes import KeyChange

FOLDER = "journal"
COLUMNS = ("window", *Fact._fields)
_TEXT = ("kind", "medium", "peer", "end", "key_id", "details")
NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_TYPED = ", ".join(
    f'"{name}" ' + ("TEXT" if name in _TEXT else "BLOB" if name == "fingerprint" else "INTEGER")
    for name in COLUMNS
)
_ASKED = """
CREATE TABLE IF NOT EXISTS asked (
    entity INTEGER, number INTEGER, window INTEGER, call TEXT, PRIMARY KEY (entity, number)
) WITHOUT ROWID"""
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entities (number INTEGER PRIMARY KEY, name TEXT UNIQUE)",
    f"CREATE TABLE IF NOT EXISTS fact (entity INTEGER, {_TYPED})",
    "CREATE TABLE IF NOT EXISTS mail (window INTEGER PRIMARY KEY, batches BLOB)",
    "CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY, window INTEGER, state BLOB)",
    "CREATE TABLE IF NOT EXISTS news (place INTEGER PRIMARY KEY, event TEXT)",
    # calls of SAEs: an input like news, kept although windows are taken back
    _ASKED,
    # end_row: the first fact of what was left at the end, 0 before it; lost: 1 if the sealing key is
    "CREATE TABLE IF NOT EXISTS life (one INTEGER PRIMARY KEY, actor, incarnation, end_row, lost)",
    *SCHEMA,
    chain.SCHEMA,
)
_INSERT = f"INSERT INTO fact VALUES (?, {', '.join('?' * len(COLUMNS))})"  # noqa: S608
ENTITIES = "SELECT name FROM entities ORDER BY number"
BUSY_S = 30.0
_SYNC_EVERY_S = 5.0


class JournalError(BadInputError):
    """A journal cannot be read."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class SupersededError(Exception):
    """Another incarnation of this actor has opened its journal; this one must end."""

    def __init__(self, actor: str, incarnation: int) -> None:
        super().__init__(actor, incarnation)
        self.actor, self.incarnation = actor, incarnation

    def __str__(self) -> str:
        return f"{self.actor}: incarnation {self.incarnation} has been superseded"


@dataclass(frozen=True)
class Past:
    """What an actor was before: a checkpoint, if any, and the mail of every window since."""

    checkpoint: bytes | None
    mail: tuple[tuple[int, bytes], ...]


class Journal:
    """The writing side; opening it shuts out every incarnation before.

    One on storage that several machines share does without a write-ahead log, whose index would have to
    be in the memory of them all; it is slower, and written through to the storage with every window.
    Others are written through every few seconds, so that a power loss takes no more than that.
    A volatile journal is kept in memory and becomes a file when it is closed.  It holds no key: what is in
    store when it is finished is listed without material.  Threads may take turns.
    """

    def __init__(
        self,
        run_folder: Path,
        actor: str,
        entities: Sequence[str],
        incarnation: int = 1,
        *,
        volatile: bool = False,
        shared: bool = False,
    ) -> None:
        self._actor, self._incarnation = actor, incarnation
        self._path = path_of(run_folder, actor)
        self._volatile, self._holds_key = volatile, not volatile
        database = ":memory:" if volatile else self._path
        self._connection = sqlite3.connect(
            database, isolation_level=None, timeout=BUSY_S, check_same_thread=False
        )
        self._connection.execute(f"PRAGMA journal_mode={'DELETE' if shared else 'WAL'}")
        self._connection.execute(f"PRAGMA synchronous={'FULL' if shared else 'NORMAL'}")
        self._connection.execute("PRAGMA secure_delete=ON")
        self._is_always_synced, self._synced_s = shared or volatile, -_SYNC_EVERY_S
        self._keys = KeyTable(self._connection)
        self._chain = Chain(self._connection, origin(run_folder, actor, entities))
        self._numbers = {entity: number for number, entity in enumerate(entities)}
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            self._connection.execute(statement)
        self._connection.executemany(
            "INSERT OR IGNORE INTO entities VALUES (?, ?)",
            [(number, entity) for entity, number in self._numbers.items()],
        )
        self._connection.execute("INSERT OR IGNORE INTO life VALUES (1, ?, 0, 0, 0)", (actor,))
        self._connection.execute(
            "UPDATE life SET incarnation = ? WHERE incarnation < ?", (incarnation, incarnation)
        )
        self._connection.execute("COMMIT")

    def past(self) -> Past:
        """Return what is needed to continue where the incarnation before ended."""
        window, state = self._first("SELECT window, state FROM checkpoint") or (-1, None)
        mail = self._connection.execute(
            "SELECT window, batches FROM mail WHERE window > ? ORDER BY window", (window,)
        )
        return Past(state, tuple(mail.fetchall()))

    def news(self) -> list[str]:
        """Return what the schedule has got since the run began, in order."""
        found = self._connection.execute("SELECT event FROM news ORDER BY place")
        return [text for (text,) in found]

    def hear(self, event: str) -> None:
        """Write down what the schedule has got.  Raises `SupersededError`."""
        with self._transaction():
            self._connection.execute("INSERT INTO news (event) VALUES (?)", (event,))

    def asked(self) -> dict[int, list[tuple[str, int, str]]]:
        """Return by window what SAEs asked, as (entity, number, call)."""
        names = {number: entity for entity, number in self._numbers.items()}
        query = "SELECT window, entity, number, call FROM asked ORDER BY window, entity, number"
        found: dict[int, list[tuple[str, int, str]]] = {}
        for window, entity, number, call in self._connection.execute(query):
            found.setdefault(window, []).append((names[entity], number, call))
        return found

    @property
    def finished(self) -> bool:
        """Whether what was left has been written down."""
        return self._first("SELECT end_row FROM life") != (0,)

    def commit(
        self,
        window: int,
        facts: Mapping[str, Iterable[Fact]],
        mail: bytes | None = None,
        checkpoint: bytes | None = None,
        keys: KeyRows | None = None,
        *,
        wake: int | None = None,
        wrote: Collection[str] = (),
        asked: Iterable[tuple[str, int, str]] = (),
    ) -> None:
        """Write a window down, all or nothing.  Raises `SupersededError`.

        `wake` is the window in which the actor wants to run next, `wrote` to whom it writes in this one,
        and `asked` what SAEs ask in it, as (entity, number, call).
        """
        rows = [
            fact.row(self._numbers[entity], window)
            for entity, noted in facts.items()
            for fact in noted
        ]
        with self._synced(), self._transaction():
            if mail is not None:
                self._connection.execute("INSERT INTO mail VALUES (?, ?)", (window, mail))
            self._connection.executemany(
                "INSERT INTO asked VALUES (?, ?, ?, ?)",
                [(self._numbers[entity], number, window, call) for entity, number, call in asked],
            )
            self._connection.executemany(_INSERT, rows)
            self._chain.append(Link.of(window, wake, wrote), rows, mail)
            if keys is not None:
                self._keys.apply(keys)
            if checkpoint is not None:
                row = (1, window, checkpoint)
                self._connection.execute("REPLACE INTO checkpoint VALUES (?, ?, ?)", row)

    def key_rows(self, changes: Mapping[str, Iterable[KeyChange]], seal: Seal) -> KeyRows | None:
        """Return changes as rows to commit, sealed; None if this journal holds no key."""
        return self._rows(changes, seal) if self._holds_key else None

    def check_keys(self, changes: Mapping[str, Iterable[KeyChange]], seal: Seal) -> None:
        """Compare what entities hold with what was written down.  Raises `KeysDifferError`.

        What was sealed under a key that is lost is written again.
        """
        if self._first("SELECT lost FROM life") == (1,):
            with self._transaction():
                self._keys.clear()
                self._keys.apply(self._rows(changes, seal))
                self._connection.execute("UPDATE life SET lost = 0")
        elif self._holds_key:
            numbered = {entity: (self._numbers[entity], held) for entity, held in changes.items()}
            self._keys.compare(numbered, seal)

    def finish(
        self,
        facts: Mapping[str, tuple[int, Iterable[Fact]]],
        changes: Mapping[str, Iterable[KeyChange]],
    ) -> None:
        """Write down, once, what each entity has left; it belongs to the entity's last window."""
        rows = [
            fact.row(self._numbers[entity], window)
            for entity, (window, left) in facts.items()
            for fact in left
        ]
        with self._transaction():
            self._connection.execute(
                "UPDATE life SET end_row = (SELECT coalesce(max(rowid), 0) + 1 FROM fact)"
            )
            self._connection.executemany(_INSERT, rows)
            if not self._holds_key:
                self._keys.apply(self._rows(changes, None))
            self._chain.end(rows)
            self._connection.execute("CREATE INDEX fact_of_entity ON fact (entity)")

    def close(self) -> None:
        """Fold the write-ahead log into the database, so that one file is left, and close it."""
        if self._volatile:
            half = self._path.with_suffix(".half")  # no journal until it is whole
            self._connection.execute("VACUUM INTO ?", (str(half),))
            half.replace(self._path)
        with suppress(sqlite3.OperationalError):  # somebody is reading
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()

    def _rows(self, changes: Mapping[str, Iterable[KeyChange]], seal: Seal | None) -> KeyRows:
        rows = KeyRows()
        for entity, its_changes in changes.items():
            rows.add(self._numbers[entity], its_changes, seal)
        return rows

    @contextmanager
    def _synced(self) -> Iterator[None]:
        """Have what is committed reach the disk for certain, if that was some time ago."""
        is_due = time.monotonic() - self._synced_s >= _SYNC_EVERY_S
        if self._is_always_synced or not is_due:
            yield
            return
        self._connection.execute("PRAGMA synchronous=FULL")
        yield
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._synced_s = time.monotonic()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._check_life()
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _check_life(self) -> None:
        if self._first("SELECT incarnation FROM life") != (self._incarnation,):
            raise SupersededError(self._actor, self._incarnation)

    def _first(self, query: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(query).fetchone()
        return found


class BufferedJournal(Journal):
    """The journal of a run that is begun again if it is lost: many windows are one transaction.

    Readers see what was committed by the last `flush`.  It holds no key: what is in store when it is
    finished is listed without material.
    """

    def __init__(self, run_folder: Path, actor: str, entities: Sequence[str]) -> None:
        super().__init__(run_folder, actor, entities)
        self._holds_key, self._is_always_synced = False, True
        self._connection.execute("PRAGMA synchronous=OFF")

    def flush(self) -> None:
        """Commit what was written."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Commit what was written, and close the database."""
        self.flush()
        super().close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        yield


def path_of(run_folder: Path, actor: str) -> Path:
    """Return where the journal of an actor is."""
    return run_folder / FOLDER / f"{file_name(actor)}.sqlite"
