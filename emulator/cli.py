"""The command line.  Every error ends here, as one line a fault on stderr and an exit status.

0: done.  1: the run, audit or hypothesis failed.  2: bad usage or bad input; nothing was started or
written.  130 and 143: ended by SIGINT and SIGTERM, with partial results.  `--json` prints one JSON
document on stdout and nothing else there.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from emulator.experiment import reading
from emulator.experiment.config import Experiment
from emulator.experiment.reading import ExperimentError, Fault
from emulator.experiment.topology import Topology
from emulator.physics.parameters import ParameterError
from emulator.runtime.journal import JournalError
from emulator.runtime.placement import Placement
from global_manager.provisioning.check import InvalidProblemError, check_problem
from global_manager.provisioning.model import Policy, Problem

if TYPE_CHECKING:  # slow to import, and only `run` needs them
    from emulator.run import Outcome
    from emulator.runtime.clock import Pace

app = typer.Typer(
    name="qsagin",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Emulate the control plane of a quantum-secured space-air-ground integrated network.",
)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

ExperimentArgument = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="A YAML file or the name of a built-in one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
ShowProgress = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Show cost, bound and gap on stderr; default: if it is a terminal.",
    ),
]
PolicyOption = Annotated[Policy | None, typer.Option(help="Replaces the policy of the experiment.")]


class UsageError(Exception):
    """The command line asks for something that cannot be."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


_LISTS = ("satellites", "sites", "sources", "destinations")
_BAD_INPUT = (ExperimentError, ParameterError, JournalError, UsageError)


