"""What a run needs of a Ray cluster: one software, one run folder, and a machine for each actor.

Every machine of the cluster surveys itself and the run folder; the command compares.  A run folder that is
not the same storage for all, or whose file locks do not reach from one machine to another, would let two
incarnations of one actor write to its journal: such a cluster is refused.

*spread* assigns actors to machines in turn.  *pack* fills one machine, an actor per CPU, before it takes
the next.  *domains* keeps each failure domain of the topology together: a domain goes to the machine that
has its name as the label `qsagin-domain`, others go to the machines without such a label, in turn; what
belongs to no domain (manager, controllers, clock, exporter) stays where the run was started.  A placement
is a wish: an actor whose machine is lost is started on another.  Nothing here knows Ray.
"""

from __future__ import annotations

import math
import os
import platform
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from itertools import cycle
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


class LaunchError(Exception):
    """The actors could not be started; `is_lost` says that another try may succeed."""

    def __init__(self, problem: str, *, is_lost: bool = False) -> None:
        super().__init__(problem)
        self.is_lost = is_lost


@dataclass(frozen=True)
class Survey:
    """What a machine has: versions by name, and what it sees in the probe of the run folder.

    `is_authenticated` says whether its part of Ray demands a token.
    """

    versions: tuple[tuple[str, str], ...]
    token: str
    is_locked: bool
    is_authenticated: bool


@contextmanager
def probe(run_folder: Path) -> Iterator[Path]:
    """Leave a token and a locked database in the run folder for as long as machines look at it."""
    probed = run_folder / f"probe-{secrets.token_hex(4)}"
    probed.mkdir()
    (probed / _TOKEN).write_text(probed.name)
    try:
        with closing(sqlite3.connect(probed / _LOCK, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield probed
    finally:
        for path in probed.iterdir():
            path.unlink()
        probed.rmdir()


def survey(probed: Path) -> Survey:
    """Return what this machine has and sees."""
    token = ""
    with suppress(OSError):
        token = (probed / _TOKEN).read_text()
    is_authenticated = os.environ.get("RAY_AUTH_MODE") == "token"
    return Survey(versions(), token, bool(token) and _is_locked(probed / _LOCK), is_authenticated)


def check(machine: str, probed: Path, theirs: Survey, *, trusts_network: bool) -> None:
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
    if theirs.token != probed.name:
        problem = f"does not see {probed.parent}; name a folder on storage that all machines mount"
        raise JoinError(machine, problem)
    if not theirs.is_locked:
        problem = f"sees {probed.parent} but not its file locks; mount it with locks (NFS 4)"
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
    """Whether another process holds the lock; another machine must see that too."""
    try:
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return True
    return False


LABEL = "qsagin-domain"


class Placement(StrEnum):
    """See the module."""

    SPREAD = "spread"
    PACK = "pack"
    DOMAINS = "domains"


@dataclass(frozen=True)
class Machine:
    """One machine of a cluster: Ray's name for it, its IP address, its CPUs, the domain it is meant for."""

    key: str
    address: str
    cpus: int
    domain: str = ""


def place(
    placement: Placement, domains: Mapping[str, str], machines: Sequence[Machine]
) -> dict[str, Machine]:
    """Return the machine of each actor; `domains` tells the domain of each, empty for none.

    The first machine is where the run was started.
    """
    if placement is Placement.DOMAINS:
        return _by_domain(domains, machines)
    slots = _packed(len(domains), machines) if placement is Placement.PACK else machines
    return dict(zip(domains, cycle(slots), strict=False))


def _packed(actors: int, machines: Sequence[Machine]) -> list[Machine]:
    """Return one slot per CPU, machine after machine, repeated until there are enough for all actors."""
    cpus = [machine.cpus for machine in machines]
    rounds = max(1, math.ceil(actors / sum(cpus)))
    return [
        machine
        for machine, count in zip(machines, cpus, strict=True)
        for _ in range(count * rounds)
    ]


def _by_domain(domains: Mapping[str, str], machines: Sequence[Machine]) -> dict[str, Machine]:
    homes = {machine.domain: machine for machine in reversed(machines) if machine.domain}
    free = cycle([machine for machine in machines if not machine.domain] or machines)
    for domain in sorted(set(domains.values()) - {""}):
        if domain not in homes:
            homes[domain] = next(free)
    homes[""] = machines[0]
    return {actor: homes[domain] for actor, domain in domains.items()}
