"""The network: which nodes there are, where they stand, and which fibers join them.

A topology comes from a file (GraphML, GML, networkx node-link JSON, CSV edge list) or from a name
(`usnet`, `nsfnet`, ...).  One that has been loaded is connected, has no loops or parallel links,
and only positive lengths; anything else is a `TopologyError`.  Node names are text.

A CSV edge list may have a companion `<stem>.nodes.csv` (`node,lat,lon,domain`) that declares its nodes.
Nothing here knows what a link carries.
"""

import csv
import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emulator.experiment.topology_files import (
    BUILT_IN_NAMES,
    RawNetwork,
    TopologyError,
    read_built_in,
    read_file,
)

__all__ = ["BUILT_IN_NAMES", "Link", "Node", "Topology", "TopologyError", "load", "save_csv"]

_LENGTH_KEYS = ("length_km", "distance_km", "dist", "distance", "length")  # all in km
_LAT_KEYS = ("lat", "latitude")
_LON_KEYS = ("lon", "long", "lng", "longitude")
_DOMAIN_KEYS = ("domain",)


@dataclass(frozen=True)
class Node:
    """One QKD node; both coordinates are known, or neither.

    `domain` is what fails together with it (a site, a region), if the file says so.
    """

    name: str
    lat_deg: float | None = None
    lon_deg: float | None = None
    domain: str = ""


@dataclass(frozen=True)
class Link:
    """One fiber between two nodes, `a` before `b` in node order.

    `kind` is what the file says of its repeaters, if anything.
    """

    a: str
    b: str
    length_km: float
    kind: str = ""


@dataclass(frozen=True)
class Topology:
    """A connected, simple, undirected network; nodes and links are in canonical order."""

    name: str
    provenance: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    def with_length(self, length_km: float) -> "Topology":
        """Return the same network with every link of the given length."""
        if not 0 < length_km < math.inf:
            raise TopologyError(self.name, "link_km", f"must be a positive number, not {length_km}")
        links = tuple(replace(link, length_km=float(length_km)) for link in self.links)
        provenance = f"{self.provenance} Every length set to {length_km:g} km."
        return replace(self, links=links, provenance=provenance)


def load(source: str | Path, link_km: float | None = None) -> Topology:
    """Load a built-in network by name, or a file by its suffix.

    `link_km` replaces every length; only with it may a file have no lengths at all.
    Raises TopologyError.
    """
    name = str(source)
    raw = read_built_in(name) if name in BUILT_IN_NAMES else read_file(Path(source))
    topology = _checked(raw, lengths_needed=link_km is None)
    return topology if link_km is None else topology.with_length(link_km)


def save_csv(topology: Topology, path: Path) -> Path:
    """Write a network so that `load` gives the same nodes and links; return the path.

    Coordinates and domains go into the companion `<stem>.nodes.csv`, if any node has them.
    """
    links = [(link.a, link.b, repr(link.length_km), link.kind) for link in topology.links]
    _write_csv(path, ("source", "target", "length_km", "kind"), links)
    if any(node.lat_deg is not None or node.domain for node in topology.nodes):
        sites = [
            (node.name, _written(node.lat_deg), _written(node.lon_deg), node.domain)
            for node in topology.nodes
        ]
        header = ("node", "lat", "lon", "domain")
        _write_csv(path.with_name(f"{path.stem}.nodes.csv"), header, sites)
    return path


