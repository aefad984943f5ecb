"""The engine in this process: a thread runs all windows, and this one looks after it.

The main thread tells of progress, gives signs of life, and has the run end after a signal when the window
that is under way is over.  Nothing is started, and nothing can be lost but all of it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace

from emulator.build.manager_role import actors_of
from emulator.engines.job import (
    SIGNALS,
    Interrupted,
    Job,
    RunWatcher,
    ignore_signals,
    recording,
)
from emulator.live_page.process import PageProcess
from emulator.management.opening import LiveRun, engine_beside
from emulator.net.heartbeat import FILES, RUNNING, beat
from emulator.report import summary
from emulator.runtime.in_process import ACTOR, InProcessNetwork, NetworkConfig
from emulator.runtime.pacing import Pace, Progress
from emulator.store.injection_table import Injections
from emulator.store.journal import BufferedJournal

_LOOK_EVERY_S = 0.2


def play(job: Job, page: PageProcess, watcher: RunWatcher) -> summary.Ending:
    """Run all windows, and write down what is left; signals are ignored from then on."""
    began_s, window_s = time.monotonic(), job.experiment.clock.window_s
    ending = summary.Ending(windows=0, emulated_s=0.0, wall_s=0.0)
    try:
        with _network(job) as network, _managed(job, network):
            startup_s = time.monotonic() - began_s
            watcher.started("", page.url, job.last_window)
            work = _Work(network, job.last_window, job.options.pace)
            stopped_by = work.attend(recording(job, watcher))
            running_s = time.monotonic() - began_s - startup_s
            return replace(
                ending,
                windows=network.window,
                emulated_s=network.window * window_s,
                startup_s=startup_s,
                running_s=running_s,
                failure=work.failure,
                stopped_by=stopped_by,
            )
    except Interrupted as interrupt:
        return replace(ending, stopped_by=interrupt.number)


def _managed(job: Job, network: InProcessNetwork) -> AbstractContextManager[None]:
    """Serve SNMP beside a run, if that is wanted."""
    run = LiveRun(tuple(network.entities), network.glances.ask, lambda: network.progress)
    return engine_beside(job.options.snmp_port, job.experiment, job.folder, run)


@contextmanager
def _network(job: Job) -> Iterator[InProcessNetwork]:
    """Have the actors of a run in this process; in the end all that they noted is in their journal."""
    actors = actors_of(job.experiment, job.assembly)
    config = NetworkConfig(
        actors.everybody,
        job.experiment.clock.window_s,
        job.assembly.timeline,
        job.management_keys(actors.ground),
        job.order,
        job.message_faults,
    )
    with closing(Injections(job.folder)) as injections:
        journal = BufferedJournal(job.folder, ACTOR, config.entities)
        network = InProcessNetwork(config, journal, injections, keep_mail=job.options.kept)
        try:
            yield network
        finally:
            beat(FILES)
            network.finish()


@dataclass
class _Work:
    """The thread that runs windows."""

    network: InProcessNetwork
    last_window: int
    pace: Pace
    failure: str = ""

    def attend(self, on_progress: Callable[[Progress], None]) -> int | None:
        """Run to the end; return the signal that came meanwhile, if one did."""
        received: list[int] = []
        for number in SIGNALS:
            signal.signal(number, lambda number, _frame: received.append(number))
        thread = threading.Thread(target=self._run, name="windows", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_LOOK_EVERY_S)
                beat(RUNNING)
                on_progress(self.network.progress)
                if received:
                    self.network.stop()
        finally:
            ignore_signals()
        return received[0] if received else None

    def _run(self) -> None:
        try:
            self.network.run(self.last_window, self.pace)
        except Exception as error:  # noqa: BLE001 - whatever a core raises ends the run, and is told
            words = " ".join(str(error).split())
            self.failure = f"window {self.network.window} failed: {type(error).__name__}: {words}"
