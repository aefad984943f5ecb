"""The paper's figures 4a and 4b, computed from an experiment, as CSV and PNG.

Fig. 4a: cost of both stages when every request reserves the same number of units on its cheapest path
(wavelengths not counted, as in the paper).  Fig. 4b: cost of the policies over the number of requests,
with wavelengths in proportion, so that the network binds no more for many requests than for few.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from emulator.build.demand import requests_of
from emulator.build.plan_report import basis_of
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.report.plotting import Figure, drawable, save
from global_manager.provisioning import PolicyCost, SolveProgress, Watch, compare, solve
from global_manager.provisioning.model import OwnPolicy, Policy, Problem
from global_manager.provisioning.recourse import (
    Floats,
    expected_unit_cost,
    missing_table,
    recourse_table,
    rounded_mean,
)
from global_manager.provisioning.routing import cheapest_paths_between, fiber_graph

FIG_4B_REQUESTS = (50, 100, 150, 200, 250, 300, 350, 400)
RANDOM_SEEDS = tuple(range(5))
_SHOWN = (Policy.STOCHASTIC, Policy.EXPECTED_VALUE, Policy.RANDOM)
_COLOURS = ("#0072B2", "#E69F00", "#D55E00")


def with_requests(setup: Setup, count: int) -> Setup:
    """Return the setup with this number of generated requests, classes in the same proportion.

    Raises `TypeError` if the experiment lists its requests one by one.
    """
    experiment = setup.experiment
    classes = experiment.demand.requests
    if not isinstance(classes, dict):
        raise TypeError("needs generated requests (class: count)")
    whole = sum(classes.values())
    shares = {kind: count * number // whole for kind, number in classes.items()}
    shares[max(shares, key=lambda kind: shares[kind])] += count - sum(shares.values())
    demand = experiment.demand.model_copy(update={"requests": shares})
    return setup.with_experiment(experiment.model_copy(update={"demand": demand}))


Table = list[dict[str, Any]]


def comparison_rows(
    setup: Setup,
    counts: Sequence[int] | None,
    progress: Callable[[SolveProgress], None],
    own: Sequence[OwnPolicy] = (),
) -> tuple[Table, Table, Table]:
    """Compare all policies at each number of requests (None: as the experiment says).

    Returns rows by policy; the textbook values RP, EEV, EV, WS, VSS, EVPI by number of requests; and
    what they rest on, likewise.
    """
    rows: Table = []
    values: Table = []
    bases: Table = []
    for count in counts or (None,):
        variant = setup if count is None else with_requests(setup, count)
        problem = problem_of(variant)
        options = setup.experiment.plan
        result = compare(
            problem,
            gap=options.gap,
            seeds=RANDOM_SEEDS,
            rounding=options.expected_value_rounding,
            watch=Watch(progress=progress),
            own=own,
        )
        requests = len(problem.requests)
        rows += [_row(requests, row, result.rp) for row in result.rows]
        names = {"RP": result.rp, "EEV": result.eev, "EV": result.ev, "WS": result.ws}
        differences = {"VSS": result.vss, "EVPI": result.evpi}
        differences |= {"EVPI_least": result.evpi_least, "EVPI_most": result.evpi_most}
        values.append({"requests": requests, **names, **differences})
        bases.append({"requests": requests, **basis_of(variant.experiment, problem)})
    return rows, values, bases


def _row(requests: int, row: PolicyCost, rp: float) -> dict[str, Any]:
    return {
        "requests": requests,
        "policy": row.policy.value,
        "first_stage_cost": row.first_stage_cost,
        "expected_recourse_cost": row.expected_recourse_cost,
        "total_cost": row.total_cost,
        "ratio_to_stochastic": (row.objective or row.total_cost) / rp if rp else None,
        **({} if row.cvar is None else {"cvar": row.cvar, "objective": row.objective}),
        **({} if row.worst_case_cost is None else {"worst_case_cost": row.worst_case_cost}),
    }


def draw(setup: Setup, folder: Path, own: Sequence[OwnPolicy] = ()) -> list[Path]:
    """Write fig4a and fig4b as CSV and PNG, fig4b with own policies besides; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    stages, name = fig4a(problem_of(setup)), setup.experiment.name
    _write_csv(folder / "fig4a.csv", ("reserved", "first_stage", "second_stage", "total"), stages)
    _save(_draw_stages(stages, name), folder / "fig4a.png")
    totals = [point for count in FIG_4B_REQUESTS for point in fig4b(setup, count, own)]
    _write_csv(folder / "fig4b.csv", ("requests", "policy", "total"), totals)
    _save(_draw_policies(totals, name), folder / "fig4b.png")
    return [folder / f"{name}.{kind}" for name in ("fig4a", "fig4b") for kind in ("csv", "png")]


def fig4a(problem: Problem) -> list[tuple[int, float, float, float]]:
    """Return (reserved, first stage, second stage, total) for 0 .. 10 reserved units a request."""
    problem = within_reach(problem)
    table = _recourse(problem)
    short = [*map(float, table.sum(axis=0)), *[0.0] * 11]
    first = _reserved_costs(problem, max(11, table.shape[1])).sum(axis=0).tolist()
    return [
        (reserved, cost, short[reserved], cost + short[reserved])
        for reserved, cost in enumerate(first)
    ]


