"""Paths through a network of fibers: the cheapest, the k cheapest, and how many hops they take.

A network is a networkx `DiGraph` with one arc each way per fiber; every arc carries `cost`, and
callers that need other weights name another attribute.  Ties are broken by the order in which fibers
were added, so the same fibers in the same order give the same paths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any

import networkx as nx

Path = tuple[str, ...]


def fiber_graph(nodes: Iterable[str], links: Iterable[tuple[str, str, float]]) -> nx.DiGraph[str]:
    """Return the graph of `(a, b, cost)` links, an arc each way."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    for a, b, cost in links:
        graph.add_edge(a, b, cost=cost)
        graph.add_edge(b, a, cost=cost)
    return graph


def cheapest_paths_between(
    graph: nx.DiGraph[str], pairs: Iterable[tuple[str, str]], weight: str = "cost"
) -> dict[tuple[str, str], tuple[float, Path]]:
    """Return cost and path of a cheapest path for each (source, target) that there is one for.

    All targets of a source are found at once (Dijkstra).
    """
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        targets[source].append(target)
    between = {}
    for source, ends in targets.items():
        found: Any = nx.dijkstra_predecessor_and_distance(graph, source, weight=weight)
        before, costs = found
        for target in ends:
            if target in costs:
                between[source, target] = costs[target], _path(source, target, before)
    return between


def _path(source: str, target: str, before: dict[str, list[str]]) -> Path:
    """Return a path, from the nodes before each; free fibers lead back to the source as well."""
    path = [target]
    while path[-1] != source:
        path.append(before[path[-1]][0])
    return tuple(reversed(path))


def k_cheapest_paths(
    graph: nx.DiGraph[str], source: str, target: str, k: int, weight: str = "cost"
) -> list[Path]:
    """Return up to `k` simple paths, cheapest first (Yen); none where nodes are apart."""
    try:
        paths = nx.shortest_simple_paths(graph, source, target, weight=weight)
        return [tuple(path) for path in islice(paths, k)]
    except nx.NetworkXNoPath:
        return []


def has_path(graph: nx.DiGraph[str], source: str, target: str) -> bool:
    """Return whether there is any path."""
    return nx.has_path(graph, source, target)


def hop_counts(graph: nx.DiGraph[str]) -> dict[str, dict[str, int]]:
    """Return the fewest hops from every node to every node that it reaches."""
    return {node: dict(hops) for node, hops in nx.all_pairs_shortest_path_length(graph)}
