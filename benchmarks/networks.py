"""Networks of any size, drawn from a seed: nodes on a map, joined as Waxman's model joins them.

Nodes stand at random in a box of the size of the United States without Alaska.  A tree that joins each to
the nearest before it keeps the network in one piece; further links are drawn with a probability that falls
with length as exp(-length / (`_REACH` x the greatest)), until there are as many links a node as in USNET
(B. M. Waxman, "Routing of multipoint connections", IEEE JSAC 6(9), 1988).  Distances are great circles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from emulator.config.experiment import MOST_WAVELENGTHS

_SOUTH, _NORTH, _WEST, _EAST = 25.0, 49.0, -124.0, -67.0
_LINKS_A_NODE = 43 / 24  # USNET
_REACH = 0.12
_EARTH_KM = 6371.0


def write_experiment(folder: Path, nodes: int, requests: int, periods: int, seed: int = 1) -> Path:
    """Write an experiment and its network into a folder; return the experiment's path.

    All but size is as in the built-in experiment `paper`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_network(folder / "network.csv", nodes, seed)
    share = requests // 10
    fields = {
        "name": f"scale-{nodes}",
        "seed": seed,
        "network": {
            "topology": "network.csv",
            "link_km": 80,
            "wavelengths": min(10 * requests, MOST_WAVELENGTHS),
        },
        "demand": {
            "periods": periods,
            "period_s": 60,
            "scenarios": 10,
            "distribution": {"poisson": {"mean_units": 10 / 3}},
            "correlated": True,
            "requests": {
                "avatar": share,
                "digital-twin": 4 * share,
                "ai-model": requests - 5 * share,
            },
        },
        "prices": "paper",
        "clock": {"window_s": 1},
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return path


def write_network(path: Path, nodes: int, seed: int) -> None:
    """Write a network as a CSV edge list, with the coordinates of its nodes beside it."""
    draw = np.random.Generator(np.random.PCG64([seed, nodes]))
    lat_deg, lon_deg = draw.uniform(_SOUTH, _NORTH, nodes), draw.uniform(_WEST, _EAST, nodes)
    length_km = great_circles_km(lat_deg, lon_deg)
    links = _links(length_km, draw)
    rows = [f"n{a},n{b},{length_km[a, b]:.3f}" for a, b in sorted(links)]
    path.write_text("\n".join(["source,target,length_km", *rows, ""]), encoding="utf-8")
    sites = [
        f"n{node},{lat:.5f},{lon:.5f}"
        for node, (lat, lon) in enumerate(zip(lat_deg, lon_deg, strict=True))
    ]
    text = "\n".join(["node,lat,lon", *sites, ""])
    path.with_name(f"{path.stem}.nodes.csv").write_text(text, encoding="utf-8")


def great_circles_km(lat_deg: np.ndarray, lon_deg: np.ndarray) -> np.ndarray:
    """Return the distances of all pairs of places, by the haversine formula."""
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    half_lat = np.sin((lat[:, None] - lat) / 2) ** 2
    half_lon = np.sin((lon[:, None] - lon) / 2) ** 2
    chord = half_lat + np.cos(lat)[:, None] * np.cos(lat) * half_lon
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(1.0, chord))))


def _links(length_km: np.ndarray, draw: np.random.Generator) -> set[tuple[int, int]]:
    nodes = len(length_km)
    links = {(int(np.argmin(length_km[node, :node])), node) for node in range(1, nodes)}
    odds = np.exp(-length_km / (_REACH * length_km.max()))
    while len(links) < round(_LINKS_A_NODE * nodes):
        a, b = (int(node) for node in sorted(draw.choice(nodes, 2, replace=False)))
        if draw.random() < odds[a, b]:
            links.add((a, b))
    return links
