"""Paths through a network of fibers: the cheapest, the k cheapest, and how many hops they take.

A network is a networkx `DiGraph` with one arc each way per fiber; every arc carries `cost`, and
whoever needs other weights names another attribute.  Ties are broken by the order in which fibers
were added, so the same fibers in the same order give the same paths.
"""

from __future__ import annotations

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


def cheapest_paths_from(
    graph: nx.DiGraph[str], source: str, weight: str = "cost"
) -> dict[str, tuple[float, Path]]:
    """Return cost and path of a cheapest path to every node that `source` reaches (Dijkstra)."""
    found: Any = nx.single_source_dijkstra(graph, source, weight=weight)
    costs, paths = found
    return {node: (costs[node], tuple(path)) for node, path in paths.items()}


def cheapest_path(
    graph: nx.DiGraph[str], source: str, target: str, weight: str = "cost"
) -> Path | None:
    """Return a cheapest path, or None where there is none."""
    try:
        return tuple(nx.dijkstra_path(graph, source, target, weight=weight))
    except nx.NetworkXNoPath:
        return None


def k_cheapest_paths(
    graph: nx.DiGraph[str], source: str, target: str, k: int, weight: str = "cost"
) -> list[Path]:
    """Return up to `k` simple paths, cheapest first (Yen); none where nodes are apart."""
    try:
        paths = nx.shortest_simple_paths(graph, source, target, weight=weight)
        return [tuple(path) for path in islice(paths, k)]
    except nx.NetworkXNoPath:
        return []


def hop_counts(graph: nx.DiGraph[str]) -> dict[str, dict[str, int]]:
    """Return the fewest hops from every node to every node that it reaches."""
    return {node: dict(hops) for node, hops in nx.all_pairs_shortest_path_length(graph)}
