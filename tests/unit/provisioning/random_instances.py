"""Random small problems: rings, grids and random networks with own demands, skies, pools and ways."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np

from global_manager.provisioning import (
    Fiber,
    Future,
    OnDemand,
    Pools,
    Problem,
    Request,
    Scenario,
)

KINDS = ("plain", "own demands", "skies", "directed", "pools", "futures")


def random_instance(seed: int) -> Problem:
    """Return the problem of a seed; kinds take turns."""
    rng = np.random.default_rng([17, seed])
    kind = KINDS[seed % len(KINDS)]
    nodes, links = _network(rng)
    law = _law(rng)
    problem = Problem(
        nodes=nodes,
        fibers=tuple(
            Fiber(a, b, int(rng.integers(1, 12)), int(rng.integers(1, 5))) for a, b in links
        ),
        requests=tuple(_request(rng, i, nodes, kind) for i in range(rng.integers(2, 7))),
        scenarios=law,
        directed_capacity=kind == "directed",
    )
    if kind in {"pools", "futures"}:
        return _with_pools(rng, problem, drawn=kind == "futures")
    return problem


def _network(rng: np.random.Generator) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    size = int(rng.integers(4, 8))
    graph = [
        lambda: nx.cycle_graph(size),
        lambda: nx.convert_node_labels_to_integers(nx.grid_2d_graph(2, (size + 1) // 2)),
        lambda: nx.connected_watts_strogatz_graph(
            size, 2 + size // 6, 0.4, seed=int(rng.integers(99))
        ),
        lambda: nx.compose(
            nx.path_graph(size), nx.gnm_random_graph(size, size, int(rng.integers(99)))
        ),
    ][int(rng.integers(4))]()
    links = sorted(tuple(sorted(map(str, link))) for link in graph.edges)
    return tuple(map(str, sorted(graph.nodes))), links


def _law(rng: np.random.Generator) -> tuple[Scenario, ...]:
    count = int(rng.integers(2, 5))
    weights = rng.integers(1, 6, size=count)
    return tuple(Scenario(i, float(w / weights.sum())) for i, w in enumerate(weights))


def _request(rng: np.random.Generator, i: int, nodes: tuple[str, ...], kind: str) -> Request:
    source, target = (nodes[int(n)] for n in rng.choice(len(nodes), 2, replace=False))
    uav, satellite = int(rng.integers(5, 60)), int(rng.integers(5, 60))
    chance = float(rng.choice([0.0, 0.3, 1.0])) if kind == "skies" else 0.5
    lost = uav + int(rng.integers(0, 80))
    own = _law(rng) if kind == "own demands" and rng.random() < 0.6 else None
    return Request(f"r{i}", "any", source, target, OnDemand(uav, satellite, chance, lost), own)


def _with_pools(rng: np.random.Generator, problem: Problem, *, drawn: bool) -> Problem:
    room = [None if rng.random() < 0.2 else int(rng.integers(0, 6)) for _ in range(2)]
    room = room if room != [None, None] else [1, 2]
    pooled = replace(problem, pools=Pools(*room))
    if not drawn:
        return pooled
    most = max(s.units for s in problem.scenarios)
    count, size = int(rng.integers(2, 5)), len(problem.requests)
    futures = tuple(
        Future(
            1 / count,
            tuple(int(n) for n in rng.integers(0, most + 1, size)),
            tuple(bool(n) for n in rng.random(size) < 0.5),
        )
        for _ in range(count)
    )
    return replace(pooled, futures=futures, correlation=0.0)
