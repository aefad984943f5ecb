"""The journals of a run folder, all together: what can be read of them, and taken back.

Readers may look while a run is live; each answer is of what had been committed when it was asked.  What a
journal is, and how one is written, is in `emulator.store.journal`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any

from emulator.store import chain
from emulator.store.chain import Chain
from emulator.store.cut import Standing, last_common_window
from emulator.store.files import origin
from emulator.store.journal import BUSY_S, ENTITIES, FOLDER, NAMES, JournalError, path_of
from emulator.store.key_table import STORES
from emulator.store.reading import connect_to_read, connect_to_write, rollback_journal_of

_VIEW = f"CREATE TEMP VIEW fact AS SELECT rowid AS rowid, {NAMES} FROM main.fact"  # noqa: S608
ALL_FACTS = f"SELECT entity, {NAMES} FROM fact ORDER BY rowid"  # noqa: S608
_END_OF_PORTION = "SELECT rowid FROM fact WHERE rowid > ? ORDER BY rowid LIMIT 1 OFFSET ?"
_LAST_ROW = 2**63 - 1
_PAGE_BYTES = 4096  # SQLite's; a database without tables has no more than one

Values = Sequence[object] | Mapping[str, object]


def homes(run_folder: Path) -> dict[str, tuple[str, ...]]:
    """Return who lives on each actor."""
    found = {}
    for path in _paths(run_folder):
        with _reading(path) as connection:
            found[_actor(path, connection)] = tuple(
                entity for (entity,) in connection.execute(ENTITIES)
            )
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
        with _writing(path) as connection:
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
    path, number = _home(run_folder, entity)
    with _reading(path) as connection:
        connection.execute(f"{_VIEW} WHERE entity = {number}")
        yield from connection.execute(query, values)


def portions(
    run_folder: Path, entity: str, query: str, values: Sequence[object], size: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the one row that a query gives over each portion of so many facts of one entity, in order.

    The first two values that are bound to the query are the `rowid` before the portion, and its last one.
    Raises `JournalError`.
    """
    path, number = _home(run_folder, entity)
    with _reading(path) as connection:
        connection.execute(f"{_VIEW} WHERE entity = {number}")
        connection.execute("BEGIN")  # one state, though somebody may be writing
        after = 0
        while after < _LAST_ROW:
            (last,) = connection.execute(_END_OF_PORTION, (after, size - 1)).fetchone() or (
                _LAST_ROW,
            )
            yield connection.execute(query, (after, last, *values)).fetchone()
            after = last
        connection.execute("ROLLBACK")


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


def mail_of(run_folder: Path, entity: str, after: int) -> Iterator[tuple[int, bytes]]:
    """Yield what was read in each window after one where an entity lives.  Raises `JournalError`."""
    path, _ = _home(run_folder, entity)
    query = "SELECT window, batches FROM mail WHERE window > ? ORDER BY window"
    with _reading(path) as connection:
        yield from connection.execute(query, (after,)).fetchall()


def asked(run_folder: Path) -> Iterator[tuple[str, int, int, str]]:
    """Yield what SAEs asked of whom, as (entity, window, number, call)."""
    query = (
        "SELECT name, window, a.number, call FROM asked AS a JOIN entities AS e ON e.number = entity "
        "ORDER BY window, entity, a.number"
    )
    for path in _paths(run_folder):
        with _reading(path) as connection:
            yield from connection.execute(query)


def windows_run(run_folder: Path) -> int:
    """Return in how many windows anybody had something to do."""
    seen: set[int] = set()
    for path in _paths(run_folder):
        with _reading(path) as connection:
            seen.update(window for (window,) in connection.execute("SELECT window FROM mail"))
    return len(seen)


def has_begun(run_folder: Path) -> bool:
    """Return whether anybody has run a window, as far as journals can be read."""
    for path in sorted((run_folder / FOLDER).glob("*.sqlite")):
        with suppress(sqlite3.Error, JournalError), _reading(path) as connection:
            if connection.execute("SELECT 1 FROM mail LIMIT 1").fetchone():
                return True
    return False


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
            heard = connection.execute("SELECT event FROM news ORDER BY place")
            found[_actor(path, connection)] = [event for (event,) in heard]
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
            actor = _actor(path, connection)
            names = [name for (name,) in connection.execute(ENTITIES)]
            chained = Chain(connection, origin(run_folder, actor, names))
            fault = chained.fault(connection.execute(ALL_FACTS))
            connection.execute("ROLLBACK")
        if fault:
            found.append(f"{path}: {fault}")
    return found


def _paths(run_folder: Path) -> list[Path]:
    return [path for path in sorted((run_folder / FOLDER).glob("*.sqlite")) if _is_begun(path)]


def _is_begun(path: Path) -> bool:
    """Whether an actor got as far as to write down who lives there; one that is being started has not."""
    if path.stat().st_size > _PAGE_BYTES and not rollback_journal_of(path).exists():
        return True
    with _reading(path) as connection:
        (tables,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name = 'entities'"
        ).fetchone()
    return bool(tables)


def _actor(path: Path, connection: sqlite3.Connection) -> str:
    """Return whose journal this is.  Raises `JournalError`."""
    found = connection.execute("SELECT actor FROM life").fetchall()
    if len(found) != 1:
        raise JournalError(str(path), "does not say whose journal it is")
    (actor,) = found[0]
    return str(actor)


def _numbers(path: Path) -> dict[str, int]:
    with _reading(path) as connection:
        return dict(connection.execute("SELECT name, number FROM entities"))


def _home(run_folder: Path, entity: str) -> tuple[Path, int]:
    """Return the journal that an entity's facts are in, and its number there."""
    own = path_of(run_folder, entity)
    for path in [own] if own.exists() and _is_begun(own) else _paths(run_folder):
        with _reading(path) as connection:
            found = connection.execute("SELECT number FROM entities WHERE name = ?", (entity,))
            if row := found.fetchone():
                return path, row[0]
    raise JournalError(str(run_folder), f"holds no journal of {entity}")


def _reading(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    return _opened(path, connect_to_read)


def _writing(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    return _opened(path, connect_to_write)


@contextmanager
def _opened(
    path: Path, connect: Callable[[Path, float], sqlite3.Connection]
) -> Iterator[sqlite3.Connection]:
    try:
        with closing(connect(path, BUSY_S)) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise JournalError(str(path), f"cannot be read: {error}") from error
