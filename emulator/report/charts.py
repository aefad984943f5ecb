"""The charts of report.html: cost and service of a run, and its events over time.

All take existing numbers and return figures.  Time is emulated, from the start of the run.  Where colour
tells things apart, order, dashes or hatching does too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.report.plotting import COLOURS, INK, MUTED, Axes, Figure, drawable
from emulator.results.decisions import OrderCount
from emulator.results.ledger import Ledger
from protos.core import Timeline

MEDIA = ("fiber", "satellite", "uav")
NAMES = {"fiber": "fiber", "satellite": "satellite", "uav": "UAV", "shortfall": "never came"}
_CLASS_COLOURS = ("#332288", "#AA4499", "#117733", "#882255", "#44AA99", "#999933")
_DASHES = ("-", "--", ":", "-.")
_WIDE, _HALF = 9.2, 4.55
_MOST_LANES = 24
_MILLION = 1e6


@dataclass(frozen=True)
class Span:
    """Something that lasted for a while, to the end of the run if `until_s` is None."""

    words: str
    colour: str
    at_s: float
    until_s: float | None


def reserving(
    stages: Sequence[tuple[int, float, float, float]],
    reserved: float,
    plan_cost: float,
    run_cost: Mapping[str, float | None],
) -> Figure:
    """Draw cost over what every request reserves, with the plan and what the run paid."""
    figure, axes = _figure(_HALF, 3.3)
    units, *series = zip(*stages, strict=True)
    names = (
        ("reserved", "fiber", "-o"),
        ("bought on demand", "satellite", "--s"),
        ("both", "", "-^"),
    )
    for values, (label, colour, style) in zip(series, names, strict=True):
        millions = [value / _MILLION for value in values]
        axes.plot(
            units, millions, style, ms=3.5, lw=1.4, color=COLOURS.get(colour, INK), label=label
        )
    _mark_plan(axes, reserved, plan_cost)
    _mark_run(axes, reserved, run_cost)
    axes.set(xlabel="units that every request reserves", ylabel="millions a period", ylim=(0, None))
    _name_parts(figure, columns=3)
    return figure


def growing(
    curves: Mapping[str, Sequence[float]], plan_cost: float, run_cost: Mapping[str, float | None]
) -> Figure:
    """Draw cost over the number of requests by policy, with the plan and what the run paid."""
    figure, axes = _figure(_HALF, 3.3)
    colours = (INK, COLOURS["fiber"], COLOURS["satellite"], COLOURS["shortfall"])
    for (name, values), colour, dash in zip(curves.items(), colours, _DASHES, strict=True):
        millions = [0.0, *(value / _MILLION for value in values)]
        axes.plot(range(len(millions)), millions, dash, lw=1.5, color=colour, label=name)
    count = len(next(iter(curves.values())))
    _mark_plan(axes, count, plan_cost)
    _mark_run(axes, count, run_cost)
    axes.set(xlabel="requests", ylabel="millions a period", xlim=(0, count * 1.04), ylim=(0, None))
    _name_parts(figure, columns=3)
    return figure


def cost_in_time(book: Ledger, timeline: Timeline, expected: Sequence[float]) -> Figure:
    """Draw what each period cost, by medium and in lost key, and what the plan in force expected."""
    figure, axes = _figure(_WIDE, 2.7)
    unit, words = _time_unit(timeline.end_s)
    columns = {"fiber": "reservation_cost"} | {
        name: f"{name}_cost" for name in (*MEDIA, "shortfall") if name != "fiber"
    }
    series = {
        name: [value / _MILLION for value in book.by_period(column)]
        for name, column in columns.items()
    }
    for column in ("change_cost", "keeping_cost"):
        pairs = zip(series["fiber"], book.by_period(column), strict=True)
        series["fiber"] = [reserved + more / _MILLION for reserved, more in pairs]
    _stack(axes, series, timeline, unit)
    edges = _edges(timeline, book.periods, unit)
    axes.stairs(
        [value / _MILLION for value in expected],
        edges,
        color=INK,
        ls="--",
        lw=1.1,
        label="expected",
    )
    axes.set(xlabel=f"emulated time ({words})", ylabel="millions a period")
    _name_parts(figure)
    return figure


def service_in_time(book: Ledger, timeline: Timeline) -> Figure:
    """Draw what was asked for in each period, by medium, and what was late, by class."""
    figure = Figure(figsize=(_WIDE, 4.2), layout="constrained")
    served, late = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    unit, words = _time_unit(timeline.end_s)
    series = {name: book.by_period(f"{name}_units") for name in (*MEDIA, "shortfall")}
    _stack(served, series, timeline, unit)
    served.set(ylabel="units a period")
    edges = _edges(timeline, book.periods, unit)
    for index, name in enumerate(classes(book)):
        values = book.by_period("late_units", name)
        colour, dash = _CLASS_COLOURS[index % 6], _DASHES[index % 4]
        late.stairs(values, edges, color=colour, ls=dash, lw=1.4, label=name, baseline=None)
    late.set(xlabel=f"emulated time ({words})", ylabel="units missing\nwhen asked for")
    for axes in (served, late):
        _tidy(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    return figure


def by_application(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the share of each medium in the units of each class."""
    figure, axes = _figure(_WIDE, 0.75 + 0.36 * len(lines))
    names = [line["application"] for line in lines]
    left = [0.0] * len(lines)
    for part in (*MEDIA, "shortfall"):
        shares = [100 * line[f"{part}_units"] / max(1, line["demanded_units"]) for line in lines]
        hatch = "////" if part == "shortfall" else None
        axes.barh(
            names,
            shares,
            0.62,
            left,
            color=COLOURS[part],
            label=NAMES[part],
            hatch=hatch,
            ec="white",
        )
        for index, share in enumerate(shares):
            if share >= 6:
                ink = "white" if part in {"fiber", "shortfall"} else INK
                middle = left[index] + share / 2
                axes.text(middle, index, f"{share:.0f} %", ha="center", va="center", color=ink)
        left = [low + share for low, share in zip(left, shares, strict=True)]
    axes.set(xlim=(0, 100), xlabel="share of the units asked for (%)")
    axes.invert_yaxis()
    axes.grid(visible=False)
    _name_parts(figure)
    return figure


