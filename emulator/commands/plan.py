"""Commands that start no run: list, check, plan and compare experiments, and draw the paper's figures."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.build import loading
from emulator.build.loading import ExperimentError
from emulator.build.setup import Setup
from emulator.commands.minded import (
    levels_told,
    minded_fields,
    show_risk,
    show_service,
    without_room,
)
from emulator.commands.options import (
    ExperimentArgument,
    Json,
    PoliciesOption,
    PolicyOption,
    ShowProgress,
    UsageError,
    mistakes_of_policy,
    own_policies_named,
    policy_of,
    read,
    require_writable,
    tell_reading,
)
from emulator.commands.realised import MOST_SEEDS, compare_realised, require_fitting
from emulator.commands.terminal import ERR, OUT, answer, print_fields, print_json, print_table, tell
from emulator.config.error_messages import Mistake
from global_manager.provisioning.check import InvalidProblemError, check_problem
from global_manager.provisioning.model import Formulation, OwnPolicy, Plan, Policy, Problem

FormulationOption = Annotated[
    Formulation | None,
    typer.Option(help="The paper's program over arcs, or columns; default: by size."),
]
ExportOption = Annotated[
    Path | None,
    typer.Option(help="Write the program (.lp, .mps; .cor: SMPS), or plan and instance (.json)."),
]
ImportOption = Annotated[
    Path | None,
    typer.Option("--import", help="A JSON file with a plan made elsewhere; solve nothing."),
]


def experiments(json_: Json = False) -> None:
    """List the built-in experiments."""
    found = [loading.read(name).experiment for name in loading.built_in_names()]
    rows = [{"name": item.name, "description": item.description} for item in found]
    answer(json_, rows, lambda: print_table(["name", "description"], rows))


def schema() -> None:
    """Print the JSON schema of experiment files."""
    print_json(loading.schema())


def check(experiment: ExperimentArgument, json_: Json = False) -> None:
    """Validate an experiment; start nothing."""
    from emulator.build.problem import remarks_of, unused_of

    mistakes: tuple[Mistake, ...] = ()
    warnings: list[str] = []
    remarks: list[str] = []
    try:
        setup = loading.read(experiment)
        mistakes = tuple(mistakes_of_policy(setup.experiment))
        tell_reading(experiment, setup)
        warnings, remarks = unused_of(setup).sentences(), remarks_of(setup)
        mistakes += tuple(without_room(setup))
        orbits = setup.experiment.satellite.orbits
        if orbits is not None and orbits.elements_from is not None:
            warnings.append(orbits.elements_from)
    except ExperimentError as error:
        if not json_:
            raise
        mistakes = error.mistakes
    if mistakes and not json_:
        raise ExperimentError(experiment, mistakes)
    document = {
        "ok": not mistakes,
        "errors": [mistake.model_dump() for mistake in mistakes],
        "warnings": warnings,
        "remarks": remarks,
    }
    for line in warnings:
        tell(f"{experiment}: warning: {line}")
    for line in remarks:
        tell(f"{experiment}: remark: {line}")
    answer(json_, document, lambda: OUT.print(f"{experiment}: ok"))
    if mistakes:
        raise typer.Exit(2)


def plan(
    experiment: ExperimentArgument,
    policy: PolicyOption = None,
    gap: Annotated[
        float | None, typer.Option(help="Relative gap at which to stop solving.")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Maximum solving time in seconds.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the seed of the experiment.")] = None,
    formulation: FormulationOption = None,
    export: ExportOption = None,
    import_: ImportOption = None,
    progress: ShowProgress = None,
    json_: Json = False,
) -> None:
    """Solve the provisioning program; start no actor."""
    from emulator.build.futures import fresh_fields
    from emulator.build.hourly_report import hourly_fields, hourly_fresh
    from emulator.build.late_start import late_start_fields
    from emulator.build.plan_report import basis_of, expected_cost, fields, more_of
    from emulator.build.problem import hours_of, problem_of, unused_of
    from emulator.build.quantum_links import block_sentences, by_kind, link_fields, links_of
    from emulator.build.tenants import plan_fields
    from emulator.commands.exchange import imported, require_form, write_export
    from global_manager.provisioning.hourly import plan_by_hours

    setup = read(experiment, seed, policy, gap)
    wanted = setup.experiment
    if time_limit is not None and time_limit <= 0:
        raise UsageError("--time-limit", f"must be positive, not {time_limit:g}")
    problem = problem_of(setup)
    _plannable(experiment, problem, wanted.plan.policy)
    require_form(problem, formulation, export)
    tell_reading(experiment, setup)
    began_s = time.monotonic()
    hourly = None
    if import_ is not None:
        solution = imported(problem, import_, wanted.plan.policy)
    elif export is None and (hours := hours_of(setup)) is not None:
        share_s = time_limit and time_limit / len(hours.problems)
        solver = partial(
            _solved, setup, formulation=formulation, time_limit=share_s, progress=progress
        )
        hourly = plan_by_hours(hours, solver, wanted.plan.gap)
        solution = hourly.plans[0]
    else:
        with levels_told(experiment, setup):
            solution = _solved(setup, problem, formulation, time_limit, progress)
    solve_s = round(time.monotonic() - began_s, 3)
    head = {"experiment": wanted.name, "seed": wanted.seed, "requests": len(problem.requests)}
    links, unused = links_of(setup), unused_of(setup)
    basis = basis_of(wanted, problem)
    if hourly is not None:
        figures, fresh = hourly_fields(setup, hourly), hourly_fresh(setup, hourly)
    else:
        figures, fresh = fields(solution), fresh_fields(setup, problem, solution)
        figures |= late_start_fields(setup, problem, solution)
        solver = partial(
            _solved, setup, formulation=formulation, time_limit=time_limit, progress=progress
        )
        fresh |= minded_fields(setup, problem, solution, solver if import_ is None else None)
    if export is not None:
        write_export(problem, solution, export, formulation)
    shown = {
        "formulation": solution.formulation.value,
        "solve_s": solve_s,
        "basis": basis,
        "links": link_fields(setup),
        "blocks": block_sentences(setup),
    }
    tenants = plan_fields(setup, solution, expected_cost(figures))
    document = head | figures | fresh | more_of(problem) | tenants | shown | unused.fields()
    for line in unused.sentences():
        tell(f"{wanted.name}: {line}")
    answer(json_, document, lambda: _show_plan(document, by_kind(links)))


def compare(
    experiment: ExperimentArgument,
    requests: Annotated[str | None, typer.Option(help="Numbers of requests: 50,100,...")] = None,
    policy: PoliciesOption = None,
    realised: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_SEEDS, metavar="N", help="Run policies in N common worlds."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --realised: a folder for table, runs and figure.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="With --realised: runs at a time; default: CPUs.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the seed of the experiment.")] = None,
    progress: ShowProgress = None,
    json_: Json = False,
) -> None:
    """Compare all policies on the same instance and scenarios, or in the same emulated worlds."""
    from emulator.commands.displays import SolveDisplay
    from emulator.report.paper_figures import comparison_rows

    require_fitting(realised, requests=requests, out=out, jobs=jobs)
    setup = read(experiment, seed, None, None)
    counts = _counts(requests)
    own = [each for each in map(policy_of, policy or []) if isinstance(each, OwnPolicy)]
    if counts and not isinstance(setup.experiment.demand.requests, dict):
        raise UsageError("--requests", f"{experiment} lists its requests one by one; leave it out")
    tell_reading(experiment, setup)
    if realised is not None:
        compare_realised(experiment, setup, own, realised, jobs, out, json_)
        return
    told = levels_told(experiment, setup)
    with told, own_policies_named(), SolveDisplay(ERR, progress) as display:
        rows, values, bases = comparison_rows(setup, counts, display, own)
    head = {"experiment": setup.experiment.name, "seed": setup.experiment.seed}
    document = head | {"rows": rows, "values": values, "basis": bases}
    answer(json_, document, lambda: _show_comparison(rows, values, bases))


def figures(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    experiment: Annotated[
        str, typer.Option(help="An experiment with generated requests.")
    ] = "paper",
    policy: PoliciesOption = None,
    json_: Json = False,
) -> None:
    """Draw the paper's figures 4a and 4b."""
    from emulator.report.paper_figures import draw

    require_writable(out)
    setup = read(experiment, None, None, None)
    if not isinstance(setup.experiment.demand.requests, dict):
        raise UsageError("--experiment", f"{experiment} lists its requests one by one")
    own = [each for each in map(policy_of, policy or []) if isinstance(each, OwnPolicy)]
    with own_policies_named():
        files = [str(path) for path in draw(setup, out, own)]
    answer(json_, {"files": files}, lambda: OUT.print("\n".join(files)))


