"""What a person sees while a sweep goes on: a line for each point that ends, and a bar on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from emulator.sweep.grid import Point
from emulator.sweep.sweeping import Watcher
from emulator.views.live import Live


class SweepDisplay(Live, Watcher):
    """Points that are done, of all; those that failed with the reason."""

    def __init__(self, console: Console, points: int) -> None:
        self._console = console
        self._points = points
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        super().__init__(progress)
        self._task = self._progress.add_task("starting", total=points)

    def started(self, points: int, jobs: int) -> None:
        """Say how much there is to do."""
        finished = self._points - points
        known = f", {finished} are finished" if finished else ""
        self._console.print(f"{self._points} points{known}; {jobs} at a time")
        self._progress.update(self._task, description="points", completed=finished)

    def ended(self, point: Point, problem: str) -> None:
        """Say how a point has ended."""
        words = f"FAILED: {problem}" if problem else "done"
        self._console.print(f"{point.name}: {words}", soft_wrap=True, markup=False)
        self._progress.advance(self._task)
