"""A sweep from start to end: hand out the points that are not finished, and report each that ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from emulator import launch
from emulator.runtime.cluster import Machine
from emulator.sweep.folder import SweepFolder
from emulator.sweep.grid import Point
from emulator.sweep.job import Job, carry_out
from emulator.sweep.workers import spread

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class SweepOptions:
    """How to sweep; none of this changes an outcome.

    At most `jobs` points at a time; None: one per two CPUs.  `hosts` is that of every run.  `ray_address`
    is that of a cluster whose machines take the points; None: all are run here.  `share` lets other users
    read the results.
    """

    jobs: int | None = None
    hosts: int = 1
    ray_address: str | None = None
    share: bool = False


class SweepWatcher(Protocol):
    """Told what happens during a sweep."""

    def started(self, points: int, jobs: int) -> None:
        """Take note of the number of points to run, and of those at a time."""

    def ended(self, point: Point, problem: str) -> None:
        """Take note that a point has ended, and what went wrong, or nothing."""


@dataclass(frozen=True)
class SweepOutcome:
    """What went wrong, by point, and the signal that cut the sweep short."""

    problems: dict[str, str]
    stopped_by: int | None


def sweep(folder: SweepFolder, options: SweepOptions, watcher: SweepWatcher) -> SweepOutcome:
    """Run all points that are not finished.

    After a signal no point is started, and those under way end with partial results.  Raises
    `SweepFolderError` if another process runs this sweep, and `JoinError` if the cluster is unfit.
    """
    todo = [point for point in folder.grid.points() if folder.summary(point) is None]
    problems: dict[str, str] = {}
    received: list[int] = []
    with folder.alone(), _noting_signals(received):
        if todo:
            own_jobs = options.jobs or _share(len(os.sched_getaffinity(0)))
            with launch.ray_instance(own_jobs, options.ray_address, folder.path) as machines:
                jobs = own_jobs if options.jobs or not machines else _share(_cpus(machines))
                watcher.started(len(todo), jobs)
                for point, problem in _handed_out(folder, todo, options, jobs, received):
                    problems[point.name] = problem
                    watcher.ended(point, problem)
    return SweepOutcome(problems, received[0] if received else None)


def _handed_out(
    folder: SweepFolder,
    todo: list[Point],
    options: SweepOptions,
    at_a_time: int,
    received: list[int],
) -> Iterator[tuple[Point, str]]:
    """Yield every point that has ended, with what went wrong, or nothing."""
    jobs = {
        Job(
            folder.experiment_file(point).resolve(),
            folder.run_folder(point).resolve(),
            folder.log(point).resolve(),
            options.hosts,
            options.share,
        ): point
        for point in todo
    }
    with _noting_signals(received):  # Ray has put its own where it has joined a cluster
        for job, problem in spread(carry_out, list(jobs), at_a_time, lambda: bool(received)):
            yield jobs[job], problem


def _share(cpus: int) -> int:
    """How many points that many CPUs can take: a run keeps about two busy."""
    return max(1, cpus // 2)


def _cpus(machines: Sequence[Machine]) -> int:
    return sum(machine.cpus for machine in machines)


@contextmanager
def _noting_signals(received: list[int]) -> Iterator[None]:
    """Only note signals; restore the former handlers."""

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
