"""The table of a sweep: one row per point, with its axes, its seed, and figures from its run's summary.

A point that failed or was not finished has a row too, with its state and no figures.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.sweep.folder import SweepFolder
from emulator.sweep.grid import Point, shown

DONE, FAILED, UNFINISHED = "done", "failed", "unfinished"
_FIGURES: dict[str, tuple[str, ...]] = {
    "digest": ("digest",),
    "requests": ("requests",),
    "periods": ("periods",),
    "demanded_units": ("demanded_units",),
    "fiber_units": ("served_units", "fiber"),
    "satellite_units": ("served_units", "satellite"),
    "uav_units": ("served_units", "uav"),
    "late_units": ("late_units",),
    "shortfall_units": ("shortfall_units",),
    "shortfall_s": ("shortfall_s",),
    "down_s": ("down_s",),
    "reservation_cost": ("cost", "reservation"),
    "change_cost": ("cost", "change"),
    "satellite_cost": ("cost", "satellite"),
    "uav_cost": ("cost", "uav"),
    "shortfall_cost": ("cost", "shortfall"),
    "keeping_cost": ("cost", "keeping"),
    "kept_units": ("stores", "kept_units"),
    "expired_units": ("stores", "expired_units"),
    "cash": ("cost", "cash"),
    "total_cost": ("cost", "total"),
    "cost_per_period": ("cost_per_period", "mean"),
    "planned_cost_per_period": ("cost_per_period", "planned"),
    "plan_gap": ("plan", "gap"),
    "restarts": ("restarts",),
    "windows": ("windows",),
    "wall_s": ("wall_s",),
}
_OF_STORES = ("keeping_cost", "kept_units", "expired_units")
"""Figures of runs that keep key from period to period; others have none."""


@dataclass(frozen=True)
class PointRow:
    """A point and its result; `figures` are empty unless it is done."""

    point: Point
    state: str
    problem: str
    figures: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return the row as it is written; values that are no scalars as YAML."""
        values = {axis: _scalar(value) for axis, value in self.point.values.items()}
        head = {"point": self.point.name, **values, "seed": self.point.seed, "state": self.state}
        return (
            head | {name: self.figures.get(name) for name in _FIGURES} | {"problem": self.problem}
        )


def rows_of(folder: SweepFolder, problems: Mapping[str, str]) -> list[PointRow]:
    """Return a row for every point; `problems` says what went wrong with those that were tried."""
    return [_row(folder, point, problems.get(point.name, "")) for point in folder.grid.points()]


def write(path: Path, rows: Sequence[PointRow]) -> list[Path]:
    """Write sweep.csv and sweep.parquet; return the files."""
    fields = [row.fields() for row in rows]
    csv_file, parquet_file = path / "sweep.csv", path / "sweep.parquet"
    with csv_file.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(fields[0]))
        writer.writeheader()
        writer.writerows(fields)
    columns = {name: pa.array(_alike([row[name] for row in fields])) for name in fields[0]}
    pq.write_table(pa.table(columns), parquet_file)
    return [csv_file, parquet_file]


def _row(folder: SweepFolder, point: Point, problem: str) -> PointRow:
    summary = folder.summary(point)
    if summary is None:
        return PointRow(point, FAILED if problem else UNFINISHED, problem, {})
    if not summary["audit"]["ok"]:
        return PointRow(point, FAILED, "the audit found faults", {})
    figures = {}
    for name, way in _FIGURES.items():
        value: Any = summary
        for part in way:
            value = value.get(part, {}) if name in _OF_STORES else value[part]
        figures[name] = None if value == {} else value
    failures = summary.get("policy_failures", [])
    return PointRow(point, DONE, next(iter(failures), ""), figures)


def _scalar(value: Any) -> Any:
    return value if isinstance(value, str | int | float) or value is None else shown(value)


def _alike(values: list[Any]) -> list[Any]:
    """Return values as they are if they are of one kind, else as text."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        whole = all(isinstance(value, int) for value in known)
        return [None if v is None else v if whole else float(v) for v in values]
    if len({type(value) for value in known}) <= 1:
        return values
    return [None if value is None else shown(value) for value in values]
