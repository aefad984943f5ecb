"""The network: which nodes there are, where they stand, and which fibers join them.

A topology comes from a file in any form that `network_files` reads, or from a name (`usnet`, `nsfnet`).
One that has been loaded is connected, has no loops or parallel links, and only positive lengths; what was
left out, merged or taken for something is told in `reading`, in one line, and anything else is a
`TopologyError`.  Node names are text.

Nodes are in the order of the file, and are numbered by it: what is computed for a network depends on these
numbers and never on names, so renaming nodes changes nothing.  A CSV edge list may have a companion
`<stem>.nodes.csv` (`node,lat,lon,domain`) that declares its nodes; without one, nodes are in the order in
which the links first name them.  Nothing here knows what a link carries.
"""

import csv
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from emulator.config import network_links, network_measures
from emulator.config.network_files import BUILT_IN_NAMES, read_built_in, read_file
from emulator.config.network_links import Measured, ParallelLinks
from emulator.config.network_measures import LengthChoice, LengthUnit, Sites
from emulator.config.network_raw import (
    Attributes,
    RawNetwork,
    TopologyError,
    counted,
    lowered,
    printable,
    reject,
)
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX
from protos.facts import LinkEnds, label_of

__all__ = [
    "BUILT_IN_NAMES",
    "LengthUnit",
    "Link",
    "Node",
    "ParallelLinks",
    "ReadingOptions",
    "Topology",
    "TopologyError",
    "load",
    "save_csv",
]

_Item = TypeVar("_Item")

_ENTITIES = (GLOBAL_MANAGER, *CONTROLLERS, "clock", "exporter", "metrics")
_MOST_NAME_BYTES = 200  # names are part of SNMP strings, which have at most 255 octets


@dataclass(frozen=True)
class ReadingOptions:
    """How a file is read where it leaves a choice; an experiment's network has fields of the same names."""

    length: str | None = None
    length_unit: LengthUnit | None = None
    detour: float | None = None
    largest_piece: bool = False
    parallel_links: ParallelLinks = "equal"
    least_km: float | None = None


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
    """A connected, simple, undirected network; links are ordered by the numbers of their ends.

    `reading` tells in a line what was read of a file; it is also the end of `provenance`.
    """

    name: str
    provenance: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    reading: str = ""

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


def load(
    source: str | Path, link_km: float | None = None, options: ReadingOptions = ReadingOptions()
) -> Topology:
    """Load a built-in network by name, or a file by its suffix.

    `link_km` replaces every length, whatever the file has there.  Raises TopologyError.
    """
    name = str(source)
    if link_km is not None and not 0 < link_km < math.inf:
        raise TopologyError(name, "link_km", f"must be a positive number, not {link_km}")
    raw = read_built_in(name) if name in BUILT_IN_NAMES else read_file(Path(source))
    return _checked(raw, link_km, options)


def save_csv(topology: Topology, path: Path, *, comment: str = "") -> Path:
    """Write a network so that `load` gives the same nodes and links; return the path.

    The companion `<stem>.nodes.csv` is written if any node has coordinates or a domain, or if the links
    alone would give the nodes another order.  The comment, if any, says where the network comes from.
    """
    links = [(link.a, link.b, repr(link.length_km), link.kind) for link in topology.links]
    _write_csv(path, ("source", "target", "length_km", "kind"), links, comment)
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


def _write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], comment: str = ""
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        if comment:
            file.write(f"# {' '.join(comment.split())}\n")
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _checked(raw: RawNetwork, link_km: float | None, options: ReadingOptions) -> Topology:
    """Return the network that is meant, and tell what was made of the file."""
    _check_names(raw)
    edges, loops = network_links.without_loops(raw)
    arcs = network_links.undirected(raw, edges)
    sites, coordinates = network_measures.sites_of(raw)
    choice = LengthChoice(
        link_km, options.detour, options.length, options.length_unit, options.least_km
    )
    lengths, units = network_measures.lengths_of(raw, edges, sites, choice)
    measured = [(*edge, km) for edge, km in zip(edges, lengths, strict=True)]
    links, parallel = network_links.merged(raw, measured, options.parallel_links)
    kept, pieces = network_links.connected(raw, links, largest_piece=options.largest_piece)
    nodes = tuple(_node(name, data, sites) for name, data in raw.nodes if name in kept)
    found = _links(raw, [link for link in links if link[0] in kept])
    counts = f"read {counted(len(nodes), 'node')}, {counted(len(found), 'link')}"
    parts = (counts, *units, *coordinates, *raw.notes, *arcs, *loops, *parallel, *pieces)
    said = printable("; ".join(parts))
    return Topology(
        name=raw.name,
        provenance=f"{' '.join(raw.comments) or f'file {raw.file}'} ({said})",
        nodes=nodes,
        links=found,
        reading=said,
    )


def _node(name: str, data: Attributes, sites: Sites) -> Node:
    lat_deg, lon_deg = sites.get(name, (None, None))
    return Node(name, lat_deg, lon_deg, str(lowered(data).get("domain", "")))


def _links(raw: RawNetwork, links: Sequence[Measured]) -> tuple[Link, ...]:
    """Return links in order, each with its earlier end first."""
    number = {name: number for number, (name, _) in enumerate(raw.nodes)}
    found = []
    for a, b, data, km in links:
        first, last = (a, b) if number[a] < number[b] else (b, a)
        found.append(Link(first, last, km, str(lowered(data).get("kind", ""))))
    problem = "read the same and cannot be kept apart; rename a node"
    reject(raw.file, "links", _same_labels((link.a, link.b) for link in found), problem)
    return tuple(sorted(found, key=lambda link: (number[link.a], number[link.b])))


def _check_names(raw: RawNetwork) -> None:
    """Refuse names that cannot be shown, kept apart, or written where names must be."""
    names = [name for name, _ in raw.nodes]
    reject(raw.file, "nodes", _repeated(names), "declared twice; keep one")
    unseen = [repr(name) for name in names if not name.strip() or not name.isprintable()]
    reject(raw.file, "nodes", unseen, "a name must not be empty, nor have control characters")
    long = [f"{name[:40]}..." for name in names if len(name.encode()) > _MOST_NAME_BYTES]
    reject(raw.file, "nodes", long, f"a name has at most {_MOST_NAME_BYTES} bytes in UTF-8")
    taken = [name for name in names if name in _ENTITIES or name.startswith(KEY_MANAGER_PREFIX)]
    problem = "is also what an entity is called, and cannot be kept apart from it; rename the node"
    reject(raw.file, "nodes", taken, problem)
    composed = {name: unicodedata.normalize("NFC", name) for name in names}
    same = set(_repeated(composed.values()))
    alike = [name for name in names if composed[name] in same]
    problem = "these names look the same (equal in Unicode NFC) and cannot be kept apart"
    reject(raw.file, "nodes", alike, problem)


def _same_labels(pairs: Iterable[LinkEnds]) -> list[str]:
    """Return what several links are called: with hyphens in names A-B to C and A to B-C read alike."""
    return _repeated(label_of(pair) for pair in pairs)


def _repeated(items: Iterable[_Item]) -> list[_Item]:
    return [item for item, count in Counter(items).items() if count > 1]
