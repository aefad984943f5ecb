"""Our plan against the program that a reader of the paper writes first: paths times wavelengths.

For every request the cheapest few simple paths, for every path and wavelength a variable of 0 or 1, one
path a request, one lightpath a fiber and wavelength, and what is missing in every scenario.  It is stated
in PuLP and given to HiGHS on one thread for 30 times as long as our whole plan took; the ratio of
processor times is told.  Its best plan by then is priced by the same formula as ours.

    python benchmarks/path_wavelengths.py [EXPERIMENT ...]
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pulp
from bars import Row, at_most, tell, words

from emulator.build.loading import read
from emulator.build.problem import problem_of
from global_manager.provisioning import Problem, solve
from global_manager.provisioning.recourse import expected_unit_cost
from global_manager.provisioning.routing import fiber_graph, k_cheapest_paths

_PATHS = 4
_TIMES = 30


def rows(*names: str) -> Iterator[Row]:
    """Compare the plans of every experiment, those of the paper's network by default."""
    for name in names or ("paper-w80", "paper-w20"):
        problem = problem_of(read(name))
        began_s = time.process_time()
        plan = solve(problem)
        own_s = time.process_time() - began_s
        began_s = time.process_time()
        cost = _by_paths_and_wavelengths(problem, _TIMES * own_s)
        ratio = (time.process_time() - began_s) / own_s
        note = f"{plan.objective:,.0f} in {own_s:.2f} s; theirs {cost:,.0f} after {ratio:.0f} times that"
        bar = f"cost of {name} over that of paths times wavelengths, at {_TIMES} times our work"
        yield at_most(bar, plan.objective / cost, "times", 1.0, note)


def _by_paths_and_wavelengths(problem: Problem, limit_s: float) -> float:
    """Return the cost of the best plan that HiGHS has within so many seconds, nothing reserved at worst."""
    model = pulp.LpProblem("paths_times_wavelengths", pulp.LpMinimize)
    graph = fiber_graph(problem.nodes, ((f.a, f.b, f.unit_cost) for f in problem.fibers))
    wavelengths = {frozenset((f.a, f.b)): f.wavelengths for f in problem.fibers}
    lit: dict[tuple[frozenset[str], int], list[Any]] = {}
    cost: list[tuple[Any, float]] = []
    for r, request in enumerate(problem.requests):
        reserved, chosen = [], []
        for p, path in enumerate(k_cheapest_paths(graph, request.source, request.target, _PATHS)):
            links = [frozenset(link) for link in pairwise(path)]
            price = sum(graph.edges[arc]["cost"] for arc in pairwise(path))
            takes = model.add_variable(f"path_{r}_{p}", 0, 1, pulp.LpBinary)
            chosen.append(takes)
            for w in range(min(wavelengths[link] for link in links)):
                x = model.add_variable(f"light_{r}_{p}_{w}", 0, 1, pulp.LpBinary)
                model += x <= takes
                reserved.append(x)
                cost.append((x, price))
                for link in links:
                    lit.setdefault((link, w), []).append(x)
        model += pulp.lpSum(chosen) <= 1
        for s, scenario in enumerate(problem.demand_of(request)):
            short = model.add_variable(f"short_{r}_{s}", 0)
            model += pulp.lpSum(reserved) + short >= scenario.units
            cost.append((short, scenario.probability * expected_unit_cost(request.on_demand)))
    for sharing in lit.values():
        model += pulp.lpSum(sharing) <= 1
    model.setObjective(pulp.LpAffineExpression(cost))
    model.solve(pulp.HiGHS(msg=False, threads=1, gapRel=0, timeLimit=limit_s))
    found = pulp.value(model.objective)
    return float(found) if model.sol_status in _FOUND else _nothing_reserved(problem)


_FOUND = (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)


def _nothing_reserved(problem: Problem) -> float:
    return sum(
        scenario.probability * scenario.units * expected_unit_cost(request.on_demand)
        for request in problem.requests
        for scenario in problem.demand_of(request)
    )


if __name__ == "__main__":
    tell(rows(*words()))
