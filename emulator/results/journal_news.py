"""What journals have gained since somebody last looked, while a run goes on.

A page that follows a run reads each row once.  Facts that differ in nothing but number come as one, and
blocks of key as sums by end of a fiber, so that what is told does not grow with a run's keys.  A journal
that is being made or folded tells nothing, and is looked at again later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from emulator.results.journal_queries import marks
from emulator.store.reading import connect_to_read
from protos.facts import Details, FactKind, details_of

_QBER = "FROM json_each(nullif(fact.details, ''), '$.qber')"
_MEASURED = f"(SELECT count(value) {_QBER})"
_SUM_OF_QBER = f"(SELECT sum(value) {_QBER})"
_DISCARDED = "coalesce(json_array_length(nullif(fact.details, ''), '$.discarded'), 0)"
"""Of a fact with shares of a link's key: the blocks that were measured, their QBER added up, and those that
were discarded."""
_SHOWN = (
    FactKind.PLANNED,
    FactKind.REPLANNED,
    FactKind.RESERVED,
    FactKind.CHANGED,
    FactKind.PERIOD,
    FactKind.DEMANDED,
    FactKind.SHORT,
    FactKind.LAPSED,
    FactKind.KEPT,
    FactKind.DELIVERED,
    FactKind.LINK,
    FactKind.BOUGHT,
    FactKind.FAILED,
    FactKind.COMPLETED,
)


class News(NamedTuple):
    """Facts of one entity that differ in nothing but number; `window` is that of the last."""

    entity: str
    kind: FactKind
    request: int
    period: int
    serial: int
    medium: str
    peer: str
    details: Details | None
    units: int
    bits: int
    cost: int
    window: int


class BlockNews(NamedTuple):
    """Key of one end of a fiber: made if `kind` is GENERATED, used if RELAYED; `qber` is the mean."""

    entity: str
    kind: FactKind
    peer: str
    bits: int
    discarded: int
    qber: float | None


class Portion(NamedTuple):
    """What a journal has gained after a row, and its last row and window now."""

    news: list[News]
    blocks: list[BlockNews]
    last_row: int
    window: int


def since(path: Path, row: int) -> Portion | None:
    """Return what a journal has gained after a row; None if it is being made or folded."""
    try:
        with closing(connect_to_read(path)) as connection:
            last, window = connection.execute(
                "SELECT coalesce(max(rowid), 0), (SELECT coalesce(max(window), 0) FROM mail) "
                "FROM fact"
            ).fetchone()
            return Portion(
                list(_news(connection, row, last)),
                list(_block_news(connection, row, last)),
                last,
                window,
            )
    except sqlite3.DatabaseError:
        return None


def _news(connection: sqlite3.Connection, after: int, last: int) -> Iterator[News]:
    query = (
        "SELECT name, kind, request, period, serial, medium, peer, details, "
        "sum(units), sum(bits), sum(cost), max(window), min(fact.rowid) AS first "
        "FROM fact JOIN entities ON entity = number WHERE fact.rowid > ? AND fact.rowid <= ? "
        f"AND kind IN {marks(_SHOWN)} AND \"end\" != 'target' "
        "GROUP BY name, kind, request, period, serial, medium, peer, details ORDER BY first"
    )
    for entity, kind, *named, details, units, bits, cost, window, _ in connection.execute(
        query, (after, last, *_SHOWN)
    ):
        known = (entity, FactKind(kind), *named, details_of(kind, details))
        yield News._make((*known, units, bits, cost, window))


def _block_news(connection: sqlite3.Connection, after: int, last: int) -> Iterator[BlockNews]:
    kinds = (FactKind.GENERATED, FactKind.RELAYED)
    query = (
        f"SELECT name, kind, peer, sum(bits), sum({_DISCARDED}), "
        f"sum({_SUM_OF_QBER}) / nullif(sum({_MEASURED}), 0) FROM fact JOIN entities ON entity = number "
        "WHERE fact.rowid > ? AND fact.rowid <= ? "
        f"AND medium = 'fiber' AND kind IN {marks(kinds)} GROUP BY name, kind, peer"
    )
    for entity, kind, *numbers in connection.execute(query, (after, last, *kinds)):
        yield BlockNews(entity, FactKind(kind), *numbers)
