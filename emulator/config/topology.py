"""The network: which nodes there are, where they stand, and which fibers join them.

A topology comes from a file (GraphML, GML, networkx node-link JSON, CSV edge list) or from a name
(`usnet`, `nsfnet`, ...).  One that has been loaded is connected, has no loops or parallel links,
and only positive lengths; anything else is a `TopologyError`.  Node names are text.

Nodes are in the order of the file, and are numbered by it: what is computed for a network depends on these
numbers and never on names, so renaming nodes changes nothing.  A CSV edge list may have a companion
`<stem>.nodes.csv` (`node,lat,lon,domain`) that declares its nodes; without one, nodes are in the order in
which the links first name them.  Nothing here knows what a link carries.
"""

import csv
import math
import unicodedata
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from emulator.config.network_files import (
    BUILT_IN_NAMES,
    RawNetwork,
    TopologyError,
    read_built_in,
    read_file,
)
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX
from protos.facts import LinkEnds, label_of

__all__ = ["BUILT_IN_NAMES", "Link", "Node", "Topology", "TopologyError", "load", "save_csv"]

_Item = TypeVar("_Item")

_LENGTH_KEYS = ("length_km", "distance_km", "dist", "distance", "length")  # all in km
_LAT_KEYS = ("lat", "latitude")
_LON_KEYS = ("lon", "long", "lng", "longitude")
_DOMAIN_KEYS = ("domain",)
_ENTITIES = (GLOBAL_MANAGER, *CONTROLLERS, "clock", "exporter", "metrics")
_MOST_NAME_BYTES = 200  # names are part of SNMP strings, which have at most 255 octets


@dataclass(frozen=True)
class Node:
    """One QKD node; both coordinates are known, or neither.

    `domain` names what fails together with it (a site, a region), if the file says so.
    """

    name: str
    lat_deg: float | None = None
    lon_deg: float | None = None
    domain: str = ""


@dataclass(frozen=True)
class Link:
    """One fiber between two nodes, `a` before `b` in the order of nodes.

    `kind` is what the file says of its repeaters, if anything.
    """

    a: str
    b: str
    length_km: float
    kind: str = ""


@dataclass(frozen=True)
class Topology:
    """A connected, simple, undirected network; links are ordered by the numbers of their ends."""

    name: str
    provenance: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {node.name: number for number, node in enumerate(self.nodes, 1)}

    def number(self, name: str) -> int:
        """Return the number of a node, from 1, in the order of nodes.  Raises `KeyError`."""
        return self._numbers[name]

    def ordered(self, a: str, b: str) -> tuple[str, str]:
        """Return two nodes, the earlier one first.  Raises `KeyError`."""
        return (a, b) if self.number(a) <= self.number(b) else (b, a)

    def pairs(self, ends: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Return each pair once, its earlier node first, ordered by numbers.  Raises `KeyError`."""
        found = {self.ordered(a, b) for a, b in ends}
        return tuple(sorted(found, key=lambda pair: (self.number(pair[0]), self.number(pair[1]))))

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

    The companion `<stem>.nodes.csv` is written if any node has coordinates or a domain, or if the links
    alone would give the nodes another order.
    """
    links = [(link.a, link.b, repr(link.length_km), link.kind) for link in topology.links]
    _write_csv(path, ("source", "target", "length_km", "kind"), links)
    names = [node.name for node in topology.nodes]
    implied = list(dict.fromkeys(name for a, b, *_ in links for name in (a, b)))
    has_sites = any(node.lat_deg is not None or node.domain for node in topology.nodes)
    if has_sites or implied != names:
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
    _check_names(raw)
    number = {name: number for number, (name, _) in enumerate(raw.nodes)}
    strange = [f"{a}-{b}" for a, b, _ in raw.edges if a not in number or b not in number]
    ends = dict.fromkeys(name for a, b, _ in raw.edges for name in (a, b))
    names = ", ".join(name for name in ends if name not in number)
    _reject(raw, "links", strange, f"unknown node {names}; declare it or drop the link")
    loops = [f"{a}-{b}" for a, b, _ in raw.edges if a == b]
    _reject(raw, "links", loops, "joins a node to itself; drop it")
    pairs = [(a, b) if number[a] < number[b] else (b, a) for a, b, _ in raw.edges]
    twice = [f"{a}-{b}" for a, b in _repeated(pairs)]
    _reject(raw, "links", twice, "given more than once (in either direction); keep one")
    _reject(
        raw, "links", _same_labels(pairs), "read the same and cannot be kept apart; rename a node"
    )
    _check_connected(raw)
    lengths = _lengths(raw, needed=lengths_needed)
    kinds = [str(_first(data, ("kind",)) or "") for _, _, data in raw.edges]
    links = [Link(a, b, km, k) for (a, b), km, k in zip(pairs, lengths, kinds, strict=True)]
    return Topology(
        name=raw.name,
        provenance=" ".join(raw.comments) or f"file {raw.file}",
        nodes=tuple(_site(raw, name, data) for name, data in raw.nodes),
        links=tuple(sorted(links, key=lambda link: (number[link.a], number[link.b]))),
    )


def _check_names(raw: RawNetwork) -> None:
    """Refuse names that cannot be shown, kept apart, or written where names must be."""
    names = [name for name, _ in raw.nodes]
    _reject(raw, "nodes", _repeated(names), "declared twice; keep one")
    unseen = [repr(name) for name in names if not name.strip() or not name.isprintable()]
    _reject(raw, "nodes", unseen, "a name must not be empty, nor have control characters")
    long = [f"{name[:40]}..." for name in names if len(name.encode()) > _MOST_NAME_BYTES]
    _reject(raw, "nodes", long, f"a name has at most {_MOST_NAME_BYTES} bytes in UTF-8")
    taken = [name for name in names if name in _ENTITIES or name.startswith(KEY_MANAGER_PREFIX)]
    problem = "is also what an entity is called, and cannot be kept apart from it; rename the node"
    _reject(raw, "nodes", taken, problem)
    composed = {name: unicodedata.normalize("NFC", name) for name in names}
    same = set(_repeated(composed.values()))
    alike = [name for name in names if composed[name] in same]
    problem = "these names look the same (equal in Unicode NFC) and cannot be kept apart"
    _reject(raw, "nodes", alike, problem)


def _same_labels(pairs: Iterable[LinkEnds]) -> list[str]:
    """Return what several links are called: with hyphens in names A-B to C and A to B-C read alike."""
    return _repeated(label_of(pair) for pair in pairs)


def _check_connected(raw: RawNetwork) -> None:
    """Refuse a network in more than one piece; name the nodes outside the largest."""
    if not raw.edges:
        raise TopologyError(raw.file, "links", "there are none; a network needs at least one")
    neighbours: dict[str, set[str]] = {name: set() for name, _ in raw.nodes}
    for a, b, _ in raw.edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    largest: set[str] = set()
    seen: set[str] = set()
    for start in neighbours:
        if start in seen:
            continue
        piece, queue = set[str](), deque([start])
        while queue:
            name = queue.popleft()
            if name not in piece:
                piece.add(name)
                queue.extend(neighbours[name] - piece)
        seen |= piece
        largest = max(largest, piece, key=len)
    apart = [name for name in neighbours if name not in largest]
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


def _repeated(items: Iterable[_Item]) -> list[_Item]:
    return [item for item, count in Counter(items).items() if count > 1]


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
