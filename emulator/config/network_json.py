"""Networks in JSON: node-link of networkx, topohub, XLRON and d3, and the elements of GNPy.

A node is known by its `id`; d3 and old networkx name the ends of links by place, from 0.  In GNPy a node is
a site, which is its ROADM with the transceivers beside it, and a link is all fiber between two sites.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from emulator.config.network_raw import (
    Attributes,
    Edges,
    RawNetwork,
    TopologyError,
    reject,
    renamed,
)

_SITES = ("Transceiver", "Roadm")
_FIBERS = ("Fiber", "RamanFiber")
_UNITS_KM = {"km": 1.0, "m": 1e-3}


def read_json(file: str, name: str, text: str) -> RawNetwork:
    """Read any of these."""
    data = json.loads(text, object_pairs_hook=lambda pairs: _once(file, pairs))
    if isinstance(data, dict) and {"elements", "connections"} <= set(data):
        return _GnpyNetwork(file, data).raw(name)
    if not isinstance(data, dict) or "nodes" not in data or not {"links", "edges"} & set(data):
        problem = "must be an object with `nodes` and `links` (or `edges`), as networkx writes it"
        raise TopologyError(file, "file", problem)
    directed = data.get("directed", False)
    if not isinstance(directed, bool):
        raise TopologyError(file, "directed", f"must be true or false, not {directed!r}")
    nodes, rows = data["nodes"], data["links"] if "links" in data else data["edges"]
    for part, items in (("nodes", nodes), ("links", rows)):
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise TopologyError(file, part, "must be a list of objects")
    keyed, edges, notes = _node_link(file, nodes, rows)
    named, joined, more = renamed(keyed, edges)
    return RawNetwork(file, name, named, joined, directed=directed, notes=notes + more)


def _once(file: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise TopologyError(file, twice, "is written twice in one object; keep one")
    return found


def _node_link(
    file: str, nodes: list[Attributes], rows: list[Attributes]
) -> tuple[list[tuple[str, Attributes]], Edges, tuple[str, ...]]:
    """Return nodes by id, or by place or name if they have none, and their links."""
    ends = [row.get(side) for row in rows for side in ("source", "target")]
    bad = [str(n) for n, end in enumerate(ends) if not _is_key(end)]
    if bad:
        number, side = divmod(int(bad[0]), 2)
        problem = (
            f"{('source', 'target')[side]} must be the id of a node, not {ends[int(bad[0])]!r}"
        )
        raise TopologyError(file, f"link {number}", problem)
    with_id = [node for node in nodes if _is_key(node.get("id"))]
    if with_id and len(with_id) < len(nodes):
        number = next(n for n, node in enumerate(nodes) if not _is_key(node.get("id")))
        raise TopologyError(file, f"node {number}", "has no id; give each node one")
    by_place = bool(ends) and all(isinstance(end, int) for end in ends)
    if with_id:
        keyed = [(str(node["id"]), node) for node in nodes]
        keys = {key for key, _ in keyed}
        by_place = by_place and not any(str(end) in keys for end in ends)
    else:
        own = "name" if all(_is_key(node.get("name")) for node in nodes) else "label"
        bare = [str(n) for n, node in enumerate(nodes) if not _is_key(node.get(own))]
        reject(file, "nodes", [f"node {n}" for n in bare], "has no id and no name; give it an id")
        keyed = [(str(node[own]), node) for node in nodes]
    known = [str(end) for end in ends]
    if by_place:
        outside = [end for end in known if not 0 <= int(end) < len(nodes)]
        reject(file, "links", outside, f"no such node; places are 0 to {len(nodes) - 1}")
        known = [keyed[int(end)][0] for end in known]
    edges = list(zip(known[::2], known[1::2], rows, strict=True))
    return keyed, edges, ("links name nodes by place, from 0",) if by_place else ()


def _is_key(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


class _GnpyNetwork:
    """The elements of GNPy, and how they are joined."""

    def __init__(self, file: str, data: Mapping[str, Any]) -> None:
        self._file = file
        self._elements: dict[str, Attributes] = {}
        for number, element in enumerate(data["elements"]):
            if not isinstance(element, dict) or not {"uid", "type"} <= set(element):
                raise TopologyError(file, f"element {number}", "GNPy: has no uid or no type")
            self._elements[str(element["uid"])] = element
        self._next: dict[str, list[str]] = defaultdict(list)
        for number, joint in enumerate(data["connections"]):
            if not isinstance(joint, dict) or not {"from_node", "to_node"} <= set(joint):
                problem = "GNPy: has no from_node or no to_node"
                raise TopologyError(file, f"connection {number}", problem)
            a, b = str(joint["from_node"]), str(joint["to_node"])
            reject(file, "connections", [x for x in (a, b) if x not in self._elements],
                   "GNPy: no such element")  # fmt: skip
            self._next[a].append(b)

    def raw(self, name: str) -> RawNetwork:
        """Return sites as nodes, and the fiber between them as links."""
        sites = [uid for uid in self._elements if self._kind(uid) in _SITES]
        chains = [(a, *chain) for a in sites for chain in self._chains(a)]
        self._refuse_loose_ends({uid for _, _, fibers in chains for uid in fibers})
        site = {uid: uid for uid in sites}
        for a, b, fibers in chains:  # what no fiber parts stands at one site
            if not fibers and site[a] != site[b]:
                kept, gone = sorted((site[a], site[b]), key=lambda uid: self._kind(uid) != "Roadm")
                site = {uid: kept if own == gone else own for uid, own in site.items()}
        edges: Edges = [
            (site[a], site[b], {"length_km": sum(map(self._length_km, fibers))})
            for a, b, fibers in chains
            if fibers and site[a] != site[b]
        ]
        keyed = [(uid, self._place(uid)) for uid in sites if site[uid] == uid]
        nodes, joined, notes = renamed(keyed, edges)
        return RawNetwork(
            self._file,
            name,
            nodes,
            joined,
            directed=True,
            notes=(f"GNPy: nodes are sites, named by {'city' if notes else 'uid'}",),
        )

    def _kind(self, uid: str) -> str:
        return str(self._elements[uid]["type"])

    def _chains(self, start: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield every site that is reached from one without passing another, and the fibers between."""
        waiting: list[tuple[str, tuple[str, ...]]] = [(uid, ()) for uid in self._next[start]]
        seen: set[str] = set()
        while waiting:
            uid, fibers = waiting.pop()
            if self._kind(uid) in _SITES:
                yield uid, fibers
            elif uid not in seen:
                seen.add(uid)
                passed = (*fibers, uid) if self._kind(uid) in _FIBERS else fibers
                waiting += [(after, passed) for after in self._next[uid]]

    def _refuse_loose_ends(self, passed: set[str]) -> None:
        fibers = [uid for uid in self._elements if self._kind(uid) in _FIBERS]
        loose = [uid for uid in fibers if uid not in passed]
        problem = (
            "GNPy: this fiber does not lead from a transceiver or ROADM to another; connect it"
        )
        reject(self._file, "connections", loose, problem)

    def _length_km(self, uid: str) -> float:
        params = self._elements[uid].get("params") or {}
        unit, length = params.get("length_units", "km"), params.get("length")
        if unit not in _UNITS_KM or not isinstance(length, int | float):
            problem = f"GNPy: length {length!r} {unit!r} is not a number of km or m"
            raise TopologyError(self._file, uid, problem)
        return length * _UNITS_KM[unit]

    def _place(self, uid: str) -> Attributes:
        metadata = self._elements[uid].get("metadata")
        place = metadata.get("location") if isinstance(metadata, dict) else None
        place = place if isinstance(place, dict) else {}
        return {key: place.get(key) for key in ("latitude", "longitude")} | {
            "name": place.get("city")
        }
