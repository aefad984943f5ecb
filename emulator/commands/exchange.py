"""Programs and plans that leave `qsagin plan` as files, and plans that come from elsewhere."""

from __future__ import annotations

from pathlib import Path

from emulator.commands.options import UsageError, require_writable
from emulator.commands.terminal import tell
from emulator.input_checks import one_line
from global_manager.provisioning.model import (
    Formulation,
    OwnPolicy,
    Plan,
    Policy,
    Problem,
)


def require_form(problem: Problem, formulation: Formulation | None, export: Path | None) -> None:
    """Refuse a program that is too large to be written out, and a file of no known kind."""
    from global_manager.provisioning.exports import SUFFIXES
    from global_manager.provisioning.formulation import ARCS_AT_MOST, size_of

    is_program = export is not None and export.suffix in SUFFIXES
    if export is not None:
        if not is_program and export.suffix != ".json":
            kinds = ", ".join((*SUFFIXES, ".json"))
            raise UsageError("--export", f"{export} must end with one of {kinds}")
        require_writable(export.parent)
        if export.suffix == ".cor" and formulation is Formulation.COLUMNS:
            raise UsageError("--export", f"{export}: SMPS is of arcs; leave out --formulation")
    by_arcs = formulation is Formulation.ARCS or (is_program and formulation is None)
    if by_arcs and (size := size_of(problem)) > ARCS_AT_MOST:
        problem_ = f"arcs has {size:,} variables here, of at most {ARCS_AT_MOST:,}; give columns"
        raise UsageError("--formulation", problem_)


def write_export(
    problem: Problem, solution: Plan, file: Path, formulation: Formulation | None
) -> None:
    """Write the program of a problem, or a plan with it, and tell which files that made."""
    from emulator.build.plan_files import exported
    from global_manager.provisioning.check import InvalidProblemError
    from global_manager.provisioning.exports import write_program

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        written = [file]
        if file.suffix == ".json":
            file.write_text(exported(problem, solution), encoding="utf-8")
        else:
            written = write_program(problem, file, formulation or Formulation.ARCS)
    except InvalidProblemError as error:
        raise UsageError("--export", f"{file}: {error}") from error
    except OSError as error:
        raise UsageError("--export", f"{file} cannot be written ({error.strerror})") from error
    tell(f"written: {', '.join(map(str, written))}")


def imported(problem: Problem, file: Path, policy: Policy | OwnPolicy) -> Plan:
    """Return the plan that a file holds; refuse it with a line for every constraint that it breaks."""
    from emulator.build.plan_files import read_allocations
    from global_manager.provisioning.check import violations
    from global_manager.provisioning.stochastic_plan import plan_made_elsewhere

    allocations = read_allocations(file, problem)
    broken = [one_line(f"{file}: {error}") for error in violations(problem, allocations)]
    if broken:
        for line in broken[:-1]:
            tell(line)
        raise UsageError(*broken[-1].split(": ", 1))
    return plan_made_elsewhere(problem, policy, allocations)
