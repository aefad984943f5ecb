"""The program in files that other solvers read: LP and MPS by PuLP's writers, and SMPS.

SMPS gives the two stages apart, in three files with one stem: `.cor`, the program of one future;
`.tim`, where the second stage begins; `.sto`, every future as the right-hand sides that it changes
(Birge and others, A standard input format for multiperiod stochastic linear programs, 1987). Only
right-hand sides change: whether a satellite can serve is the row `satellite_usable_r`, and whether UAVs
fly, where they may be grounded, `uav_usable_r`.

Names carry numbers; a file with the ending `.names.json` beside the others says whose they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulp

from global_manager.provisioning.check import InvalidProblemError
from global_manager.provisioning.columns import generate_columns
from global_manager.provisioning.formulation import (
    ARCS_AT_MOST,
    ExtensiveForm,
    names_of,
    size_of,
)
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Formulation, Future, Medium, Problem
from global_manager.provisioning.multiple_choice import multiple_choice
from global_manager.provisioning.pooled_choice import PooledChoice
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.priced_recourse import SharedRecourse
from global_manager.provisioning.second_stage import UNSERVED, Outcome, joint_futures
from global_manager.provisioning.selection import neighbouring_columns
from global_manager.provisioning.shared_recourse import has_pools

SUFFIXES = (".lp", ".mps", ".cor")
"""The endings of program files; `.cor` stands for the three files of SMPS."""

_RIGHT_HAND_SIDES = "RHS1"  # not RHS: mpi-sppy takes that for the section
_SECOND_STAGE = (Medium.SATELLITE.value, Medium.UAV.value, UNSERVED)


def write_program(
    problem: Problem, file: Path, formulation: Formulation = Formulation.ARCS
) -> list[Path]:
    """Write the program of a problem to a file, by its ending; return all files written.

    `columns` is the multiple-choice program over the paths that column generation found, each with the
    numbers of units near those that it used; it has no wavelengths.
    Raises InvalidProblemError if the extensive form is too large, OSError if it cannot be written.
    """
    if problem.is_robust and file.suffix == ".cor":
        raise InvalidProblemError(
            "plan.risk", "laws known only nearly are no list of futures; write .lp or .mps"
        )
    if problem.risk is not None and (file.suffix == ".cor" or formulation is Formulation.COLUMNS):
        raise InvalidProblemError("risk", "only the program over arcs has it, as .lp or .mps")
    if file.suffix == ".cor":
        return _write_smps(problem, file)
    if formulation is Formulation.COLUMNS:
        model, names = _by_columns(problem)
    else:
        _require_writable_size(problem)
        model, names = ExtensiveForm(problem).model, names_of(problem)
    write = pulp.LpProblem.writeLP if file.suffix == ".lp" else pulp.LpProblem.writeMPS
    write(model, str(file))
    return [file, _write_names(file, names)]


def _require_writable_size(problem: Problem) -> None:
    size = size_of(problem)
    if size > ARCS_AT_MOST:
        reason = f"has {size:,} variables, of at most {ARCS_AT_MOST:,}; export columns instead"
        raise InvalidProblemError("formulation arcs", reason)


def _by_columns(problem: Problem) -> tuple[Any, dict[str, Any]]:
    instance = Instance(problem)
    if has_pools(problem):
        relaxation = relax(problem)
        instance, pool = relaxation.instance, relaxation.pool
    else:
        pool = generate_columns(instance)
    columns = neighbouring_columns(instance, pool)
    if has_pools(problem):
        model = PooledChoice(instance, SharedRecourse(instance), columns).model
    else:
        model, _ = multiple_choice(instance, columns)
    groups = [[problem.requests[m].id for m in group.members] for group in instance.groups]
    chosen = [
        {
            "group": column.group,
            "path": list(column.path),
            "units": column.units,
            "wavelengths": column.wavelengths,
        }
        for column in columns
    ]
    return model, {"groups": groups, "columns": chosen, "unreserved_cost": instance.unreserved_cost}


def _write_names(file: Path, names: dict[str, Any]) -> Path:
    beside = file.with_suffix(".names.json")
    beside.write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    return beside


def _write_smps(problem: Problem, core: Path) -> list[Path]:
    _require_writable_size(problem)
    if not problem.requests:
        raise InvalidProblemError("requests", "there are none, so there is no second stage")
    futures = joint_futures(problem)
    model = _core(problem, futures)
    rows = [row.name for row in model.constraints()]
    time, stochastic = core.with_suffix(".tim"), core.with_suffix(".sto")
    _write_core(model, core)
    starts = [(name, row) for name, row in zip(_starts(model), _row_starts(rows), strict=True)]
    time.write_text("\n".join(_periods(starts)) + "\n", encoding="utf-8")
    stochastic.write_text("\n".join(_scenarios(problem, futures, rows)) + "\n", encoding="utf-8")
    return [core, time, stochastic, _write_names(core, names_of(problem))]


def _write_core(model: Any, core: Path) -> None:
    """Write the core with right-hand sides under a name of their own: a reader may look for it."""
    model.writeMPS(str(core))
    lines = core.read_text(encoding="utf-8").splitlines()
    renamed = (line.replace("    RHS ", f"    {_RIGHT_HAND_SIDES} ", 1) for line in lines)
    core.write_text("\n".join(renamed) + "\n", encoding="utf-8")


def _core(problem: Problem, futures: tuple[Future, ...]) -> Any:
    """Return the program of the first future; recourse costs what it costs, not what is expected."""
    future = futures[0]
    everyone = [(Outcome(0, 1.0, units, usable=True),) for units in future.units]
    form = ExtensiveForm(problem, futures=everyone, weighted=False)
    bought = {x.name: x for x in form.model.variables()}
    for medium in (Medium.SATELLITE, Medium.UAV)[: 1 + any(each.flies for each in futures)]:
        for r, most in enumerate(_usable_units(future, medium)):
            x = bought[form.name(medium.value, r=r, o=0)]
            name = form.name(f"{medium.value}_usable", r=r, o=0)
            one = pulp.LpAffineExpression([(x, 1)])
            form.model.addConstraint(pulp.LpConstraint(one, pulp.LpConstraintLE, name, most))
    return form.model


def _usable_units(future: Future, medium: Medium) -> list[int]:
    """Return what a medium can bring each request: all that it needs, or nothing."""
    serves = future.usable if medium is Medium.SATELLITE else future.flies
    return [n if can else 0 for n, can in zip(future.units, serves or future.units, strict=True)]


def _starts(model: Any) -> tuple[str, str]:
    """Return the first variable of either stage, in the order of the file."""
    names = [variable.name for variable in model.variables()]
    return names[0], next(name for name in names if name.split("_")[0] in _SECOND_STAGE)


def _row_starts(rows: list[str]) -> tuple[str, str]:
    return rows[0], next(name for name in rows if name.startswith("required_wavelengths"))


def _periods(starts: list[tuple[str, str]]) -> Iterator[str]:
    yield "TIME          two_stage_provisioning"
    yield "PERIODS       LP"
    for stage, (variable, row) in enumerate(starts, 1):
        yield f"    {variable}  {row}  STAGE{stage}"
    yield "ENDATA"


def _scenarios(problem: Problem, futures: tuple[Future, ...], rows: list[str]) -> Iterator[str]:
    """Yield the file of futures; the rows of all requests' demands, and of their skies, are in order."""
    demand = [name for name in rows if name.startswith("required_wavelengths")]
    served = {
        medium: [name for name in rows if name.startswith(f"{medium.value}_usable")]
        for medium in (Medium.SATELLITE, Medium.UAV)
    }
    digits = len(str(len(futures)))
    yield "STOCH         two_stage_provisioning"
    yield "SCENARIOS     DISCRETE"
    for number, future in enumerate(futures, 1):
        yield f" SC SCENARIO{number:0{digits}d}  ROOT  {future.probability!r}  STAGE2"
        for r in range(len(problem.requests)):
            yield f"    {_RIGHT_HAND_SIDES}  {demand[r]}  {future.units[r]}"
            for medium, sky in served.items():
                if sky:
                    most = _usable_units(future, medium)[r]
                    yield f"    {_RIGHT_HAND_SIDES}  {sky[r]}  {most}"
    yield "ENDATA"
