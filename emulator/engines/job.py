"""What every engine is given: an experiment, its folder, how to run it, and whom to tell."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from emulator.build.assembly import Assembly
from emulator.build.problem import unused_of
from emulator.build.setup import Setup
from emulator.config.experiment import Experiment
from emulator.results import journal_queries
from emulator.runtime.cluster import Placement
from emulator.runtime.envelopes import ManagementKeys
from emulator.runtime.message_faults import MessageFaults
from emulator.runtime.pacing import Pace, Progress
from emulator.runtime.resumption import Past
from emulator.store import journal
from emulator.store.files import PLAN, Engine, write_atomically
from emulator.world.world import World
from protos.core import EntityOrder, key_manager_of, steps_until

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """How to run an experiment; none of this changes its outcome.

    `hosts` is the number of processes that share the local key managers; None: one for each.  They are
    placed on the machines of the cluster at `ray_address`; None: they are all here, on loopback.
    `volatile` keeps journals in memory until the end: an actor that is lost is lost for good.
    `page_port` is that of the page of the run, 0 any; None: no page.  Nobody reads the folder of a run that
    is not `kept`: it gets no report, and its journal no mail.  One without a `report` can have it drawn
    later.  Doors to SAEs listen at the address `keys_host`; None: there are none.  SNMP is
    served at `snmp_port` of loopback; None: nowhere.  Notifications go to the address and port `trap_to`;
    None: nowhere.  What is said of processes concerns their engine only.
    """

    pace: Pace
    engine: Engine = Engine.PROCESSES
    hosts: int | None = None
    ray_address: str | None = None
    metrics_port: int = 0
    volatile: bool = False
    placement: Placement = Placement.SPREAD
    ports: range | None = None
    page_port: int | None = None
    kept: bool = True
    report: bool = True
    keys_host: str | None = None
    snmp_port: int | None = None
    trap_to: tuple[str, int] | None = None

    @property
    def joins(self) -> bool:
        """Whether the actors run on the machines of a cluster."""
        return self.ray_address is not None


class RunWatcher(Protocol):
    """Told what happens during a run."""

    def started(self, metrics_url: str, page_url: str, last_window: int) -> None:
        """Take note that the actors work; an empty address: there is no such thing."""

    def advanced(self, progress: Progress) -> None:
        """Take note that a window is over."""


@dataclass(frozen=True)
class Job:
    """What is run, where, and how."""

    setup: Setup
    assembly: Assembly
    folder: Path
    options: Options
    past: Past | None = None  # of a run that is resumed

    @property
    def experiment(self) -> Experiment:
        """What is run."""
        return self.setup.experiment

    @property
    def last_window(self) -> int:
        """The window in which the last period ends."""
        return steps_until(self.assembly.timeline.end_s, self.experiment.clock.window_s)

    @property
    def order(self) -> EntityOrder:
        """The order of entities."""
        return EntityOrder(tuple(node.name for node in self.setup.topology.nodes))

    @property
    def message_faults(self) -> MessageFaults:
        """The faults of entities and messages in the schedule."""
        seed, window_s = self.experiment.seed, self.experiment.clock.window_s
        schedule = self.assembly.world.schedule
        return MessageFaults(seed, window_s, self.last_window, schedule, self.order)

    def management_keys(self, ground: World) -> ManagementKeys:
        """Return the keys of management messages, which the fibers of a world make."""
        fields, qber_limit = (
            self.experiment.management.model_dump(),
            self.experiment.keys.qber_limit,
        )
        return ManagementKeys(
            ground, self.experiment.clock.window_s, qber_limit=qber_limit, **fields
        )

    @property
    def domains(self) -> dict[str, str]:
        """The failure domain of every key manager, if actors are placed by domain."""
        if self.options.placement is not Placement.DOMAINS:
            return {}
        return {key_manager_of(node.name): node.domain for node in self.setup.topology.nodes}


class Interrupted(Exception):  # noqa: N818 - a request to end, not an error
    """A signal came before there was anything to end in order."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def ignore_signals() -> None:
    """Let nothing come between the end of the windows and the end of the actors."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Turn a signal while actors start into an exception, once; restore what was before."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_of_native_code() -> Iterator[None]:
    """Raise `Interrupted` as it is where native code returned with it set, which Python calls a fault."""
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, Interrupted):
            raise error.__cause__ from None
        raise


def recording(job: Job, watcher: RunWatcher) -> Callable[[Progress], None]:
    """Write the plan as soon as there is one, then pass progress on."""

    def on_progress(progress: Progress) -> None:
        record_plan(job)
        watcher.advanced(progress)

    return on_progress


def record_plan(job: Job) -> None:
    """Write the first plan, and what it left out, once the manager's journal has it."""
    folder, path = job.folder, job.folder / PLAN
    if path.exists():
        return
    with contextlib.suppress(journal.JournalError):
        text = journal_queries.first_plan(folder)
        if text is not None:
            document = json.loads(text) | unused_of(job.setup).fields()
            write_atomically(path, json.dumps(document, indent=1) + "\n")
