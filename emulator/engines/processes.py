"""The engine of processes: the actors of a run under Ray, and the clock that drives them.

It starts a host for the manager and each controller, those of the key managers, the clock and the exporter.
The clock runs them to the end of the last period; then they are ended.  An interruption ends the
run after the window that is under way; so does a host that fails.  No process is left.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

from emulator import launch
from emulator.access import opening
from emulator.build.manager_role import Actors, actors_of
from emulator.build.roles import Role
from emulator.config.experiment import Experiment
from emulator.config.schedule import ProcessEvent
from emulator.engines.job import (
    SIGNALS,
    Interrupted,
    Job,
    Options,
    RunWatcher,
    ignore_signals,
    recording,
    signals_of_native_code,
)
from emulator.live_page.process import PageProcess
from emulator.management.opening import LiveRun, engine_beside
from emulator.net.addresses import LOOPBACK
from emulator.net.heartbeat import FILES, RUNNING, beat
from emulator.net.identity import Authority, certificates_needed
from emulator.net.transport import Endpoint
from emulator.report import summary
from emulator.runtime import injection
from emulator.runtime.clock import ClockConfig, ProcessFault
from emulator.runtime.cluster import place
from emulator.runtime.glances import Glance
from emulator.runtime.grpc_services import CLOCK
from emulator.runtime.host import HostConfig
from emulator.runtime.pacing import DRAIN_LIMIT, Pace, Progress
from emulator.runtime.process_faults import Watchdog
from emulator.store import journals, sealing
from emulator.store.files import PLAN, SUMMARY
from emulator.store.registry import Registry
from emulator.telemetry.exporter import METRICS, ExporterConfig, RunInfo
from emulator.telemetry.reporting import EXPORTER
from protos.core import GLOBAL_MANAGER, SATELLITE_CONTROLLER, steps_until

_LOOK_EVERY_S = 0.2
_PATIENCE_S = 60.0
_STALLED_S = 180.0
_END_LIMIT_S = 60.0
_VOLATILE_PATIENCE_S = 2.0


def play(job: Job, page: PageProcess, watcher: RunWatcher) -> summary.Ending:
    """Start the actors, run all windows, and end the actors; signals are ignored from then on."""
    began_s = time.monotonic()
    folder, last_window = job.folder, job.last_window
    ending = summary.Ending(windows=0, emulated_s=0.0, wall_s=0.0)
    try:
        with signals_of_native_code(), _actors(job) as cluster:
            try:
                startup_s = time.monotonic() - began_s
                ending = replace(ending, startup_s=startup_s)
                metrics = Registry(folder).find(METRICS)
                watcher.started(metrics.address if metrics else "", page.url, last_window)
                on_progress = recording(job, watcher)
                window, failure, stopped_by, is_lost = _drive(
                    cluster, last_window, job.options.pace, Watchdog(folder), on_progress
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
    except Interrupted as interrupt:
        ending = replace(ending, stopped_by=interrupt.number)
    return ending


@contextlib.contextmanager
def _actors(job: Job) -> Iterator[launch.Cluster]:
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
        _run_info(job.experiment),
        _endpoint(options),
    )
    seats = dict.fromkeys((EXPORTER, CLOCK), "")
    seats |= {host.name: job.domains.get(host.roles[0].entity, "") for host in hosts}
    with launch.ray_instance(len(seats), options.ray_address, job.folder) as machines:
        homes = place(options.placement, seats, machines) if machines else {}
        _begin_again(job)
        cluster = launch.start(hosts, clock, exporter, homes, supervised=not options.volatile)
        if options.keys_host is not None:
            opening.announce(job.folder, job.setup)
        with _managed(job, cluster, living):
            yield cluster


def _managed(
    job: Job, cluster: launch.Cluster, living: Mapping[str, Sequence[str]]
) -> contextlib.AbstractContextManager[None]:
    """Serve SNMP beside a run, if that is wanted."""
    home = {entity: host for host, entities in living.items() for entity in entities}

    def look(entity: str, within_s: float) -> Glance | None:
        return cluster.glance(home[entity], entity, within_s)

    run = LiveRun(tuple(job.order.sorted(home)), look, cluster.progress)
    return engine_beside(job.options.snmp_port, job.experiment, job.folder, run)


def _run_info(experiment: Experiment) -> RunInfo:
    policy = experiment.plan.policy.value
    return RunInfo(experiment.name, experiment.seed, version("qsagin"), policy)


def _endpoint(options: Options) -> Endpoint:
    """Return where actors may listen."""
    return Endpoint("" if options.joins else LOOPBACK, options.ports)


def _begin_again(job: Job) -> None:
    """Take back what says that a run has ended, if this one is resumed."""
    if job.past is not None:
        journals.reopen(job.folder, job.past.last_window)
        injection.forget_waiting(job.folder)
        for name in (SUMMARY, PLAN):
            (job.folder / name).unlink(missing_ok=True)


def _hosts(job: Job, authority: Authority) -> list[HostConfig]:
    """One host for the manager and each controller; key managers dealt out to the others."""
    experiment, options = job.experiment, job.options
    actors = actors_of(experiment, job.assembly)
    key, window_s = sealing.new_key(), experiment.clock.window_s
    management_keys, order = job.management_keys(actors.ground), job.order
    message_faults = job.message_faults
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
            endpoint=_endpoint(options),
            shared=options.joins,
            message_faults=message_faults,
            thinks=any(role.entity == GLOBAL_MANAGER for role in group),
        )
        for name, group in _groups(job, actors)
    ]


def _groups(job: Job, actors: Actors) -> list[tuple[str, tuple[Role, ...]]]:
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
    for number in SIGNALS:
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
        ignore_signals()
    return window, failure, received[0] if received else None, False
