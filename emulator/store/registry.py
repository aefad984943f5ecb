"""Where the actors of a run are, and which of their lives they live: a table in the run folder.

An actor that starts claims its name and gets the number of its incarnation, one more than the one
before.  Then it publishes the address at which it answers.  The last to claim a name owns it; who
finds that out late is fenced where it writes (see `emulator.store.journal`).  The table keeps no
write-ahead log, so that machines that share the run folder can share it too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from emulator.input_checks import BadInputError

FILE = "actors.sqlite"
_BUSY_S = 30.0


class RegistryError(BadInputError):
    """The table of a run folder cannot be read."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


@dataclass(frozen=True)
class ActorRecord:
    """One actor: its incarnation from 1 on, its process, and where it answers; empty: not yet.

    Until this life has published an address, that of the life before stands.  A process number means
    something on one `machine` only.
    """

    incarnation: int
    pid: int
    address: str
    published: bool
    machine: str = ""

    @property
    def is_here(self) -> bool:
        """Whether its process number is one of this machine, as seen from here."""
        return self.machine == _this_machine()


class Registry:
    """The table, for any number of processes that share the run folder.

    Everything here raises `RegistryError` if the file is damaged.
    """

    def __init__(self, run_folder: Path) -> None:
        self._path = run_folder / FILE
        with self._open() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS actor "
                "(name TEXT PRIMARY KEY, incarnation INTEGER, pid INTEGER, address TEXT, "
                "published INTEGER, machine TEXT)"
            )

    def claim(self, name: str) -> ActorRecord:
        """Begin the next life of an actor; return it, with the address of the life before."""
        with self._open() as connection:
            row = connection.execute(
                "INSERT INTO actor VALUES (?, 1, ?, '', 0, ?) ON CONFLICT (name) DO UPDATE "
                "SET incarnation = incarnation + 1, pid = excluded.pid, published = 0, "
                "machine = excluded.machine RETURNING incarnation, pid, address, published, machine",
                (name, os.getpid(), _this_machine()),
            ).fetchone()
        return _record(*row)

    def publish(self, name: str, address: str) -> None:
        """Say where an actor answers from now on."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO actor VALUES (?, 1, 0, ?, 1, '') "
                "ON CONFLICT (name) DO UPDATE SET address = excluded.address, published = 1",
                (name, address),
            )

    def find(self, name: str) -> ActorRecord | None:
        """Return where an actor is; None if it has never been."""
        return self.everybody().get(name)

    def everybody(self) -> dict[str, ActorRecord]:
        """Return all actors by name."""
        with self._open() as connection:
            found = connection.execute("SELECT * FROM actor").fetchall()
        return {name: _record(*rest) for name, *rest in found}

    @property
    def restarts(self) -> int:
        """How many lives there have been beyond each actor's first."""
        return sum(item.incarnation - 1 for item in self.everybody().values())

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            with closing(connection):
                yield connection
        except sqlite3.OperationalError:  # busy, full, or read-only: no fault of the file
            raise
        except sqlite3.DatabaseError as error:
            problem = f"is damaged ({error}); put it back as it was, or run the experiment again"
            raise RegistryError(str(self._path), problem) from error


def _record(incarnation: int, pid: int, address: str, published: int, machine: str) -> ActorRecord:
    return ActorRecord(incarnation, pid, address, bool(published), machine)


@cache
def _this_machine() -> str:
    """Return a name for this start of this machine, and this space of process numbers."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
