"""The figure of a sweep: what service cost and what was missing, along every axis.

There is a column of panels per axis, and a line per combination of the other axes.  Points are means over
seeds, with bars of one standard deviation.  If there are too many combinations to tell apart, one
line is their mean, and bars include their spread.  Only points that are done are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from emulator.report.plotting import COLOURS, MUTED, Axes, Figure
from emulator.sweep.grid import labels_of, shown
from emulator.sweep.table import DONE, PointRow

_MOST_LINES = 6
_COLOURS = (*COLOURS.values(), "#56B4E9")
_MARKS = "os^Dvx"
_QUANTITIES = {
    "cost_per_period": "cost a period",
    "bought": "bought on demand\n(% of demand)",
    "missing": "never came\n(% of demand)",
}


def draw(rows: Sequence[PointRow], title: str, path: Path) -> Path | None:
    """Write the figure; return its file, or None if no point is done."""
    done = [row for row in rows if row.state == DONE]
    if not done:
        return None
    axes = list(done[0].point.values) or ["seed"]
    labels = labels_of(axes)
    figure = Figure(figsize=(max(5.0, 4.2 * len(axes) + 0.8), 7), layout="constrained")
    panels = figure.subplots(len(_QUANTITIES), len(axes), squeeze=False, sharex="col", sharey="row")
    for column, axis in enumerate(axes):
        lines = _lines(done, axis, labels)
        for line, (quantity, words) in zip(panels[:, column], _QUANTITIES.items(), strict=True):
            _plot(line, lines, axis, quantity)
            line.set_ylabel(words if column == 0 else "")
        panels[-1, column].set_xlabel(axis)
        if len(lines) > 1:
            panels[0, column].legend(fontsize=7, framealpha=0.6)
    left_out = len(rows) - len(done)
    seeds = len({row.point.seed for row in done})
    words = f"{title}: means of {seeds} seeds, bars ±1 standard deviation"
    if seeds == 1:
        words = title
    figure.suptitle(words + (f"; {left_out} of {len(rows)} points missing" if left_out else ""))
    figure.savefig(path, dpi=150)
    return path


def _lines(
    rows: Sequence[PointRow], axis: str, labels: Mapping[str, str]
) -> dict[str, list[PointRow]]:
    """Return the rows of each line of an axis, by what the line is called."""
    lines: dict[str, list[PointRow]] = {}
    for row in rows:
        others = [
            f"{labels[name]}={shown(value)}"
            for name, value in row.point.values.items()
            if name != axis
        ]
        lines.setdefault(", ".join(others), []).append(row)
    if len(lines) > _MOST_LINES:
        return {f"mean over {len(lines)} combinations": list(rows)}
    return lines


def _plot(panel: Axes, lines: Mapping[str, Sequence[PointRow]], axis: str, quantity: str) -> None:
    values = list(dict.fromkeys(_key(row, axis) for rows in lines.values() for row in rows))
    is_scale = all(isinstance(value, int | float) for value in values) and axis != "seed"
    positions = {value: value if is_scale else x for x, value in enumerate(values)}
    for number, (name, rows) in enumerate(lines.items()):
        found: dict[Any, list[float]] = {}
        for row in rows:
            found.setdefault(positions[_key(row, axis)], []).append(_quantity(row, quantity))
        at = sorted(found)
        panel.errorbar(
            at,
            [fmean(found[x]) for x in at],
            [stdev(found[x]) if len(found[x]) > 1 else 0.0 for x in at],
            label=name,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKS[number % len(_MARKS)],
            markersize=4,
            linewidth=1.2,
            linestyle="-" if is_scale else "none",
            capsize=3,
        )
    if not is_scale:
        panel.set_xticks(list(positions.values()), [shown(value) for value in positions])
        panel.margins(x=0.15)
    top = max(panel.get_ylim()[1], 1.0)
    panel.set_ylim(-0.03 * top, top)
    panel.yaxis.set_major_formatter(lambda value, _place: f"{value:,.10g}")
    panel.grid(alpha=0.3)
    panel.tick_params(colors=MUTED)


def _key(row: PointRow, axis: str) -> Any:
    """Return the value of an axis as something that can be told from others."""
    value = row.point.seed if axis == "seed" else row.point.values[axis]
    return value if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)


def _quantity(row: PointRow, quantity: str) -> float:
    figures = row.figures
    if quantity in figures:
        return float(figures[quantity] or 0.0)
    bought = figures["satellite_units"] + figures["uav_units"]
    units = bought if quantity == "bought" else figures["shortfall_units"]
    return float(100.0 * units / max(1, figures["demanded_units"]))
