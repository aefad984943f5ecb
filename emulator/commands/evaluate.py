"""A plan made elsewhere: verified against every constraint, and priced under a law or a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.build import loading
from emulator.build.loading import ExperimentError
from emulator.build.setup import Setup
from emulator.commands.options import ExperimentArgument, Json, UsageError, tell_reading
from emulator.commands.terminal import answer, print_fields, tell
from emulator.input_checks import one_line
from global_manager.provisioning.check import Cost, InvalidProblemError, check_problem
from global_manager.provisioning.model import Problem

PlanArgument = Annotated[
    Path,
    typer.Argument(metavar="PLAN.json", help="A file with allocations, such as a run's plan.json."),
]


def evaluate(
    experiment: ExperimentArgument,
    plan: PlanArgument,
    law: Annotated[
        str | None,
        typer.Option(help="Another law of demand, e.g. 'poisson: {mean_units: 4}'."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="A CSV of demands instead: period, request or class, units."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the seed of the experiment.")] = None,
    json_: Json = False,
) -> None:
    """Verify a plan made elsewhere, and price it under this law, another or a trace."""
    from emulator.build.plan_files import read_allocations

    if law is not None and trace is not None:
        raise UsageError("--trace", "leave out --law: a plan is priced under one of them")
    setup = _read(experiment, seed, law)
    tell_reading(experiment, setup)
    problem = _problem(experiment, setup, trace)
    document = _judged(problem, read_allocations(plan, problem))
    under = "trace" if trace else "law" if law else "experiment"
    head = {"experiment": setup.experiment.name, "seed": setup.experiment.seed, "under": under}
    for line in document["violations"]:
        tell(one_line(f"{plan}: {line}"))
    shown = {name: value for name, value in document.items() if name != "violations"}
    answer(json_, head | document, lambda: print_fields(head | shown))
    if not document["ok"]:
        raise typer.Exit(1)


def _read(experiment: str, seed: int | None, law: str | None) -> Setup:
    """Read an experiment, with another law of demand if one is given."""
    from emulator.build.yaml_text import parse_yaml

    if law is None:
        return loading.read(experiment, seed)
    try:
        return loading.read(experiment, seed, {"demand.distribution": parse_yaml(law, "--law")})
    except ExperimentError as error:
        loading.read(experiment, seed)  # its own mistakes first
        raise ExperimentError("--law", error.mistakes) from error


def _problem(source: str, setup: Setup, trace: Path | None) -> Problem:
    from emulator.build.demand_trace import under_trace
    from emulator.build.problem import problem_of
    from global_manager.provisioning.robust import without_balls

    problem = problem_of(setup)
    if trace is not None and problem.risk is not None:
        raise UsageError("--trace", "has no joint futures; leave it out, or plan.risk")
    if trace is not None:
        problem = without_balls(under_trace(setup, problem, trace))  # what was needed is certain
    try:
        check_problem(problem)
    except InvalidProblemError as error:
        raise UsageError(source, str(error)) from error
    return problem


def _judged(problem: Problem, allocations: tuple[Any, ...]) -> dict[str, Any]:
    """Return the violations of a plan, or else its cost and the bound on the cost of any."""
    from global_manager.provisioning.check import evaluate as price
    from global_manager.provisioning.check import relative_gap, violations
    from global_manager.provisioning.stochastic_plan import lower_bound

    broken = [str(error) for error in violations(problem, allocations)]
    if broken:
        return {"ok": False, "violations": broken}
    cost = price(problem, allocations)
    bound = min(cost.objective, lower_bound(problem))
    return {
        "ok": True,
        "violations": [],
        "objective": cost.objective,
        "lower_bound": bound,
        "gap": relative_gap(cost.objective, bound),
        **({} if cost.cvar is None else {"expected_cost": cost.total, "cvar": cost.cvar}),
        **_worst_case(cost),
        "first_stage_cost": cost.first_stage,
        "expected_recourse_cost": cost.expected_recourse,
        "expected_shortfall_units": cost.expected_shortfall_units,
        "reserved_units": sum(item.units for item in allocations),
    }


def _worst_case(cost: Cost) -> dict[str, float]:
    if cost.worst_case is None:
        return {}
    return {"expected_cost": cost.total, "worst_case_cost": cost.worst_case}
