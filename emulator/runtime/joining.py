"""What must hold before a run joins a Ray cluster: the same software everywhere, and one run folder.

Every machine of the cluster surveys itself and the run folder; whoever starts the run compares.  A run
folder that is not the same storage for all, or whose file locks do not reach from one machine to
another, would let two lives of one actor write to its journal: such a cluster is refused.  Nothing here
knows Ray.
"""

from __future__ import annotations

import os
import platform
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("ray", "protobuf", "grpcio", "qsagin")
_SOURCES = ("protos", "controllers", "global_manager", "emulator")
_TOKEN = "token"  # noqa: S105 - a file name
_LOCK = "lock.sqlite"


class JoinError(Exception):
    """A machine of the cluster cannot take part in this run."""

    def __init__(self, machine: str, problem: str) -> None:
        super().__init__(machine, problem)
        self.machine, self.problem = machine, problem

    def __str__(self) -> str:
        return f"{self.machine} {self.problem}"


@dataclass(frozen=True)
class Survey:
    """What a machine has: versions by name, and what it sees in the probe of the run folder.

    `is_authenticated` says whether its part of Ray wants a token.
    """

    versions: tuple[tuple[str, str], ...]
    token: str
    is_locked: bool
    is_authenticated: bool


@contextmanager
def probe(run_folder: Path) -> Iterator[Path]:
    """Leave a token and a locked database in the run folder for as long as machines look at it."""
    place = run_folder / f"probe-{secrets.token_hex(4)}"
    place.mkdir()
    (place / _TOKEN).write_text(place.name)
    try:
        with closing(sqlite3.connect(place / _LOCK, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield place
    finally:
        for path in place.iterdir():
            path.unlink()
        place.rmdir()


def survey(place: Path) -> Survey:
    """Return what this machine has and sees."""
    token = ""
    with suppress(OSError):
        token = (place / _TOKEN).read_text()
    is_authenticated = os.environ.get("RAY_AUTH_MODE") == "token"
    return Survey(versions(), token, bool(token) and _is_locked(place / _LOCK), is_authenticated)


def check(machine: str, place: Path, theirs: Survey, *, trusts_network: bool) -> None:
    """Compare a machine's survey with what is here.  Raises `JoinError`."""
    ours, has = dict(versions()), dict(theirs.versions)
    other = [name for name in ours if ours[name] != has.get(name)]
    if other:
        here = ", ".join(f"{name} {ours[name]}" for name in other)
        there = ", ".join(f"{name} {has.get(name, 'none')}" for name in other)
        raise JoinError(machine, f"has {there}, but here is {here}; install the same everywhere")
    if not theirs.is_authenticated and not trusts_network:
        problem = (
            "takes orders from anybody on its network; start Ray with RAY_AUTH_MODE=token, or set "
            "QSAGIN_UNAUTHENTICATED_CLUSTER=1 here if you trust that network"
        )
        raise JoinError(machine, problem)
    if theirs.token != place.name:
        problem = f"does not see {place.parent}; name a folder on storage that all machines mount"
        raise JoinError(machine, problem)
    if not theirs.is_locked:
        problem = f"sees {place.parent} but not its file locks; mount it with locks (NFS 4)"
        raise JoinError(machine, problem)


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions here that must be the same everywhere; qsagin's with a digest of its source."""
    found = {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    found["qsagin"] += f" ({_source_digest()})"
    return tuple(sorted(found.items()))


def _source_digest() -> str:
    digest = blake2b(digest_size=4)
    root = Path(__file__).parent.parent.parent
    for path in sorted(path for name in _SOURCES for path in (root / name).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _is_locked(database: Path) -> bool:
    """Whether somebody else holds the lock; another machine must see that too."""
    try:
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return True
    return False
