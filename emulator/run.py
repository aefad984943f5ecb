"""One run from start to end: plan, reserve, transmit, recourse, account.

`run` starts the actors, lets the barrier clock run them to the end of the last period, ends them, and
writes what the journals say.  An interruption (SIGINT, SIGTERM) ends the run after the window that is
under way; so does a host that fails.  Either way the folder then holds everything up to that window,
and no process is left.  `resume` continues a run that was interrupted, by whatever: every actor reads
again all the mail that its journal has, and is what the one before was.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from emulator import launch
from emulator.access import opening
from emulator.build.assembly import Assembly, assemble
from emulator.build.loading import read, write
from emulator.build.manager_role import Actors, actors_of
from emulator.build.problem import unused_of
from emulator.build.roles import Role
from emulator.build.setup import Setup
from emulator.config.experiment import Experiment
from emulator.config.schedule import ProcessEvent
from emulator.input_checks import BadInputError
from emulator.live_page.process import PageProcess, page_process
from emulator.net.heartbeat import FILES, RUNNING, STARTING, beat
from emulator.net.identity import Authority, certificates_needed
from emulator.net.transport import LOOPBACK, Endpoint
from emulator.report import summary
from emulator.results import journal_queries
from emulator.runtime import injection, provenance, resumption
from emulator.runtime.clock import DRAIN_LIMIT, ClockConfig, Pace, ProcessFault, Progress
from emulator.runtime.cluster import JoinError, Placement, place
from emulator.runtime.envelopes import ManagementKeys
from emulator.runtime.grpc_services import CLOCK
from emulator.runtime.host import HostConfig
from emulator.runtime.message_faults import MessageFaults
from emulator.runtime.process_faults import Watchdog
from emulator.runtime.resumption import Past, ResumeError
from emulator.store import journal, journals, sealing
from emulator.store.files import (
    EXPERIMENT,
    PLAN,
    SUMMARY,
    locked,
    read_summary,
    write_atomically,
    write_format,
)
from emulator.store.registry import Registry
from emulator.telemetry.exporter import METRICS, ExporterConfig, RunInfo
from emulator.telemetry.reporting import EXPORTER
from global_manager.provisioning import check_problem
from protos.core import (
    GLOBAL_MANAGER,
    SATELLITE_CONTROLLER,
    EntityOrder,
    key_manager_of,
    steps_until,
)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_EVERY_S = 0.2
_PATIENCE_S = 60.0
_STALLED_S = 180.0
_END_LIMIT_S = 60.0
_VOLATILE_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Options:
    """How to run an experiment; none of this changes its outcome.

    `hosts` is the number of processes that share the local key managers; None: one for each.  They are
    placed on the machines of the cluster at `ray_address`; None: they are all here, on loopback.
    `volatile` keeps journals in memory until the end: an actor that is lost is lost for good.
    `page_port` is that of the page of the run, 0 any; None: no page.  Doors to SAEs listen at the address
    `keys_host`; None: there are none.
    """

    pace: Pace
    hosts: int | None = None
    ray_address: str | None = None
    metrics_port: int = 0
    volatile: bool = False
    placement: Placement = Placement.SPREAD
    ports: range | None = None
    page_port: int | None = None
    keys_host: str | None = None

    @property
    def joins(self) -> bool:
        """Whether the actors run on the machines of a cluster."""
        return self.ray_address is not None

    @property
    def endpoint(self) -> Endpoint:
        """Where actors may listen."""
        return Endpoint("" if self.joins else LOOPBACK, self.ports)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its summary, and the signal or failure that cut it short.

    One that `is_lost` would have gone on but for its processes: it is worth resuming.
    """

    summary: dict[str, Any]
    stopped_by: int | None
    failure: str
    is_lost: bool = False


class RunWatcher(Protocol):
    """Told what happens during a run."""

    def started(self, metrics_url: str, page_url: str, last_window: int) -> None:
        """Take note that the actors serve; there is no page if `page_url` is empty."""

    def advanced(self, progress: Progress) -> None:
        """Take note that a window is over."""


