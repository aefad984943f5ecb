"""Networks in XML: GraphML (Topology Zoo, OSMnx, yEd), GEXF of Gephi, and SNDlib's XML.

No document may declare entities, or nest deeper than any network does.  OSMnx gives lengths in metres and
says in `crs` what its coordinates are.
"""

from collections.abc import Iterator
from xml.etree import ElementTree as ET
from xml.parsers import expat

from emulator.config.network_raw import Attributes, Edges, RawNetwork, TopologyError, renamed

_MOST_DEPTH = 100

_Keyed = list[tuple[str, Attributes]]


def read_xml(file: str, name: str, content: bytes) -> RawNetwork:
    """Read any of these."""
    _refuse_bombs(file, content)
    root = ET.fromstring(content)  # noqa: S314 - entities and depth have been refused
    reader = {"graphml": _graphml, "gexf": _gexf, "network": _sndlib}.get(_tag(root))
    if reader is None:
        problem = f"the root is <{_tag(root)}>; only GraphML, GEXF and SNDlib's XML are read"
        raise TopologyError(file, "file", problem)
    return reader(file, name, root)


def _refuse_bombs(file: str, content: bytes) -> None:
    depth = 0
    parser = expat.ParserCreate()

    def entity(*_: object) -> None:
        raise TopologyError(
            file, "file", "declares XML entities, which are not read; export it without"
        )

    def opened(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise TopologyError(file, "file", f"nests deeper than {_MOST_DEPTH} elements")

    def closed(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.EntityDeclHandler = entity
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.Parse(content, True)


def _graphml(file: str, name: str, root: ET.Element) -> RawNetwork:
    graph = _only_graph(file, root)
    keys = {str(tag.get("id")): tag for tag in root if _tag(tag) == "key"}
    defaults = {
        domain: {
            str(tag.get("attr.name")): (value.text or "").strip()
            for tag in keys.values()
            for value in tag
            if tag.get("for") in (domain, "all") and _tag(value) == "default"
        }
        for domain in ("node", "edge")
    }
    keyed: _Keyed = []
    edges: list[tuple[str, str, Attributes]] = []
    directions = set()
    for tag in graph:
        if _tag(tag) == "hyperedge":
            raise TopologyError(file, "hyperedge", "a link has two ends; write edges")
        if _tag(tag) == "node":
            keyed.append((_named(file, tag, "id"), defaults["node"] | _data(tag, keys)))
        if _tag(tag) == "edge":
            directions.add(tag.get("directed", str(graph.get("edgedefault") == "directed").lower()))
            ends = _named(file, tag, "source"), _named(file, tag, "target")
            edges.append((*ends, defaults["edge"] | _data(tag, keys)))
    if len(directions) > 1:
        raise TopologyError(file, "edges", "some are directed and some are not; write one kind")
    about = {**_data(root, keys), **_data(graph, keys)}
    from_osmnx = "osmnx" in str(about.get("created_with", "")).lower() or any(
        "osmid" in data for _, _, data in edges
    )
    nodes, joined, notes = renamed(keyed, edges)
    return RawNetwork(
        file,
        name,
        nodes,
        joined,
        directed=directions == {"true"},
        length_unit="m" if from_osmnx else "",
        coordinates_stated=_system(about.get("crs")),
        notes=(("from OSMnx",) if from_osmnx else ()) + notes,
    )


def _only_graph(file: str, root: ET.Element) -> ET.Element:
    graphs = [tag for tag in root if _tag(tag) == "graph"]
    if len(graphs) != 1:
        raise TopologyError(file, "graph", f"there are {len(graphs)}; write one graph")
    return graphs[0]


def _system(crs: object) -> str:
    """Return what a coordinate reference system counts in."""
    if crs is None:
        return ""
    return "degrees" if str(crs).lower().endswith(("4326", "wgs84", "crs84")) else "projected"


def _data(tag: ET.Element, keys: dict[str, ET.Element]) -> dict[str, str]:
    """Return attributes by name; of yEd's graphics only the label."""
    found: dict[str, str] = {}
    for item in tag:
        if _tag(item) != "data":
            continue
        key = keys.get(str(item.get("key")))
        name = str(item.get("key") if key is None else key.get("attr.name", item.get("key")))
        if len(item):
            labels = [child.text for child in item.iter() if _tag(child) == "NodeLabel"]
            if label := next((text for text in labels if text and text.strip()), None):
                found["label"] = label
        elif item.text is not None:
            found[name] = item.text.strip()
    return found


def _gexf(file: str, name: str, root: ET.Element) -> RawNetwork:
    graph = _only_graph(file, root)
    titles = {
        (group.get("class"), tag.get("id")): str(tag.get("title"))
        for group in graph
        if _tag(group) == "attributes"
        for tag in group
    }
    keyed: _Keyed = [
        (_named(file, tag, "id"), {"label": tag.get("label")} | _values(tag, "node", titles))
        for tag in _children(graph, "nodes", "node")
    ]
    edges: list[tuple[str, str, Attributes]] = []
    default = graph.get("defaultedgetype", "undirected")
    types = set()
    for tag in _children(graph, "edges", "edge"):
        types.add(tag.get("type", default) == "directed")
        data = {"weight": tag.get("weight")} | _values(tag, "edge", titles)
        edges.append((_named(file, tag, "source"), _named(file, tag, "target"), data))
    if len(types) > 1:
        raise TopologyError(file, "edges", "some are directed and some are not; write one kind")
    nodes, joined, notes = renamed(keyed, edges)
    return RawNetwork(file, name, nodes, joined, directed=types == {True}, notes=notes)


def _values(
    tag: ET.Element, domain: str, titles: dict[tuple[str | None, str | None], str]
) -> dict[str, str | None]:
    return {
        titles.get((domain, item.get("for")), str(item.get("for"))): item.get("value")
        for item in _children(tag, "attvalues", "attvalue")
    }


def _sndlib(file: str, name: str, root: ET.Element) -> RawNetwork:
    structure = next((tag for tag in root if _tag(tag) == "networkStructure"), None)
    if structure is None:
        raise TopologyError(file, "file", "SNDlib: has no networkStructure")
    keyed: _Keyed = []
    for tag in _children(structure, "nodes", "node"):
        place = {_tag(item): item.text for item in tag.iter() if _tag(item) in ("x", "y")}
        keyed.append((_named(file, tag, "id"), place))
    edges: Edges = [
        (_text(file, tag, "source"), _text(file, tag, "target"), {})
        for tag in _children(structure, "links", "link")
    ]
    group = next((tag for tag in structure if _tag(tag) == "nodes"), structure)
    stated = {"geographical": "degrees", "pixel": "pixel"}.get(group.get("coordinatesType", ""), "")
    return RawNetwork(file, name, keyed, edges, coordinates_stated=stated)


def _children(tag: ET.Element, group: str, kind: str) -> Iterator[ET.Element]:
    for part in tag:
        if _tag(part) == group:
            yield from (item for item in part if _tag(item) == kind)


def _named(file: str, tag: ET.Element, attribute: str) -> str:
    value = tag.get(attribute)
    if value is None:
        raise TopologyError(file, _tag(tag), f"one has no {attribute}")
    return value


def _text(file: str, tag: ET.Element, child: str) -> str:
    value = next((item.text for item in tag if _tag(item) == child), None)
    if not value:
        raise TopologyError(file, f"link {tag.get('id')}", f"SNDlib: has no {child}")
    return value.strip()


def _tag(element: ET.Element) -> str:
    """Return the name of an element, without its namespace."""
    return element.tag.rsplit("}", 1)[-1]