def growth(problem: Problem, rounding: str, seed: int) -> dict[str, list[float]]:
    """Return by policy what the first 1, 2, ... requests in a random order are expected to cost.

    As in `fig4a` every request has its cheapest path and wavelengths are not counted, so the cost of each
    stands by itself: `stochastic` reserves what is best for it, `expected-value` the rounded mean of
    its demand if that is cheaper than buying, `random` anything from nothing to the largest demand, `none`
    nothing.
    """
    problem = within_reach(problem)
    table = _recourse(problem)
    reserved = _reserved_costs(problem, table.shape[1])
    totals = reserved + table
    means = np.array([rounded_mean(problem.demand_of(item), rounding) for item in problem.requests])
    bought = np.array([expected_unit_cost(item.on_demand) for item in problem.requests])
    means = np.minimum(means, table.shape[1] - 1)
    saves = reserved[np.arange(len(means)), means] < means * bought
    mean_units = np.where(saves, means, 0)
    alone = {
        Policy.STOCHASTIC: totals.min(axis=1),
        Policy.EXPECTED_VALUE: totals[np.arange(len(totals)), mean_units],
        Policy.RANDOM: totals.mean(axis=1),
        Policy.NONE: totals[:, 0],
    }
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(totals))
    return {policy.value: np.cumsum(cost[order]).tolist() for policy, cost in alone.items()}


def within_reach(problem: Problem) -> Problem:
    """Return the problem with those requests that have a path."""
    graph = fiber_graph(problem.nodes, ((f.a, f.b, 1.0) for f in problem.fibers))
    ends = [(item.source, item.target) for item in problem.requests]
    between = cheapest_paths_between(graph, ends)
    return problem.of_requests([index for index, pair in enumerate(ends) if pair in between])


def _reserved_costs(problem: Problem, count: int) -> Floats:
    """Return what each request pays for 0 .. count - 1 units in whole wavelengths of its cheapest path."""
    links = ((fiber.a, fiber.b, float(fiber.unit_cost)) for fiber in problem.fibers)
    graph = fiber_graph(problem.nodes, links)
    pairs = [(item.source, item.target) for item in problem.requests]
    between = cheapest_paths_between(graph, pairs)
    costs = np.array([between[pair][0] for pair in pairs]).reshape(-1, 1)
    brings = np.array([problem.units_along(between[pair][1]) for pair in pairs]).reshape(-1, 1)
    return np.asarray(costs * -(-np.arange(count) // np.maximum(brings, 1)))


def _recourse(problem: Problem) -> Floats:
    """Return what each request is expected to buy on demand, by reserved units."""
    costs = [expected_unit_cost(item.on_demand) for item in problem.requests]
    return recourse_table(costs, missing_table([problem.demand_of(r) for r in problem.requests]))


def fig4b(setup: Setup, count: int, own: Sequence[OwnPolicy] = ()) -> list[tuple[int, str, float]]:
    """Return (requests, policy, total) of the paper's three policies, and of own ones."""
    experiment = setup.experiment
    whole = len(requests_of(setup))
    wavelengths = experiment.network.wavelengths * max(1, ceil(count / whole))
    network = experiment.network.model_copy(update={"wavelengths": wavelengths})
    wider = setup.with_experiment(experiment.model_copy(update={"network": network}))
    problem, options = problem_of(with_requests(wider, count)), experiment.plan
    points = []
    every: tuple[Policy | OwnPolicy, ...] = (*_SHOWN, *own)
    for policy in every:
        seeds = RANDOM_SEEDS if policy is Policy.RANDOM else (experiment.seed,)
        rounding = options.expected_value_rounding
        plans = [solve(problem, policy, gap=options.gap, seed=s, rounding=rounding) for s in seeds]
        points.append((count, policy.value, fmean(plan.objective for plan in plans)))
    return points


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _draw_stages(rows: Sequence[tuple[int, float, float, float]], name: str) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    reserved, first, second, total = zip(*rows, strict=True)
    for series, label, colour, mark in (
        (first, "first stage (reserved)", _COLOURS[0], "o"),
        (second, "second stage (expected, on demand)", _COLOURS[1], "s"),
        (total, "total", _COLOURS[2], "^"),
    ):
        axes.plot(
            reserved, [value / 1e6 for value in series], marker=mark, color=colour, label=label
        )
    best = min(range(len(total)), key=lambda index: total[index])
    axes.annotate(
        f"optimum: {reserved[best]}",
        (reserved[best], total[best] / 1e6),
        xytext=(0, 18),
        textcoords="offset points",
        ha="center",
        arrowprops={"arrowstyle": "->"},
    )
    axes.set(
        xlabel="reserved units a request",
        ylabel="cost a period (millions of monetary units)",
        title=f"Cost structure ({name}; cf. Fig. 4a of the paper)",
        ylim=(0, None),
    )
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def _draw_policies(rows: Sequence[tuple[int, str, float]], name: str) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    looks = zip(cycle((*_COLOURS, "#009E73", "#CC79A7", "#56B4E9")), cycle("os^Dvx"))
    for policy, (colour, mark) in zip(
        dict.fromkeys(kind for _, kind, _ in rows), looks, strict=False
    ):
        points = [(count, total / 1e6) for count, kind, total in rows if kind == policy]
        label = drawable(policy)
        axes.plot(*zip(*points, strict=True), marker=mark, color=colour, label=label)
    axes.set(
        xlabel="security requests",
        ylabel="cost a period (millions of monetary units)",
        title=f"Policies compared ({name}; cf. Fig. 4b of the paper)",
        ylim=(0, None),
    )
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def _save(figure: Figure, path: Path) -> None:
    save(figure, path, dpi=150)
