"""The journal of one actor: what its entities were told, noted and hold, in one SQLite database.

A window is one transaction: the mail that was read in it, the facts that were noted, and what has become
of keys, committed before anything that the window sends leaves the process.  So an actor that starts again
from its last checkpoint, and reads the mail of every window since, knows all that others have heard from
it.  Facts are only ever appended, and what was committed is chained by hashes (`emulator.store.chain`).
Checkpoints and key tables hold key and are sealed; mail holds none.
Only the incarnation that opened the journal last may write.  Readers may look while a run goes on.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import quote

from emulator.input_checks import BadInputError
from emulator.store import chain
from emulator.store.chain import Chain, Link
from emulator.store.cut import Standing, last_common_window
from emulator.store.files import file_name, origin
from emulator.store.key_table import SCHEMA, STORES, KeyRows, KeyTable
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
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entities (number INTEGER PRIMARY KEY, name TEXT UNIQUE)",
    f"CREATE TABLE IF NOT EXISTS fact (entity INTEGER, {_TYPED})",
    "CREATE TABLE IF NOT EXISTS mail (window INTEGER PRIMARY KEY, batches BLOB)",
    "CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY, window INTEGER, state BLOB)",
    "CREATE TABLE IF NOT EXISTS news (place INTEGER PRIMARY KEY, event TEXT)",
    # end_row: the first fact of what was left at the end, 0 before it; lost: 1 if the sealing key is
    "CREATE TABLE IF NOT EXISTS life (one INTEGER PRIMARY KEY, actor, incarnation, end_row, lost)",
    *SCHEMA,
    chain.SCHEMA,
)
_VIEW = f"CREATE TEMP VIEW fact AS SELECT rowid AS rowid, {NAMES} FROM main.fact"  # noqa: S608
_INSERT = f"INSERT INTO fact VALUES (?, {', '.join('?' * len(COLUMNS))})"  # noqa: S608
_ENTITIES = "SELECT name FROM entities ORDER BY number"
_ALL = f"SELECT entity, {NAMES} FROM fact ORDER BY rowid"  # noqa: S608
_BUSY_S = 30.0
_SYNC_EVERY_S = 5.0
_PAGE_BYTES = 4096  # SQLite's; a database without tables has no more than one


Values = Sequence[object] | Mapping[str, object]


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
        self._path = _path_of(run_folder, actor)
        self._volatile = volatile
        place = ":memory:" if volatile else self._path
        self._connection = sqlite3.connect(
            place, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
        )
        self._connection.execute(f"PRAGMA journal_mode={'DELETE' if shared else 'WAL'}")
        self._connection.execute(f"PRAGMA synchronous={'FULL' if shared else 'NORMAL'}")
        self._connection.execute("PRAGMA secure_delete=ON")
        self._is_always_synced, self._synced_s = shared or volatile, -_SYNC_EVERY_S
        self._keys = KeyTable(self._connection)
        self._chain = Chain(self._connection, origin(run_folder, actor, entities))
        self._place = {entity: place for place, entity in enumerate(entities)}
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            self._connection.execute(statement)
        self._connection.executemany(
            "INSERT OR IGNORE INTO entities VALUES (?, ?)",
            [(place, entity) for entity, place in self._place.items()],
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
    ) -> None:
        """Write a window down, all or nothing.  Raises `SupersededError`.

        `wake` is the window in which the actor wants to run next, `wrote` to whom it writes in this one.
        """
        rows = [
            (self._place[entity], window, *fact.columns)
            for entity, noted in facts.items()
            for fact in noted
        ]
        with self._synced(), self._transaction():
            if mail is not None:
                self._connection.execute("INSERT INTO mail VALUES (?, ?)", (window, mail))
            self._connection.executemany(_INSERT, rows)
            self._chain.append(Link.of(window, wake, wrote), rows, mail)
            if keys is not None:
                self._keys.apply(keys)
            if checkpoint is not None:
                place = (1, window, checkpoint)
                self._connection.execute("REPLACE INTO checkpoint VALUES (?, ?, ?)", place)

    def key_rows(self, changes: Mapping[str, Iterable[KeyChange]], seal: Seal) -> KeyRows | None:
        """Return changes as rows to commit, sealed; None if this journal holds no key."""
        return None if self._volatile else self._rows(changes, seal)

    def check_keys(self, changes: Mapping[str, Iterable[KeyChange]], seal: Seal) -> None:
        """Compare what entities hold with what was written down.  Raises `KeysDifferError`.

        What was sealed under a key that is lost is written again.
        """
        if self._first("SELECT lost FROM life") == (1,):
            with self._transaction():
                self._keys.clear()
                self._keys.apply(self._rows(changes, seal))
                self._connection.execute("UPDATE life SET lost = 0")
        elif not self._volatile:
            numbered = {entity: (self._place[entity], held) for entity, held in changes.items()}
            self._keys.compare(numbered, seal)

    def finish(
        self,
        facts: Mapping[str, tuple[int, Iterable[Fact]]],
        changes: Mapping[str, Iterable[KeyChange]],
    ) -> None:
        """Write down, once, what each entity has left; it belongs to the entity's last window."""
        rows = [
            (self._place[entity], window, *fact.columns)
            for entity, (window, left) in facts.items()
            for fact in left
        ]
        with self._transaction():
            self._connection.execute(
                "UPDATE life SET end_row = (SELECT coalesce(max(rowid), 0) + 1 FROM fact)"
            )
            self._connection.executemany(_INSERT, rows)
            self._chain.append(Link(None), rows)
            if self._volatile:
                self._keys.apply(self._rows(changes, None))
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
            rows.add(self._place[entity], its_changes, seal)
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


