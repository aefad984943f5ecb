"""Paths through a network of fibers: the cheapest, the k cheapest, and how many hops they take.

A network is a networkx `DiGraph` with one arc each way per fiber; every arc carries `cost`, and
callers that need other weights name another attribute.  Ties are broken by the order in which fibers
were added, so the same fibers in the same order give the same paths.

What the cheapest paths cost is found by compiled code (rustworkx).  Which of several equal ones is taken
is decided here and depends on no library: the path that Dijkstra's algorithm reaches first, if it visits
nodes of equal cost in the order in which they were reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from math import fsum, inf
from typing import Any

import networkx as nx
import rustworkx as rx

Path = tuple[str, ...]
_Arc = tuple[int, int, float]
"""The number of an arc, the node from which it comes, and its weight."""

_RESOLUTION = 2.0**-50  # a smaller part of a sum may be lost in it


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

    All targets of a source are found at once (Dijkstra).  Weights are at least zero.
    """
    arcs = _Arcs(graph, weight)
    between: dict[tuple[str, str], tuple[float, Path]] = {}
    for source, targets in _by_source(pairs).items():
        if arcs.are_resolved:
            found = arcs.cheapest(source, targets)
        else:
            found = _over_free_arcs(graph, source, targets, weight)
        between |= {(source, target): known for target, known in found}
    return between


def hops_between(
    graph: nx.DiGraph[str], pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return the fewest hops for each (source, target) that there is a path for."""
    arcs = _Arcs(graph)
    between: dict[tuple[str, str], int] = {}
    for source, targets in _by_source(pairs).items():
        hops = arcs.costs(source)
        between |= {(source, t): int(hops[at]) for t in targets if (at := arcs.number[t]) in hops}
    return between


def k_cheapest_paths(
    graph: nx.DiGraph[str], source: str, target: str, k: int, weight: str = "cost"
) -> list[Path]:
    """Return up to `k` simple paths, cheapest first (Yen); none where nodes are apart."""
    try:
        paths = nx.shortest_simple_paths(graph, source, target, weight=weight)
        return [tuple(path) for path in islice(paths, k)]
    except nx.NetworkXNoPath:
        return []


def parts_of(graph: nx.DiGraph[str]) -> dict[str, int]:
    """Return for every node in which part of the network it is: nodes of one part have paths."""
    found = enumerate(nx.weakly_connected_components(graph))
    return {node: number for number, nodes in found for node in nodes}


class _Arcs:
    """The arcs of a graph, numbered in the order of the graph, and compiled.

    Without a `weight` every arc weighs one.  They `are_resolved` if every sum of weights along a path grows
    with every arc.
    """

    def __init__(self, graph: nx.DiGraph[str], weight: str | None = None) -> None:
        self._nodes = list(graph)
        self.number = {node: number for number, node in enumerate(self._nodes)}
        arcs = [
            (self.number[a], self.number[b], 1.0 if weight is None else float(data[weight]))
            for a, b, data in graph.edges(data=True)
        ]
        self._into: list[list[_Arc]] = [[] for _ in self._nodes]
        for number, (tail, head, weighs) in enumerate(arcs):
            self._into[head].append((number, tail, weighs))
        weights = [weighs for *_, weighs in arcs]
        self.are_resolved = min(weights, default=1.0) > _RESOLUTION * fsum(weights)
        self._compiled: rx.PyDiGraph[None, float] = rx.PyDiGraph()
        self._compiled.add_nodes_from([None] * len(self._nodes))
        self._compiled.add_edges_from(arcs)

    def costs(self, source: str) -> dict[int, float]:
        """Return the cost of a cheapest path to every node that there is one to, by number."""
        start = self.number[source]
        found = rx.digraph_dijkstra_shortest_path_lengths(self._compiled, start, float)
        return {start: 0.0, **dict(found.items())}

    def cheapest(
        self, source: str, targets: Iterable[str]
    ) -> Iterator[tuple[str, tuple[float, Path]]]:
        """Yield target, cost and path of the targets that there is a path to."""
        costs = self.costs(source)
        ends = {target: at for target in targets if (at := self.number[target]) in costs}
        before = self._first_before(self.number[source], ends.values(), costs)
        for target, at in ends.items():
            yield target, (costs[at], self._path(at, before))

    def _path(self, at: int, before: Mapping[int, int]) -> Path:
        backwards = [self._nodes[at]]
        while at in before:
            at = before[at]
            backwards.append(self._nodes[at])
        return tuple(reversed(backwards))

    def _first_before(
        self, source: int, ends: Iterable[int], costs: Mapping[int, float]
    ) -> dict[int, int]:
        """Return, of the nodes that can precede each on cheapest paths, the one that is visited first.

        Visits are in the order of cost, then of what reached them first, then of the arc from there.
        """
        reached = self._reached(source, ends, costs)
        visited, before = {source: 0}, {}
        for _, equal in groupby(sorted(reached, key=costs.__getitem__), costs.__getitem__):
            first = sorted(
                (min((visited[tail], number, tail) for number, tail, _ in reached[node]), node)
                for node in equal
            )
            for (_, _, tail), node in first:
                visited[node], before[node] = len(visited), tail
        return before

    def _reached(
        self, source: int, ends: Iterable[int], costs: Mapping[int, float]
    ) -> dict[int, list[_Arc]]:
        """Return for every node on cheapest paths to the ends the arcs that may have reached it first."""
        reached: dict[int, list[_Arc]] = {}
        waiting = list(ends)
        while waiting:
            node = waiting.pop()
            if node in reached or node == source:
                continue
            cost = costs[node]
            tight = [arc for arc in self._into[node] if costs.get(arc[1], inf) + arc[2] == cost]
            least = min(costs[tail] for _, tail, _ in tight)
            reached[node] = [arc for arc in tight if costs[arc[1]] == least]
            waiting += [tail for _, tail, _ in reached[node]]
        return reached


def _by_source(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        targets[source].append(target)
    return targets


def _over_free_arcs(
    graph: nx.DiGraph[str], source: str, targets: Iterable[str], weight: str
) -> Iterator[tuple[str, tuple[float, Path]]]:
    """Do the same where arcs are free: costs alone do not tell then which node precedes which."""
    found: Any = nx.dijkstra_predecessor_and_distance(graph, source, weight=weight)
    before, costs = found
    for target in targets:
        if target not in costs:
            continue
        path = [target]
        while path[-1] != source:
            path.append(before[path[-1]][0])
        yield target, (costs[target], tuple(reversed(path)))
