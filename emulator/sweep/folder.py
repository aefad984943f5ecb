"""The folder of a sweep: the grid, an experiment and a run per point, and finally table and figure.

    sweep.yaml             the grid, as a sweep file that can be run again
    points/NAME/           the complete experiment of a point, with the files that it needs
    runs/NAME/             an ordinary run folder
    logs/NAME.log          stderr of the run
    sweep.csv, .parquet    one row per point
    sweep.png              means and spreads over seeds

A run's own summary says whether its point is finished; nothing else is kept about it.  Whoever works on the
folder holds its lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.build.loading import write
from emulator.build.setup import Setup
from emulator.store.files import EXPERIMENT as EXPERIMENT_FILE
from emulator.store.files import SUMMARY, locked
from emulator.sweep.grid import Grid, Point, grid_of

FILE = "sweep.yaml"
_POINTS, _RUNS, _LOGS = "points", "runs", "logs"


class SweepFolderError(Exception):
    """A folder does not hold a sweep that can be resumed."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(folder, problem)
        self.folder, self.problem = folder, problem

    def __str__(self) -> str:
        return f"{self.folder} {self.problem}"


@dataclass(frozen=True)
class SweepFolder:
    """A folder and its grid."""

    path: Path
    grid: Grid

    def experiment_file(self, point: Point) -> Path:
        """Where the experiment of a point is."""
        return self.path / _POINTS / point.name / EXPERIMENT_FILE

    def run_folder(self, point: Point) -> Path:
        """Where a point is run."""
        return self.path / _RUNS / point.name

    def log(self, point: Point) -> Path:
        """Where stderr of a point is."""
        return self.path / _LOGS / f"{point.name}.log"

    def summary(self, point: Point) -> dict[str, Any] | None:
        """Return the summary of a point whose run is complete, else None."""
        return summary_of(self.run_folder(point))

    def alone(self) -> AbstractContextManager[None]:
        """Keep other processes from working on this sweep.  Raises `SweepFolderError`."""
        return locked(
            self.path, SweepFolderError(str(self.path), "is a sweep that is still running")
        )


def summary_of(run_folder: Path) -> dict[str, Any] | None:
    """Return the summary of a run that is complete, else None."""
    path = run_folder / SUMMARY
    if not path.exists():
        return None
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return summary if summary["complete"] else None


def create(path: Path, grid: Grid, setups: Iterable[tuple[Point, Setup]]) -> SweepFolder:
    """Write down what is to be run; the grid last, so that a folder which has it has all."""
    folder = SweepFolder(path, grid)
    for part in (_RUNS, _LOGS):
        (path / part).mkdir(parents=True, exist_ok=True)
    for point, setup in setups:
        home = folder.experiment_file(point).parent
        home.mkdir(parents=True)
        write(setup, home)
    (path / FILE).write_text(grid.text(), encoding="utf-8")
    return folder


def reopen(path: Path) -> SweepFolder:
    """Return the folder of a sweep that was begun.  Raises `SweepFolderError` and `ExperimentError`."""
    if not (path / FILE).is_file():
        raise SweepFolderError(str(path), f"holds no {FILE}; is it the folder of a sweep?")
    folder = SweepFolder(path, grid_of(str(path / FILE), {}, None))
    missing = [
        point for point in folder.grid.points() if not folder.experiment_file(point).is_file()
    ]
    if missing:
        raise SweepFolderError(str(path), f"has lost {folder.experiment_file(missing[0])}")
    return folder
