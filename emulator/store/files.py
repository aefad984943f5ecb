"""The folder of a run: what is in it, in which format, and how its files are written.

A file is there as a whole or not at all; one process at a time may work on a folder.  A folder says in
which format it is; a command reads folders of its own format only.  Nothing here knows what files say.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from emulator.input_checks import BadInputError

EXPERIMENT = "experiment.yaml"
PLAN = "plan.json"
SUMMARY = "summary.json"
REPORT = "report.html"
FORMAT = 2
_ABOUT = "run.json"
_LOCK = "lock"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")


class FormatError(BadInputError):
    """A folder is not that of a run, or that of a run in another format."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(folder, problem)
        self.folder, self.problem = folder, problem

    def __str__(self) -> str:
        return f"{self.folder}: {self.problem}"


def write_format(folder: Path) -> None:
    """Say in which format a new folder is, and which version of the program has made it."""
    about = {"format": FORMAT, "version": version("qsagin")}
    write_atomically(folder / _ABOUT, json.dumps(about) + "\n")


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
    half.write_text(text, encoding="utf-8")
    half.replace(path)


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
