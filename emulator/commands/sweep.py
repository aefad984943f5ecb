"""`qsagin sweep`: an experiment with varied fields, or the rest of an interrupted sweep."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.build.yaml_text import YamlError, parse_yaml
from emulator.commands.options import (
    Json,
    PoliciesOption,
    Share,
    UsageError,
    keep_private,
    policy_of,
    require_address,
    require_empty,
    require_no_process_faults,
    require_policy,
)
from emulator.commands.terminal import ERR, OUT, answer, fail, print_table, tell
from emulator.store.files import Engine
from emulator.sweep.grid import experiments_of, grid_of, labels_of

if TYPE_CHECKING:  # slow to import, and only a sweep that is run needs them
    from emulator.sweep.folder import SweepFolder
    from emulator.sweep.runner import SweepOutcome
    from emulator.sweep.table import PointRow

_SHOWN = ("state", "cost_per_period", "late_units", "shortfall_units", "wall_s")


def sweep(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="EXPERIMENT", help="The experiment to vary, or a sweep file (docs/sweeps.md)."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the results.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Instead of both: the folder of an interrupted sweep, to resume it."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=V,...", help="An axis: demand.requests.avatar=10,20."),
    ] = None,
    policy: PoliciesOption = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds for every point: 1,2,3; default: the experiment's."),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(help="All actors of a point in one process, or a process for each."),
    ] = Engine.IN_PROCESS,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Points at a time; default: one per CPU, or two if of processes."),
    ] = None,
    hosts: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes for the key managers of each point of processes; default: 1."
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Run the points on the machines of this Ray cluster.")
    ] = None,
    share: Share = False,
    json_: Json = False,
) -> None:
    """Run an experiment with varied fields, in parallel; write one table and one figure."""
    from emulator.commands.displays import SweepDisplay
    from emulator.runtime.cluster import JoinError, LaunchError
    from emulator.sweep.folder import SweepFolderError, create, reopen
    from emulator.sweep.runner import SweepOptions
    from emulator.sweep.runner import sweep as sweep_points

    keep_private(share=share)
    if hosts is not None and engine is Engine.IN_PROCESS:
        problem = "concerns processes; leave it out, or say --engine processes"
        raise UsageError("--hosts", problem)
    require_address(address)
    try:
        if resume is not None:
            _resumable(source, out, set_, seeds, policy)
            folder = reopen(resume)
        else:
            if source is None or out is None:
                missing = "EXPERIMENT" if source is None else "--out"
                raise UsageError(missing, "is missing; name it, or a sweep to resume with --resume")
            require_empty(out)
            grid = grid_of(source, _axes(set_ or []) | _policies(policy or []), _seeds(seeds))
            setups = list(experiments_of(grid))
            for _, setup in setups:
                require_no_process_faults(source, setup.experiment, engine)
                require_policy(setup.experiment)
            folder = create(out, grid, setups)
        with SweepDisplay(ERR, folder.grid.size) as display:
            outcome = sweep_points(
                folder, SweepOptions(engine, jobs, hosts or 1, address, share), display
            )
    except SweepFolderError as error:
        raise UsageError("--resume", str(error)) from error
    except JoinError as error:
        if out is not None:
            shutil.rmtree(out)  # nothing was started, so nothing is left
        raise UsageError("--address", str(error)) from error
    except LaunchError as error:
        fail(f"{error}; go on by `qsagin sweep --resume {resume or out}`")
    _conclude(folder, outcome, json_)


def _resumable(*given: object) -> None:
    """Refuse to change a sweep that is resumed."""
    if any(item is not None for item in given):
        own = "EXPERIMENT, --out, --set, --policy and --seeds"
        raise UsageError("--resume", f"takes a sweep as it is; leave out {own}")


def _axes(items: list[str]) -> dict[str, list[Any]]:
    """Return the values of each `FIELD=V,...`, which are YAML, so they may be lists and mappings."""
    axes: dict[str, list[Any]] = {}
    for item in items:
        field, equals, text = item.partition("=")
        try:
            values = parse_yaml(f"[{text}]", item)
        except YamlError as error:
            problem = error.problem.removeprefix("line 1: ")
            right = "must be FIELD=VALUE,... with values as in YAML"
            raise UsageError("--set", f"{right}, not {item}: {problem}") from error
        if not equals or not field:
            raise UsageError("--set", f"must be FIELD=VALUE,... with values as in YAML, not {item}")
        if field in axes:
            raise UsageError("--set", f"names {field} twice; give all its values at once")
        axes[field] = values
    return axes


def _policies(names: list[str]) -> dict[str, list[Any]]:
    """Return the axis of policies, if any are named."""
    return {"plan.policy": [policy_of(name).value for name in names]} if names else {}


def _seeds(text: str | None) -> list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError("--seeds", f"must be whole numbers like 1,2,3, not {text}")
    return [int(part) for part in parts]


def _conclude(folder: SweepFolder, outcome: SweepOutcome, json_: bool) -> None:
    """Write and show the results; turn them into an exit status."""
    from emulator.sweep import figure, table

    rows = table.rows_of(folder, outcome.problems)
    files = table.write(folder.path, rows)
    title = Path(folder.grid.experiment).stem
    if picture := figure.draw(rows, title, folder.path / "sweep.png"):
        files.append(picture)
    states = Counter(row.state for row in rows)
    document = {
        "experiment": folder.grid.experiment,
        "points": len(rows),
        **{state: states[state] for state in (table.DONE, table.FAILED, table.UNFINISHED)},
        "files": [str(file) for file in files],
        "rows": [row.fields() for row in rows],
    }
    answer(json_, document, lambda: _show(rows, files))
    if outcome.stopped_by is not None:
        name = signal.Signals(outcome.stopped_by).name
        tell(f"ended by {name}; resume with `qsagin sweep --resume {folder.path}`")
        raise typer.Exit(128 + outcome.stopped_by)
    if missing := len(rows) - states[table.DONE]:
        fail(
            f"{missing} of {len(rows)} points failed; see the column `problem`, and {folder.path}/logs"
        )


def _show(rows: list[PointRow], files: list[Path]) -> None:
    labels = labels_of(rows[0].point.values)
    shown = []
    for row in rows:
        fields = row.fields()
        values = {label: fields[axis] for axis, label in labels.items()}
        shown.append(values | {"seed": fields["seed"]} | {name: fields[name] for name in _SHOWN})
    print_table(list(shown[0]), shown)
    OUT.print("\n".join(["", *map(str, files)]), soft_wrap=True)