def _solved(
    setup: Setup,
    problem: Problem,
    formulation: Formulation | None,
    time_limit: float | None,
    progress: bool | None,
) -> Plan:
    from emulator.commands.displays import SolveDisplay
    from global_manager.provisioning import solve

    wanted = setup.experiment
    with own_policies_named(), SolveDisplay(ERR, progress) as display:
        return solve(
            problem,
            wanted.plan.policy,
            gap=wanted.plan.gap,
            time_limit_s=time_limit,
            seed=wanted.seed,
            rounding=wanted.plan.expected_value_rounding,
            formulation=formulation,
            progress=display,
        )


def _plannable(source: str, problem: Problem, policy: Policy | OwnPolicy) -> None:
    """Refuse a problem that contradicts itself, naming the file."""
    try:
        check_problem(problem)
    except InvalidProblemError as error:
        raise UsageError(source, str(error)) from error
    if policy is Policy.DETERMINISTIC and (problem.risk is not None or problem.is_robust):
        raise UsageError("--policy", "deterministic weighs no risk; leave out plan.risk")
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


def _show_tenants(rows: list[dict[str, Any]]) -> None:
    names = ("tenant", "requests", "mean_units", "reserved_units", "expected_cost")
    OUT.print()
    print_table(list(names), [{name: row[name] for name in names} for row in rows])