@dataclass(frozen=True)
class _Job:
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
    def domains(self) -> dict[str, str]:
        """The failure domain of every key manager, if actors are placed by domain."""
        if self.options.placement is not Placement.DOMAINS:
            return {}
        return {key_manager_of(node.name): node.domain for node in self.setup.topology.nodes}


class ResultsError(Exception):
    """A run has ended, and its results cannot be written; its journals are there."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(folder, problem)
        self.folder, self.problem = folder, problem

    def __str__(self) -> str:
        way_on = f"mend that, then `qsagin run --resume {self.folder}`"
        return f"the results cannot be written: {self.problem}; {way_on}"


class _Interrupted(Exception):  # noqa: N818 - a request to end, not an error
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(setup: Setup, folder: Path, options: Options, watcher: RunWatcher) -> Outcome:
    """Run an experiment into a folder, which must not hold anything yet.

    Raises `FileExistsError`, `InvalidProblemError` before anything is written, `LaunchError` if the
    actors cannot be started, and `JoinError` (the folder is empty again) if the cluster is not fit for it.
    """
    began_s = time.monotonic()
    assembly = assemble(setup)
    check_problem(assembly.problem)
    _prepare(folder, setup)
    try:
        job = _Job(setup, assembly, folder, options)
        return _account(job, watcher, began_s)
    except JoinError:
        shutil.rmtree(folder)
        raise


def resume(setup: Setup, folder: Path, options: Options, watcher: RunWatcher) -> Outcome:
    """Resume an interrupted run, to its end; `setup` is that of its folder.

    Raises `ResumeError`, `JoinError`, `FormatError` and `JournalError` before anything is started.
    """
    began_s = time.monotonic()
    beat(FILES)
    with _alone(folder):
        resumption.check_told(folder)
        summary = read_summary(folder)
        if summary is not None and summary["complete"]:
            raise ResumeError(str(folder), "has finished; there is nothing to resume")
        setup = setup.with_experiment(injection.as_begun(folder, setup.experiment))
        assembly = assemble(setup)
        everybody = {role.entity for role in actors_of(setup.experiment, assembly).everybody}
        past = resumption.past_of(folder, everybody)
    return _account(_Job(setup, assembly, folder, options, past), watcher, began_s)


def _account(job: _Job, watcher: RunWatcher, began_s: float) -> Outcome:
    """Run, and write down what the journals say."""
    attached = page_process(job.folder, job.options.page_port)
    with _alone(job.folder), _signals_raise(), attached as page:
        beat(STARTING)
        ending = _play(job, page, watcher)
        ending = replace(ending, wall_s=time.monotonic() - began_s)
        beat(FILES)
        with _results_named(job.folder):
            _record_plan(job)
            injection.record(job.folder)
            opening.record(job.folder, job.setup)
            setup = read(str(job.folder / EXPERIMENT))
            written = summary.write(job.folder, setup, job.assembly, ending)
        if written["complete"]:
            opening.forget_authority(job.folder)
    return Outcome(written, ending.stopped_by, ending.failure, ending.is_lost)


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


def _play(job: _Job, page: PageProcess, watcher: RunWatcher) -> summary.Ending:
    """Start the actors, run all windows, and end the actors; signals are ignored from then on."""
    began_s = time.monotonic()
    folder, last_window = job.folder, job.last_window
    ending = summary.Ending(windows=0, emulated_s=0.0, wall_s=0.0)
    try:
        with _actors(job) as cluster:
            try:
                startup_s = time.monotonic() - began_s
                ending = replace(ending, startup_s=startup_s)
                metrics = Registry(folder).find(METRICS)
                watcher.started(metrics.address if metrics else "", page.url, last_window)
                recording = _recording(job, watcher)
                window, failure, stopped_by, is_lost = _drive(
                    cluster, last_window, job.options.pace, Watchdog(folder), recording
                )
                running_s = time.monotonic() - began_s - startup_s
            finally:
                beat(FILES)
                unclosed = cluster.stop()
            ending = replace(
                ending,
                windows=window,
                emulated_s=window * job.experiment.clock.window_s,
                running_s=running_s,
                failure=failure or unclosed,
                is_lost=is_lost,
                stopped_by=stopped_by,
            )
    except _Interrupted as interrupt:
        ending = replace(ending, stopped_by=interrupt.number)
    return ending


@contextlib.contextmanager
def _actors(job: _Job) -> Iterator[launch.Cluster]:
    options, run_folder = job.options, str(job.folder.resolve())
    authority = Authority()
    hosts = _hosts(job, authority)
    if options.keys_host is not None:
        doors = Endpoint(options.keys_host, options.ports)
        hosts = opening.with_doors(hosts, job.setup, doors, job.last_window)
    living = {host.name: tuple(role.entity for role in host.roles) for host in hosts}
    clock = ClockConfig(
        living,
        run_folder,
        job.experiment.clock.window_s,
        authority.issue(CLOCK, ()),
        job.assembly.timeline,
        _VOLATILE_PATIENCE_S if options.volatile else _PATIENCE_S,
        tuple(_process_faults(job.experiment)),
        frozenset(host.name for host in hosts if host.serves_until is not None),
    )
    exporter = ExporterConfig(
        run_folder,
        options.metrics_port,
        authority.issue(EXPORTER, ()),
        living,
        RunInfo(job.experiment.name, job.experiment.seed, version("qsagin")),
        options.endpoint,
    )
    seats = dict.fromkeys((EXPORTER, CLOCK), "")
    seats |= {host.name: job.domains.get(host.roles[0].entity, "") for host in hosts}
    with launch.ray_instance(len(seats), options.ray_address, job.folder) as machines:
        homes = place(options.placement, seats, machines) if machines else {}
        _begin_again(job)
        cluster = launch.start(hosts, clock, exporter, homes, supervised=not options.volatile)
        if options.keys_host is not None:
            opening.announce(job.folder, job.setup)
        yield cluster


def _begin_again(job: _Job) -> None:
    """Take back what says that a run has ended, if this one is resumed."""
    if job.past is not None:
        journals.reopen(job.folder, job.past.last_window)
        injection.forget_waiting(job.folder)
        for name in (SUMMARY, PLAN):
            (job.folder / name).unlink(missing_ok=True)


def _prepare(folder: Path, setup: Setup) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(str(folder))
    (folder / journal.FOLDER).mkdir(parents=True)
    write_format(folder)
    Registry(folder)  # so that actors need not race to make it
    write(setup, folder)
    provenance.record(folder)


def _hosts(job: _Job, authority: Authority) -> list[HostConfig]:
    """One host for the manager and each controller; key managers dealt out to the others."""
    experiment, options = job.experiment, job.options
    actors = actors_of(experiment, job.assembly)
    key, window_s = sealing.new_key(), experiment.clock.window_s
    schedule = job.assembly.world.schedule
    order = EntityOrder(tuple(node.name for node in job.setup.topology.nodes))
    message_faults = MessageFaults(experiment.seed, window_s, job.last_window, schedule, order)
    management = experiment.management.model_dump()
    qber_limit = experiment.keys.qber_limit
    management_keys = ManagementKeys(actors.ground, window_s, qber_limit=qber_limit, **management)
    return [
        HostConfig(
            name,
            group,
            str(job.folder.resolve()),
            window_s,
            key,
            authority.issue(name, (role.entity for role in group)),
            management_keys,
            order,
            most_windows=job.last_window + DRAIN_LIMIT,
            volatile=options.volatile,
            sky=job.assembly.sky if group[0].entity == SATELLITE_CONTROLLER else None,
            endpoint=options.endpoint,
            shared=options.joins,
            message_faults=message_faults,
            thinks=any(role.entity == GLOBAL_MANAGER for role in group),
        )
        for name, group in _groups(job, actors)
    ]


def _groups(job: _Job, actors: Actors) -> list[tuple[str, tuple[Role, ...]]]:
    """Return the roles on each host, by its name; those of a run that is resumed stay together."""
    if job.past is not None:
        roles = {role.entity: role for role in actors.everybody}
        return [
            (name, tuple(roles[entity] for entity in entities))
            for name, entities in job.past.homes.items()
        ]
    nodes = actors.key_managers
    count = min(job.options.hosts or len(nodes), len(nodes))
    groups = [(role,) for role in actors.leads] + _dealt(nodes, count, job.domains)
    return [(_name(group, place), group) for place, group in enumerate(groups)]


def _dealt(nodes: Sequence[Role], count: int, domains: Mapping[str, str]) -> list[tuple[Role, ...]]:
    """Deal key managers to about so many processes; those of different domains share none.

    They are more where one certificate could not name all who would live together.
    """
    members: dict[str, list[Role]] = {}
    for role in nodes:
        members.setdefault(domains.get(role.entity, ""), []).append(role)
    groups = []
    for _, roles in sorted(members.items()):
        least = certificates_needed(role.entity for role in roles)
        share = max(least, round(count * len(roles) / len(nodes)))
        groups += [tuple(roles[first::share]) for first in range(share)]
    return groups


def _process_faults(experiment: Experiment) -> Iterator[ProcessFault]:
    for event in experiment.faults:
        if isinstance(event, ProcessEvent):
            window = steps_until(event.at_s, experiment.clock.window_s)
            yield ProcessFault(window, event.actor, event.action, event.wall_s)


def _name(group: tuple[Role, ...], place: int) -> str:
    """Name a host after the one who lives there, or number it."""
    return group[0].entity if len(group) == 1 else f"host-{place}"


def _drive(
    cluster: launch.Cluster,
    last_window: int,
    pace: Pace,
    watchdog: Watchdog,
    on_progress: Callable[[Progress], None],
) -> tuple[int, str, int | None, bool]:
    """Have the clock run to the end; return the last window, the failure or signal, and if it was lost.

    A run that does not move any more is ended, so that what there is can be read.
    """
    received: list[int] = []
    for number in _SIGNALS:
        signal.signal(number, lambda number, _frame: received.append(number))
    window, moved_s, asked_s = 0, time.monotonic(), 0.0
    try:
        running = cluster.begin(last_window, pace)
        while True:
            ended = cluster.ended(running, _LOOK_EVERY_S)
            beat(RUNNING)
            progress = cluster.progress()
            watchdog.look()
            if progress is not None:
                if progress.window > window or progress.is_waiting:
                    moved_s = time.monotonic()
                window = max(window, progress.window)
                on_progress(progress)
            if ended:
                break
            if time.monotonic() - moved_s > _STALLED_S:
                failure = f"nothing has moved for {_STALLED_S:g} s in window {window}"
                return window, failure, received[0] if received else None, True
            if received:
                asked_s = asked_s or time.monotonic()
                cluster.halt()
                if time.monotonic() - asked_s > _END_LIMIT_S:
                    failure = f"has not ended within {_END_LIMIT_S:g} s of being asked to"
                    return window, failure, received[0], False
        last, failure = cluster.outcome(running)
        window = max(window, last)
    except launch.RayLostError as error:
        return window, str(error), received[0] if received else None, True
    finally:
        _ignore_signals()
    return window, failure, received[0] if received else None, False


def _ignore_signals() -> None:
    """Let nothing come between the end of the windows and the end of the actors."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn a signal while actors start into an exception, once; restore what was before."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        raise _Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _recording(job: _Job, watcher: RunWatcher) -> Callable[[Progress], None]:
    """Write the plan as soon as there is one, then pass progress on."""

    def on_progress(progress: Progress) -> None:
        _record_plan(job)
        watcher.advanced(progress)

    return on_progress


def _record_plan(job: _Job) -> None:
    """Write the first plan, and what it left out, once the manager's journal has it."""
    folder, path = job.folder, job.folder / PLAN
    if path.exists():
        return
    with contextlib.suppress(journal.JournalError):
        text = journal_queries.first_plan(folder)
        if text is not None:
            document = json.loads(text) | unused_of(job.setup).fields()
            write_atomically(path, json.dumps(document, indent=1) + "\n")
