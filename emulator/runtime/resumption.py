"""What must hold before a run is resumed, and from which window on it is.

Everything is looked at before anything is touched: what the run was told, the structure of every
database, the chain of every journal, and whether everybody has one.  A journal that lacks what others have,
as after a power loss, is no obstacle: all are taken back to the last window that they have in common.
Whatever cannot be brought back to the quiet run is refused, in one line.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator.runtime import injection, provenance
from emulator.store import files, injection_table, journal, journals, registry
from emulator.store.reading import connect_to_read
from emulator.store.registry import Registry

_BESIDE_DATABASES = ("-wal", "-shm")


class ResumeError(Exception):
    """A run cannot be resumed."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(folder, problem)
        self.folder, self.problem = folder, problem

    def __str__(self) -> str:
        return f"{self.folder} {self.problem}"


@dataclass(frozen=True)
class Past:
    """Who lives on each actor of a run, and the last window that all of them have."""

    homes: dict[str, tuple[str, ...]]
    last_window: int


def past_of(folder: Path, everybody: Collection[str]) -> Past:
    """Return from where on a run can be resumed; nobody else may work on its folder meanwhile.

    Raises `ResumeError` and `JournalError`, and leaves the folder as it is.
    """
    with _as_it_was(folder):
        if not journals.exists(folder):
            raise ResumeError(str(folder), _NOT_EVERYBODY)
        _check_databases(folder)
        if not set(everybody) <= set(journals.entities(folder)):
            raise ResumeError(str(folder), _NOT_EVERYBODY)
        if broken := journals.faults(folder):
            raise ResumeError(str(folder), f"was altered: {broken[0]}")
        _check_lives(folder)
        told = _check_news(folder)
        return Past(journals.homes(folder), journals.common_window(folder, told))


def check_told(folder: Path) -> None:
    """Raise `ResumeError` unless a run has been told what its folder says now, by this program."""
    if not files.told(folder):
        raise ResumeError(str(folder), _NOT_EVERYBODY)
    path = folder / injection_table.FILE
    if path.exists():
        _check_database(folder, path)
    if differing := provenance.differences(folder):
        problem = f"was changed: {differing[0]}; put it back, or run it again in another folder"
        raise ResumeError(str(folder), problem)
    if begun_by := provenance.other_program(folder):
        problem = (
            f"was begun by {begun_by}, and this is {provenance.program()}; resume it with that"
        )
        raise ResumeError(str(folder), problem)


_NOT_EVERYBODY = (
    "was interrupted before every actor had begun, or has lost a journal; "
    "run it again in another folder"
)


def _check_databases(folder: Path) -> None:
    for path in (folder / registry.FILE, folder / injection_table.FILE):
        if not path.exists():
            problem = f"has lost {path.name}; run it again in another folder"
            raise ResumeError(
                str(folder), problem if journals.has_begun(folder) else _NOT_EVERYBODY
            )
        _check_database(folder, path)
    journals.check(folder)


def _check_database(folder: Path, path: Path) -> None:
    try:
        with closing(connect_to_read(path)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise ResumeError(str(folder), f"has a damaged {path.name}: {' '.join(found.split())}")


def _check_lives(folder: Path) -> None:
    """Refuse a registry that has been put back: actors would take a former life of theirs for the next."""
    known = Registry(folder).everybody()
    for actor, incarnation in journals.incarnations(folder).items():
        if actor not in known or known[actor].incarnation < incarnation:
            problem = f"has an {registry.FILE} that is older than the journal of {actor}"
            raise ResumeError(str(folder), problem)


def _check_news(folder: Path) -> list[int]:
    """Return in which windows everybody was to hear of a fault; refuse what was heard but never taken."""
    taken = [item for item in injection.taken(folder) if item.event]
    texts = [item.event for item in taken]
    for actor, heard in journals.news_heard(folder).items():
        if heard != texts[: len(heard)]:
            problem = f"has an {injection_table.FILE} that lacks what {actor} has heard"
            raise ResumeError(str(folder), problem)
    return [item.window for item in taken if item.window is not None]


@contextmanager
def _as_it_was(folder: Path) -> Iterator[None]:
    """Remove, if nothing comes of it, what reading a database leaves beside it."""
    before = set(_beside(folder))
    try:
        yield
    except BaseException:
        for path in set(_beside(folder)) - before:
            path.unlink(missing_ok=True)
        raise


def _beside(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / journal.FOLDER):
        yield from (path for path in place.iterdir() if path.name.endswith(_BESIDE_DATABASES))
