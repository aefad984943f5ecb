"""The links of a raw network, each once and without direction, and the piece of it that is kept.

Loops are dropped, links that are written more than once become one, and so do the two arcs of a directed
graph; all that is said.  What contradicts itself is refused: parallel links of other lengths, unless the
shortest is asked for, and a graph of which some links go both ways and some one way.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal

from emulator.config.network_raw import (
    Attributes,
    Edges,
    RawNetwork,
    TopologyError,
    counted,
    listed,
    reject,
)

ParallelLinks = Literal["equal", "shortest"]

Measured = tuple[str, str, Attributes, float]
"""Two ends, attributes and km."""


def without_loops(raw: RawNetwork) -> tuple[Edges, tuple[str, ...]]:
    """Return the links between known and different nodes, and a note on those that were dropped."""
    known = {name for name, _ in raw.nodes}
    strange = [f"{a}-{b}" for a, b, _ in raw.edges if a not in known or b not in known]
    ends = dict.fromkeys(name for a, b, _ in raw.edges for name in (a, b))
    names = ", ".join([name for name in ends if name not in known][:10])
    reject(raw.file, "links", strange, f"unknown node {names}; declare it or drop the link")
    loops = [a for a, b, _ in raw.edges if a == b]
    kept = [edge for edge in raw.edges if edge[0] != edge[1]]
    return kept, (f"{counted(len(loops), 'loop')} dropped ({listed(loops, 3)})",) if loops else ()


def undirected(raw: RawNetwork, edges: Edges) -> tuple[str, ...]:
    """Return a note on how arcs were taken for links; refuse those of which that cannot be told."""
    if not raw.directed or not edges:
        return ()
    arcs = {(a, b) for a, b, _ in edges}
    single = [
        f"{a}-{b}" for a, b in dict.fromkeys((a, b) for a, b, _ in edges) if (b, a) not in arcs
    ]
    if len(single) == len(arcs):
        return ("directed, but each link is written one way: taken for undirected",)
    problem = "the graph is directed, and only these go one way; save it as an undirected graph"
    reject(raw.file, "links", single, problem)
    return ("directed, both ways everywhere: taken for undirected",)


def merged(
    raw: RawNetwork, edges: Sequence[Measured], parallel: ParallelLinks
) -> tuple[list[Measured], tuple[str, ...]]:
    """Return each link once, in the order in which they are first written, and a note on the others."""
    first: dict[frozenset[str], Measured] = {}
    seen: set[tuple[str, str]] = set()
    again, unequal = dict[str, None](), dict[str, str]()
    for edge in edges:
        a, b, data, km = edge
        pair = frozenset((a, b))
        other = first.setdefault(pair, edge)
        if other is edge:
            seen.add((a, b))
            continue
        if not raw.directed or (a, b) in seen:
            again[f"{other[0]}-{other[1]}"] = None
        seen.add((a, b))
        if (km, data.get("kind")) != (other[3], other[2].get("kind")):
            unequal[f"{other[0]}-{other[1]}"] = f"{other[3]:g} and {km:g} km"
        if km < other[3]:
            first[pair] = edge
    if parallel == "equal":
        own = list(again) if raw.is_edge_list else []
        once = "given more than once (in either direction); keep one"
        reject(raw.file, "links", [pair for pair in own if pair not in unequal], once)
        lengths = listed(list(unequal.values()), 3)
        remedy = f"given more than once ({lengths}); keep one, or set parallel_links: shortest"
        reject(raw.file, "links", list(unequal), remedy)
    notes = []
    if again:
        notes.append(f"parallel links merged into {len(again)} ({listed(list(again), 3)})")
    if unequal:
        both = [f"{pair} ({lengths})" for pair, lengths in unequal.items()]
        notes.append(f"the shortest kept of {listed(both, 3)}")
    return list(first.values()), tuple(notes)


def connected(
    raw: RawNetwork, edges: Sequence[Measured], *, largest_piece: bool
) -> tuple[set[str], tuple[str, ...]]:
    """Return the nodes of the largest piece, and a note on the others; refuse them unless asked."""
    if not edges:
        raise TopologyError(raw.file, "links", "there are none; a network needs at least one")
    neighbours: dict[str, set[str]] = {name: set() for name, _ in raw.nodes}
    for a, b, *_ in edges:
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
    if not largest_piece:
        problem = "not connected to the rest; add a link, drop the node, or set largest_piece: true"
        reject(raw.file, "nodes", apart, problem)
    if not apart:
        return largest, ()
    left_out = f"{counted(len(apart), 'node')} outside the largest piece left out"
    return largest, (f"{left_out} ({listed(apart, 3)})",)
