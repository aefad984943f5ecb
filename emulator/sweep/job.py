"""One point of a sweep, run on the machine where this is called.

In process, the process that is given a point runs it (`carry_out_here`), and then the next: it loads the
program once.  One that was interrupted is begun again.

With processes, a point is a command of its own (`carry_out`), `qsagin run`, with a Ray instance of its own
on the same machine, and not a set of actors in the cluster that hands out the points.  That costs some
seconds per point.  In return points are independent: they share neither names nor ports, one that fails
takes no other with it, and each has the outcome of the same command given by hand.

The command is held by a pipe on its standard input.  When the pipe closes, because the point is to end or
because its holder is gone, it ends itself as by SIGTERM, with partial results.  Called again, an
interrupted point is resumed; a complete one is left alone.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from emulator.build.loading import read
from emulator.engines.job import Options
from emulator.input_checks import BadInputError
from emulator.run import ResultsError, run
from emulator.runtime.pacing import Pace, Progress
from emulator.store.files import Engine, engine_of, is_live, locked
from emulator.sweep.folder import summary_of
from global_manager.provisioning.check import InvalidProblemError

_LOOK_EVERY_S = 0.1
_END_LIMIT_S = 60.0
_BAD_INPUT = 2


@dataclass(frozen=True)
class Job:
    """What is run, its folder, its log, and the number of processes for its key managers, if it has any.

    `share` lets other users read the results.  A policy of the user's own may lie in the folder `work`.
    """

    experiment: Path
    run_folder: Path
    log: Path
    hosts: int
    share: bool = False
    work: Path = Path()


class _BusyError(Exception):
    """Another process has the lock of the folder."""


def carry_out(job: Job) -> str:
    """Run a point, or the rest of it; return what went wrong, or nothing.

    Interrupted by any exception, it lets the run write partial results before it passes that on.
    """
    folder = job.run_folder
    if summary_of(folder) is not None:
        return ""
    if folder.exists():
        try:
            with locked(folder, _BusyError()):
                pass
        except _BusyError:
            return "is still running"
        status = _command(["--resume", str(folder)], job)
        if status != _BAD_INPUT:
            return _verdict(job, status)
        _set_aside(folder)  # it was interrupted before there was anything to resume
    words = [str(job.experiment), "--out", str(folder), "--hosts", str(job.hosts)]
    return _verdict(job, _command(words, job))


def carry_out_here(job: Job) -> str:
    """Run a point in this process; return what went wrong, or nothing.

    A signal ends it with partial results.
    """
    folder = job.run_folder
    if summary_of(folder) is not None:
        return ""
    if is_live(folder):
        return "is still running"
    if folder.exists() and engine_of(folder) is Engine.IN_PROCESS:
        shutil.rmtree(folder)  # it comes again, to the byte
    elif folder.exists():
        _set_aside(folder)
    os.umask(0o022 if job.share else 0o077)
    problem = _run_here(job)
    job.log.write_text(f"{problem}\n" if problem else "", encoding="utf-8")
    return problem


def _run_here(job: Job) -> str:
    options = Options(Pace(None), Engine.IN_PROCESS, report=False)
    try:
        outcome = run(read(str(job.experiment)), job.run_folder, options, Nobody())
    except (BadInputError, ResultsError, InvalidProblemError, OSError) as error:
        return " ".join(str(error).split())
    if outcome.stopped_by is not None:
        return f"ended by {signal.Signals(outcome.stopped_by).name}"
    return outcome.failure


class Nobody:
    """Watches a run and shows nothing."""

    def started(self, metrics_url: str, page_url: str, last_window: int) -> None:
        """Say nothing."""

    def advanced(self, progress: Progress) -> None:
        """Say nothing."""


def _set_aside(folder: Path) -> None:
    """Give a folder another name; nothing of it is lost."""
    names = (folder.with_name(f"{folder.name}.aside-{number}") for number in itertools.count(1))
    folder.rename(next(name for name in names if not name.exists()))


def _command(words: list[str], job: Job) -> int:
    """Give a command; return its exit status."""
    command = [sys.executable, "-m", "emulator", "run", *words, "--json", "--attached"]
    command += ["--share"] if job.share else []
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "QSAGIN_"))}
    with (
        job.log.open("w", encoding="utf-8") as said,
        subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
            cwd=job.work if job.work.is_dir() else None,
            start_new_session=True,
        ) as process,
    ):
        try:
            while process.poll() is None:
                time.sleep(_LOOK_EVERY_S)  # Ray interrupts between two of these
        except BaseException:
            _end(process)
            raise
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate(timeout=_END_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _verdict(job: Job, status: int) -> str:
    if summary_of(job.run_folder) is not None:
        return ""
    lines = job.log.read_text(encoding="utf-8", errors="replace").split("\n")
    words = [line for line in lines if line.strip() and not line.startswith("metrics: ")]
    return words[-1].strip() if words else f"ended with status {status}"
