"""One run from start to end: plan, reserve, transmit, recourse, account.

`run` has an engine run the actors to the end of the last period, and writes what the journals say.  An
interruption (SIGINT, SIGTERM) ends the run after the window that is under way; so does a failure.  Either
way the folder then holds everything up to that window, and no process is left.  `resume` continues a run
that was interrupted, by whatever: every actor reads again all the mail that its journal has, and is what
the one before was.  An in-process run, which is a matter of seconds, is begun again instead.
"""

from __future__ import annotations

import contextlib
import gc
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emulator.access import recording as asked
from emulator.build.assembly import Assembly, assemble
from emulator.build.loading import read, write
from emulator.build.manager_role import actors_of
from emulator.build.setup import Setup
from emulator.engines.job import Interrupted, Job, Options, RunWatcher, record_plan, signals_raise
from emulator.input_checks import BadInputError
from emulator.live_page.process import PageProcess, page_process
from emulator.management.opening import notifier_beside
from emulator.net.heartbeat import FILES, STARTING, beat
from emulator.report import summary
from emulator.runtime import injection, provenance, resumption
from emulator.runtime.cluster import JoinError
from emulator.runtime.resumption import ResumeError
from emulator.store import journal
from emulator.store.files import (
    EXPERIMENT,
    PLAN,
    SUMMARY,
    Engine,
    locked,
    read_summary,
    write_format,
)
from emulator.store.registry import Registry
from global_manager.provisioning import check_problem

_GARBAGE_THRESHOLDS = (100_000, 20, 100)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its summary, and the signal or failure that cut it short.

    One that `is_lost` would have gone on but for its processes: it is worth resuming.
    """

    summary: dict[str, Any]
    stopped_by: int | None
    failure: str
    is_lost: bool = False


class ResultsError(Exception):
    """A run has ended, and its results cannot be written; its journals are there."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(folder, problem)
        self.folder, self.problem = folder, problem

    def __str__(self) -> str:
        way_on = f"mend that, then `qsagin run --resume {self.folder}`"
        return f"the results cannot be written: {self.problem}; {way_on}"


def run(
    setup: Setup,
    folder: Path,
    options: Options,
    watcher: RunWatcher,
    *,
    assembly: Assembly | None = None,
) -> Outcome:
    """Run an experiment into a folder, which must not hold anything yet.

    An `assembly` other than that of the setup has a manager with other beliefs; one world fits both.
    Raises `FileExistsError`, `InvalidProblemError` before anything is written, `LaunchError` if the
    actors cannot be started, and `JoinError` (the folder is empty again) if the cluster is not fit for it.
    """
    began_s = time.monotonic()
    assembly = assembly or assemble(setup)
    check_problem(assembly.manager.problem)
    _prepare(folder, setup, options.engine)
    try:
        job = Job(setup, assembly, folder, options)
        return _account(job, watcher, began_s)
    except JoinError:
        shutil.rmtree(folder)
        raise


def resume(setup: Setup, folder: Path, options: Options, watcher: RunWatcher) -> Outcome:
    """Resume an interrupted run, to its end; `setup` is that of its folder.

    Raises `ResumeError`, `JoinError`, `FormatError` and `JournalError` before anything is started.
    """
    began_s, again = time.monotonic(), None
    beat(FILES)
    with _alone(folder):
        resumption.check_told(folder)
        summary = read_summary(folder)
        if summary is not None and summary["complete"]:
            raise ResumeError(str(folder), "has finished; there is nothing to resume")
        if options.engine is Engine.IN_PROCESS:
            setup = _as_new(folder)
        else:
            setup = setup.with_experiment(injection.as_begun(folder, setup.experiment))
            everybody = actors_of(setup.experiment, assemble(setup)).everybody
            again = resumption.past_of(folder, {role.entity for role in everybody})
    job = Job(setup, assemble(setup), folder, options, again)
    return _account(job, watcher, began_s)


def _as_new(folder: Path) -> Setup:
    """Forget all that a run has noted; what was injected into it is part of its experiment now."""
    injection.forget_waiting(folder)
    injection.record(folder)
    for path in (folder / journal.FOLDER).iterdir():
        path.unlink()
    for name in (SUMMARY, PLAN):
        (folder / name).unlink(missing_ok=True)
    return read(str(folder / EXPERIMENT))


def _play(job: Job, page: PageProcess, watcher: RunWatcher) -> summary.Ending:
    """Run, and return how that ended; a signal that came before there was anything to end is no fault."""
    try:
        beat(STARTING)
        with notifier_beside(job.options.trap_to, job.experiment, job.folder):
            return _player(job.options.engine)(job, page, watcher)
    except Interrupted as interrupt:
        return summary.Ending(windows=0, emulated_s=0.0, wall_s=0.0, stopped_by=interrupt.number)


def _account(job: Job, watcher: RunWatcher, began_s: float) -> Outcome:
    """Run, and write down what the journals say."""
    attached = page_process(job.folder, job.options.page_port)
    with _alone(job.folder), attached as page, _garbage_seldom(), signals_raise():
        ending = _play(job, page, watcher)
        ending = replace(ending, wall_s=time.monotonic() - began_s)
        beat(FILES)
        with _results_named(job.folder):
            record_plan(job)
            injection.record(job.folder)
            asked.record(job.folder, job.setup)
            setup = read(str(job.folder / EXPERIMENT))
            written = summary.write(
                job.folder,
                setup,
                job.assembly,
                ending,
                report=job.options.kept and job.options.report,
            )
        if written["complete"]:
            asked.forget_authority(job.folder)
    return Outcome(written, ending.stopped_by, ending.failure, ending.is_lost)


def _player(engine: Engine) -> Callable[[Job, PageProcess, RunWatcher], summary.Ending]:
    """Return what runs all windows; Ray is loaded only if it is wanted."""
    if engine is Engine.IN_PROCESS:
        from emulator.engines import in_process

        return in_process.play
    from emulator.engines import processes

    return processes.play


@contextlib.contextmanager
def _garbage_seldom() -> Iterator[None]:
    """Look for garbage less often: journals and cores are millions of values, and few are ever garbage."""
    before = gc.get_threshold()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextlib.contextmanager
def _results_named(folder: Path) -> Iterator[None]:
    """Turn what keeps results from being written into one line.  Raises `ResultsError`."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        problem = f"{where}{error.strerror or error}"
        raise ResultsError(str(folder), " ".join(problem.split())) from error
    except (sqlite3.Error, BadInputError) as error:
        raise ResultsError(str(folder), " ".join(str(error).split())) from error


def _alone(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Keep everybody else from resuming the same run.  Raises `ResumeError` if somebody does."""
    return locked(folder, ResumeError(str(folder), "is still running"))


def _prepare(folder: Path, setup: Setup, engine: Engine) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(str(folder))
    (folder / journal.FOLDER).mkdir(parents=True)
    write_format(folder, engine)
    Registry(folder)  # so that actors need not race to make it
    write(setup, folder)
    provenance.record(folder)
