"""Fit the law of clear skies by season and time of day to typical years, or check its table.

`python tools/cloud_seasons.py FOLDER` reads every TMY3 file in EPW format in the folder and writes
emulator/world/weather_data/cloud_seasons_tmy3.csv; `--check` writes nothing and exits 1 if anything would
change.  docs/design.md (section 8) says where the files can be had.
"""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from emulator.world.cloud_seasons import NUMBERS, TABLE, fitted, parts_over, waves
from emulator.world.typical_years import TypicalYear, TypicalYearError, typical_years_in

_HEAD = """\
# How often the sky is clear (opaque cover of at most 2/10) by season and time of day: numbers of the law in
# emulator/world/cloud_seasons.py, fitted by tools/cloud_seasons.py to hourly TMY3 typical years of NREL/DOE
# (public domain; EPW field 24; the source column names the file).  The EPW files are inside the PyPI
# packages pyenergyplus-lbnl 26.1.0 and sinergym 3.5.1.
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 4


def table(folder: Path) -> str:
    """Return the table of a folder.  Raises `TypicalYearError` and OSError."""
    text = io.StringIO()
    text.write(_HEAD)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["station", "lat", "lon", "source", *NUMBERS])
    for year in typical_years_in(folder):
        numbers = [f"{number:.{_DIGITS}f}" for number in numbers_of(year)]
        writer.writerow([year.name, year.lat_deg, year.lon_deg, year.file, *numbers])
    return text.getvalue()


def numbers_of(year: TypicalYear) -> list[float]:
    """Return the numbers of a station's law."""
    parts = parts_over(year, _EPOCH, np.asarray(year.began_h + 0.5))
    return [float(number) for number in fitted(waves(*parts), year.clear)]


def main() -> int:
    """Write the table, or compare; return the exit status."""
    words = [word for word in sys.argv[1:] if word != "--check"]
    if len(words) != 1:
        print("usage: python tools/cloud_seasons.py FOLDER [--check]", file=sys.stderr)
        return 2
    try:
        text = table(Path(words[0]))
    except (TypicalYearError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if "--check" not in sys.argv[1:]:
        TABLE.write_text(text, encoding="utf-8")
    elif TABLE.read_text(encoding="utf-8") != text:
        print(f"{TABLE} is not current", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
