"""`qsagin compare --realised`: what policies cost in emulated worlds, and not on scenarios."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from emulator.build.loading import Origin
from emulator.build.service import minding
from emulator.build.setup import Setup
from emulator.commands.options import UsageError, require_no_process_faults, require_writable
from emulator.commands.terminal import ERR, OUT, answer, fail, print_table, tell
from emulator.config.experiment import Experiment
from emulator.input_checks import one_line
from emulator.store.files import Engine
from global_manager.provisioning.model import OwnPolicy, Policy

if TYPE_CHECKING:  # slow to import, and only this comparison needs it
    from emulator.sweep.realised import Comparison

MOST_SEEDS = 10_000
_BUILT_IN = (Policy.STOCHASTIC, Policy.EXPECTED_VALUE, Policy.RANDOM, Policy.NONE)


def compare_realised(
    source: str,
    setup: Setup,
    own: Sequence[OwnPolicy],
    count: int,
    jobs: int | None,
    out: Path | None,
    json_: bool,
) -> None:
    """Run all policies on the same seeds; show what they cost, with the floors."""
    from emulator.sweep import realised, realised_table

    experiment = setup.experiment
    require_no_process_faults(source, experiment, Engine.IN_PROCESS)
    if out is not None:
        require_writable(out)
    policies = [*(policy.value for policy in minding(setup, _BUILT_IN)), *own]
    seeds = range(experiment.seed, experiment.seed + count)
    tell(f"{len(policies) + 1} runs for each of {count} seeds from {experiment.seed} on")

    def ended(trial: str, problem: str) -> None:
        ERR.print(f"{trial}: {one_line(problem) if problem else 'done'}", soft_wrap=True)

    try:
        found = realised.compare(Origin(source), policies, seeds, jobs, ended)
    except realised.CommonDemandError as error:
        fail(str(error))
    if found.seeds:
        by_policy = realised_table.with_hindsight(found)
        rows = realised_table.rows_of(by_policy, Policy.STOCHASTIC.value)
        files = []
        if out is not None:
            title, reference = experiment.name, Policy.STOCHASTIC.value
            files = realised_table.write(out, title, by_policy, rows, reference)
        document = _head(experiment, found.seeds) | {"rows": rows, "files": list(map(str, files))}
        answer(json_, document, lambda: _show(rows, files))
    _end(found)


def require_fitting(realised: int | None, *, requests: object, out: object, jobs: object) -> None:
    """Refuse options that do not fit the kind of comparison."""
    if realised is not None and requests is not None:
        raise UsageError("--requests", "does not go with --realised; change demand.requests")
    for name, value in (("--out", out), ("--jobs", jobs)):
        if realised is None and value is not None:
            raise UsageError(name, "goes with --realised N only")


def _head(experiment: Experiment, seeds: Sequence[int]) -> dict[str, Any]:
    return {
        "experiment": experiment.name,
        "seeds": list(seeds),
        "reference": Policy.STOCHASTIC.value,
        "common_demand": True,
        "confidence": 0.95,
    }


def _show(rows: list[dict[str, Any]], files: Sequence[Path]) -> None:
    shown = ("policy", "mean_cost", "cost_low", "cost_high", "difference")
    print_table([*shown, "difference_low", "difference_high"], rows)
    OUT.print()
    shares = ("fiber_share", "satellite_share", "uav_share", "shortfall_share")
    print_table(["policy", "shortfall_units", "outage", *shares], rows)
    OUT.print()
    classes = [{"policy": row["policy"], **item} for row in rows for item in row["classes"]]
    print_table(["policy", "class", "demanded_units", *shares], classes)
    OUT.print(
        f"Means of {rows[0]['runs']} runs with common random numbers; costs are per period, differences to "
        "stochastic are paired, intervals of 95 % confidence by Student's t. Outage: share of the time "
        "links were needed that they lacked key. perfect-information reserves knowing all demand of its "
        "world; hindsight has the best policy of each world.",
        soft_wrap=True,
    )
    if files:
        OUT.print("\n".join(["", *map(str, files)]), soft_wrap=True)


def _end(found: Comparison) -> None:
    """Turn what went wrong into an exit status."""
    if found.stopped_by is not None:
        tell(f"ended by {signal.Signals(found.stopped_by).name}")
        raise typer.Exit(128 + found.stopped_by)
    if problems := found.all_problems:
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        fail(f"{problems[0]}{more}")
