"""Hourly sky cover of a typical year (TMY3), as a file in EnergyPlus format (EPW) has it.

Every month of such a year is that of a real year.  Where two stations have a month of the same year, both
saw the same weather.  A row is the hour that ends at its time, in local standard time; 29 February is left
out.  The laws of `cloud_seasons` and `cloud_fronts` were made from such files; no run reads them.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.input_checks import InputFileError, number_in
from emulator.world.cloud_climate import CLEAR_TENTHS

Numbers = NDArray[np.int64]

_HEAD_LINES, _NAME, _OPAQUE = 8, 1, 23
_PLACE = (6, 7, 8)  # latitude, longitude, hours ahead of UTC
_TENTHS = 10
_HOUR_S = 3600


class TypicalYearError(InputFileError):
    """The file is no typical year with sky cover."""


@dataclass(frozen=True)
class TypicalYear:
    """A station and its hours: when each began, in hours of UTC since 1970, and tenths covered."""

    file: str
    name: str
    lat_deg: float
    lon_deg: float
    year: Numbers
    month: Numbers
    began_h: Numbers
    tenths: Numbers

    @property
    def clear(self) -> NDArray[np.bool_]:
        """Return which hours had a clear sky."""
        return self.tenths <= CLEAR_TENTHS


def read_typical_year(path: Path) -> TypicalYear:
    """Read a file.  Raises `TypicalYearError`, and OSError."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.reader(file))
    head, hours = rows[0] if rows else [], rows[_HEAD_LINES:]
    if not head or head[0] != "LOCATION" or len(head) <= max(_PLACE) or not hours:
        raise TypicalYearError(path.name, "line 1", "is no LOCATION; give a weather file, *.epw")
    place = [number_in(head[cell]) for cell in _PLACE]
    lat_deg, lon_deg, ahead_h = (_number(path, "line 1", each) for each in place)
    read = [_hour(path, line, row) for line, row in enumerate(hours, start=_HEAD_LINES + 1)]
    year, month, local_h, tenths = np.array(read, dtype=np.int64).T
    began_h = local_h - round(ahead_h)
    return TypicalYear(
        path.name, head[_NAME].strip(), lat_deg, lon_deg, year, month, began_h, tenths
    )


def typical_years_in(folder: Path) -> tuple[TypicalYear, ...]:
    """Read all TMY3 files of a folder, each place once, in order of names.  Raises as above."""
    found: dict[tuple[float, float], TypicalYear] = {}
    for path in sorted(folder.glob("*TMY3.epw")):
        year = read_typical_year(path)
        found.setdefault((year.lat_deg, year.lon_deg), year)
    if not found:
        raise TypicalYearError(
            str(folder), "*TMY3.epw", "are not there; give a folder that has them"
        )
    return tuple(found.values())


def _hour(path: Path, line: int, row: list[str]) -> tuple[int, int, int, int]:
    """Return year, month, the hour that begins since 1970, and the tenths covered."""
    where = f"line {line}"
    if len(row) <= _OPAQUE:
        raise TypicalYearError(path.name, where, f"has {len(row)} fields, not {_OPAQUE + 1}")
    year, month, day, hour, tenths = (
        int(_number(path, where, number_in(row[cell]))) for cell in (0, 1, 2, 3, _OPAQUE)
    )
    if not 0 <= tenths <= _TENTHS:
        raise TypicalYearError(path.name, where, f"has {tenths} tenths of opaque sky cover")
    try:
        begins = datetime(year, month, day, tzinfo=UTC).timestamp() // _HOUR_S + hour - 1
    except ValueError as error:
        raise TypicalYearError(path.name, where, str(error)) from error
    return year, month, int(begins), tenths


def _number(path: Path, where: str, number: float | None) -> float:
    if number is None:
        raise TypicalYearError(path.name, where, "has a word where a number should be")
    return number