def homes(run_folder: Path) -> dict[str, tuple[str, ...]]:
    """Return who lives on each actor."""
    found = {}
    for path in _paths(run_folder):
        with _reading(path) as connection:
            (actor,) = connection.execute("SELECT actor FROM life").fetchone()
            found[actor] = tuple(entity for (entity,) in connection.execute(_ENTITIES))
    return found


def common_window(run_folder: Path, told: Iterable[int] = ()) -> int:
    """Return the last window up to which no journal lacks anything; -1 if one lacks the first.

    `told` are the windows in which everybody was to hear of something.
    """
    standings, paths = [], _paths(run_folder)
    for path in paths:
        with _reading(path) as connection:
            names = frozenset(name for (name,) in connection.execute("SELECT name FROM entities"))
            query = "SELECT window, wake FROM chain WHERE window >= 0 ORDER BY number DESC LIMIT 1"
            standings.append(Standing(names, *(connection.execute(query).fetchone() or ())))
    last = {name: item.last for item in standings for name in item.entities}
    first: dict[str, int] = {}
    for path in paths:
        with _reading(path) as connection:
            for window, wrote in chain.written_to(connection, min(last.values())):
                for name in wrote:
                    if window >= last.get(name, window + 1):
                        first[name] = min(window, first.get(name, window))
    return last_common_window(standings, first, told)


