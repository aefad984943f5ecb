"""A sweep from start to end: hand out the points that are not finished, and report each that ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from emulator.runtime.cluster import Machine
from emulator.store.files import Engine
from emulator.sweep import pool
from emulator.sweep.folder import SweepFolder
from emulator.sweep.grid import Point
from emulator.sweep.job import Job, carry_out, carry_out_here

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Spread = Callable[
    [Callable[[Job], str], Sequence[Job], int, Callable[[], bool]], Iterator[tuple[Job, str]]
]


@dataclass(frozen=True)
class SweepOptions:
    """How to sweep; none of this changes an outcome.

    At most `jobs` points at a time; None: one per CPU, or per two with an engine of processes, of which
    every run then has `hosts`.  `ray_address` is that of a cluster whose machines take the points; None:
    all are run here.  `share` lets other users read the results.
    """

    engine: Engine = Engine.IN_PROCESS
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
    with folder.alone(), noting_signals(received):
        if todo:
            jobs = _jobs(folder, todo, options)
            work = carry_out_here if options.engine is Engine.IN_PROCESS else carry_out
            with _workers(folder, options) as (spread, at_a_time), noting_signals(received):
                watcher.started(len(todo), at_a_time)
                for job, problem in spread(work, list(jobs), at_a_time, lambda: bool(received)):
                    problems[jobs[job].name] = problem
                    watcher.ended(jobs[job], problem)
    return SweepOutcome(problems, received[0] if received else None)


@contextmanager
def _workers(folder: SweepFolder, options: SweepOptions) -> Iterator[tuple[Spread, int]]:
    """Yield what hands out jobs, and how many at a time; Ray is loaded only if it is wanted."""
    own_jobs = options.jobs or _share(len(os.sched_getaffinity(0)), options.engine)
    if options.engine is Engine.IN_PROCESS and options.ray_address is None:
        yield pool.spread, own_jobs
        return
    from emulator import launch
    from emulator.sweep import workers

    with launch.ray_instance(own_jobs, options.ray_address, folder.path) as machines:
        is_ours = options.jobs or not machines
        yield workers.spread, own_jobs if is_ours else _share(_cpus(machines), options.engine)


def _jobs(folder: SweepFolder, todo: Sequence[Point], options: SweepOptions) -> dict[Job, Point]:
    """Return a job for each point, in order."""
    return {
        Job(
            folder.experiment_file(point).resolve(),
            folder.run_folder(point).resolve(),
            folder.log(point).resolve(),
            options.hosts,
            options.share,
            Path.cwd(),
        ): point
        for point in todo
    }


def _share(cpus: int, engine: Engine) -> int:
    """How many points that many CPUs can take: a run of processes keeps about two busy."""
    return cpus if engine is Engine.IN_PROCESS else max(1, cpus // 2)


def _cpus(machines: Sequence[Machine]) -> int:
    return sum(machine.cpus for machine in machines)


@contextmanager
def noting_signals(received: list[int]) -> Iterator[None]:
    """Only note signals; restore the former handlers."""

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
