"""Demand that users bring: joint futures, and a trace that a run replays; both are CSV files.

Joint futures have the columns `scenario`, `probability`, `request` or `class`, and `units`.  The rows of
a scenario have one probability, and all scenarios add up to one.  A trace has `period`, `request` or
`class`, and `units`, for every period of the run, from 0 on.  A row about a class is about each of its
requests; every request must be named in every scenario and period.  What is missing, unknown, or there
twice is named with its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path

from emulator.config.demand import MOST_UNITS, RequestItem
from emulator.input_checks import InputFileError, Table, number_in, read_table

_NAMES = ("request", "class")
_SUM_TO = 1e-6


class DemandFileError(InputFileError):
    """Demand cannot be used as written."""


@dataclass(frozen=True)
class _Row:
    """What a row says: of which scenario or period, of which requests, how many units."""

    where: str
    group: str
    requests: tuple[int, ...]
    units: int
    rest: dict[str, str]


def read_joint(
    path: Path, requests: Sequence[RequestItem]
) -> tuple[tuple[float, tuple[int, ...]], ...]:
    """Return joint futures as (probability, units by request), in the order of the file.

    Raises `DemandFileError`.
    """
    file = path.name
    chances: dict[str, float] = {}
    units: dict[str, dict[int, int]] = {}
    for row in _rows(path, ("scenario", "probability"), requests):
        chance = number_in(row.rest["probability"])
        if chance is None or not 0 <= chance <= 1:
            problem = f"{row.rest['probability']!r} is no probability; write 0 to 1"
            raise DemandFileError(file, f"{row.where}, probability", problem)
        if chances.setdefault(row.group, chance) != chance:
            problem = f"differs from that of scenario {row.group} before; give one"
            raise DemandFileError(file, f"{row.where}, probability", problem)
        _put(file, row, units.setdefault(row.group, {}))
    total = sum(chances.values())
    if not isclose(total, 1.0, abs_tol=_SUM_TO):
        problem = f"of all scenarios add up to {total:g}; they must add up to 1"
        raise DemandFileError(file, "probability", problem)
    return tuple(
        (chances[name], _whole(file, f"scenario {name}", units[name], requests)) for name in chances
    )


def read_trace(
    path: Path, requests: Sequence[RequestItem], periods: int | None
) -> tuple[tuple[int, ...], ...]:
    """Return what was needed by period and request; without `periods`, in all that the file has.

    Raises `DemandFileError`.
    """
    file = path.name
    units: dict[int, dict[int, int]] = {}
    for row in _rows(path, ("period",), requests):
        period = number_in(row.group)
        if period is None or period % 1 or period < 0:
            problem = f"{row.group!r} is no period; write 0, 1, 2, ..."
            raise DemandFileError(file, f"{row.where}, period", problem)
        _put(file, row, units.setdefault(int(period), {}))
    if periods is None:
        periods = len(units)
    missing = next((period for period in range(periods) if period not in units), None)
    if missing is not None:
        problem = f"there is no period {missing}; set demand.periods to {missing} or add it"
        raise DemandFileError(file, "period", problem)
    return tuple(
        _whole(file, f"period {period}", units[period], requests) for period in range(periods)
    )


def _rows(path: Path, needed: Sequence[str], requests: Sequence[RequestItem]) -> Iterator[_Row]:
    file = path.name
    try:
        table = read_table(path)
    except InputFileError as error:
        raise DemandFileError(file, error.field, error.problem) from error
    whom = _check_header(file, table, (*needed, "units"))
    places: dict[str, tuple[int, ...]] = {}
    for place, item in enumerate(requests):
        name = item.id if whom == "request" else item.application
        places[name] = (*places.get(name, ()), place)
    for number, cells in table.rows:
        where = f"row {number}"
        if len(cells) != len(table.header):
            problem = f"has {len(cells)} values for {len(table.header)} columns; write one for each"
            raise DemandFileError(file, where, problem)
        values = dict(zip(table.header, cells, strict=True))
        if values[whom] not in places:
            some = ", ".join(sorted(places)[:10])
            problem = f"no {whom} {values[whom]!r} in the experiment; there are {some}"
            raise DemandFileError(file, f"{where}, {whom}", problem)
        units = _units(file, where, values["units"])
        yield _Row(where, values[needed[0]], places[values[whom]], units, values)


def _check_header(file: str, table: Table, needed: Sequence[str]) -> str:
    """Return by what rows name requests."""
    header, whom = table.header, [name for name in _NAMES if name in table.header]
    wanted = {*needed, *whom}
    if len(whom) != 1 or set(header) != wanted or len(header) != len(wanted):
        right = f"must be {', '.join(needed[:-1])}, request or class, and units"
        found = ",".join(header)[:80] or "nothing"
        raise DemandFileError(file, "header", f"{right}, not {found}")
    if not table.rows:
        raise DemandFileError(file, "rows", "there are none; write one for each request or class")
    return whom[0]


def _units(file: str, where: str, written: str) -> int:
    units = number_in(written)
    if units is None or units % 1 or not 0 <= units <= MOST_UNITS:
        problem = f"{written!r} are no whole units from 0 to {MOST_UNITS:,}"
        raise DemandFileError(file, f"{where}, units", problem)
    return int(units)


def _put(file: str, row: _Row, units: dict[int, int]) -> None:
    for place in row.requests:
        if place in units:
            problem = "says again what is said before of the same request; keep one row"
            raise DemandFileError(file, row.where, problem)
        units[place] = row.units


def _whole(
    file: str, where: str, units: dict[int, int], requests: Sequence[RequestItem]
) -> tuple[int, ...]:
    missing = [item.id for place, item in enumerate(requests) if place not in units]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DemandFileError(file, where, f"says nothing of request {missing[0]}{more}; add a row")
    return tuple(units[place] for place in range(len(requests)))
