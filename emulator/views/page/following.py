"""Reading journals as they grow: what has been committed since the last look, added up by SQLite.

A journal that has not changed is not opened, and none is held open, so a run that ends can fold its
write-ahead logs.  A volatile journal is no file before the run is over.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.runtime import injection_table, journal
from protos.core import FactKind

_TOLD = (
    FactKind.PLANNED,
    FactKind.REPLANNED,
    FactKind.RESERVED,
    FactKind.PERIOD,
    FactKind.DEMANDED,
    FactKind.SHORT,
    FactKind.LAPSED,
    FactKind.DELIVERED,
    FactKind.LINK,
    FactKind.BOUGHT,
    FactKind.FAILED,
    FactKind.COMPLETED,
)
_NAMES = ", ".join(f"'{kind}'" for kind in _TOLD)
_TIME = "SELECT coalesce(max(rowid), 0), (SELECT coalesce(max(window), 0) FROM mail) FROM fact"
_NEWS = (
    "SELECT entity, kind, request, period, serial, medium, peer, note, "  # noqa: S608
    "sum(units), sum(bits), sum(cost), max(window), min(fact.rowid) AS first "
    "FROM fact JOIN resident ON resident = place "
    f"WHERE fact.rowid > :after AND fact.rowid <= :last AND kind IN ({_NAMES}) AND \"end\" != 'target' "
    "GROUP BY entity, kind, request, period, serial, medium, peer, note ORDER BY first"
)
_BLOCKS = (
    "SELECT entity, kind, peer, sum(bits), sum(note LIKE '%discarded'), "  # noqa: S608
    "avg(CAST(substr(note, 6, 6) AS REAL)) FILTER (WHERE note LIKE 'qber %') "
    "FROM fact JOIN resident ON resident = place "
    "WHERE fact.rowid > :after AND fact.rowid <= :last AND medium = 'fiber' "
    f"AND kind IN ('{FactKind.GENERATED}', '{FactKind.RELAYED}') GROUP BY entity, kind, peer"
)


@dataclass(frozen=True)
class Told:
    """Facts of one entity that differ in nothing but number; `window` is that of the last."""

    entity: str
    kind: FactKind
    request: int
    period: int
    serial: int
    medium: str
    peer: str
    note: str
    units: int
    bits: int
    cost: int
    window: int


@dataclass(frozen=True)
class Blocks:
    """Key of one end of a fiber: made if `kind` is GENERATED, used if RELAYED; `qber` is the mean."""

    entity: str
    kind: FactKind
    peer: str
    bits: int
    discarded: int
    qber: float | None


@dataclass(frozen=True)
class News:
    """What is new, and the last window that anybody has begun."""

    told: tuple[Told, ...]
    blocks: tuple[Blocks, ...]
    window: int


class Follower:
    """Reads each fact of a run folder once."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / journal.FOLDER
        self._read: dict[Path, int] = {}
        self._seen: dict[Path, tuple[object, ...]] = {}
        self._window = 0

    def news(self) -> News:
        """Return what has been committed since this was last asked.

        A journal that is being made, or folded, is read the next time.
        """
        told: list[Told] = []
        blocks: list[Blocks] = []
        for path in sorted(self._folder.glob("*.sqlite")):
            stamp = _stamp(path)
            if stamp != self._seen.get(path) and self._take(path, told, blocks):
                self._seen[path] = stamp
        return News(tuple(told), tuple(blocks), self._window)

    def _take(self, path: Path, told: list[Told], blocks: list[Blocks]) -> bool:
        try:
            with closing(sqlite3.connect(journal.uri_of(path), uri=True)) as connection:
                last, window = connection.execute(_TIME).fetchone()
                span = {"after": self._read.get(path, 0), "last": last}
                new = [_told(*row) for row in connection.execute(_NEWS, span)]
                made = [_blocks(*row) for row in connection.execute(_BLOCKS, span)]
        except sqlite3.DatabaseError:
            return False
        told += new
        blocks += made
        self._read[path] = last
        self._window = max(self._window, window, *(item.window for item in new))
        return True


def injected(run_folder: Path) -> list[dict[str, Any]]:
    """Return the faults that a run has taken while it went on, in the order in which it did."""
    path = run_folder / injection_table.FILE
    if not path.exists():
        return []
    query = "SELECT fault FROM injection WHERE window IS NOT NULL ORDER BY window, number"
    try:
        with closing(sqlite3.connect(journal.uri_of(path), uri=True)) as connection:
            return [json.loads(fault) for (fault,) in connection.execute(query)]
    except sqlite3.DatabaseError:  # it is being made
        return []


def _stamp(path: Path) -> tuple[object, ...]:
    """Return what changes when anything is committed."""
    found: list[object] = []
    for part in (path, path.with_name(path.name + "-wal")):
        try:
            stat = part.stat()
            found += [stat.st_mtime_ns, stat.st_size]
        except OSError:
            found.append(None)
    return tuple(found)


def _told(  # noqa: PLR0917
    entity: str,
    kind: str,
    request: int,
    period: int,
    serial: int,
    medium: str,
    peer: str,
    note: str,
    units: int,
    bits: int,
    cost: int,
    window: int,
    _first: int,
) -> Told:
    known = (entity, FactKind(kind), request, period, serial, medium, peer, note)
    return Told(*known, units, bits, cost, window)


def _blocks(  # noqa: PLR0917
    entity: str, kind: str, peer: str, bits: int, discarded: int, qber: float | None
) -> Blocks:
    return Blocks(entity, FactKind(kind), peer, bits, discarded, qber)
