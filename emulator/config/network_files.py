"""Reading a network as it is written: GraphML, GML, node-link JSON, CSV edge list, or a built-in.

Every format becomes the same raw lists of names and attributes.  What is said twice, wrongly or not at
all is still there afterwards: `emulator.config.topology` judges it.  Nodes stay in the order of the file.
CSV files may begin with `#` lines that say where the numbers come from.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emulator.input_checks import InputFileError

_BUILT_IN_DIR = Path(__file__).parent / "topologies"
_BUILT_IN = {  # name: (links, nodes)
    "usnet": ("usnet.csv", "usnet.nodes.csv"),
    "usnet-ptrnet": ("usnet-ptrnet.csv", "usnet.nodes.csv"),
    "usnet-gcnrnn": ("usnet-gcnrnn.csv", "usnet.nodes.csv"),
    "nsfnet": ("nsfnet.csv", "nsfnet.nodes.csv"),
    "nsfnet-deeprmsa": ("nsfnet-deeprmsa.csv", "nsfnet.nodes.csv"),
    "janos-us": ("janos-us.csv", "janos-us.nodes.csv"),
    "nobel-us": ("nobel-us.csv", "nobel-us.nodes.csv"),
    "vienna": ("vienna.csv", "vienna.nodes.csv"),
}
BUILT_IN_NAMES = tuple(_BUILT_IN)


class TopologyError(InputFileError):
    """A network cannot be used as written."""


@dataclass(frozen=True)
class RawNetwork:
    """A network as written: names, attributes and lengths are not yet checked."""

    file: str
    name: str
    nodes: Sequence[tuple[str, Mapping[str, Any]]]
    edges: Sequence[tuple[str, str, Mapping[str, Any]]]
    directed: bool = False
    comments: list[str] = field(default_factory=list)


def read_built_in(name: str) -> RawNetwork:
    """Read the network of that name from the package."""
    links, nodes = _BUILT_IN[name]
    raw = _read_csv(_BUILT_IN_DIR / links, _BUILT_IN_DIR / nodes)
    return replace(raw, file=name, name=name)


def read_file(path: Path) -> RawNetwork:
    """Read a file in the format its suffix names; raise TopologyError if that fails."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(BUILT_IN_NAMES)
        problem = f"neither a built-in network ({known}) nor a file ending in {', '.join(_READERS)}"
        raise TopologyError(str(path), "topology", problem)
    try:
        return reader(path)
    except TopologyError:
        raise
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise TopologyError(str(path), "file", problem) from error
    except Exception as error:  # parsers raise many kinds, and all mean the same here
        kind = path.suffix.lower().lstrip(".")
        reason = " ".join(str(error).split()) or type(error).__name__
        problem = f"is not valid {kind}: {reason}; mend the file or export it again"
        raise TopologyError(str(path), "file", problem) from error


def _read_graphml(path: Path) -> RawNetwork:
    from xml.etree import ElementTree as ET

    import networkx as nx

    graph = nx.read_graphml(path)
    # networkx adds the ends of an edge silently; only the file tells which nodes it declares
    tree = ET.parse(path)  # noqa: S314 - networkx has parsed the same bytes the same way
    declared = {str(tag.get("id")) for tag in tree.iter() if tag.tag.split("}")[-1] == "node"}
    nodes = [(str(name), data) for name, data in graph.nodes(data=True) if str(name) in declared]
    edges = [(str(a), str(b), data) for a, b, data in graph.edges(data=True)]
    return RawNetwork(str(path), path.stem, nodes, edges, directed=graph.is_directed())


def _read_gml(path: Path) -> RawNetwork:
    import networkx as nx

    graph = nx.read_gml(path, label="id")
    labels = {key: str(data.get("label", "")) for key, data in graph.nodes(data=True)}
    if "" in labels.values() or len(set(labels.values())) < len(labels):
        labels = {key: str(key) for key in labels}  # labels do not tell nodes apart; ids do
    nodes = [(labels[key], data) for key, data in graph.nodes(data=True)]
    edges = [(labels[a], labels[b], data) for a, b, data in graph.edges(data=True)]
    return RawNetwork(str(path), path.stem, nodes, edges, directed=graph.is_directed())


def _read_node_link(path: Path) -> RawNetwork:
    data = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(data, dict) or "nodes" not in data or not {"links", "edges"} & set(data):
        problem = "must be an object with `nodes` and `links` (or `edges`), as networkx writes it"
        raise TopologyError(str(path), "file", problem)
    rows = data["links"] if "links" in data else data["edges"]
    nodes = [(str(node["id"]), node) for node in data["nodes"]]
    edges = [(str(edge["source"]), str(edge["target"]), edge) for edge in rows]
    return RawNetwork(
        str(path), path.stem, nodes, edges, directed=bool(data.get("directed", False))
    )


def _read_csv(path: Path, nodes_path: Path | None = None) -> RawNetwork:
    comments, rows = _csv_rows(path, ("source", "target"))
    edges = [(row["source"], row["target"], row) for row in rows]
    companion = nodes_path or path.with_suffix(".nodes.csv")
    if companion.exists():
        more, sites = _csv_rows(companion, ("node",))
        nodes = [(row["node"], row) for row in sites]
        return RawNetwork(str(path), path.stem, nodes, edges, comments=comments + more)
    names = dict.fromkeys(name for a, b, _ in edges for name in (a, b))
    implied = [(name, dict[str, Any]()) for name in names]
    return RawNetwork(str(path), path.stem, implied, edges, comments=comments)


def _csv_rows(path: Path, needed: tuple[str, ...]) -> tuple[list[str], list[dict[str, Any]]]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    comments = [line.lstrip("# ").rstrip() for line in lines if line.startswith("#")]
    table = [line for line in lines if line.strip() and not line.startswith("#")]
    header = [cell.strip().lower() for cell in next(csv.reader(table), [])]
    missing = [column for column in needed if column not in header]
    if missing:
        columns = "source,target,length_km" if "source" in needed else "node,lat,lon"
        problem = f"has no column {', '.join(missing)}; the first line must be {columns}"
        raise TopologyError(str(path), "header", problem)
    rows: list[dict[str, Any]] = []
    for number, cells in enumerate(csv.reader(table[1:]), start=1):
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        empty = [column for column in needed if not row.get(column)]
        if empty:
            problem = f"{', '.join(empty)} is empty in {','.join(cells)!r}; name a node there"
            raise TopologyError(str(path), f"row {number}", problem)
        rows.append(row)
    return comments, rows


_READERS: dict[str, Callable[[Path], RawNetwork]] = {
    ".graphml": _read_graphml,
    ".gml": _read_gml,
    ".json": _read_node_link,
    ".csv": _read_csv,
}
