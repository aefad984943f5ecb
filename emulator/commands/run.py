"""`qsagin run`: a run from its start, or an interrupted one from where it was."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.commands.continuation import CONTINUED
from emulator.commands.management import snmp_port_of, trap_target
from emulator.commands.minded import require_room_for_levels
from emulator.commands.options import (
    Attached,
    Json,
    PolicyOption,
    Share,
    UsageError,
    keep_private,
    read,
    require_address,
    require_empty,
    require_free_port,
    require_no_process_faults,
    require_policy,
    tell_reading,
)
from emulator.commands.supervisor import is_supervised
from emulator.commands.terminal import ERR, OUT, answer, fail, tell
from emulator.config.experiment import Experiment
from emulator.config.topology import Topology
from emulator.net.addresses import LOOPBACK
from emulator.net.heartbeat import ANSWERED, LOST, TEMPORARY, beat
from emulator.runtime.cluster import Placement
from emulator.store.files import EXPERIMENT, REPORT, SUMMARY, Engine, check_format, engine_of
from global_manager.provisioning.check import InvalidProblemError
from global_manager.provisioning.model import Policy

if TYPE_CHECKING:  # slow to import, and only a run needs them
    from emulator.run import Outcome
    from emulator.runtime.pacing import Pace

_CROWD = 4  # key managers a processor: beyond it they mostly wait for each other


def run(
    experiment: Annotated[
        str | None,
        typer.Argument(
            metavar="EXPERIMENT", help="A YAML file, or the name of a built-in experiment."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder for the results; an in-process run can do without."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Instead of both: the folder of an interrupted run, to resume it."),
    ] = None,
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="A process for each actor (default), or all in one process: the same results."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the seed of the experiment.")] = None,
    pace: Annotated[
        str, typer.Option(help="realtime, max, or emulated seconds per second.")
    ] = "max",
    hosts: Annotated[
        int | None,
        typer.Option(min=1, help="Processes for the key managers; default: one for each."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Join this Ray cluster: host:port or auto.")
    ] = None,
    policy: PolicyOption = None,
    placement: Annotated[
        Placement, typer.Option(help="How actors are placed on the machines of a cluster.")
    ] = Placement.SPREAD,
    ports: Annotated[
        str | None, typer.Option(help="Ports that actors may listen on: 20000-20999; default: any.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port for Prometheus; default: any.")
    ] = None,
    volatile: Annotated[
        bool, typer.Option(help="Keep journals in memory: faster, but a lost actor ends the run.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Serve a page about the run to browsers on this machine.")
    ] = False,
    page_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the page; implies --page; 0: any."),
    ] = None,
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Serve keys to the SAEs of the experiment (ETSI GS QKD 014)."),
    ] = False,
    keys_host: Annotated[
        str | None,
        typer.Option(help="Address at which keys are served; implies --keys; default: loopback."),
    ] = None,
    snmp_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Serve SNMP at this port of loopback."),
    ] = None,
    trap_to: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Send agents' notifications there, as SNMP informs."
        ),
    ] = None,
    share: Share = False,
    attached: Attached = False,
    continued: Annotated[bool, typer.Option(CONTINUED, hidden=True)] = False,
    json_: Json = False,
) -> None:
    """Run the whole emulation: reserve, transmit, buy recourse, account."""
    from emulator.commands.displays import RunDisplay
    from emulator.engines.job import Options
    from emulator.run import ResultsError
    from emulator.run import resume as resume_run
    from emulator.run import run as run_experiment
    from emulator.runtime.cluster import JoinError, LaunchError
    from emulator.runtime.resumption import ResumeError

    keep_private(share=share)
    if resume is not None:
        engine = _resumable(resume, experiment, out, engine, seed, hosts, policy, volatile or None)
        if continued and _answers_as_it_ended(resume, json_=json_):
            return
    engine = engine or Engine.PROCESSES
    of_processes = {
        "hosts": hosts,
        "address": address,
        "ports": ports,
        "volatile": volatile or None,
    }
    of_processes["placement"] = placement if placement is not Placement.SPREAD else None
    _check_fits(engine, of_processes | {"metrics-port": metrics_port})
    source, kept = _subject(experiment, out, resume, engine)
    setup = read(source, seed, policy, None)
    require_room_for_levels(source, setup)
    chosen_pace = _runnable(setup.experiment, None if resume else out, pace, address)
    require_no_process_faults(source, setup.experiment, engine)
    _placeable(source, setup.topology, placement, address)
    display = RunDisplay(ERR, setup.experiment)
    page_port = 0 if page_port is None and page else page_port
    require_free_port(page_port or 0, "--page-port")
    if address is None:  # else it is a port of another machine, perhaps
        require_free_port(metrics_port or 0, "--metrics-port")
    options = Options(
        chosen_pace,
        engine,
        hosts,
        address,
        metrics_port or 0,
        volatile,
        placement,
        _port_range(ports),
        page_port,
        kept is not None,
        snmp_port=snmp_port_of(setup.experiment, snmp_port),
        trap_to=trap_target(setup.experiment, trap_to, volatile=volatile),
        keys_host=_keys_host(setup.experiment, engine, keys_host or (LOOPBACK if keys else None)),
    )
    tell_reading(experiment, setup)
    if engine is Engine.PROCESSES and address is None and hosts is None:
        _tell_crowd(len(setup.topology.nodes))
    if attached:
        threading.Thread(target=_end_when_let_go, daemon=True).start()
    try:
        with display, _folder(kept) as folder:
            go = resume_run if resume else run_experiment
            outcome = go(setup, folder, options, display)
    except (InvalidProblemError, ResumeError, JoinError) as error:
        where = {ResumeError: "--resume", JoinError: "--address"}
        raise UsageError(where.get(type(error), source), str(error)) from error
    except LaunchError as error:
        problem = f"the actors could not be started: {error}"
        _leave_if_lost(problem, is_lost=error.is_lost)
        fail(problem)
    except ResultsError as error:
        fail(str(error))
    _leave_if_lost(outcome.failure, is_lost=outcome.is_lost)
    _answer(json_, outcome.summary, lambda: display.conclude(OUT, outcome.summary, kept))
    _end(outcome, kept)


def _tell_crowd(nodes: int) -> None:
    """Tell what would be quicker where many key managers share few processors."""
    processors = len(os.sched_getaffinity(0))
    if nodes > _CROWD * processors:
        tell(
            f"{nodes} key managers in processes of their own share {processors} processors; "
            f"--hosts {processors} gives the same results in a fraction of the time"
        )


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Yield the folder of a run: the one to be kept, or one that goes when the run is over."""
    if kept is not None:
        yield kept
        return
    with TemporaryDirectory(prefix="qsagin-run-", dir=os.environ.get(TEMPORARY)) as scratch:
        yield Path(scratch, "run")


