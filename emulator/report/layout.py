"""Where nodes are in a picture: on Earth, or in a spring layout if they have no coordinates.

The same network always has the same layout.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from emulator.config.topology import Topology

_MANY_NODES = 200


@dataclass(frozen=True)
class Layout:
    """Places by node: (longitude, latitude) in degrees if `on_earth`, else in a square around 0."""

    on_earth: bool
    places: dict[str, tuple[float, float]]


def layout_of(topology: Topology) -> Layout:
    """Return the coordinates of all nodes, or computed places if any has none."""
    sites = {
        node.name: (node.lon_deg, node.lat_deg)
        for node in topology.nodes
        if node.lon_deg is not None and node.lat_deg is not None
    }
    if len(sites) == len(topology.nodes):
        return Layout(True, sites)
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(node.name for node in topology.nodes)
    graph.add_edges_from((link.a, link.b) for link in topology.links)
    steps = 50 if len(sites) > _MANY_NODES else 300
    found = nx.spring_layout(graph, seed=1, iterations=steps, method="force")
    return Layout(False, _lying(found))


def _lying(found: dict[str, NDArray[np.float64]]) -> dict[str, tuple[float, float]]:
    """Return places turned so that they reach farthest to left and right."""
    places = np.array(list(found.values()))
    _, _, axes = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)
    turned = (places - places.mean(axis=0)) @ axes.T
    return {name: (float(x), float(y)) for name, (x, y) in zip(found, turned, strict=True)}
