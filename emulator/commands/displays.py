"""What a terminal shows during a run, a plan or a sweep, and after a run."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from emulator.config.experiment import Experiment
from emulator.report.assumptions import sentence
from global_manager.provisioning import SolveProgress


class Live:
    """A progress bar or line that is shown during a `with` block."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __enter__(self) -> Self:
        """Show it."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hide it."""
        self._progress.stop()


class SolveDisplay(Live):
    """One line that is updated on a terminal; elsewhere, a new line for each change.

    `show` None means: only on a terminal.
    """

    def __init__(self, console: Console, show: bool | None) -> None:
        self._console = console
        self._is_live = console.is_terminal and show is not False
        self._prints = bool(show) and not console.is_terminal
        self._said = ""
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._is_live,
        )
        super().__init__(progress)
        self._task = self._progress.add_task("solving", total=None)

    def __call__(self, news: SolveProgress) -> None:
        """Show the progress of the solver."""
        said = (
            f"{news.stage}: cost {news.cost:,.0f}, bound {news.lower_bound:,.0f}, "
            f"gap {news.gap:.3%}"
        )
        self._progress.update(self._task, description=said)
        if self._prints and said != self._said:
            self._console.print(said, soft_wrap=True)
        self._said = said


class SweepDisplay(Live):
    """The number of finished points, and the reason for each that failed."""

    def __init__(self, console: Console, points: int) -> None:
        self._console = console
        self._points = points
        progress = Progress(
            TextColumn("{task.description}", markup=False),
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
        """Show the number of points that are still to run."""
        finished = self._points - points
        known = f", {finished} are finished" if finished else ""
        self._console.print(f"{self._points} points{known}; {jobs} at a time")
        self._progress.update(self._task, description="points", completed=finished)

    def ended(self, point: Point, problem: str) -> None:
        """Show how a point ended."""
        words = f"FAILED: {problem}" if problem else "done"
        self._console.print(f"{point.name}: {words}", soft_wrap=True)
        self._progress.advance(self._task)


if TYPE_CHECKING:  # slow to import, and only a run or a sweep has it
    from emulator.runtime.pacing import Progress as RunProgress
    from emulator.sweep.grid import Point


class RunDisplay(Live):
    """A progress bar with emulated time, shortfall and cost so far; then a table."""

    def __init__(self, console: Console, experiment: Experiment) -> None:
        self._experiment = experiment
        self._console = console
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        super().__init__(progress)
        self._task = self._progress.add_task("starting actors", total=None, words="")

    def started(self, metrics_url: str, page_url: str, last_window: int) -> None:
        """Show the addresses of metrics and page, if there are any, and the bar of windows."""
        if metrics_url:
            self._console.print(f"metrics: {metrics_url}", soft_wrap=True)
        if page_url:
            self._console.print(f"page: {page_url}", soft_wrap=True)
        self._progress.update(self._task, description="planning", total=last_window)

    def advanced(self, progress: RunProgress) -> None:
        """Move the bar."""
        emulated_s = progress.window * self._experiment.clock.window_s
        totals = progress.totals
        words = (
            f"{emulated_s:,.0f} s emulated, {totals.late_units:,} units short so far, "
            f"paid {totals.cost:,}"
        )
        self._progress.update(
            self._task, description="running", completed=progress.window, words=words
        )

    def conclude(self, console: Console, summary: dict[str, Any], folder: Path | None) -> None:
        """Show what happened, what it cost, and what to try next."""
        if not summary["periods"]:
            console.print("The run ended before its first period; nothing was served or paid.")
            return
        console.print(f"\n{summary['experiment']}", style="bold", end="", soft_wrap=True)
        console.print(_story(summary), soft_wrap=True)
        console.print(_costs(summary))
        console.print(_closing(summary, folder), soft_wrap=True)


def _story(summary: dict[str, Any]) -> str:
    served, plan = summary["served_units"], summary["plan"]
    bought = served["satellite"] + served["uav"]
    check = summary["audit"]
    words = "all key is accounted for" if check.get("ok") else "THE AUDIT FOUND FAULTS"
    return (
        f", seed {summary['seed']}, "
        f"policy {summary['policy']}: {summary['periods']} periods, "
        f"{summary['emulated_s']:,.0f} s emulated in {summary['wall_s']:,.1f} s.\n"
        f"The manager reserved {plan['reserved_units']:,} units of fiber key per period "
        f"({plan['reserved_units'] / summary['requests']:.2f} per request); proven gap {plan['gap']:.2%}.\n"
        f"{summary['requests']} requests asked for {summary['demanded_units']:,} units of key; "
        f"{served['fiber']:,} came from reserved fiber.\n"
        f"{summary['late_units']:,} were missing when asked for: {bought:,} were bought on demand "
        f"({served['satellite']:,} by satellite,\n"
        f"{served['uav']:,} by UAV), {summary['shortfall_units']:,} never came.  Links were down for "
        f"lack of key for {summary['down_s']:,.0f} s, summed over all requests.\n"
        f"{_in_stores(summary)}"
        f"{sentence(summary['assumed_rates'])}\n"
        f"Audit of the journals: {words}.\n"
    )


def _in_stores(summary: dict[str, Any]) -> str:
    """Return a line on what stores kept and lost, where that is noted."""
    if "stores" not in summary:
        return ""
    kept, expired = summary["stores"]["kept_units"], summary["stores"]["expired_units"]
    return f"Stores kept {kept:,} units for a next period; {expired:,} became too old.\n"


def _costs(summary: dict[str, Any]) -> Table:
    cost, periods = summary["cost"], max(1, summary["periods"])
    lines = {
        "reservation": cost["reservation"],
        **({"changes": cost["change"]} if cost["change"] else {}),
        **({"keeping key": cost["keeping"]} if cost.get("keeping") else {}),
        "satellite": cost["satellite"],
        "uav": cost["uav"],
        "cash": cost["cash"],
        "lost key": cost["shortfall"],
        "total": cost["total"],
        "planned": summary["planned_cost"],
    }
    scale, words = (1e6, "millions of ") if max(lines.values()) >= 1e8 else (1, "")
    digits = 3 if words else 0
    title = f"Cost, in {words}monetary units"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for name in ("all periods", "per period"):
        table.add_column(name, justify="right", overflow="fold")
    for name, value in lines.items():
        of_all, of_one = (f"{part / scale:,.{digits}f}" for part in (value, value / periods))
        table.add_row(name, of_all, of_one, style="bold" if name == "total" else None)
    return table


def _closing(summary: dict[str, Any], folder: Path | None) -> str:
    interval = summary["cost_per_period"]
    lines = []
    if interval["ci95_low"] is not None and interval["planned"] is not None:
        inside = interval["ci95_low"] <= interval["planned"] <= interval["ci95_high"]
        words = "lies within" if inside else "lies outside"
        lines.append(
            f"The plan's expected cost {words} the 95 % confidence interval of the realised mean, "
            f"{interval['ci95_low']:,.0f} to {interval['ci95_high']:,.0f} "
            f"(Student's t, {interval['periods']} periods)."
        )
    lines.append(f"digest {summary['digest']}")
    if folder is None:
        return "\n".join(lines)
    lines += [
        f"\nSee       {folder}/report.html, summary.json, ledger.parquet, decisions.parquet",
        f"Audit     qsagin audit {folder}",
        "Compare   qsagin compare paper        Figures   qsagin figures --out figures",
        "Another   qsagin run sagin-day --out runs/day --hosts 2     (qsagin experiments lists all)",
    ]
    return "\n".join(lines)
