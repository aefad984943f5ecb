"""How well forecasters would have foreseen a history, and what that would have cost."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.options import Json, UsageError, require_writable
from emulator.commands.terminal import OUT, answer, print_table, tell


def backtest(
    history: Annotated[
        Path,
        typer.Argument(
            metavar="HISTORY", help="A CSV file with one column, units; a row per period."
        ),
    ],
    season: Annotated[
        list[int] | None,
        typer.Option(
            help="Periods of a season; repeat for more, each a multiple of the one before."
        ),
    ] = None,
    reserved: Annotated[float, typer.Option(help="Price of a reserved unit.")] = 5480.0,
    on_demand: Annotated[float, typer.Option(help="Price of a unit on demand.")] = 18520.0,
    ahead: Annotated[int, typer.Option(min=1, max=1000, help="Periods to look ahead.")] = 1,
    fits: Annotated[int, typer.Option(min=1, max=100, help="How often each is fitted.")] = 2,
    out: Annotated[
        Path | None, typer.Option(help="Folder for backtest.csv and backtest.png.")
    ] = None,
    json_: Json = False,
) -> None:
    """Score forecasters of demand on a rolling origin of a history."""
    from emulator.build.data_files import read_history
    from emulator.report.backtest_figure import draw, rows
    from global_manager.forecasting import ForecastError, History, candidates
    from global_manager.forecasting import backtest as scored

    _require_prices(reserved, on_demand)
    seasons = _seasons(season or [])
    if out is not None:
        require_writable(out)
    seen = History(read_history(history.parent, history.name))
    level = 1 - reserved / on_demand
    forecasters = candidates(seasons, boosted=True)
    try:
        found = scored(seen, forecasters, level, ahead=ahead, fits=fits)
    except ForecastError as error:
        raise UsageError(history.name, str(error)) from error
    for name, problem in found.left_out:
        tell(f"{name} is left out: {problem}")
    table = rows(found, on_demand)
    files = [str(path) for path in draw(out, found, table)] if out else []
    document = {
        "periods": len(seen.units),
        "origin": found.origin,
        "level": level,
        "best": found.best,
        "rows": table,
        "left_out": dict(found.left_out),
        "files": files,
    }
    answer(json_, document, lambda: print_table(list(table[0]), table))
    if files and not json_:
        OUT.print("\n".join(files))


def _require_prices(reserved: float, on_demand: float) -> None:
    if not 0 < reserved < on_demand < float("inf"):
        raise UsageError("--reserved", f"must be above 0 and below --on-demand, {on_demand:g}")


def _seasons(seasons: list[int]) -> tuple[int, ...]:
    right = "must be at least 2 periods, each a multiple of the one before"
    if any(item < 2 for item in seasons):
        raise UsageError("--season", right)
    if any(long % short or long == short for short, long in pairwise(seasons)):
        raise UsageError("--season", right)
    return tuple(seasons)
