"""Networks and problems that several provisioning tests share."""

from __future__ import annotations

from math import exp, factorial

import networkx as nx
import numpy as np

from global_manager.provisioning import Fiber, OnDemand, Problem, Request, Scenario

USNET = (
    "0-1 0-5 1-2 1-5 2-3 2-4 2-6 3-4 3-6 4-7 5-6 5-8 5-10 6-7 6-8 7-9 8-9 8-10 8-11 9-12 9-13 "
    "10-11 10-14 10-18 11-12 11-15 12-13 12-16 13-17 14-15 14-19 15-16 15-20 15-21 16-17 16-21 "
    "16-22 17-23 18-19 19-20 20-21 21-22 22-23"
)
PAPER_LINK_COST = 5480
PAPER_UAV_COST, PAPER_SATELLITE_COST = 18_520, 38_500
PAPER_LOST_COST = 600_000


def usnet_links() -> list[tuple[str, str]]:
    return [(a, b) for a, b in (link.split("-") for link in USNET.split())]


def poisson_scenarios(mean_units: float, count: int) -> tuple[Scenario, ...]:
    weights = [exp(-mean_units) * mean_units**i / factorial(i) for i in range(count)]
    return tuple(Scenario(i, w / sum(weights)) for i, w in enumerate(weights))


def per_hop(hops: int, probability: float = 1.0) -> OnDemand:
    return OnDemand(
        PAPER_UAV_COST * hops, PAPER_SATELLITE_COST * hops, probability, PAPER_LOST_COST
    )


def problem_on(
    links: list[tuple[str, str]],
    pairs: list[tuple[str, str]],
    *,
    wavelengths: int,
    scenarios: tuple[Scenario, ...],
    directed: bool = False,
) -> Problem:
    """Paper prices on the given links and request pairs; on-demand per hop of the fewest hops."""
    graph = nx.Graph(links)
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    return Problem(
        nodes=tuple(sorted(graph.nodes)),
        fibers=tuple(Fiber(a, b, PAPER_LINK_COST, wavelengths) for a, b in links),
        requests=tuple(
            Request(f"r{i}", "any", a, b, per_hop(hops[a][b])) for i, (a, b) in enumerate(pairs)
        ),
        scenarios=scenarios,
        directed_capacity=directed,
    )


def random_pairs(nodes: list[str], count: int, seed: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    draws = [rng.choice(len(nodes), 2, replace=False) for _ in range(count)]
    return [(nodes[i], nodes[j]) for i, j in draws]


def paper_problem(wavelengths: int = 160, requests: int = 200, seed: int = 0) -> Problem:
    links = usnet_links()
    nodes = sorted({node for link in links for node in link}, key=int)
    return problem_on(
        links,
        random_pairs(nodes, requests, seed),
        wavelengths=wavelengths,
        scenarios=poisson_scenarios(10 / 3, 10),
    )
