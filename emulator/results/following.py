"""Reading journals as they grow: what was committed since the last look, added up by SQLite.

A journal that has not changed is not opened, and none is held open, so a run that ends can fold its
write-ahead logs.  A volatile journal becomes a file only when the run is over.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.results import journal_news
from emulator.results.journal_news import BlockNews, News
from emulator.store import injection_table, journal
from emulator.store.reading import connect_to_read


@dataclass(frozen=True)
class Growth:
    """What is new in all journals, and the last window that anybody has begun."""

    news: tuple[News, ...]
    blocks: tuple[BlockNews, ...]
    window: int


class Follower:
    """Reads each fact of a run folder once."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / journal.FOLDER
        self._read: dict[Path, int] = {}
        self._seen: dict[Path, tuple[object, ...]] = {}
        self._window = 0

    def growth(self) -> Growth:
        """Return what has been committed since this was last asked.

        A journal that is being made, or folded, is read the next time.
        """
        news: list[News] = []
        blocks: list[BlockNews] = []
        for path in sorted(self._folder.glob("*.sqlite")):
            stamp = _stamp(path)
            if stamp == self._seen.get(path):
                continue
            portion = journal_news.since(path, self._read.get(path, 0))
            if portion is not None:
                self._seen[path], self._read[path] = stamp, portion.last_row
                news += portion.news
                blocks += portion.blocks
                windows = (item.window for item in portion.news)
                self._window = max(self._window, portion.window, *windows)
        return Growth(tuple(news), tuple(blocks), self._window)


def injected(run_folder: Path) -> list[dict[str, Any]]:
    """Return the faults that were injected into a run, in the order in which it took them."""
    path = run_folder / injection_table.FILE
    if not path.exists():
        return []
    query = "SELECT fault FROM injection WHERE window IS NOT NULL ORDER BY window, number"
    try:
        with closing(connect_to_read(path)) as connection:
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
