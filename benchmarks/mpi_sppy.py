"""The aggregated program against mpi-sppy's extensive form of the same instance, in one run.

mpi-sppy is no dependency of this project; it goes with it into an environment of its own (MPI is
not needed):

    python3 -m venv mpi-sppy-env
    mpi-sppy-env/bin/pip install -e . mpi-sppy
    mpi-sppy-env/bin/python benchmarks/mpi_sppy.py [--paths 3 10] [paper-w80 ...]

`MPI_SPPY_PYTHON=mpi-sppy-env/bin/python make bench-all` has it in the table.

Both sides solve with HiGHS on one thread: they to a relative gap, we to the same, or until our
answer is no dearer than theirs if theirs is better than that; so the ratio is that of times to one
cost.  Their extensive form is what a modeller would write: the cheapest few paths of a request,
whole units on one of them, a shortfall in every scenario, nonanticipativity by mpi-sppy.  Ours is
column generation over all simple paths and the multiple-choice model.  Costs of both are recomputed
from (path, units) by one formula, and both gaps are against our bound over all paths: with few
paths the extensive form is soon solved to its own gap and still not to that one; with more it takes
longer.  So every number of paths gets its own line.  Our seconds are all there are; theirs are
given with and without building the model, and the ratio to hold against the bar leaves building
out.  A solve stopped by its limit took at least that long.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import fsum
from typing import Any

from bars import Row, at_least, none, tell

from emulator.build.loading import read
from emulator.build.problem import problem_of
from global_manager.provisioning import Problem
from global_manager.provisioning.assignment import Route, route_of
from global_manager.provisioning.check import relative_gap
from global_manager.provisioning.columns import generate_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.routing import k_cheapest_paths
from global_manager.provisioning.selection import choose

try:
    import pyomo.environ as pyo
    from mpisppy.opt.ef import ExtensiveForm
    from mpisppy.utils.sputils import attach_root_node
except ImportError:
    sys.exit("skipped: mpi-sppy is not installed here; the head of this file says how")

_WANTED = 15.0

Choices = Iterable[tuple[int, Route, int]]
"""Group, route and units of every request that reserves anything."""


@dataclass(frozen=True)
class Timed:
    """An answer: cost, gap to the proven bound, seconds to build a model and to solve it."""

    cost: float
    gap: float
    build_s: float
    solve_s: float
    note: str = ""


def main() -> None:
    """Compare, instance by instance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("instances", nargs="*", default=["paper-w80", "paper-w20"])
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--limit-s", type=float, default=600.0)
    parser.add_argument("--paths", type=int, nargs="+", default=[3, 10])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    for name, paths in product(chosen.instances, chosen.paths):
        gc.collect()  # what other lines have left must slow down neither side
        gc.freeze()
        problem = problem_of(read(name))
        theirs = by_extensive_form(problem, paths, chosen.gap, chosen.limit_s)
        gc.collect()
        gc.freeze()
        ours = by_columns(problem, min(chosen.gap, theirs.gap))
        tell(_rows(f"{name}, {paths} paths", ours, theirs))


def _rows(name: str, ours: Timed, theirs: Timed) -> Iterator[Row]:
    ratio = theirs.solve_s / ours.solve_s
    built = (theirs.build_s + theirs.solve_s) / ours.solve_s
    note = (
        f"mpi-sppy {theirs.cost:.0f} (gap {theirs.gap:.3%}) in {theirs.build_s:.2f} + "
        f"{theirs.solve_s:.2f} s{theirs.note}; qsagin {ours.cost:.0f} (gap {ours.gap:.3%}) in "
        f"{ours.solve_s:.2f} s; {built:.1f} times with building"
    )
    yield at_least(f"faster than mpi-sppy, {name}", ratio, "times", _WANTED, note)
    dearer = max(0.0, ours.cost - theirs.cost)
    yield none(f"dearer than mpi-sppy, {name}", dearer, "monetary units")


def by_columns(problem: Problem, gap: float) -> Timed:
    """Solve the aggregated program our way, everything counted."""
    begun_s = time.perf_counter()
    instance = Instance(problem, odd_nodes=False)
    pool = generate_columns(instance)
    selection = choose(instance, pool, 2 * gap, nodes=500)  # it leaves half to wavelengths
    taken_s = time.perf_counter() - begun_s
    choices = [
        (column.group, route_of(instance, column.path), column.wavelengths)
        for column, n in selection.items()
        for _ in range(n)
    ]
    cost = aggregated_cost(instance, choices)
    return Timed(cost, relative_gap(cost, pool.lower_bound), 0.0, taken_s)