def _show_plan(document: dict[str, Any], kinds: list[dict[str, Any]]) -> None:
    from emulator.build.plan_report import worth

    apart = (
        "allocations",
        "hours",
        "basis",
        "fresh",
        "risk",
        "service",
        "true_gap",
        "sensitivities",
        "links",
        "blocks",
        "unused_links",
        "requests_without_fiber",
        "requests_without_uav",
        "tenants",
    )
    print_fields({k: v for k, v in document.items() if k not in apart})
    if "tenants" in document:
        _show_tenants(document["tenants"]["rows"])
    if "hours" in document:
        names = ("hour", "periods", "objective", "gap", "reserved_units", "changed")
        OUT.print()
        print_table(
            list(names), [{name: hour[name] for name in names} for hour in document["hours"]]
        )
        OUT.print("Reservations of the first of these hours:")
    counts: dict[int, int] = {}
    for item in document["allocations"]:
        counts[item["units"]] = counts.get(item["units"], 0) + 1
    rows = [{"reserved units": units, "requests": counts[units]} for units in sorted(counts)]
    OUT.print()
    print_table(["reserved units", "requests"], rows)
    OUT.print()
    print_table(list(kinds[0]), kinds)
    brings = [item["units_per_wavelength"] for item in document["links"]]
    OUT.print(
        f"A wavelength of a link counts for {min(brings)} to {max(brings)} units per period; "
        "--json has every link.",
        soft_wrap=True,
    )
    for line in document["blocks"]:
        OUT.print(f"{line}.", soft_wrap=True)
    OUT.print(
        "Trusted repeaters hold every key of their link; untrusted ones hold none. "
        "Costs are monetary units per provisioning period. --json lists every path and wavelength."
    )
    _show_bases([document["basis"]])
    if "fresh" in document:
        fresh = document["fresh"]
        OUT.print(
            f"On {fresh['futures']:,} fresh futures this plan costs {fresh['cost']:,.0f}, standard "
            f"error {fresh['standard_error']:,.0f}, and loses {fresh['shortfall_units']:.3g} units.",
            soft_wrap=True,
        )
    if "risk" in document:
        show_risk(document["risk"])
    if "service" in document:
        show_service(document["service"])
    if "true_gap" in document:
        gap = document["true_gap"]
        OUT.print(
            f"With 95 % confidence it costs at most {gap['upper_95']:,.0f} "
            f"({gap['relative_upper_95']:.2%}) more than the best plan for all futures "
            f"(Student's t, {gap['replications']} samples of {gap['futures']}).",
            soft_wrap=True,
        )
    if line := worth(document["sensitivities"]):
        OUT.print(line, soft_wrap=True)


def _show_bases(bases: list[dict[str, Any]]) -> None:
    """Print what the figures are based on, without repeating a line."""
    from emulator.build.plan_report import sentences

    OUT.print()
    for line in dict.fromkeys(line for basis in bases for line in sentences(basis)):
        OUT.print(line, soft_wrap=True)


def _show_comparison(
    rows: list[dict[str, Any]], values: list[dict[str, Any]], bases: list[dict[str, Any]]
) -> None:
    print_table(list(rows[0]), rows)
    OUT.print()
    print_table(list(values[0]), values)
    OUT.print(
        "RP: recourse problem; EEV: expected cost of the mean-value plan; EV: what that plan believes; "
        "WS: perfect information. VSS = EEV - RP; EVPI = RP - WS of the plans found; EVPI_least and "
        "EVPI_most: its proven bounds. Random: mean of five seeds."
    )
    if "worst_case_cost" in rows[0]:
        OUT.print("Laws are known only nearly: RP, EEV and ratios are of the worst case.")
    if "cvar" in rows[0]:
        OUT.print("With a risk, RP, EEV and ratios are of the objective: mean and CVaR, weighed.")
    _show_bases(bases)
