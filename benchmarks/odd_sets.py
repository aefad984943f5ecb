"""The cuts of `cuts.py`: cost, gap and processor time of plans with and without them.

Prints one CSV row per instance: five networks, four numbers of wavelengths, two loads, with the
capacity of a fiber shared by both directions or for each.  It takes about six minutes of one core;
with a number as argument only that many instances.  `docs/odd-sets.md` holds a measurement.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from unittest.mock import patch

from bars import words
from provisioning import network, poisson

from emulator.config import topology
from global_manager.provisioning import Plan, Problem, solve, stochastic_plan
from global_manager.provisioning.selection import choose

_NETWORKS = ("usnet", "nsfnet", "nobel-us", "vienna", "janos-us")
_REQUESTS_PER_WAVELENGTH = 5.0, 2.5  # twice as many where each direction has its own capacity
_HEADER = ["network", "wavelengths", "requests", "capacity", "lower_bound"]
_MEASURED = ["objective", "gap", "displaced_units", "cpu_s"]


def instances() -> Iterator[tuple[list[object], Problem]]:
    """Yield what identifies each instance, and its problem."""
    cases = product((False, True), _REQUESTS_PER_WAVELENGTH, (8, 20, 40, 80), _NETWORKS)
    for directed, load, wavelengths, name in cases:
        requests = int(load * wavelengths * (2 if directed else 1))
        problem = _problem(name, requests, wavelengths)
        capacity = "directed" if directed else "shared"
        row: list[object] = [name, wavelengths, requests, capacity]
        yield row, replace(problem, directed_capacity=directed)


def _problem(name: str, requests: int, wavelengths: int) -> Problem:
    found = topology.load(name, 80.0)
    index = {node.name: str(i) for i, node in enumerate(found.nodes)}
    links = [(index[link.a], index[link.b]) for link in found.links]
    return network(links, requests, poisson(10 / 3, 10), wavelengths)


def _measured(problem: Problem) -> tuple[Plan, list[str]]:
    before_s = time.process_time()
    plan = solve(problem)
    cpu_s = time.process_time() - before_s
    return plan, [
        f"{plan.objective:.0f}",
        f"{plan.gap:.2e}",
        str(plan.displaced_units),
        f"{cpu_s:.1f}",
    ]


def main() -> None:
    """Measure every instance both ways."""
    out = csv.writer(sys.stdout)
    out.writerow([*_HEADER, *_MEASURED, *(f"{name}_without" for name in _MEASURED)])
    most = int(words()[0]) if words() else None
    for row, problem in islice(instances(), most):
        plan, with_cuts = _measured(problem)
        with patch.object(stochastic_plan, "choose_with_cuts", choose):
            _, without = _measured(problem)
        out.writerow([*row, f"{plan.lower_bound:.0f}", *with_cuts, *without])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