def by_extensive_form(problem: Problem, paths: int, gap: float, limit_s: float) -> Timed:
    """Solve mpi-sppy's extensive form with HiGHS to the same gap, within a limit."""
    instance = Instance(problem, odd_nodes=False)
    begun_s = time.perf_counter()
    routes = _candidate_routes(instance, paths)
    probability = {str(i): s.probability for i, s in enumerate(problem.scenarios)}
    demand = {str(i): s.units for i, s in enumerate(problem.scenarios)}

    def scenario(name: str) -> Any:
        model = _scenario_model(instance, routes, demand[name])
        attach_root_node(model, model.first_stage, [model.units, model.taken])
        model._mpisppy_probability = probability[name]  # noqa: SLF001 - how mpi-sppy asks for it
        return model

    form = ExtensiveForm({"solver": "appsi_highs"}, list(demand), scenario)
    built_s = time.perf_counter()
    limits = {"threads": 1, "mip_rel_gap": gap, "time_limit": limit_s}
    results = form.solve_extensive_form(solver_options=limits)
    solved_s = time.perf_counter()
    how = str(results.solver.termination_condition)
    choices = _choices(instance, routes, next(iter(form.local_scenarios.values())))
    note = "" if how == "optimal" else f" (ended as {how})"
    cost = aggregated_cost(instance, choices)
    to_bound = relative_gap(cost, generate_columns(instance).lower_bound)
    return Timed(cost, to_bound, built_s - begun_s, solved_s - built_s, note)


def aggregated_cost(instance: Instance, choices: Choices) -> float:
    """Return the expected cost of reserving this much on these routes; all other requests: none.

    Raises ValueError if a fiber carries more than it has.
    """
    load = [0] * len(instance.capacity)
    change = []
    for group, route, units in choices:
        recourse = instance.recourse[group]
        change.append(route.cost * units + float(recourse[units] - recourse[0]))
        for e in route.resources:
            load[e] += units
    if any(used > room for used, room in zip(load, instance.capacity, strict=True)):
        raise ValueError("a fiber carries more than it has")
    return instance.unreserved_cost + fsum(change)


def _candidate_routes(instance: Instance, most: int) -> list[list[Route]]:
    """Return the candidate routes of every request."""
    routes = []
    for position in range(len(instance.problem.requests)):
        group = instance.groups[instance.group_of[position]]
        paths = k_cheapest_paths(instance.graph, group.source, group.target, most)
        routes.append([route_of(instance, path) for path in paths])
    return routes


def _scenario_model(instance: Instance, routes: list[list[Route]], demand: int) -> Any:
    """Return the program of one scenario, first stage included."""
    requests = range(len(routes))
    ways = [(r, p) for r in requests for p in range(len(routes[r]))]
    most = instance.most_units
    model = pyo.ConcreteModel()
    model.units = pyo.Var(ways, domain=pyo.NonNegativeIntegers, bounds=(0, most))
    model.taken = pyo.Var(ways, domain=pyo.Binary)
    model.short = pyo.Var(requests, domain=pyo.NonNegativeReals)
    model.first_stage = pyo.Expression(
        expr=sum(routes[r][p].cost * model.units[r, p] for r, p in ways)
    )
    on_demand = [instance.groups[instance.group_of[r]].unit_cost for r in requests]
    model.cost = pyo.Objective(
        expr=model.first_stage + sum(on_demand[r] * model.short[r] for r in requests)
    )
    model.rows = pyo.ConstraintList()
    for r, p in ways:
        model.rows.add(model.units[r, p] <= most * model.taken[r, p])
    for r in requests:
        own = [(r, p) for p in range(len(routes[r]))]
        model.rows.add(sum(model.taken[way] for way in own) <= 1)
        model.rows.add(sum(model.units[way] for way in own) + model.short[r] >= demand)
    through: dict[int, list[Any]] = {}
    for r, p in ways:
        for e in routes[r][p].resources:
            through.setdefault(e, []).append(model.units[r, p])
    for e, units in through.items():
        model.rows.add(sum(units) <= instance.capacity[e])
    return model


def _choices(instance: Instance, routes: list[list[Route]], model: Any) -> Choices:
    for r, own in enumerate(routes):
        for p, route in enumerate(own):
            if (units := round(pyo.value(model.units[r, p]))) > 0:
                yield instance.group_of[r], route, units


if __name__ == "__main__":
    main()
