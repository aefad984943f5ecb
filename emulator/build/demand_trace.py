"""A trace of demand, to price a plan under what was seen instead of under a law.

A trace is a CSV file with the columns `period`, `units`, and `request` or `class`: what one request, or
each request of a class, needed in a period. Whoever is not named in a period needed nothing. Periods
are numbers; every one from the first to the last counts once, with equal weight. Skies are what the
problem has, independently of the trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from emulator.config.demand import MOST_PERIODS, MOST_UNITS
from emulator.input_checks import InputFileError, Table, number_in, read_table, shown_name
from global_manager.provisioning.model import Future, Problem, Scenario
from global_manager.provisioning.second_stage import joint_futures
from global_manager.provisioning.shared_recourse import has_pools

_MOST_CELLS = 20_000_000
_WHO = ("request", "class")

Needs = list[tuple[int, ...]]
"""By period, the units of every request."""


def under_trace(problem: Problem, file: Path) -> Problem:
    """Return the problem with the demand of a trace.  Raises InputFileError."""
    needs = _read(problem, file)
    return _with_futures(problem, needs) if has_pools(problem) else _with_laws(problem, needs)


def _with_laws(problem: Problem, needs: Needs) -> Problem:
    """Return the problem in which each request needs what it needed, as often."""
    by_request = zip(*needs, strict=True)
    requests = (
        replace(item, scenarios=_scenarios(units))
        for item, units in zip(problem.requests, by_request, strict=True)
    )
    return replace(problem, requests=tuple(requests))


def _scenarios(units: tuple[int, ...]) -> tuple[Scenario, ...]:
    return tuple(Scenario(n, count / len(units)) for n, count in sorted(Counter(units).items()))


def _with_futures(problem: Problem, needs: Needs) -> Problem:
    """Return a problem with pools with a future for every different period and sky."""
    skies: dict[tuple[bool, ...], float] = {}
    for future in joint_futures(problem):
        skies[future.usable] = skies.get(future.usable, 0.0) + future.probability
    futures = tuple(
        Future(count / len(needs) * chance, units, usable)
        for units, count in Counter(needs).items()
        for usable, chance in skies.items()
    )
    return replace(_with_laws(problem, needs), futures=futures, correlated=False)


def _read(problem: Problem, file: Path) -> Needs:
    table = read_table(file)
    name = shown_name(file)
    who = next((column for column in _WHO if column in table.header), None)
    if who is None or not {"period", "units"} <= set(table.header):
        raise InputFileError(name, "header", "must name period, units, and request or class")
    members = _members(problem, who)
    rows = list(_rows(table, name, who, members))
    if not rows:
        raise InputFileError(name, "rows", "there are none; give a row per period and request")
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    if (last - first + 1) * len(problem.requests) > _MOST_CELLS:
        problem_ = f"{last - first + 1:,} periods are more than can be priced; give a shorter trace"
        raise InputFileError(name, "period", problem_)
    needs = [[0] * len(problem.requests) for _ in range(first, last + 1)]
    for period, units, positions in rows:
        for position in positions:
            needs[period - first][position] = units
    return [tuple(row) for row in needs]


def _members(problem: Problem, who: str) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for position, item in enumerate(problem.requests):
        members.setdefault(item.id if who == "request" else item.application, []).append(position)
    return members


def _rows(
    table: Table, name: str, who: str, members: dict[str, list[int]]
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield period, units and whom they are for, row by row."""
    at = {column: index for index, column in enumerate(table.header)}
    seen: set[tuple[int, str]] = set()
    for line, row in table.rows:
        if len(row) != len(table.header):
            problem = f"has {len(row)} cells, the header {len(table.header)}"
            raise InputFileError(name, f"row {line}", problem)
        period = _whole(row[at["period"]], MOST_PERIODS, name, f"row {line}, period")
        units = _whole(row[at["units"]], MOST_UNITS, name, f"row {line}, units")
        them = row[at[who]]
        if them not in members:
            some = ", ".join(list(members)[:3])
            problem = f"{them} is no {who} of this experiment; it has {some}, ..."
            raise InputFileError(name, f"row {line}, {who}", problem)
        if (period, them) in seen:
            raise InputFileError(
                name, f"row {line}", f"{them} has a row for period {period} already"
            )
        seen.add((period, them))
        yield period, units, members[them]


def _whole(written: str, most: int, name: str, where: str) -> int:
    value = number_in(written)
    if value is None or value != int(value) or not 0 <= value <= most:
        problem = f"must be a whole number from 0 to {most:,}, not {written}"
        raise InputFileError(name, where, problem)
    return int(value)