def _written(degrees: float | None) -> str:
    return "" if degrees is None else repr(degrees)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _checked(raw: RawNetwork, *, lengths_needed: bool) -> Topology:
    if raw.directed:
        problem = "is directed; links carry key both ways: save it as an undirected graph"
        raise TopologyError(raw.file, "graph", problem)
    _reject(raw, "nodes", _repeated(name for name, _ in raw.nodes), "declared twice; keep one")
    slashed = [name for name, _ in raw.nodes if "/" in name or not name.isprintable()]
    _reject(
        raw, "nodes", slashed, "files are named after nodes; leave out / and control characters"
    )
    known = {name for name, _ in raw.nodes}
    strange = [f"{a}-{b}" for a, b, _ in raw.edges if a not in known or b not in known]
    names = ", ".join(sorted({n for a, b, _ in raw.edges for n in (a, b)} - known, key=_order))
    _reject(raw, "links", strange, f"unknown node {names}; declare it or drop the link")
    loops = [f"{a}-{b}" for a, b, _ in raw.edges if a == b]
    _reject(raw, "links", loops, "joins a node to itself; drop it")
    pairs = [tuple(sorted((a, b), key=_order)) for a, b, _ in raw.edges]
    twice = _repeated(f"{a}-{b}" for a, b in pairs)
    _reject(raw, "links", twice, "given more than once (in either direction); keep one")
    _check_connected(raw)
    lengths = _lengths(raw, needed=lengths_needed)
    kinds = [str(_first(data, ("kind",)) or "") for _, _, data in raw.edges]
    links = [Link(a, b, km, k) for (a, b), km, k in zip(pairs, lengths, kinds, strict=True)]
    nodes = [_site(raw, name, data) for name, data in raw.nodes]
    return Topology(
        name=raw.name,
        provenance=" ".join(raw.comments) or f"file {raw.file}",
        nodes=tuple(sorted(nodes, key=lambda node: _order(node.name))),
        links=tuple(sorted(links, key=lambda link: (_order(link.a), _order(link.b)))),
    )


def _check_connected(raw: RawNetwork) -> None:
    """Refuse a network in more than one piece; name the nodes outside the largest."""
    if not raw.edges:
        raise TopologyError(raw.file, "links", "there are none; a network needs at least one")
    neighbours: dict[str, set[str]] = {name: set() for name, _ in raw.nodes}
    for a, b, _ in raw.edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    largest: set[str] = set()
    unseen = set(neighbours)
    while unseen:
        piece, queue = set[str](), deque([min(unseen, key=_order)])
        while queue:
            name = queue.popleft()
            if name not in piece:
                piece.add(name)
                queue.extend(neighbours[name] - piece)
        unseen -= piece
        largest = max(largest, piece, key=len)
    apart = sorted(set(neighbours) - largest, key=_order)
    _reject(raw, "nodes", apart, "not connected to the rest; add a link or drop the node")


def _lengths(raw: RawNetwork, *, needed: bool) -> list[float]:
    """Return the lengths in km; all 1.0 where the file has none and needs none."""
    written = [_first(data, _LENGTH_KEYS) for _, _, data in raw.edges]
    if not needed and all(value is None for value in written):
        return [1.0] * len(written)
    names = [f"{a}-{b}" for a, b, _ in raw.edges]
    missing = [name for name, value in zip(names, written, strict=True) if value is None]
    _reject(raw, "length_km", missing, "no length; write length_km, or set link_km for all links")
    lengths = [_number(value) for value in written]
    wrong = [
        f"{name} ({value})"
        for name, value, km in zip(names, written, lengths, strict=True)
        if not 0 < km < math.inf
    ]
    _reject(raw, "length_km", wrong, "not a positive number of km; correct it")
    return lengths


def _site(raw: RawNetwork, name: str, data: Mapping[str, Any]) -> Node:
    lat, lon = _first(data, _LAT_KEYS), _first(data, _LON_KEYS)
    domain = str(_first(data, _DOMAIN_KEYS) or "")
    if lat is None and lon is None:
        return Node(name, domain=domain)
    lat_deg, lon_deg = _number(lat), _number(lon)
    if not (abs(lat_deg) <= 90 and abs(lon_deg) <= 180):
        problem = f"lat {lat}, lon {lon}: give degrees, lat in -90..90 and lon in -180..180"
        raise TopologyError(raw.file, f"node {name}", problem)
    return Node(name, lat_deg, lon_deg, domain)


def _reject(raw: RawNetwork, part: str, culprits: list[str], problem: str) -> None:
    """Raise with the culprits by name (the first ten of them), if there are any."""
    if culprits:
        more = f" and {len(culprits) - 10} more" if len(culprits) > 10 else ""
        raise TopologyError(raw.file, part, f"{', '.join(culprits[:10])}{more}: {problem}")


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _first(data: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Return the first value written under one of the keys, in any case; None if there is none."""
    lowered = {str(key).lower(): value for key, value in data.items()}
    written = (lowered.get(key) for key in keys)
    return next((value for value in written if value not in (None, "")), None)


def _number(value: object) -> float:
    """Return the value as a number; NaN if it is none."""
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _order(name: str) -> tuple[bool, int, str]:
    """Sort 2 before 10, and numbers before words."""
    number = name.isascii() and name.isdigit()
    return (not number, int(name) if number else 0, name)