def reopen(run_folder: Path, last_window: float = inf) -> None:
    """Have the journals of an interrupted run written on.

    What came after a window is taken back, and what was written down because the run ended.  The sealing
    key has gone with the run: checkpoints are dropped, so that actors read all their mail, and key tables
    will be written again.
    """
    for path in _paths(run_folder):
        with _opened(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            (end_row,) = connection.execute("SELECT end_row FROM life").fetchone()
            if end_row:
                connection.execute("DELETE FROM fact WHERE rowid >= ?", (end_row,))
                connection.execute("DROP INDEX fact_of_entity")
                connection.execute("DELETE FROM chain WHERE window IS NULL")
            for table in ("fact", "mail", "chain"):
                connection.execute(f"DELETE FROM {table} WHERE window > ?", (last_window,))  # noqa: S608
            connection.execute("DELETE FROM checkpoint")
            connection.execute("UPDATE life SET end_row = 0, lost = 1")
            connection.execute("COMMIT")


def exists(run_folder: Path) -> bool:
    """Return whether any actor has begun a journal."""
    return bool(_paths(run_folder))


def entities(run_folder: Path) -> list[str]:
    """Return the entities that have a journal.  Raises `JournalError` if there is none."""
    names = sorted(name for path in _paths(run_folder) for name in _numbers(path))
    if not names:
        raise JournalError(str(run_folder), "holds no journal; is it the folder of a run?")
    return names


def rows(
    run_folder: Path, entity: str, query: str, values: Values = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield what a query gives, with values bound to it, over the facts of one entity (table `fact`).

    `rowid` is their order.  Raises `JournalError`.
    """
    path, place = _home(run_folder, entity)
    with _reading(path) as connection:
        connection.execute(f"{_VIEW} WHERE entity = {place}")
        yield from connection.execute(query, values)


def key_stores(run_folder: Path) -> Iterator[tuple[Any, ...]]:
    """Yield (entity, request, medium, peer, end, key bits, capacity, available, held, held bits).

    One row a key store, as of the last window that was committed; counts are of keys.
    """
    for path in _paths(run_folder):
        with _reading(path) as connection:
            yield from connection.execute(STORES)


def mail_read(run_folder: Path) -> Iterator[tuple[int, bytes]]:
    """Yield what was read in each window on each host, as `protos.wire.mail` wrote it."""
    for path in _paths(run_folder):
        with _reading(path) as connection:
            yield from connection.execute("SELECT window, batches FROM mail ORDER BY window")


def windows_run(run_folder: Path) -> int:
    """Return in how many windows anybody had something to do."""
    seen: set[int] = set()
    for path in _paths(run_folder):
        with _reading(path) as connection:
            seen.update(window for (window,) in connection.execute("SELECT window FROM mail"))
    return len(seen)


def last_window(run_folder: Path) -> int:
    """Return the last window in which anybody had something to do; 0 if there was none."""
    last = 0
    for path in _paths(run_folder):
        with _reading(path) as connection:
            ((found,),) = connection.execute("SELECT coalesce(max(window), 0) FROM mail")
        last = max(last, found)
    return last


def unfinished(run_folder: Path) -> list[str]:
    """Return the actors that have not written down what they had left."""
    found = []
    for path in _paths(run_folder):
        with _reading(path) as connection:
            found += connection.execute("SELECT actor FROM life WHERE end_row = 0").fetchall()
    return [actor for (actor,) in found]


def incarnations(run_folder: Path) -> dict[str, int]:
    """Return which life of each actor wrote last."""
    found = []
    for path in _paths(run_folder):
        with _reading(path) as connection:
            found += connection.execute("SELECT actor, incarnation FROM life").fetchall()
    return dict(found)


def news_heard(run_folder: Path) -> dict[str, list[str]]:
    """Return what each actor has heard since the run began, in order."""
    found = {}
    for path in _paths(run_folder):
        with _reading(path) as connection:
            (actor,) = connection.execute("SELECT actor FROM life").fetchone()
            heard = connection.execute("SELECT event FROM news ORDER BY place")
            found[actor] = [event for (event,) in heard]
    return found


def check(run_folder: Path) -> None:
    """Have SQLite check the structure of every journal.  Raises `JournalError` if one is damaged."""
    for path in _paths(run_folder):
        with _reading(path) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise JournalError(str(path), f"is damaged: {' '.join(found.split())}")


def faults(run_folder: Path) -> list[str]:
    """Return which journals do not hold what was committed, and why."""
    found = []
    for path in _paths(run_folder):
        with _reading(path) as connection:
            connection.execute("BEGIN")  # one state, though somebody may be writing
            (actor,) = connection.execute("SELECT actor FROM life").fetchone()
            names = [name for (name,) in connection.execute(_ENTITIES)]
            chained = Chain(connection, origin(run_folder, actor, names))
            fault = chained.fault(connection.execute(_ALL))
            connection.execute("ROLLBACK")
        if fault:
            found.append(f"{path}: {fault}")
    return found


def _path_of(run_folder: Path, actor: str) -> Path:
    return run_folder / FOLDER / f"{file_name(actor)}.sqlite"


def _paths(run_folder: Path) -> list[Path]:
    return [path for path in sorted((run_folder / FOLDER).glob("*.sqlite")) if _is_begun(path)]


def _is_begun(path: Path) -> bool:
    """Whether an actor got as far as to write down who lives there; one that is being started has not."""
    if path.stat().st_size > _PAGE_BYTES:
        return True
    with _reading(path) as connection:
        (tables,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name = 'entities'"
        ).fetchone()
    return bool(tables)


def _numbers(path: Path) -> dict[str, int]:
    with _reading(path) as connection:
        return dict(connection.execute("SELECT name, number FROM entities"))


def _home(run_folder: Path, entity: str) -> tuple[Path, int]:
    """Return the journal that an entity's facts are in, and its number there."""
    own = _path_of(run_folder, entity)
    for path in [own] if own.exists() and _is_begun(own) else _paths(run_folder):
        place = _numbers(path).get(entity)
        if place is not None:
            return path, place
    raise JournalError(str(run_folder), f"holds no journal of {entity}")


def _reading(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    return _opened(path, "ro")


def uri_of(path: Path, mode: str = "ro") -> str:
    """Return by what name SQLite opens a file, whatever signs are in it, without making one."""
    return f"file:{quote(str(path))}?mode={mode}"


@contextmanager
def _opened(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    try:
        with closing(
            sqlite3.connect(uri_of(path, mode), uri=True, isolation_level=None, timeout=_BUSY_S)
        ) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise JournalError(str(path), f"cannot be read: {error}") from error