def reactions(
    spans: Sequence[Span],
    replans: Sequence[Mapping[str, Any]],
    orders_by_period: Sequence[OrderCount],
    book: Ledger,
    timeline: Timeline,
) -> Figure:
    """Draw faults and alarms, plans made again, orders and refunds, and units missing, over time."""
    shown = spans[:_MOST_LANES]
    lanes = max(1, len(shown) + bool(replans))
    heights = (0.22 * lanes + 0.15, 1.25, 0.9)
    figure = Figure(figsize=(_WIDE, sum(heights) + 0.9), layout="constrained")
    above, orders, missing = figure.subplots(3, sharex=True, height_ratios=heights)
    unit, words = _time_unit(timeline.end_s)
    _draw_lanes(above, shown, replans, timeline.end_s, unit)
    _draw_orders(orders, orders_by_period, book.periods, timeline, unit)
    series = {
        "late": book.by_period("late_units"),
        "never": book.by_period("shortfall_units"),
    }
    edges = _edges(timeline, book.periods, unit)
    fill = {"color": COLOURS["shortfall"], "fill": True}
    missing.stairs(series["late"], edges, alpha=0.35, label="missing when asked for", **fill)
    missing.stairs(series["never"], edges, label="never came", **fill)
    missing.set(xlabel=f"emulated time ({words})", ylabel="units", xlim=(0, timeline.end_s / unit))
    for axes in (orders, missing):
        _tidy(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    return figure


def classes(book: Ledger) -> list[str]:
    """Return the classes of application in the order of their first request."""
    return list(dict.fromkeys(book.columns["application"]))


def _draw_lanes(
    axes: Axes,
    spans: Sequence[Span],
    replans: Sequence[Mapping[str, Any]],
    end_s: float,
    unit: float,
) -> None:
    names = [drawable(span.words) for span in spans]
    for index, span in enumerate(spans):
        until_s = end_s if span.until_s is None else min(span.until_s, end_s)
        width = max((until_s - span.at_s) / unit, end_s / unit / 250)
        axes.barh(index, width, 0.66, span.at_s / unit, color=span.colour, ec=INK, lw=0.4)
    if replans:
        times = [item["at_s"] / unit for item in replans]
        axes.plot(times, [len(names)] * len(times), "d", color=COLOURS["plan"], mec=INK, ms=6)
        names.append("planned again")
    if not names:
        axes.text(
            0.5, 0.5, "no fault, no alarm", transform=axes.transAxes, ha="center", color=MUTED
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(1, len(names)) - 0.4, -0.6)
    axes.grid(visible=True, axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_orders(
    axes: Axes,
    orders_by_period: Sequence[OrderCount],
    periods: int,
    timeline: Timeline,
    unit: float,
) -> None:
    """Bars up are what was bought, bars down what failed and was refunded."""
    bought = {name: [0.0] * periods for name in ("satellite", "uav")}
    failed, refused = [0.0] * periods, [0.0] * periods
    for item in orders_by_period:
        if item.period < periods:
            bought[item.medium][item.period] += item.bought_units
            failed[item.period] -= item.failed_units
            refused[item.period] += item.refused_units
    _stack(axes, bought, timeline, unit)
    edges = _edges(timeline, periods, unit)
    if any(failed):
        dark = COLOURS["shortfall"]
        axes.stairs(failed, edges, fill=True, color=dark, hatch="////", label="failed, refunded")
    if any(refused):
        axes.stairs(refused, edges, color=INK, lw=0.8, ls=":", label="refused")
    axes.axhline(0, color=INK, lw=0.6)
    axes.set(ylabel="units ordered")


def _stack(
    axes: Axes, series: Mapping[str, Sequence[float]], timeline: Timeline, unit: float
) -> None:
    """Stack an area for each name that has anything to show."""
    bottom = [0.0] * len(next(iter(series.values())))
    edges = _edges(timeline, len(bottom), unit)
    for name, heights in series.items():
        top = [low + height for low, height in zip(bottom, heights, strict=True)]
        if any(heights):
            axes.stairs(
                top, edges, baseline=bottom, fill=True, color=COLOURS[name], label=NAMES[name]
            )
        bottom = top


def _edges(timeline: Timeline, periods: int, unit: float) -> list[float]:
    return [timeline.begins_s(period) / unit for period in range(periods + 1)]


def _time_unit(span_s: float) -> tuple[float, str]:
    """Return the unit of time that suits a span, in seconds and in words."""
    return (3600.0, "h") if span_s > 3 * 3600 else (60.0, "min") if span_s > 300 else (1.0, "s")


def _mark_plan(axes: Axes, x: float, cost: float) -> None:
    axes.plot([x], [cost / _MILLION], "*", ms=13, color=COLOURS["plan"], mec=INK, label="this plan")


def _mark_run(axes: Axes, x: float, cost: Mapping[str, float | None]) -> None:
    mean, low, high = cost["mean"], cost["ci95_low"], cost["ci95_high"]
    if mean is None or low is None or high is None:
        return
    bars = [[(mean - low) / _MILLION], [(high - mean) / _MILLION]]
    axes.errorbar(
        [x],
        [mean / _MILLION],
        bars,
        fmt="_",
        ms=9,
        color=INK,
        capsize=4,
        lw=1.4,
        label=f"this run, {cost['periods']} periods",
    )


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, alpha=0.25)
    axes.set_axisbelow(True)


def _name_parts(figure: Figure, columns: int = 5) -> None:
    """Put the legend below the axes, where it hides nothing."""
    if figure.axes[0].get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
