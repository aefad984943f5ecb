"""The chain of a journal: each thing that was committed carries a hash over itself and all before it.

A link is one committed transaction: a window with its mail and facts, or what was left at the end, which
has no window.  It also says what a barrier clock knows of the window: when the actor wants to run next, and
to whom it wrote.  A row that is altered, moved, added or deleted breaks the chain from there on.  The hash
has no key: it finds damage and careless edits, not somebody who computes all of it again.  Nothing here
knows what facts or mail say.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

SCHEMA = """
CREATE TABLE IF NOT EXISTS chain (
    number INTEGER PRIMARY KEY, window INTEGER, wake INTEGER, wrote TEXT, mailed INTEGER, facts INTEGER,
    digest BLOB
)"""
_LAST = "SELECT digest FROM chain ORDER BY number DESC LIMIT 1"
_APPEND = "INSERT INTO chain (window, wake, wrote, mailed, facts, digest) VALUES (?, ?, ?, ?, ?, ?)"
_LINKS = (
    "SELECT chain.window, wake, wrote, mailed, facts, digest, batches FROM chain "
    "LEFT JOIN mail ON mailed AND mail.window = chain.window ORDER BY number"
)
_DIGEST_BYTES = 16
_Row = tuple[object, ...]
_FIELDS = ["\x1f".join(["%s"] * count) for count in range(32)]


@dataclass(frozen=True)
class Link:
    """What is said of a transaction; `window` is None at the end, `wake` if nothing is to come."""

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

    def append(self, link: Link, facts: Sequence[_Row], mail: bytes | None = None) -> None:
        """Add a link for the facts and the mail of the transaction that is under way."""
        found = self._connection.execute(_LAST).fetchone()
        digest = _digest(found[0] if found else self._origin, link, facts, mail)
        row = (link.window, link.wake, link.wrote, mail is not None, len(facts), digest)
        self._connection.execute(_APPEND, row)

    def fault(self, facts: Iterable[_Row]) -> str:
        """Return what breaks the chain, in words; nothing if it holds.  `facts` are all, in order."""
        before, rest, mailed = self._origin, iter(facts), 0
        for window, wake, wrote, has_mail, count, digest, mail in self._connection.execute(_LINKS):
            link, mailed = Link(window, wake, wrote), mailed + has_mail
            where = "the end" if window is None else f"window {window}"
            if has_mail and mail is None:
                return f"the mail of {where} is missing"
            before = _digest(before, link, list(islice(rest, count)), mail)
            if before != digest:
                return f"{where} is not what was committed"
        if next(rest, None) is not None:
            return "there are facts that were never committed"
        if self._connection.execute("SELECT count(*) FROM mail").fetchone() != (mailed,):
            return "there is mail that was never committed"
        return ""


def written_to(connection: sqlite3.Connection, since: int) -> Iterator[tuple[int, list[str]]]:
    """Yield to whom an actor wrote in each window from one on."""
    query = "SELECT window, wrote FROM chain WHERE window >= ? AND wrote <> '' ORDER BY number"
    for window, wrote in connection.execute(query, (since,)):
        yield window, json.loads(wrote)


def _digest(before: bytes, link: Link, facts: Sequence[_Row], mail: bytes | None) -> bytes:
    text = "\n".join([_FIELDS[len(row)] % row for row in facts])
    head = (link.window, link.wake, link.wrote, len(facts), len(text), mail is not None)
    whole = blake2b(before, digest_size=_DIGEST_BYTES)
    whole.update(repr(head).encode())
    whole.update(text.encode())
    whole.update(mail or b"")
    return whole.digest()
