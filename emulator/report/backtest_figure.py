"""Scores of forecasters on a history, as CSV and PNG.

Left: what a newsvendor would have paid with each, over what the fixed law costs.  Middle: the probability
integral transform of the preferred one and of the fixed law, flat if laws are right.  Right: the last
periods, with what the preferred one would have held.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulator.report.plotting import INK, MUTED, Axes, Figure, save
from global_manager.forecasting import Backtest, Score
from global_manager.forecasting.scoring import pit_histogram

FIXED = "static"
_SHOWN_PERIODS = 168
_COLOURS = ("#0072B2", "#E69F00")


def rows(backtest: Backtest, on_demand: float) -> list[dict[str, Any]]:
    """Return one row for each forecaster; costs per period at the price of a unit on demand.

    `over_hindsight` is the cost over that of holding just what came.
    """
    fixed = next((item.cost for item in backtest.scores if item.forecaster == FIXED), None)
    return [
        {
            "forecaster": item.forecaster,
            "pinball": item.pinball,
            "crps": item.crps,
            "pit_error": _pit_error(item),
            "cost": item.cost * on_demand,
            "over_static": item.cost / fixed if fixed else None,
            "over_hindsight": _over_hindsight(item, backtest.level),
            "best": item.forecaster == backtest.best,
        }
        for item in backtest.scores
    ]


def draw(folder: Path, backtest: Backtest, table: Sequence[dict[str, Any]]) -> list[Path]:
    """Write backtest.csv and backtest.png; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    path, picture = folder / "backtest.csv", folder / "backtest.png"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    figure = Figure(figsize=(14, 4.5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    shown = {item.forecaster: item for item in backtest.scores}
    _costs(left, table)
    _transforms(
        middle, [shown[name] for name in dict.fromkeys([backtest.best, FIXED]) if name in shown]
    )
    _periods(right, shown[backtest.best])
    save(figure, picture, dpi=150)
    return [path, picture]


def _pit_error(score: Score) -> float:
    """Return how far the transform is from uniform: half the summed differences of shares by tenths."""
    return float(abs(pit_histogram(list(score.pit)) - 0.1).sum()) / 2


def _over_hindsight(score: Score, level: float) -> float | None:
    least = (1 - level) * sum(score.seen) / len(score.seen)
    return score.cost / least if least else None


def _costs(axes: Axes, table: Sequence[dict[str, Any]]) -> None:
    names = [row["forecaster"] for row in table][::-1]
    costs = [row["over_static"] or 0.0 for row in table][::-1]
    colours = [_COLOURS[0] if row["best"] else MUTED for row in table][::-1]
    axes.barh(names, costs, color=colours)
    axes.axvline(1.0, color=INK, lw=0.8, ls=":")
    axes.set_xlabel("cost over that of the fixed law")
    axes.set_xlim(left=0.0)


def _transforms(axes: Axes, scores: Sequence[Score]) -> None:
    for index, score in enumerate(scores):
        shares = pit_histogram(list(score.pit))
        places = [(place + 0.5) / len(shares) for place in range(len(shares))]
        axes.step(places, shares, where="mid", color=_COLOURS[index], label=score.forecaster)
    axes.axhline(0.1, color=INK, lw=0.8, ls=":")
    axes.set(xlabel="probability integral transform", ylabel="share of periods", ylim=(0, None))
    axes.legend(frameon=False)


def _periods(axes: Axes, score: Score) -> None:
    seen, held = score.seen[-_SHOWN_PERIODS:], score.held[-_SHOWN_PERIODS:]
    periods = range(len(score.seen) - len(seen), len(score.seen))
    axes.plot(periods, seen, ".", color=MUTED, ms=4, label="demand")
    axes.step(periods, held, where="mid", color=_COLOURS[0], label=f"held by {score.forecaster}")
    axes.set(xlabel="scored period", ylabel="units")
    axes.legend(frameon=False)
