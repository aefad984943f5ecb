"""Weather as recorded in a CSV file: `site,start_s,opaque[,visibility_km]`.

A row holds from its `start_s` (emulated seconds) until the next row of its site; the last one for ever.
Each site that the file names begins at 0 or before, and its rows are in order of time.  An empty
`visibility_km` is clear air.  Lines that begin with `#` say where the numbers come from.  Exports of
Open-Meteo and of METAR reports are recognised by their header, and the error says how to rewrite them.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.input_checks import InputFileError, number_in, read_table

_NEEDED = ("site", "start_s", "opaque")
_OPTIONAL = ("visibility_km",)
_REWRITE = (
    f"{','.join((*_NEEDED, *_OPTIONAL))} with one row per site and hour; start_s counts from epoch"
)
_EXPORTS = {  # by the beginnings of names of columns
    (
        "latitude",
        "longitude",
    ): "looks like Open-Meteo's; leave out the lines about places, and write "
    f"{_REWRITE}, opaque is cloud_cover / 100, visibility_km is visibility / 1000",
    (
        "time",
        "cloud_cover",
    ): f"looks like Open-Meteo's; write {_REWRITE}, opaque is cloud_cover / 100, "
    "visibility_km is visibility / 1000",
    (
        "station",
        "valid",
    ): f"looks like METAR reports; write {_REWRITE}, opaque is that of the most covered "
    "of skyc1 to skyc4 (CLR 0, FEW 0.25, SCT 0.5, BKN 0.75, OVC and VV 1), visibility_km is vsby * 1.609",
}


class WeatherError(InputFileError):
    """Weather cannot be used as written."""


@dataclass(frozen=True)
class Spell:
    """Weather that holds for a while."""

    start_s: float
    opaque: float
    visibility_km: float | None


@dataclass(frozen=True)
class Recording:
    """The spells of each recorded site, in order of time."""

    spells: Mapping[str, tuple[Spell, ...]]

    def at(self, site: str, at_s: float) -> Spell | None:
        """Return what holds; None for a site that is not recorded."""
        spells = self.spells.get(site)
        if spells is None:
            return None
        return spells[bisect_right(spells, at_s, key=lambda spell: spell.start_s) - 1]


def read_recording(path: Path, sites: Collection[str]) -> Recording:
    """Read a weather file about some of these sites.  Raises WeatherError."""
    file = path.name
    try:
        table = read_table(path)
    except InputFileError as error:
        raise WeatherError(file, error.field, error.problem) from error
    columns = table.header
    if not columns:
        raise WeatherError(file, "header", f"the file is empty; begin with {','.join(_NEEDED)}")
    _check_header(file, columns)
    if not table.rows:
        raise WeatherError(file, "rows", "there are none; give each recorded site one at start_s 0")
    spells: dict[str, list[Spell]] = {}
    for number, row in table.rows:
        where = f"row {number}"
        if len(row) != len(columns):
            problem = f"has {len(row)} values for {len(columns)} columns; write one for each"
            raise WeatherError(file, where, problem)
        values = dict(zip(columns, row, strict=True))
        _check_site(file, where, values["site"], sites)
        earlier = spells.setdefault(values["site"], [])
        earlier.append(_spell(file, where, values))
        _check_order(file, where, values["site"], earlier)
    return Recording({site: tuple(held) for site, held in spells.items()})


def _check_header(file: str, columns: Sequence[str]) -> None:
    for signs, words in _EXPORTS.items():
        if all(any(name.startswith(sign) for name in columns) for sign in signs):
            raise WeatherError(file, "header", words)
    for name in _NEEDED:
        if name not in columns:
            raise WeatherError(file, "header", f"has no column {name}; add it")
    for name in columns:
        if name not in _NEEDED + _OPTIONAL:
            known = ", ".join(_NEEDED + _OPTIONAL)
            raise WeatherError(file, "header", f"unknown column {name!r}; known are {known}")
        if columns.count(name) > 1:
            raise WeatherError(file, "header", f"names {name} twice; keep one")


def _check_site(file: str, where: str, site: str, sites: Collection[str]) -> None:
    if site not in sites:
        some = ", ".join(sorted(sites)[:10])
        problem = f"unknown site {site!r}; name a node ({some}, ...) or drop the row"
        raise WeatherError(file, f"{where}, site", problem)


def _check_order(file: str, where: str, site: str, spells: list[Spell]) -> None:
    """Check the last spell against the one before."""
    start_s = spells[-1].start_s
    if len(spells) == 1 and start_s > 0:
        problem = f"the first row of {site} begins at {start_s:g}; add one at 0"
        raise WeatherError(file, f"{where}, start_s", problem)
    if len(spells) > 1 and start_s <= spells[-2].start_s:
        problem = f"{start_s:g} is not after {spells[-2].start_s:g}; put {site} in order of time"
        raise WeatherError(file, f"{where}, start_s", problem)


def _spell(file: str, where: str, values: Mapping[str, str]) -> Spell:
    start_s = _number(file, where, "start_s", values["start_s"])
    opaque = _number(file, where, "opaque", values["opaque"])
    if not 0 <= opaque <= 1:
        problem = f"{opaque:g} is no fraction of the sky; write 0 to 1 (tenths / 10, okta / 8)"
        raise WeatherError(file, f"{where}, opaque", problem)
    written = values.get("visibility_km", "")
    if not written:
        return Spell(start_s, opaque, None)
    visibility_km = _number(file, where, "visibility_km", written)
    if visibility_km <= 0:
        problem = f"{visibility_km:g} must be positive; leave it empty for clear air"
        raise WeatherError(file, f"{where}, visibility_km", problem)
    return Spell(start_s, opaque, visibility_km)


def _number(file: str, where: str, field: str, written: str) -> float:
    value = number_in(written)
    if value is None:
        raise WeatherError(file, f"{where}, {field}", f"{written!r} is not a number; write one")
    return value
