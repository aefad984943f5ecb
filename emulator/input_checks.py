"""What is given from outside: files read within limits, numbers as they are written, and errors.

Nothing here raises anything but `InputFileError` and `ParameterError`, whatever a file holds: one line
that says which file, which field or line, and what would be right.  Only regular files are read, and none
that is larger than its kind may be.  Nothing here knows what a file is about.
"""

from __future__ import annotations

import csv
import math
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 16_000_000
"""Of any file that an experiment names; a year of hourly weather at 24 sites has about 7,000,000."""
_MOST_CELL = 10_000  # signs in a cell of a table
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")  # str.splitlines knows more, and editors do not


class BadInputError(Exception):
    """Something that was given cannot be used; its text is one line per mistake, for whoever gave it."""


class ParameterError(BadInputError, ValueError):
    """A physical parameter is unknown, or has a value that no device can have."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)  # pickle rebuilds from these
        self.field, self.problem = field, problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class InputFileError(BadInputError, ValueError):
    """A file cannot be used as written."""

    def __init__(self, file: str, field: str, problem: str) -> None:
        super().__init__(file, field, problem)  # pickle rebuilds from these
        self.file, self.field, self.problem = file, field, problem

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.problem}"


@dataclass(frozen=True)
class Table:
    """A CSV file: its header in small letters, and its rows, each with the number of its line.

    Blank lines and lines that begin with `#` are left out; cells have no blanks around them.  An empty
    file has an empty header.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def is_file(path: Path) -> bool:
    """Return whether there is such a file, whatever its name holds."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Return the text of a regular file in UTF-8, without a byte order mark.

    Devices, pipes and files that are too large are refused without being read.  Raises `InputFileError`.
    """
    shown = shown_name(path)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise InputFileError(
                shown, "file", "is no regular file; give a file that can be copied"
            )
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise InputFileError(shown, "file", f"cannot be read ({words})") from error
    except ValueError as error:
        raise InputFileError(shown, "file", f"is no name of a file ({error})") from error
    if len(data) > most_bytes:
        problem = (
            f"is larger than {most_bytes / 1e6:g} MB, the most that is read; give a smaller one"
        )
        raise InputFileError(shown, "file", problem)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"is not in UTF-8 (line {line}); save it again in that encoding"
        raise InputFileError(shown, "file", problem) from error


def read_table(path: Path) -> Table:
    """Return the table in a CSV file.  A row is a line: none goes on in the next.

    Raises `InputFileError`.
    """
    shown = shown_name(path)
    rows = list(_cells(shown, read_text(path)))
    if not rows:
        return Table((), ())
    (_, header), *others = rows
    if len(header) == 1 and (sign := next((s for s in ";\t" if s in header[0]), None)):
        problem = f"columns must be parted by commas, not by {sign!r}, with points in numbers"
        raise InputFileError(shown, "header", problem)
    return Table(tuple(cell.lower() for cell in header), tuple(others))


def _cells(file: str, text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, line in enumerate(_LINE_ENDS.split(text), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            (row,) = csv.reader([line], strict=True)
        except csv.Error as error:
            problem = f"is no row of a CSV file ({error}); write each row, quotes too, on one line"
            raise InputFileError(file, f"row {number}", problem) from error
        if max(map(len, row)) > _MOST_CELL:
            problem = f"has a cell of more than {_MOST_CELL:,} signs; is a quote missing?"
            raise InputFileError(file, f"row {number}", problem)
        yield number, tuple(cell.strip() for cell in row)


def number_in(written: str) -> float | None:
    """Return the finite number that is written in plain digits; None if there is none.

    Unlike `float` it takes no other digits than 0 to 9, no underscores and no words.
    """
    if len(written) > 100 or not _NUMBER.fullmatch(written):
        return None
    value = float(written)
    return value if math.isfinite(value) else None


def shown_name(path: Path, most: int = 200) -> str:
    """Return the name of a file for an error, cut off if it is very long."""
    name = str(path)
    return name if len(name) <= most else f"{name[:most]}..."


def visible(text: str) -> str:
    """Return a text without the signs that command a terminal, each as its code; lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(_code(sign) if _commands(sign) else sign for sign in text)


def one_line(text: str, most: int = 1_000) -> str:
    """Return a text on one line without signs that command a terminal, its middle cut out if it is long."""
    line = visible(text).replace("\n", "\\n").replace("\t", "\\t")
    return line if len(line) <= most else f"{line[: most // 2]} ... {line[-most // 2 :]}"


def _commands(sign: str) -> bool:
    """Return whether a sign is a control, a lone surrogate, or changes the direction of the text."""
    number = ord(sign)
    is_control = (number < 32 and sign not in "\n\t") or 127 <= number < 160
    return is_control or 0xD800 <= number < 0xE000 or sign in _TURNING


_TURNING = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _code(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def require_between(setup: object, low: float, high: float, *fields: str) -> None:
    """Raise ParameterError unless each named field of the setup lies in [low, high]."""
    for field in fields:
        value = getattr(setup, field)
        if not low <= value <= high:
            raise ParameterError(field, f"must lie between {low:g} and {high:g}, not {value}")


def require_positive(setup: object, *fields: str) -> None:
    """Raise ParameterError unless each named field of the setup is positive and finite."""
    for field in fields:
        value = getattr(setup, field)
        if not 0 < value < math.inf:
            raise ParameterError(field, f"must be positive, not {value}")


def require_not_negative(setup: object, *fields: str) -> None:
    """Raise ParameterError unless each named field of the setup is zero or more, and finite."""
    for field in fields:
        value = getattr(setup, field)
        if not 0 <= value < math.inf:
            raise ParameterError(field, f"must be zero or more, not {value}")
