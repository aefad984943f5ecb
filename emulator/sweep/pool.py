"""Worker processes on this machine: each does one job after the other, so that it loads the program once.

A worker that is lost takes its job with it, and another takes its place.  One whose holder is gone ends
when its job is done.  Nothing here knows what a job is.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

_LOOK_EVERY_S = 0.2
_JOB_END_LIMIT_S = 90.0
_LEAVE_LIMIT_S = 5.0
Job = TypeVar("Job")


def spread(
    work: Callable[[Job], str], jobs: Sequence[Job], at_a_time: int, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, str]]:
    """Have work done for every job, a limited number at a time.

    Yields each job when it is done, with its result, which is the error if it raised one.  Once `stopped`,
    no job is started; those under way get a SIGTERM, are waited for, and are not yielded.
    """
    waiting = list(reversed(jobs))
    workers = [_Worker(work) for _ in range(min(at_a_time, len(jobs)))]
    try:
        while (waiting or any(worker.job is not None for worker in workers)) and not stopped():
            for worker in workers:
                if waiting and worker.job is None:
                    worker.begin(waiting.pop())
            for worker, job in _ready(workers, _LOOK_EVERY_S):
                yield job, worker.finish()
    finally:
        _end(workers)


class _Worker(Generic[Job]):
    """One process, and the job that it does."""

    def __init__(self, work: Callable[[Job], str]) -> None:
        self._work = work
        self.job: Job | None = None
        self._start()

    def begin(self, job: Job) -> None:
        """Have a job done."""
        self.job = job
        self.connection.send(job)

    def finish(self) -> str:
        """Return the result of the job that is done."""
        self.job = None
        try:
            return str(self.connection.recv())
        except (EOFError, OSError):
            self.process.join(_LEAVE_LIMIT_S)
            status = self.process.exitcode
            self._start()
            return f"its process was lost (status {status})"

    def _start(self) -> None:
        context = get_context("spawn")  # nothing of this process's threads and handlers
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(self._work, theirs), daemon=True)
        self.process.start()
        theirs.close()


def _serve(work: Callable[[Job], str], connection: Connection[str, Job]) -> None:
    """Do jobs until there are no more.  Ctrl-C reaches everybody on a terminal; who waits is not meant."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            result = work(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
            result = f"{type(error).__name__}: {' '.join(str(error).split())}"
        try:
            connection.send(result)
        except OSError:
            return


def _ready(workers: Sequence[_Worker[Job]], within_s: float) -> list[tuple[_Worker[Job], Job]]:
    """Return the workers that have done their jobs, or are lost, with these jobs."""
    busy = [(worker, worker.job) for worker in workers if worker.job is not None]
    ready = wait([worker.connection for worker, _ in busy], within_s)
    return [(worker, job) for worker, job in busy if worker.connection in ready]


def _end(workers: Sequence[_Worker[Job]]) -> None:
    """Have jobs that are under way end, and then the workers."""
    for worker in workers:
        if worker.job is not None:
            worker.process.terminate()
        else:
            worker.connection.close()
    for worker in workers:
        if worker.job is not None:
            wait([worker.connection], _JOB_END_LIMIT_S)
            worker.connection.close()
        worker.process.join(_LEAVE_LIMIT_S)
        worker.process.kill()
