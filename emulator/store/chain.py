"""The chain of a journal: each thing that was committed carries a hash over itself and all before it.

A link is one committed transaction: a window with its mail and facts, or what was left at the end, which
has no window.  It also says what a barrier clock knows of the window: when the actor wants to run next, and
to whom it wrote.  A row that is altered, moved, added or deleted breaks the chain from there on.  Tables
that change while a run goes on are sealed by its end: the last link has a hash over who lived here, what
they were asked and heard, and which keys they held.  Of these the material is left out, which is sealed by
itself and written again by whoever resumes.  A hash has no key: it finds damage and careless edits, not
somebody who computes all of it again.  Nothing here knows what facts or mail say.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS chain (
    number INTEGER PRIMARY KEY, window INTEGER, wake INTEGER, wrote TEXT, mailed INTEGER, facts INTEGER,
    digest BLOB
)"""
_LAST = "SELECT digest FROM chain ORDER BY number DESC LIMIT 1"
_APPEND = "INSERT INTO chain (window, wake, wrote, mailed, facts, digest) VALUES (?, ?, ?, ?, ?, ?)"
_LINKS = (
    "SELECT number, chain.window, wake, wrote, mailed, facts, digest, batches FROM chain "
    "LEFT JOIN mail ON mailed AND mail.window = chain.window ORDER BY number"
)
_HELD = {
    "entities": "number, name",
    "news": "place, event",
    "asked": "entity, number, window, call",
    "key_store": 'entity, request, medium, peer, "end", key_bits, capacity',
    "stored_key": "entity, request, medium, serial, place, key_id, state, size_bits",
}
_DIGEST_BYTES = 16
_Row = tuple[object, ...]
_FIELDS = ["\x1f".join(["%s"] * count) for count in range(32)]


@dataclass(frozen=True)
class Link:
    """What is said of a transaction; `window` is None at the end, `wake` if nothing is to come.

    `wrote` names to whom an actor wrote, as JSON; of the end it is the hash of what all tables hold.
    """

    window: int | None
    wake: int | None = None
    wrote: str = ""

    @classmethod
    def of(cls, window: int, wake: int | None, wrote: Collection[str]) -> Link:
        """Return the link of a window, after which its actor had written to these entities."""
        return cls(window, wake, json.dumps(sorted(wrote), ensure_ascii=False) if wrote else "")


class Chain:
    """The chain in the database of one journal; `origin` stands for what was before the first link."""

    def __init__(self, connection: sqlite3.Connection, origin: bytes) -> None:
        self._connection, self._origin = connection, origin

    def end(self, facts: Sequence[_Row]) -> None:
        """Add the last link, for what was left at the end; all else is in its tables."""
        self.append(Link(None, wrote=_held(self._connection)), facts)

    def append(self, link: Link, facts: Sequence[_Row], mail: bytes | None = None) -> None:
        """Add a link for the facts and the mail of the transaction that is under way."""
        found = self._connection.execute(_LAST).fetchone()
        digest = _digest(found[0] if found else self._origin, link, facts, mail)
        row = (link.window, link.wake, link.wrote, mail is not None, len(facts), digest)
        self._connection.execute(_APPEND, row)

    def fault(self, facts: Iterable[_Row]) -> str:
        """Return what breaks the chain, in words; nothing if it holds.  `facts` are all, in order."""
        rest, so_far = iter(facts), _Followed(self._origin)
        for row in self._connection.execute(_LINKS):
            if problem := so_far.problem_of(row, rest):
                return problem
        if next(rest, None) is not None:
            return "there are facts that were never committed"
        if self._first("SELECT count(*) FROM mail") != so_far.mailed:
            return "there is mail that was never committed"
        if self._first("SELECT end_row FROM life") != so_far.end_row:
            return "it does not say where the end begins"
        if so_far.held not in ("", _held(self._connection)):
            return "what was held at the end is not what was written down"
        return ""

    def _first(self, query: str) -> object:
        return self._connection.execute(query).fetchone()[0]


@dataclass
class _Followed:
    """How far a chain has been followed, and what its links have said so far."""

    digest: bytes
    links: int = 0
    facts: int = 0
    mailed: int = 0
    end_row: int = 0
    held: str = ""

    def problem_of(self, row: tuple[Any, ...], rest: Iterator[_Row]) -> str:
        """Take the next link with the facts that are its own; return what is wrong with it, in words."""
        number, window, wake, wrote, has_mail, count, digest, mail = row
        where = "the end" if window is None else f"window {window}"
        if has_mail and mail is None:
            return f"the mail of {where} is missing"
        own = list(islice(rest, count)) if isinstance(count, int) and count > 0 else []
        self.digest = _digest(self.digest, Link(window, wake, wrote), own, mail)
        self.links += 1
        if (self.digest, self.links, len(own)) != (digest, number, count):
            return f"{where} is not what was committed"
        if window is None:
            self.end_row, self.held = self.facts + 1, wrote
        self.facts += len(own)
        self.mailed += has_mail
        return ""


def written_to(connection: sqlite3.Connection, since: int) -> Iterator[tuple[int, list[str]]]:
    """Yield to whom an actor wrote in each window from one on."""
    query = "SELECT window, wrote FROM chain WHERE window >= ? AND wrote <> '' ORDER BY number"
    for window, wrote in connection.execute(query, (since,)):
        yield window, json.loads(wrote)


def _held(connection: sqlite3.Connection) -> str:
    """Return a hash over the tables that are not chained."""
    whole = blake2b(digest_size=_DIGEST_BYTES)
    for table, columns in _HELD.items():
        whole.update(table.encode())
        for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}"):  # noqa: S608
            whole.update(repr(row).encode())
    return whole.hexdigest()


def _digest(before: bytes, link: Link, facts: Sequence[_Row], mail: bytes | None) -> bytes:
    text = "\n".join([_FIELDS[len(row)] % row for row in facts])
    head = (link.window, link.wake, link.wrote, len(facts), len(text), mail is not None)
    whole = blake2b(before, digest_size=_DIGEST_BYTES)
    whole.update(repr(head).encode())
    whole.update(text.encode())
    whole.update(mail or b"")
    return whole.digest()
