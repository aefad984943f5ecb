"""The optimizer: gap and seconds of plans from the paper's size to 20,000 requests; planning again.

Large instances get wavelengths enough that the fullest fiber would want `_PRESSURE` times more, the
ratio of the paper's network with 80 wavelengths; so capacity binds.  Each is reported twice: the
aggregated program (no wavelengths), and the whole plan with every wavelength placed.  Memory is this
process's peak, so instances run from small to large.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from math import ceil, exp, lgamma, log

import networkx as nx
import numpy as np
from bars import Row, at_most, tell

from global_manager.provisioning import (
    Fiber,
    OnDemand,
    Plan,
    Problem,
    Request,
    Scenario,
    replan,
    solve,
)
from global_manager.provisioning.columns import generate_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.selection import choose, saving

_PRESSURE = 1.7
_LINKS = (
    "0-1 0-5 1-2 1-5 2-3 2-4 2-6 3-4 3-6 4-7 5-6 5-8 5-10 6-7 6-8 7-9 8-9 8-10 8-11 9-12 9-13 "
    "10-11 10-14 10-18 11-12 11-15 12-13 12-16 13-17 14-15 14-19 15-16 15-20 15-21 16-17 16-21 "
    "16-22 17-23 18-19 19-20 20-21 21-22 22-23"
)
USNET = [(a, b) for a, b in (link.split("-") for link in _LINKS.split())]


def rows() -> Iterator[Row]:
    """Measure everything, small instances first."""
    for wavelengths, bar in ((80, 0.005), (20, 0.02)):
        problem = network(USNET, 200, poisson(10 / 3, 10), wavelengths)
        yield from _measure(f"w{wavelengths}", problem, (1e-3, 3.0), (bar, 30.0))
    for count, limit_s in ((100, 10.0), (1000, 20.0)):
        problem = under_pressure(USNET, 5_000, poisson(count / 4, count))
        yield from _measure(f"5000 x {count}", problem, (5e-4, limit_s), (5e-4, limit_s))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield at_most("memory to plan 5000 x 1000", gib, "GiB", 2.0)
    hundred = nx.connected_watts_strogatz_graph(100, 4, 0.3, seed=0)
    links = [(str(a), str(b)) for a, b in hundred.edges]
    problem = under_pressure(links, 20_000, poisson(10 / 3, 10))
    yield from _measure("20000 on 100 nodes", problem, (5e-3, 120.0), (5e-3, 120.0))


class _Instant:
    """When something began, on the wall and by the processor."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def until_now(self, bar: str, limit_s: float) -> Row:
        """Return the row of what has been done since, held against the wall."""
        note = f"{time.process_time() - self._cpu_s:.2f} s of processor time"
        return at_most(bar, time.perf_counter() - self._wall_s, "s", limit_s, note)


def _measure(
    name: str, problem: Problem, aggregated: tuple[float, float], placed: tuple[float, float]
) -> Iterator[Row]:
    """Measure gap and seconds of the aggregated program, then of the whole plan."""
    began = _Instant()
    gap = aggregated_gap(problem, aggregated[0])
    yield began.until_now(f"plan {name}, aggregated", aggregated[1])
    yield at_most(f"plan {name}, aggregated, gap", gap, "", aggregated[0])
    small = len(problem.requests) <= 200
    began = _Instant()
    plan = solve(problem, gap=1e-3 if small else placed[0])
    yield began.until_now(f"plan {name}, placed", placed[1])
    yield at_most(f"plan {name}, placed, gap", plan.gap, "", placed[0])
    if small:
        yield at_most(f"plan {name} again, worst fiber", _slowest_replan_s(problem, plan), "s", 1.0)


def _slowest_replan_s(problem: Problem, plan: Plan) -> float:
    """Return the seconds that the slowest single fiber's loss takes to plan around."""
    seconds = []
    for fiber in problem.fibers:
        begun_s = time.perf_counter()
        replan(problem, plan, [(fiber.a, fiber.b)])
        seconds.append(time.perf_counter() - begun_s)
    return max(seconds)


def aggregated_gap(problem: Problem, wanted: float) -> float:
    """Return the gap of the multiple-choice model's answer to the bound, wavelengths aside.

    As no wavelengths follow, the half of the gap that `choose` leaves to them is added.
    """
    instance = Instance(problem, odd_nodes=False)
    pool = generate_columns(instance)
    cost = instance.unreserved_cost - saving(choose(instance, pool, 2 * wanted, nodes=500))
    return (cost - pool.lower_bound) / cost


def poisson(mean_units: float, count: int) -> tuple[Scenario, ...]:
    """Return demands 0 .. count - 1 with Poisson weights."""
    weights = [exp(i * log(mean_units) - mean_units - lgamma(i + 1)) for i in range(count)]
    return tuple(Scenario(i, weight / sum(weights)) for i, weight in enumerate(weights))


def network(
    links: list[tuple[str, str]], requests: int, scenarios: tuple[Scenario, ...], wavelengths: int
) -> Problem:
    """Return requests between seeded random pairs, priced per 80-km hop as in the paper."""
    graph = nx.Graph(links)
    nodes = sorted(graph.nodes, key=int)
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    rng = np.random.default_rng(0)
    pairs = [rng.choice(len(nodes), 2, replace=False) for _ in range(requests)]
    return Problem(
        nodes=tuple(nodes),
        fibers=tuple(Fiber(a, b, 5480, wavelengths) for a, b in links),
        requests=tuple(
            Request(f"r{i}", "any", nodes[a], nodes[b], _on_demand(hops[nodes[a]][nodes[b]]))
            for i, (a, b) in enumerate(pairs)
        ),
        scenarios=scenarios,
    )


def under_pressure(
    links: list[tuple[str, str]], requests: int, scenarios: tuple[Scenario, ...]
) -> Problem:
    """Return a network whose fullest fiber would want `_PRESSURE` times what it carries."""
    ample = network(links, requests, scenarios, wavelengths=10**9)
    instance = Instance(ample, odd_nodes=False)
    load = np.zeros(len(instance.capacity))
    pool = generate_columns(instance)
    for column, members in zip(pool.columns, pool.weights, strict=True):
        load[list(column.resources)] += members * column.wavelengths
    wavelengths = ceil(load.max() / _PRESSURE)
    return replace(ample, fibers=tuple(replace(f, wavelengths=wavelengths) for f in ample.fibers))


def _on_demand(hops: int) -> OnDemand:
    return OnDemand(18_520 * hops, 38_500 * hops, 1.0, 77_000 * hops)


if __name__ == "__main__":
    tell(rows())
