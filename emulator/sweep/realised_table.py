"""What a realised comparison says: means over seeds, and differences seed by seed.

A difference is paired: what a policy cost in a world less what the reference cost there, so that what the
world does to both cancels.  Intervals are of 95 % confidence, by Student's t.  The floor `hindsight` has,
in each world, the run of the policy that cost least there.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.report.plotting import COLOURS, MUTED, Axes, Figure, drawable, save
from emulator.sweep.realised import PERFECT, UNITS, Comparison, Realised
from emulator.world.distributions import half_width

HINDSIGHT = "hindsight"
FLOORS = (PERFECT, HINDSIGHT)
_NAME = "realised"
Row = dict[str, Any]


def with_hindsight(found: Comparison) -> dict[str, tuple[Realised, ...]]:
    """Return all runs by policy, the floors last."""
    own = [runs for policy, runs in found.by_policy.items() if policy != PERFECT]
    best = tuple(min(world, key=lambda item: item.cost) for world in zip(*own, strict=True))
    return {**found.by_policy, HINDSIGHT: best}


def rows_of(by_policy: dict[str, tuple[Realised, ...]], reference: str) -> list[Row]:
    """Return a row per policy; every policy has the same seeds, at least one.

    `mean_cost` is per period, in monetary units, the price of lost key included; `difference` is to the
    reference.  Units are means per run; shares are of what was demanded in all runs; `outage` is the share
    of the time for which links were needed that they were down for lack of key.
    """
    base = [item.cost for item in by_policy[reference]]
    return [_row(policy, runs, base) for policy, runs in by_policy.items()]


def _row(policy: str, runs: Sequence[Realised], base: Sequence[float]) -> Row:
    costs = [item.cost for item in runs]
    differences = [cost - other for cost, other in zip(costs, base, strict=True)]
    cost, difference = _interval(costs), _interval(differences)
    needed_s, down_s = sum(item.needed_s for item in runs), sum(item.down_s for item in runs)
    kinds = sorted({kind for item in runs for kind in item.classes})
    return {
        "policy": policy,
        "floor": policy in FLOORS,
        "runs": len(runs),
        **dict(zip(("mean_cost", "cost_low", "cost_high"), cost, strict=True)),
        **dict(zip(("difference", "difference_low", "difference_high"), difference, strict=True)),
        "mean_cash": fmean(item.cash for item in runs),
        "shortfall_units": fmean(item.units["shortfall"] for item in runs),
        "outage": down_s / needed_s if needed_s else 0.0,
        **_shares([item.units for item in runs]),
        "policy_failures": sum(bool(item.failures) for item in runs),
        "classes": [_class(kind, [item.classes[kind] for item in runs]) for kind in kinds],
    }


def _class(kind: str, units: Sequence[Any]) -> Row:
    means = {f"{name}_units": fmean(item[name] for item in units) for name in UNITS}
    return {"class": kind, **means, **_shares(units)}


def _shares(units: Sequence[Any]) -> Row:
    """Return which share of what was demanded each medium served, and which never came."""
    demanded = sum(item["demanded"] for item in units)
    return {
        f"{name}_share": sum(item[name] for item in units) / demanded if demanded else 0.0
        for name in ("fiber", "satellite", "uav", "shortfall")
    }


def _interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return a mean and its confidence interval; a single value has none."""
    mean = fmean(values)
    if len(values) < 2:
        return mean, None, None
    half = half_width(stdev(values), len(values))
    return mean, mean - half, mean + half


def tables_of(by_policy: dict[str, tuple[Realised, ...]]) -> tuple[pa.Table, pa.Table]:
    """Return every run, and what it delivered by class."""
    runs = [(policy, item) for policy, items in by_policy.items() for item in items]
    of_classes = [
        {"policy": policy, "seed": item.seed, "class": kind, **_named(units)}
        for policy, item in runs
        for kind, units in item.classes.items()
    ]
    every = [_run(*run) for run in runs]
    return pa.Table.from_pylist(every), pa.Table.from_pylist(of_classes)


def write(
    folder: Path,
    title: str,
    by_policy: dict[str, tuple[Realised, ...]],
    rows: Sequence[Row],
    reference: str,
) -> list[Path]:
    """Write the table (CSV), every run and its classes (Parquet), and the figure; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{_NAME}.csv"
    shown = [name for name in rows[0] if name != "classes"]
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, shown, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    every, classes = folder / f"{_NAME}.parquet", folder / f"{_NAME}-classes.parquet"
    for path, found in zip((every, classes), tables_of(by_policy), strict=True):
        pq.write_table(found, path, compression="zstd")
    picture = folder / f"{_NAME}.png"
    save(_figure(title, rows, reference), picture, dpi=150)
    return [table, every, classes, picture]


def _run(policy: str, item: Realised) -> Row:
    return {
        "policy": policy,
        "run_of": item.policy,
        "seed": item.seed,
        "periods": item.periods,
        "cost_per_period": item.cost,
        "cash_per_period": item.cash,
        "needed_s": item.needed_s,
        "down_s": item.down_s,
        **_named(item.units),
        "policy_failures": len(item.failures),
    }


def _named(units: Any) -> Row:
    return {f"{name}_units": value for name, value in units.items()}


def _figure(title: str, rows: Sequence[Row], reference: str) -> Figure:
    """Draw mean costs, and paired differences to the reference, with their intervals."""
    figure = Figure(figsize=(9, 1.6 + 0.42 * len(rows)), layout="constrained")
    costs, differences = figure.subplots(1, 2, sharey=True)
    _points(costs, rows, "mean_cost", "cost")
    _points(differences, rows, "difference", "difference")
    costs.set_yticks(range(len(rows)), [drawable(row["policy"]) for row in rows])
    costs.invert_yaxis()
    costs.set_xlabel("mean cost a period (millions of monetary units)")
    differences.set_xlabel(drawable(f"difference to {reference} in the same worlds (millions)"))
    differences.axvline(0, color=MUTED, linewidth=0.8)
    figure.suptitle(
        drawable(f"{title}: {rows[0]['runs']} seeds, 95 % confidence (Student's t); floors hollow")
    )
    return figure


def _points(panel: Axes, rows: Sequence[Row], name: str, prefix: str) -> None:
    for place, row in enumerate(rows):
        value, low, high = row[name], row[f"{prefix}_low"], row[f"{prefix}_high"]
        reach = [[0.0], [0.0]] if low is None else [[(value - low) / 1e6], [(high - value) / 1e6]]
        panel.errorbar(
            [value / 1e6],
            [place],
            xerr=reach,
            fmt="o",
            color=COLOURS["fiber"],
            markerfacecolor="white" if row["floor"] else COLOURS["fiber"],
            capsize=3,
        )
    panel.grid(alpha=0.3)
    panel.tick_params(colors=MUTED)
