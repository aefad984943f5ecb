"""What benchmarks report: a row a bar; a line for people, or with --json one for `run.py`."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from emulator.world.distributions import half_width

OK, MISSED, UNCLEAR, TOLD = "ok", "MISSED", "unclear", "told"


@dataclass(frozen=True)
class Row:
    """A figure and the bar it is held against; `ratio` is figure over bar.  No bar: it is only told."""

    bar: str
    figure: float
    unit: str
    wanted: str = ""
    ratio: float | None = None
    verdict: str = TOLD
    note: str = ""

    def __str__(self) -> str:
        wanted = f" (wanted {self.wanted}: {self.verdict})" if self.wanted else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.bar}: {self.figure:.4g} {self.unit}".rstrip() + wanted + note


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"95 % confidence {self.low:.4g} to {self.high:.4g}"


def at_most(bar: str, figure: float, unit: str, limit: float, note: str = "") -> Row:
    """Return the row of a figure that must not be larger."""
    verdict = OK if figure <= limit else MISSED
    return Row(bar, figure, unit, f"at most {limit:g}", figure / limit, verdict, note)


def at_least(bar: str, figure: float, unit: str, limit: float, note: str = "") -> Row:
    """Return the row of a figure that must not be smaller."""
    verdict = OK if figure >= limit else MISSED
    return Row(bar, figure, unit, f"at least {limit:g}", figure / limit, verdict, note)


def none(bar: str, count: float, unit: str, note: str = "") -> Row:
    """Return the row of something of which there must be none."""
    return Row(bar, count, unit, "none", None, MISSED if count else OK, note)


def surely_at_most(bar: str, found: Interval, unit: str, limit: float, note: str) -> Row:
    """Return the row of a mean; it is unclear where its confidence interval holds the limit."""
    verdict = OK if found.high <= limit else MISSED if found.low > limit else UNCLEAR
    words = f"{found}; {note}"
    return Row(bar, found.mean, unit, f"at most {limit:g}", found.mean / limit, verdict, words)


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of at least two values with its confidence interval, by Student's t."""
    mean, count = statistics.fmean(values), len(values)
    half = half_width(statistics.stdev(values), count)
    return Interval(mean, mean - half, mean + half)


def tell(rows: Iterable[Row]) -> None:
    """Print rows as they come."""
    for row in rows:
        print(json.dumps(asdict(row)) if "--json" in sys.argv else row, flush=True)


def words() -> list[str]:
    """Return the arguments of this command, --json aside."""
    return [word for word in sys.argv[1:] if word != "--json"]