def main() -> None:
    """Run the command line; translate errors into exit statuses."""
    try:
        status = app(standalone_mode=False)
    except _BAD_INPUT as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except typer.TyperException as error:  # unknown commands and options, or values that do not fit
        if problem := error.format_message().replace("Value error, ", "").rstrip("."):
            print(f"{problem}; see `qsagin --help`", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    sys.exit(status)


@app.command()
def experiments(json_: Json = False) -> None:
    """List the built-in experiments."""
    found = [reading.read(name)[0] for name in reading.built_in_names()]
    rows = [{"name": item.name, "description": item.description} for item in found]
    _answer(json_, rows, lambda: _table(["name", "description"], rows))


@app.command()
def schema() -> None:
    """Print the JSON schema of experiment files."""
    _print_json(reading.schema())


@app.command()
def check(experiment: ExperimentArgument, json_: Json = False) -> None:
    """Validate an experiment; start nothing."""
    faults: tuple[Fault, ...] = ()
    try:
        reading.read(experiment)
    except ExperimentError as error:
        if not json_:
            raise
        faults = error.faults
    document = {"ok": not faults, "errors": [fault.model_dump() for fault in faults]}
    _answer(json_, document, lambda: _out.print(f"{experiment}: ok"))
    if faults:
        raise typer.Exit(2)


@app.command()
def plan(
    experiment: ExperimentArgument,
    policy: PolicyOption = None,
    gap: Annotated[float | None, typer.Option(help="Relative gap at which to stop.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds, at most.")] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the seed of the experiment.")] = None,
    progress: ShowProgress = None,
    json_: Json = False,
) -> None:
    """Solve the provisioning program; start no actor."""
    from emulator.parts.assembly import problem_of
    from emulator.parts.basis import basis_of
    from emulator.parts.fiber_links import by_kind, quantum_links
    from emulator.parts.futures import fresh_fields
    from emulator.parts.plans import fields
    from emulator.views.solve_display import SolveDisplay
    from global_manager.provisioning import solve

    setup, topology = _read(experiment, seed, policy, gap)
    if time_limit is not None and time_limit <= 0:
        raise UsageError("--time-limit", f"must be positive, not {time_limit:g}")
    problem = problem_of(setup, topology)
    _plannable(experiment, problem, setup.plan.policy)
    began_s = time.monotonic()
    with SolveDisplay(_err, progress) as display:
        answer = solve(
            problem,
            setup.plan.policy,
            gap=setup.plan.gap,
            time_limit_s=time_limit,
            seed=setup.seed,
            rounding=setup.plan.expected_value_rounding,
            progress=display,
        )
    solve_s = round(time.monotonic() - began_s, 3)
    head = {"experiment": setup.name, "seed": setup.seed, "requests": len(problem.requests)}
    links = quantum_links(setup.fiber, topology)
    fresh, basis = fresh_fields(setup, problem, answer), basis_of(setup, problem)
    shown = {"solve_s": solve_s, "basis": basis, "links": [item.fields() for item in links]}
    document = head | fields(answer) | fresh | shown
    _answer(json_, document, lambda: _show_plan(document, by_kind(links)))


@app.command()
def compare(
    experiment: ExperimentArgument,
    requests: Annotated[str | None, typer.Option(help="Numbers of requests: 50,100,...")] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the seed of the experiment.")] = None,
    progress: ShowProgress = None,
    json_: Json = False,
) -> None:
    """Compare all policies on the same instance and scenarios."""
    from emulator.views.figures import comparison_rows
    from emulator.views.solve_display import SolveDisplay

    setup, topology = _read(experiment, seed, None, None)
    counts = _counts(requests)
    if counts and not isinstance(setup.demand.requests, dict):
        raise UsageError("--requests", f"{experiment} lists its requests one by one; leave it out")
    with SolveDisplay(_err, progress) as display:
        rows, values, bases = comparison_rows(setup, topology, counts, display)
    head = {"experiment": setup.name, "seed": setup.seed}
    document = head | {"rows": rows, "values": values, "basis": bases}
    _answer(json_, document, lambda: _show_comparison(rows, values, bases))


@app.command()
def figures(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    experiment: Annotated[str, typer.Option(help="One that generates its requests.")] = "paper",
    json_: Json = False,
) -> None:
    """Draw the paper's figures 4a and 4b."""
    from emulator.views.figures import draw

    _fillable(out)
    setup, topology = _read(experiment, None, None, None)
    if not isinstance(setup.demand.requests, dict):
        raise UsageError("--experiment", f"{experiment} lists its requests one by one")
    files = [str(path) for path in draw(setup, topology, out)]
    _answer(json_, {"files": files}, lambda: _out.print("\n".join(files)))


@app.command()
def run(
    experiment: Annotated[
        str | None,
        typer.Argument(metavar="EXPERIMENT", help="A YAML file or the name of a built-in one."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the results.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="In place of both: go on with a run that was cut short.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the seed of the experiment.")] = None,
    pace: Annotated[str, typer.Option(help="realtime, max, or emulated seconds a second.")] = "max",
    hosts: Annotated[
        int | None, typer.Option(min=1, help="Processes for the key managers; default one each.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Join this Ray cluster: host:port or auto.")
    ] = None,
    policy: PolicyOption = None,
    placement: Annotated[
        Placement, typer.Option(help="Where the actors of a cluster are started.")
    ] = Placement.SPREAD,
    ports: Annotated[
        str | None, typer.Option(help="Ports that actors may listen on: 20000-20999; default any.")
    ] = None,
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port for Prometheus; 0: any.")
    ] = 0,
    volatile: Annotated[
        bool, typer.Option(help="Keep journals in memory: faster, but no lost actor comes back.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Show the run to a browser on this machine.")
    ] = False,
    page_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the page, which this asks for; 0: any."),
    ] = None,
    json_: Json = False,
) -> None:
    """Run the whole emulation: reserve, transmit, buy recourse, account."""
    from emulator.launch import LaunchError
    from emulator.run import Options, ResumeError
    from emulator.run import resume as resume_run
    from emulator.run import run as run_experiment
    from emulator.runtime.joining import JoinError
    from emulator.views.display import RunDisplay

    if resume is not None:
        _resumable(resume, experiment, out, seed, hosts, policy, volatile or None)
    source, folder = _subject(experiment, out, resume)
    setup, topology = _read(source, seed, policy, None)
    chosen_pace = _runnable(setup, None if resume else folder, pace, address)
    _placeable(source, topology, placement, address)
    display = RunDisplay(_err, setup)
    if page_port is None and page:
        page_port = 0
    _free(page_port or 0, "--page-port")
    options = Options(
        chosen_pace,
        hosts,
        address,
        metrics_port,
        volatile,
        placement,
        _port_range(ports),
        page_port,
    )
    try:
        with display:
            go = resume_run if resume else run_experiment
            outcome = go(setup, topology, folder, options, display)
    except InvalidProblemError as error:
        raise UsageError(source, str(error)) from error
    except ResumeError as error:
        raise UsageError("--resume", str(error)) from error
    except JoinError as error:
        raise UsageError("--address", str(error)) from error
    except LaunchError as error:
        _fail(f"the actors could not be started: {error}")
    _answer(json_, outcome.summary, lambda: display.conclude(_out, outcome.summary, folder))
    _end(outcome, folder)


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    json_: Json = False,
) -> None:
    """Add up a run's journals again, independently of the run's own counters."""
    from emulator.views.audit import audit as audit_run

    result = audit_run(folder)
    _answer(json_, result.fields(), lambda: _show_audit(result.fields()))
    if not result.ok:
        raise typer.Exit(1)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    json_: Json = False,
) -> None:
    """Look at a run, live or ended; with --json also at every key store."""
    from emulator.views.status import status_of, stores_of

    found = status_of(folder)
    _answer(json_, found | {"stores": stores_of(folder)}, lambda: _show_fields(found))


