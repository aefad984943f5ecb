"""The folder of a run: what is in it, in which format, and how its files are written.

A file is there as a whole or not at all; one process at a time may work on a folder.  A folder says in
which format it is, and what its run was told (`run.json`); a command reads folders of its own format only.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emulator.input_checks import BadInputError

EXPERIMENT = "experiment.yaml"
PLAN = "plan.json"
SUMMARY = "summary.json"
REPORT = "report.html"
FORMAT = 5
_ABOUT = "run.json"
_LOCK = "lock"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")


class Engine(StrEnum):
    """What runs an experiment: a process for each actor, or the same cores in one process."""

    PROCESSES = "processes"
    IN_PROCESS = "in-process"


class FormatError(BadInputError):
    """A folder is not that of a run, or that of a run in another format."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(folder, problem)
        self.folder, self.problem = folder, problem

    def __str__(self) -> str:
        return f"{self.folder}: {self.problem}"


def write_format(folder: Path, engine: Engine = Engine.PROCESSES) -> None:
    """Say in which format a new folder is, and which version of the program, and engine, has made it."""
    about = {"format": FORMAT, "version": version("qsagin"), "engine": engine.value}
    write_atomically(folder / _ABOUT, json.dumps(about) + "\n")


def write_told(folder: Path, told: Mapping[str, Any]) -> None:
    """Add to what a new folder says of itself what its run was told; nothing is added later."""
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    write_atomically(folder / _ABOUT, json.dumps(about | {"told": told}, indent=1) + "\n")


def engine_of(folder: Path) -> Engine:
    """Return what the run of a folder is made of; processes, if the folder does not say."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        return Engine(about.get("engine", Engine.PROCESSES))
    except (OSError, ValueError, AttributeError):
        return Engine.PROCESSES


def told(folder: Path) -> dict[str, Any]:
    """Return what the run of a folder was told; nothing if it does not say."""
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    found = about.get("told", {})
    return found if isinstance(found, dict) else {}


def origin(folder: Path, actor: str, entities: Sequence[str]) -> bytes:
    """Return what the chain of an actor's journal begins with: it belongs to this run, and to it only."""
    path = folder / _ABOUT
    about = path.read_bytes() if path.exists() else b""
    return blake2b(about + json.dumps([actor, *entities]).encode(), digest_size=16).digest()


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a run that has ended, None of one that has not.  Raises `FormatError`."""
    try:
        found = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        found["complete"] = {True: True, False: False}[found["complete"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = (
            f"{SUMMARY} cannot be read ({error}); remove it, then `qsagin run --resume {folder}`"
        )
        raise FormatError(str(folder), problem) from error
    summary: dict[str, Any] = found
    return summary


def is_live(folder: Path) -> bool:
    """Return whether a process works on a folder."""
    try:
        with (folder / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def check_format(folder: Path) -> None:
    """Raise `FormatError` unless a folder is that of a run in the format of this program."""
    if not (folder / EXPERIMENT).is_file():
        raise FormatError(str(folder), f"holds no {EXPERIMENT}; is it the folder of a run?")
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        found, maker = int(about["format"]), str(about["version"])
    except FileNotFoundError:
        found, maker = 1, "0.1.0"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(str(folder), f"{_ABOUT} cannot be read ({error})") from error
    if found != FORMAT:
        problem = (
            f"is in format {found} of qsagin {maker}, and this program reads format {FORMAT}; "
            f"use that version, or run {EXPERIMENT} again"
        )
        raise FormatError(str(folder), problem)


def write_atomically(path: Path, text: str) -> None:
    """Write a file, or replace it, in one step."""
    half = path.with_name(f"{path.name}.half")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def locked(folder: Path, otherwise: Exception) -> Iterator[None]:
    """Hold the folder's lock until the end, or until this process exits; raise if another has it."""
    with (folder / _LOCK).open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise otherwise from None
        yield


def file_name(name: str) -> str:
    """Return what a file about something is called, whatever signs are in its name.

    A plain name stays as it is; of another the plain signs are kept, with a hash that tells it apart.
    """
    if _PLAIN.fullmatch(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:40]
    return f"{plain or 'x'}~{blake2b(name.encode(), digest_size=8).hexdigest()}"
