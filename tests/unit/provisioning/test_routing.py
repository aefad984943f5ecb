"""Cheapest paths by compiled code are those of Dijkstra's algorithm in Python, ties included."""

from itertools import pairwise

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from global_manager.provisioning.routing import (
    cheapest_paths_between,
    fiber_graph,
    hops_between,
    parts_of,
)

NODES = tuple("zyxabcdefg")
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]
fibers = st.lists(
    st.tuples(st.sampled_from(NODES), st.sampled_from(NODES), st.integers(0, 3)), max_size=30
).map(lambda links: [(a, b, float(cost)) for a, b, cost in links if a != b])


@given(fibers)
@settings(max_examples=200, deadline=None)
def test_of_equal_paths_the_one_that_dijkstra_finds_first_is_taken(
    links: list[tuple[str, str, float]],
) -> None:
    graph = fiber_graph(NODES, links)

    found = cheapest_paths_between(graph, PAIRS)

    for source, target in PAIRS:
        before, costs = nx.dijkstra_predecessor_and_distance(graph, source, weight="cost")
        if target not in costs:
            assert (source, target) not in found
            continue
        path = [target]
        while path[-1] != source:
            path.append(before[path[-1]][0])
        assert found[source, target] == (costs[target], tuple(reversed(path)))


@given(fibers, st.floats(0.1, 1.0))
@settings(max_examples=100, deadline=None)
def test_one_way_prices_give_the_same_paths_as_dijkstra(
    links: list[tuple[str, str, float]], price: float
) -> None:
    graph = fiber_graph(NODES, links)
    for number, (_, _, data) in enumerate(graph.edges(data=True)):
        data["priced"] = 1.0 + data["cost"] + price * (number % 3)

    found = cheapest_paths_between(graph, PAIRS, "priced")

    for (source, target), (cost, path) in found.items():
        before, costs = nx.dijkstra_predecessor_and_distance(graph, source, weight="priced")
        assert cost == costs[target]
        assert all(a == before[b][0] for a, b in pairwise(path))


@given(fibers)
@settings(max_examples=50, deadline=None)
def test_hops_are_the_fewest_and_there_are_some_within_a_part_only(
    links: list[tuple[str, str, float]],
) -> None:
    graph = fiber_graph(NODES, links)
    hops, part = hops_between(graph, PAIRS), parts_of(graph)

    for a, b in PAIRS:
        assert ((a, b) in hops) == nx.has_path(graph, a, b) == (part[a] == part[b])
        if (a, b) in hops:
            assert hops[a, b] == nx.shortest_path_length(graph, a, b)