@app.command()
def inject(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a live run.")],
    fault: Annotated[
        list[str],
        typer.Argument(
            metavar="FAULT...", help="A kind and its fields: fiber-cut link=A,B for_s=60."
        ),
    ],
    json_: Json = False,
) -> None:
    """Have a live run suffer a fault or weather, from the next window on; it belongs to the run then."""
    from emulator.runtime.injection import InjectionError, submit

    try:
        done = submit(folder, _fault_of(fault))
    except InjectionError as error:
        raise UsageError("inject", str(error)) from error
    document = {"ok": True, "window": done.window, "fault": done.fault}
    _answer(json_, document, lambda: _show_fields({"window": done.window, **done.fault}))


@app.command()
def page(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any.")] = 0,
    beside: Annotated[
        bool, typer.Option("--beside", hidden=True, help="End when standard input is closed.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show a run, live or ended, to a browser on this machine, until interrupted."""
    from emulator.views.page.server import serve

    if not (folder / "experiment.yaml").exists():
        raise UsageError(str(folder), "holds no experiment.yaml; is it the folder of a run?")
    _free(port, "--port")

    def announce(url: str) -> None:
        print(json.dumps({"url": url}) if json_ or beside else url, flush=True)  # noqa: T201

    try:
        serve(folder, port, announce, beside=beside)
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None


@app.command()
def trace(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    request: Annotated[str, typer.Option(help="Whose need is followed.")],
    period: Annotated[
        int | None, typer.Option(min=0, help="In which period; none: its reservation.")
    ] = None,
    json_: Json = False,
) -> None:
    """Follow one need for keys from node to manager, to satellite or UAV, and back."""
    from emulator.views.tracing import TraceError, story

    try:
        steps = story(folder, request, period)
    except TraceError as error:
        raise UsageError(str(folder), str(error)) from error
    rows = [step.fields() for step in steps]
    _answer(json_, rows, lambda: _table(["at_s", "who", "what"], rows))


@app.command()
def chaos(
    experiment: Annotated[
        str | None,
        typer.Argument(metavar="EXPERIMENT", help="A Chaos Toolkit file or a built-in name."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for runs and journals; default runs/chaos-…")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(help="Where the toolkit's journal goes; default: into the folder."),
    ] = None,
    times: Annotated[int, typer.Option(min=1, help="How often in a row.")] = 1,
    list_: Annotated[bool, typer.Option("--list", help="List what is built in.")] = False,
    json_: Json = False,
) -> None:
    """Disturb a live run on purpose, and see whether a hypothesis about it holds."""
    from emulator.chaos.trial import ChaosInputError, built_in, load, play

    if list_:
        rows = [{"name": name, "title": title} for name, title in built_in().items()]
        _answer(json_, rows, lambda: _table(["name", "title"], rows))
        return
    if experiment is None:
        raise UsageError("chaos", "name an experiment; see `qsagin chaos --list`")
    folder = out or Path("runs", f"chaos-{Path(experiment).stem}-{time.strftime('%Y%m%d-%H%M%S')}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("--out", f"{folder} exists and is not empty; name a new folder")
    _fillable(folder)
    trials = []
    for number in range(1, times + 1):
        place = folder / str(number) if times > 1 else folder
        try:
            loaded = load(experiment)
        except ChaosInputError as error:
            raise UsageError("chaos", str(error)) from error
        trial = play(loaded, place, journal or place / "journal.json")
        trials.append(trial.fields() | {"folder": str(place)})
        for line in trial.broken:
            print(f"{experiment}: {line}", file=sys.stderr)  # noqa: T201
    columns = ["title", "ok", "duration", "folder"]
    shown = [{name: trial[name] for name in columns} for trial in trials]
    document = {"ok": all(trial["ok"] for trial in trials), "trials": trials}
    _answer(json_, document, lambda: _table(columns, shown))
    if not document["ok"]:
        raise typer.Exit(1)


@app.command()
def skr(
    protocol: Annotated[
        str, typer.Option(help="bb84, mdi, gg02, bbm92, router, plob, ...; a wrong name lists all.")
    ],
    length_km: Annotated[float, typer.Option(help="Length of the fiber.")],
    device: Annotated[
        str | None, typer.Option(help="A device preset; a wrong name lists all.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="Replace a parameter; a wrong name lists all."),
    ] = None,
    intercepted: Annotated[
        float, typer.Option(help="Share of the pulses that an eavesdropper measures and sends on.")
    ] = 0.0,
    json_: Json = False,
) -> None:
    """Compute one secret key rate."""
    from dataclasses import asdict

    from emulator.physics.skr import secret_key_rate

    overrides = _overrides(set_ or [])
    rate = asdict(secret_key_rate(protocol, length_km, device, overrides, intercepted))
    if math.isinf(rate["bound_bps"]):
        rate["bound_bps"] = None  # no loss, no ceiling; JSON has no infinity
    _answer(json_, rate, lambda: _show_fields(rate))


@app.command()
def rates(
    out: Annotated[Path, typer.Option(help="Folder to write to.")], json_: Json = False
) -> None:
    """Draw the secret key rates of all protocols against distance, under the PLOB bound."""
    from emulator.views.rate_figure import draw

    _fillable(out)
    files = [str(path) for path in draw(out)]
    _answer(json_, {"files": files}, lambda: _out.print("\n".join(files)))


def _read(
    source: str, seed: int | None, policy: Policy | None, gap: float | None
) -> tuple[Experiment, Topology]:
    """Read an experiment and put the options of the command line in its place."""
    experiment, topology = reading.read(source, seed)
    changes: dict[str, Any] = {}
    if policy is not None:
        changes["policy"] = policy
    if gap is not None:
        if not 0 < gap < 1:
            raise UsageError("--gap", f"must be between 0 and 1, not {gap:g}")
        changes["gap"] = gap
    options = experiment.plan.model_copy(update=changes)
    return experiment.model_copy(update={"plan": options}), topology


def _fillable(out: Path) -> None:
    """Refuse a folder that cannot be made or written to."""
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not place.is_dir():
        raise UsageError("--out", f"{place} is a file; name a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError("--out", f"{place} cannot be written to; name another folder")


def _subject(source: str | None, out: Path | None, resume: Path | None) -> tuple[str, Path]:
    """Return the experiment of a run, and its folder."""
    if resume is not None:
        return str(resume / "experiment.yaml"), resume
    if source is None or out is None:
        missing = "EXPERIMENT" if source is None else "--out"
        raise UsageError(missing, "is missing; name it, or a run to go on with by --resume")
    return source, out


def _resumable(folder: Path, *given: object) -> None:
    """Refuse to change a run that is gone on with, or to go on with what is none."""
    if any(item is not None for item in given):
        own = "EXPERIMENT, --out, --seed, --hosts, --policy and --volatile"
        raise UsageError("--resume", f"takes a run as it is; leave out {own}")
    if not (folder / "experiment.yaml").is_file():
        raise UsageError("--resume", f"{folder} is not the folder of a run")


def _free(port: int, option: str) -> None:
    """Refuse a port that somebody listens on."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise UsageError(
            option, f"port {port} cannot be used ({error.strerror}); name another"
        ) from error


def _runnable(setup: Experiment, out: Path | None, pace: str, address: str | None) -> Pace:
    """Refuse what cannot be run before anything is started; return the pace."""
    from emulator.launch import LaunchError, check_address
    from emulator.runtime.clock import Pace

    if setup.plan.policy is Policy.DETERMINISTIC:
        problem = "deterministic knows demand beforehand; it is a bound for `plan` and `compare`"
        raise UsageError("--policy", problem)
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError("--out", f"{out} exists and is not empty; name a new folder")
        _fillable(out)
    try:
        if address is not None:
            check_address(address)
    except LaunchError as error:
        raise UsageError("--address", str(error)) from error
    try:
        return Pace.parse(pace)
    except ValueError as error:
        raise UsageError("--pace", str(error)) from error


def _placeable(source: str, topology: Topology, placement: Placement, address: str | None) -> None:
    """Refuse a placement for which there are no machines, or no domains."""
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


def _end(outcome: Outcome, out: Path) -> None:
    """Turn the end of a run into an exit status."""
    if outcome.failure:
        _fail(outcome.failure)
    if outcome.stopped_by is not None:
        name = signal.Signals(outcome.stopped_by).name
        print(f"ended by {name}; partial results are in {out}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(128 + outcome.stopped_by)
    if not outcome.summary["audit"]["ok"]:
        _fail(f"the audit found faults; see {out / 'summary.json'}")


def _plannable(source: str, problem: Problem, policy: Policy) -> None:
    """Refuse a problem that contradicts itself, naming the file."""
    try:
        check_problem(problem)
    except InvalidProblemError as error:
        raise UsageError(source, str(error)) from error
    if policy is Policy.DETERMINISTIC and problem.has_own_demands:
        raise UsageError(
            "--policy", "deterministic needs one demand for all; leave out demand.hours"
        )


def _counts(text: str | None) -> list[int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UsageError("--requests", f"must be positive numbers like 50,100, not {text}")
    return [int(part) for part in parts]


def _fault_of(words: list[str]) -> dict[str, Any]:
    """Return `kind name=value ...` as fields: commas make a list, bars a list of lists, null is None."""
    fields: dict[str, Any] = {"kind": words[0]}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError("inject", f"must be KIND NAME=VALUE ..., not {word}")
        fields[name] = None if value == "null" else value
        if "," in value or "|" in value or name in _LISTS:
            fields[name] = value.split(",")
        if name == "groups":
            fields[name] = [group.split(",") for group in value.split("|")]
    return fields


def _overrides(items: list[str]) -> dict[str, float]:
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError("--set", f"must be NAME=NUMBER, not {item}")
    return found


def _fail(problem: str) -> None:
    print(problem, file=sys.stderr)  # noqa: T201
    raise typer.Exit(1)


def _answer(json_: bool, document: Any, show: Callable[[], object]) -> None:
    if json_:
        _print_json(document)
    else:
        show()


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1))  # noqa: T201


def _table(columns: list[str], rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        is_number = bool(rows) and isinstance(rows[0][name], int | float)
        table.add_column(
            name.replace("_", " "), justify="right" if is_number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(_shown(row[name]) for name in columns))
    _out.print(table)


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(_shown(item) for item in value)
    return str(value)


def _show_fields(fields: dict[str, Any]) -> None:
    _table(["field", "value"], [{"field": k, "value": _shown(v)} for k, v in fields.items()])


def _show_plan(document: dict[str, Any], kinds: list[dict[str, Any]]) -> None:
    apart = ("allocations", "basis", "fresh", "links")
    _show_fields({k: v for k, v in document.items() if k not in apart})
    counts: dict[int, int] = {}
    for item in document["allocations"]:
        counts[item["units"]] = counts.get(item["units"], 0) + 1
    rows = [{"reserved units": units, "requests": counts[units]} for units in sorted(counts)]
    _out.print()
    _table(["reserved units", "requests"], rows)
    _out.print()
    _table(list(kinds[0]), kinds)
    _out.print(
        "Trusted repeaters hold every key of their link; untrusted ones never have one. "
        "Costs are monetary units a provisioning period. --json lists every path and wavelength."
    )
    _show_bases([document["basis"]])
    if "fresh" in document:
        fresh = document["fresh"]
        _out.print(
            f"On {fresh['futures']:,} futures drawn afresh this plan costs {fresh['cost']:,.0f}, standard "
            f"error {fresh['standard_error']:,.0f}, and loses {fresh['shortfall_units']:.3g} units.",
            soft_wrap=True,
        )


def _show_bases(bases: list[dict[str, Any]]) -> None:
    """Print what the figures rest on, once where it is the same."""
    from emulator.parts.basis import sentences

    _out.print()
    for line in dict.fromkeys(line for basis in bases for line in sentences(basis)):
        _out.print(line, soft_wrap=True)


def _show_comparison(
    rows: list[dict[str, Any]], values: list[dict[str, Any]], bases: list[dict[str, Any]]
) -> None:
    _table(list(rows[0]), rows)
    _out.print()
    _table(list(values[0]), values)
    _out.print(
        "RP: recourse problem; EEV: expected cost of the mean-value plan; EV: what that plan believes; "
        "WS: perfect information. VSS = EEV - RP; EVPI = RP - WS of the plans found; EVPI_least and "
        "EVPI_most: what is proven. Random: mean of five seeds."
    )
    _show_bases(bases)


def _show_audit(fields: dict[str, Any]) -> None:
    _show_fields({k: v for k, v in fields.items() if k != "totals"} | fields["totals"])