def _end_when_let_go() -> None:
    """End the run, as by a signal, when the other end of standard input is closed."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _subject(
    source: str | None, out: Path | None, resume: Path | None, engine: Engine
) -> tuple[str, Path | None]:
    """Return the experiment of a run, and its folder; None if nobody wants to keep it."""
    if resume is not None:
        return str(resume / EXPERIMENT), resume
    if source is None or (out is None and engine is Engine.PROCESSES):
        missing = "EXPERIMENT" if source is None else "--out"
        raise UsageError(missing, "is missing; name it, or a run to resume with --resume")
    return source, out


def _check_fits(engine: Engine, of_processes: Mapping[str, object]) -> None:
    """Refuse what concerns processes, of which an in-process run has none."""
    for name, value in of_processes.items():
        if value is not None and engine is Engine.IN_PROCESS:
            problem = "concerns processes; leave it out, or say --engine processes"
            raise UsageError(f"--{name}", problem)


def _resumable(folder: Path, *given: object) -> Engine:
    """Refuse to change a run that is resumed, and to resume what is not a run; return its engine."""
    if any(item is not None for item in given):
        own = "EXPERIMENT, --out, --engine, --seed, --hosts, --policy and --volatile"
        raise UsageError("--resume", f"takes a run as it is; leave out {own}")
    check_format(folder)
    if (engine := engine_of(folder)) is Engine.IN_PROCESS:
        tell(f"{folder}: an in-process run has nothing to resume from; it is begun again")
    return engine


def _runnable(experiment: Experiment, out: Path | None, pace: str, address: str | None) -> Pace:
    """Refuse what cannot run, before anything is started; return the pace."""
    from emulator.runtime.pacing import Pace

    if experiment.plan.policy is Policy.DETERMINISTIC:
        problem = "deterministic knows demand beforehand; it is a bound for `plan` and `compare`"
        raise UsageError("--policy", problem)
    require_policy(experiment)
    if out is not None:
        require_empty(out)
    require_address(address)
    try:
        return Pace.parse(pace)
    except ValueError as error:
        raise UsageError("--pace", str(error)) from error


def _placeable(source: str, topology: Topology, placement: Placement, address: str | None) -> None:
    """Refuse a placement that lacks machines or domains."""
    if placement is not Placement.SPREAD and address is None:
        raise UsageError("--placement", "needs a cluster; name one with --address")
    unnamed = [node.name for node in topology.nodes if not node.domain]
    if placement is Placement.DOMAINS and unnamed:
        problem = f"{source}: node {unnamed[0]} has no domain; give each one in NAME.nodes.csv"
        raise UsageError("--placement", problem)


def _port_range(text: str | None) -> range | None:
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 65536):
        raise UsageError("--ports", f"must be two ports like 20000-20999, not {text}")
    return range(int(first), int(last) + 1)


def _keys_host(experiment: Experiment, engine: Engine, host: str | None) -> str | None:
    """Return the address of the doors to SAEs, if any are wanted and possible."""
    if host is None:
        return None
    if engine is not Engine.PROCESSES:
        raise UsageError("--keys", "doors are in processes; leave out --engine in-process")
    section = experiment.access
    if section is None or not (section.saes or section.operators):
        raise UsageError("--keys", "the experiment names no SAE; list them in access.saes")
    try:
        return str(ip_address(host))
    except ValueError:
        raise UsageError("--keys-host", f"must be an IP address, not {host}") from None


def _leave_if_lost(failure: str, *, is_lost: bool) -> None:
    """Exit without an answer if the supervisor tries again: a run answers once, in the end."""
    if failure and is_lost and is_supervised():
        tell(failure)
        raise typer.Exit(LOST)


def _answers_as_it_ended(folder: Path, *, json_: bool) -> bool:
    """Answer for a run that was complete when its command was lost; return whether it was."""
    from emulator.commands.displays import RunDisplay
    from emulator.store.files import read_summary

    summary = read_summary(folder)
    if summary is None or not summary["complete"]:
        return False
    display = RunDisplay(ERR, read(str(folder / EXPERIMENT), None, None, None).experiment)
    _answer(json_, summary, lambda: display.conclude(OUT, summary, folder))
    return True


def _answer(json_: bool, summary: dict[str, Any], show: Callable[[], object]) -> None:
    """Print what the run has come to, and tell the supervisor at once, so that it is printed once."""
    answer(json_, summary, show)
    sys.stdout.flush()
    beat(ANSWERED)


def _end(outcome: Outcome, out: Path | None) -> None:
    """Turn the end of a run into an exit status."""
    if problem := outcome.summary.get("report_problem"):
        tell(f"{REPORT} could not be drawn: {problem}; try `qsagin report {out}`")
    if outcome.failure:
        is_resumable = outcome.summary["windows_run"] and out is not None
        way_on = f"; resume it by `qsagin run --resume {out}`" if is_resumable else ""
        fail(outcome.failure + way_on)
    if outcome.stopped_by is not None:
        name = signal.Signals(outcome.stopped_by).name
        tell(f"ended by {name}" + (f"; partial results are in {out}" if out else ""))
        raise typer.Exit(128 + outcome.stopped_by)
    if failures := outcome.summary.get("policy_failures"):
        more = f" (and {len(failures) - 1} more)" if failures[1:] else ""
        fail(f"{failures[0]}{more}; the plan in force was kept")
    if not outcome.summary["audit"]["ok"]:
        fail(f"the audit found faults; see {out / SUMMARY if out else outcome.summary['audit']}")
