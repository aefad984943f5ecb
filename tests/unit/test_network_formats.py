"""Networks in the forms of the field, and the many ways in which a file can mislead."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config.network_measures import great_circle_km
from emulator.config.topology import (
    BUILT_IN_NAMES,
    Link,
    Node,
    ReadingOptions,
    Topology,
    TopologyError,
    load,
    save_csv,
)

Call = Callable[..., tuple[int, str, str]]
HEADER = "source,target,length_km\n"


def saved(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path, *words: str, link_km: float | None = None, **options: Any) -> None:
    with pytest.raises(TopologyError) as caught:
        load(path, link_km, ReadingOptions(**options))
    told = str(caught.value)
    assert "\n" not in told
    assert all(word in told for word in words), told


# -- forms -------------------------------------------------------------------------------------


_DIGESTS = {
    "usnet": "5b03c3377b264499",
    "usnet-ptrnet": "f9f780aa3440b72e",
    "usnet-gcnrnn": "e31dfb680648e16e",
    "nsfnet": "75949c5cead98e84",
    "nsfnet-deeprmsa": "53d00a282e7951bf",
    "janos-us": "8f0d6f138ddd2765",
    "nobel-us": "3a4c1edbd1972127",
    "germany50": "51a52bc88cb14fe4",
    "vienna": "7f0de6c1f76049de",
}


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_built_in_networks_keep_their_nodes_order_and_links(name: str) -> None:
    network = load(name)
    parts: list[object] = [(x.name, x.lat_deg, x.lon_deg, x.domain) for x in network.nodes]
    parts += [(x.a, x.b, x.length_km, x.kind) for x in network.links]
    assert sha256(repr(parts).encode()).hexdigest()[:16] == _DIGESTS[name]


def test_graphml_of_the_topology_zoo(tmp_path: Path) -> None:
    graph: nx.MultiGraph[str] = nx.MultiGraph()
    graph.add_node("0", label="Oslo", Latitude=59.9, Longitude=10.7)
    graph.add_node("1", label="Bergen", Latitude=60.4, Longitude=5.3)
    graph.add_edges_from([("0", "1", {"LinkLabel": "10G"}), ("0", "1", {"LinkLabel": "1G"})])
    nx.write_graphml(graph, tmp_path / "zoo.graphml")
    network = load(tmp_path / "zoo.graphml", options=ReadingOptions(detour=1.3))
    assert network.nodes == (Node("Oslo", 59.9, 10.7), Node("Bergen", 60.4, 5.3))
    km = 1.3 * great_circle_km((59.9, 10.7), (60.4, 5.3))
    assert network.links == (Link("Oslo", "Bergen", pytest.approx(km)),)
    assert "parallel links merged into 1" in network.reading


def test_graphml_of_osmnx_is_in_metres_and_its_projection_is_none_on_earth(tmp_path: Path) -> None:
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph(crs="epsg:4326", created_with="OSMnx 2.0")
    graph.add_node(7, y=39.998, x=-86.345)
    graph.add_node(9, y=39.999, x=-86.345)
    for a, b in ((7, 9), (9, 7)):
        graph.add_edge(a, b, length=111.3, osmid=1)
    nx.write_graphml(graph, tmp_path / "street.graphml")
    network = load(tmp_path / "street.graphml")
    assert network.links == (Link("7", "9", pytest.approx(0.1113)),)
    assert "in m" in network.reading
    graph.graph["crs"] = "epsg:32616"
    nx.write_graphml(graph, tmp_path / "projected.graphml")
    network = load(tmp_path / "projected.graphml")
    assert network.nodes[0] == Node("7")
    assert "set aside: the file says that they are projected" in network.reading


def test_gexf_of_gephi(tmp_path: Path) -> None:
    graph: nx.Graph[str] = nx.Graph()
    graph.add_edge("0", "1", weight=20.0)
    for node, label in (("0", "Kiel"), ("1", "Bonn")):
        graph.nodes[node]["label"] = label
    nx.write_gexf(graph, tmp_path / "g.gexf")
    network = load(tmp_path / "g.gexf", options=ReadingOptions(length="weight", length_unit="mi"))
    assert network.links == (Link("Kiel", "Bonn", pytest.approx(32.18688)),)


SNDLIB_XML = """<?xml version="1.0"?>
<network xmlns="http://sndlib.zib.de/network"><networkStructure>
<nodes coordinatesType="{kind}">
<node id="N1"><coordinates><x>{x}</x><y>50.0</y></coordinates></node>
<node id="N2"><coordinates><x>9.0</x><y>51.0</y></coordinates></node></nodes>
<links><link id="L1"><source>N1</source><target>N2</target></link></links>
</networkStructure></network>"""


def test_xml_of_sndlib(tmp_path: Path) -> None:
    path = saved(tmp_path, "n.xml", SNDLIB_XML.format(kind="geographical", x="8.0"))
    assert load(path, options=ReadingOptions(detour=1)).nodes[0] == Node("N1", 50.0, 8.0)
    path = saved(tmp_path, "p.xml", SNDLIB_XML.format(kind="pixel", x="8.0"))
    assert "set aside: the file says that they are pixel" in load(path, 80).reading
    refused(path, "N1, N2", "no coordinates", detour=1.5)


def test_columns_of_fusion_have_arcs_of_which_one_may_be_longer(tmp_path: Path) -> None:
    path = saved(tmp_path, "n.txt", "0\t1\t900\n1\t0\t900\n1\t2\t70\t \n2\t1\t70 \n")
    assert load(path).links == (Link("0", "1", 900), Link("1", "2", 70))
    path = saved(tmp_path, "m.txt", "7\t8\t900\n8\t7\t1150\n")
    refused(path, "7-8", "900 and 1150 km", "parallel_links: shortest")
    network = load(path, options=ReadingOptions(parallel_links="shortest"))
    assert network.links == (Link("7", "8", 900),)
    assert "the shortest kept of 7-8 (900 and 1150 km)" in network.reading
    refused(saved(tmp_path, "o.txt", "a b\n"), "row 1", "2 values", "SNDlib", "FUSION")


def gnpy(*, both_ways: bool = True) -> dict[str, Any]:
    """Two cities, each with transceiver and ROADM, and between them two spans with an amplifier."""

    def site(kind: str, city: str, lat: float) -> dict[str, Any]:
        place = {"city": city, "latitude": lat, "longitude": 7.0}
        return {"uid": f"{kind} {city}", "type": kind, "metadata": {"location": place}}

    def fiber(uid: str, length: float, unit: str) -> dict[str, Any]:
        return {"uid": uid, "type": "Fiber", "params": {"length": length, "length_units": unit}}

    elements = [site(kind, city, lat) for city, lat in (("Bonn", 50.7), ("Ulm", 48.4))
                for kind in ("Transceiver", "Roadm")]  # fmt: skip
    ways = [("Bonn", "Ulm"), ("Ulm", "Bonn")] if both_ways else [("Bonn", "Ulm")]
    joints = []
    for a, b in ways:
        chain = [f"first {a}", f"amplifier {a}", f"second {a}"]
        elements += [fiber(chain[0], 200, "km"), {"uid": chain[1], "type": "Edfa"}]
        elements.append(fiber(chain[2], 150_000, "m"))
        joints += [(f"Roadm {a}", chain[0]), *pairwise(chain)]
        joints.append((chain[2], f"Roadm {b}"))
    for city in ("Bonn", "Ulm"):
        joints += [
            (f"Transceiver {city}", f"Roadm {city}"),
            (f"Roadm {city}", f"Transceiver {city}"),
        ]
    connections = [{"from_node": a, "to_node": b} for a, b in joints]
    return {"elements": elements, "connections": connections}


@pytest.mark.parametrize("both_ways", [True, False])
def test_gnpy_joins_sites_by_all_fiber_between_them(tmp_path: Path, both_ways: bool) -> None:
    network = load(saved(tmp_path, "n.json", json.dumps(gnpy(both_ways=both_ways))))
    assert network.nodes == (Node("Bonn", 50.7, 7.0), Node("Ulm", 48.4, 7.0))
    assert network.links == (Link("Bonn", "Ulm", 350.0),)


def test_d3_names_nodes_by_place_and_old_networkx_too(tmp_path: Path) -> None:
    links = [{"source": 0, "target": 1, "length_km": 5}]
    data: dict[str, Any] = {"nodes": [{"id": "a"}, {"id": "b"}], "links": links}
    assert load(saved(tmp_path, "a.json", json.dumps(data))).links == (Link("a", "b", 5),)
    data["nodes"] = [{"name": "a"}, {"x": 3}]
    refused(saved(tmp_path, "b.json", json.dumps(data)), "node 1", "no id")
    data["nodes"] = [{"name": "a"}, {"name": "b"}]
    links[0]["target"] = 2
    refused(saved(tmp_path, "c.json", json.dumps(data)), "2: no such node", "0 to 1")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"nodes": [{"id": 1, "id": 2}], "links": []}', ["id", "twice"]),
        ("a.json", '{"nodes": {"a": 1}, "links": []}', ["nodes", "list of objects"]),
        ("a.json", '{"nodes": [{"id": 1}], "links": [{"source": 1}]}', ["link 0", "target"]),
        ("a.json", "[" * 100_000, ["not valid json"]),
        ("a.gml", "graph [ node [ id 0 ]", ["ends too early"]),
        ("a.gml", "graph [" + "a [" * 100, ["nests deeper"]),
        ("a.gml", 'graph [ node [ label "a" ] ]', ["node", "no id"]),
        ("a.txt", "?SNDlib native format\nNODES (\n a b\n)\n", ["SNDlib", "'a b'"]),
        ("a.txt", "?SNDlib native format\nNODES (\n", ["no end"]),
        ("a.xml", "<html></html>", ["<html>", "GraphML"]),
        ("a.graphml", "<graphml></graphml>", ["there are 0"]),
        ("a.graphml", "<a>" * 200 + "</a>" * 200, ["nests deeper"]),
        ("a.graphml", '<!DOCTYPE a [<!ENTITY b "c">]><graphml>&b;</graphml>', ["entities"]),
    ],
)
def test_broken_files_are_refused_in_one_line(
    tmp_path: Path, name: str, text: str, words: list[str]
) -> None:
    refused(saved(tmp_path, name, text), *words)


CASES = Path(__file__).parent.parent / "cases" / "networks"
_FILES = sorted(path for path in CASES.iterdir() if path.suffix != ".yaml")
_PARTS = [
    b"null",
    b"[]",
    b"{}",
    b"-1",
    b"1e999",
    b"NaN",
    b"true",
    b'""',
    b"\0",
    b"\xff",
    b"9" * 400,
]
_PARTS += [b'"', b"]", b"<", b"&amp;", b"\n", b"#", b";", b",", b"graph [", b"id", b"1_0", b""]


@given(st.sampled_from(_FILES), st.lists(st.tuples(st.integers(0), st.sampled_from(_PARTS))))
def test_a_damaged_file_is_read_or_refused_in_one_line(
    source: Path, changes: list[tuple[int, bytes]]
) -> None:
    content = bytearray(source.read_bytes())
    for place, part in changes:
        start = place % (len(content) + 1)
        content[start : start + len(part) // 2] = part
    with TemporaryDirectory() as folder:
        path = Path(folder, f"damaged{source.suffix}")
        path.write_bytes(content)
        network, told = None, ""
        try:
            network = load(path, options=ReadingOptions(detour=2, least_km=1, largest_piece=True))
        except TopologyError as error:
            told = str(error)
        assert "\n" not in told
        if network is None:
            return
        again = load(save_csv(network, Path(folder, "again.csv"), comment=network.provenance))
    assert "\n" not in network.reading
    assert (again.nodes, again.links) == (network.nodes, network.links)


def test_a_billion_laughs_are_none(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    text = f'<!DOCTYPE x [<!ENTITY a0 "ha">{levels}]><graphml>&a9;</graphml>'
    for encoding in ("utf-8", "utf-16"):
        path = tmp_path / f"{encoding}.graphml"
        path.write_bytes(text.encode(encoding))
        refused(path, "entities")


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    refused(tmp_path / "a.csv", "not a regular file")
    (tmp_path / "b.csv").symlink_to("/dev/zero")
    refused(tmp_path / "b.csv", "not a regular file")
    with (tmp_path / "c.csv").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    refused(tmp_path / "c.csv", "larger than 64 MB")
    rows = "".join(f"h,n{number},1\n" for number in range(20_000))
    refused(saved(tmp_path, "d.csv", HEADER + rows), "20001", "at most 20000")


# -- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + 'a,b,"1,234"\n', ["a-b (1,234)", "nothing for thousands"]),
        (HEADER + "a,b,1 234\n", ["a-b (1 234)"]),
        (HEADER + "a,b,1'234\n", ["a-b (1'234)"]),
        (HEADER + "a,b,1_234\n", ["a-b (1_234)"]),
        (HEADER + "a,b,１２\n", ["a-b"]),
        (HEADER + "a,b,5 km\n", ["a-b (5 km)"]),
        (HEADER + "a,b,0x10\n", ["a-b (0x10)"]),
        (HEADER + "a,b,5\n# c,d,6\n", ["# c, d: not connected"]),
        (HEADER + "a,b,5\n# a remark\n", ["row 2", "1 values for 3", "before the header"]),
        ("source,target,length_km,Length (km)\na,b,5,6\n", ["header", "length_km", "keep one"]),
        ("source;target;length_km\na;b;1,234\n", ["1,234 may be thousands"]),
        ("source;target;length_km\na;b;1.234\n", ["1.234 may be thousands"]),
        ("source;target;length_km\na;b;1.234,5\n", ["a-b (1.234,5)"]),
        ("source;target;length_km\na;b;1,5\nb;c;2.5\n", ["use one decimal sign"]),
        ("source,target,type,length_km\na,b,Directed,5\nb,c,Undirected,5\n", ["both Directed"]),
    ],
)
def test_a_table_is_not_read_wrong_in_silence(tmp_path: Path, text: str, words: list[str]) -> None:
    refused(saved(tmp_path, "n.csv", text), *words)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffSource;Target;Length (km)\r\na;b;1,5\r\n",
        "source\ttarget\tlength_km\na\tb\t1.5\n",
        "# a\n\n# b\nsource,target,length_km,\na,b,1.5,,\n\n",
        'source,target,length_m\n"a",b,1500\n',
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    assert load(saved(tmp_path, "n.csv", text)).links == (Link("a", "b", 1.5),)


def test_a_file_that_is_not_utf_8_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_bytes(HEADER.encode() + "Köln,Bonn,28\n".encode("latin-1"))
    refused(tmp_path / "n.csv", "not UTF-8", "save it as UTF-8")


_LETTERS = st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" #,;\"'")
_NAMES = st.text(_LETTERS, min_size=1, max_size=12).map(str.strip).filter(bool)


@given(st.lists(_NAMES, min_size=2, max_size=6, unique=True))
def test_names_of_any_letters_survive_being_written_down_or_are_refused(names: list[str]) -> None:
    nodes = [{"id": name} for name in names]
    links = [{"source": names[0], "target": name, "length_km": 3} for name in names[1:]]
    with TemporaryDirectory() as folder:
        path = saved(Path(folder), "n.json", json.dumps({"nodes": nodes, "links": links}))
        try:
            network = load(path)
        except TopologyError:
            return
        again = load(save_csv(network, Path(folder, "again.csv"), comment=network.provenance))
    assert (again.nodes, again.links) == (network.nodes, network.links)


# -- links -------------------------------------------------------------------------------------


def node_link(path: Path, edges: list[tuple[str, str, float]], **fields: Any) -> Path:
    names = dict.fromkeys(name for a, b, _ in edges for name in (a, b))
    links = [{"source": a, "target": b, "distance": km} for a, b, km in edges]
    data = {"nodes": [{"id": name} for name in names], "links": links} | fields
    path.write_text(json.dumps(data))
    return path


def test_arcs_that_go_one_way_only_are_refused_where_others_go_both(tmp_path: Path) -> None:
    edges = [("a", "b", 5.0), ("b", "a", 5.0), ("b", "c", 5.0)]
    refused(node_link(tmp_path / "n.json", edges, directed=True), "b-c", "one way", "undirected")


def test_a_directed_graph_that_writes_each_fiber_once_is_undirected(tmp_path: Path) -> None:
    edges = [("a", "b", 5.0), ("c", "b", 6.0)]
    network = load(node_link(tmp_path / "n.json", edges, directed=True))
    assert network.links == (Link("a", "b", 5.0), Link("b", "c", 6.0))
    assert "each link is written one way: taken for undirected" in network.reading


@given(st.permutations([("a", "b", 4.0), ("b", "a", 3.0), ("b", "c", 9.0), ("a", "b", 7.0)]))
def test_of_parallel_links_the_shortest_is_kept_in_any_order(
    edges: list[tuple[str, str, float]],
) -> None:
    with TemporaryDirectory() as folder:
        path = node_link(Path(folder, "n.json"), edges)
        network = load(path, options=ReadingOptions(parallel_links="shortest"))
        refused(path, "more than once", "parallel_links: shortest")
    assert sorted(x.length_km for x in network.links) == [3.0, 9.0]


def test_parallel_links_of_an_edge_list_are_mistakes_but_on_wish_merged(tmp_path: Path) -> None:
    path = saved(tmp_path, "n.csv", HEADER + "a,b,5\nb,a,5\n")
    refused(path, "a-b", "more than once")
    network = load(path, options=ReadingOptions(parallel_links="shortest"))
    assert network.links == (Link("a", "b", 5),)


def test_link_km_replaces_every_length_whatever_is_there(tmp_path: Path) -> None:
    path = saved(tmp_path, "n.csv", HEADER + "a,b,0\nb,c,\nc,d,far\nd,e,-1\n")
    assert {link.length_km for link in load(path, 80).links} == {80.0}


def test_names_that_repeat_are_not_names(tmp_path: Path) -> None:
    text = 'graph [ node [ id 3 label "x" ] node [ id 4 label "x" ] edge [ source 3 target 4 dist 1 ] ]'
    network = load(saved(tmp_path, "n.gml", text))
    assert [node.name for node in network.nodes] == ["3", "4"]
    assert "names are ids, for `label` repeats (x)" in network.reading


# -- coordinates and lengths -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ([{"pos": [0.2, -0.9]}, {"pos": [0.5, 1.0]}], "as in a drawing"),
        ([{"x": 300, "y": 10}, {"x": 20, "y": 10}], "are no degrees"),
        ([{"lat": 0, "lon": 0}, {"lat": 0, "lon": 0}], "all nodes stand at one place"),
    ],
)
def test_coordinates_of_drawings_are_set_aside(
    tmp_path: Path, sites: list[dict[str, Any]], words: str
) -> None:
    nodes = [{"id": n} | site for n, site in enumerate(sites)]
    links = [{"source": 0, "target": 1, "length_km": 5}]
    path = saved(tmp_path, "n.json", json.dumps({"nodes": nodes, "links": links}))
    network = load(path)
    assert network.nodes == (Node("0"), Node("1"))
    assert words in network.reading


def two_cities(folder: Path, key: str, length: float) -> Path:
    nodes = [{"id": "a", "lat": 50.0, "lon": 7.0}, {"id": "b", "lat": 50.0, "lon": 8.0}]
    links = [{"source": "a", "target": "b", key: length}]
    return saved(folder, "n.json", json.dumps({"nodes": nodes, "links": links}))


def test_lengths_that_contradict_coordinates_are_named_or_refused(tmp_path: Path) -> None:
    assert "implausible" not in load(two_cities(tmp_path, "length", 90)).reading
    short = load(two_cities(tmp_path, "length", 30)).reading
    assert "implausible lengths: a-b 30 km (straight 71.47)" in short
    refused(two_cities(tmp_path, "length", 75_000), "longer than around the Earth", "length_unit")
    refused(two_cities(tmp_path, "length", 25_000), "times as long", "length_unit")
    assert "in km" in load(two_cities(tmp_path, "length_km", 25_000)).reading
    metres = load(two_cities(tmp_path, "length", 75_000), options=ReadingOptions(length_unit="m"))
    assert metres.links[0].length_km == pytest.approx(75)


def test_lengths_cannot_come_from_one_place(tmp_path: Path) -> None:
    text = HEADER + "a,b,1\nb,c,1\n"
    saved(tmp_path, "n.nodes.csv", "node,lat,lon\na,1,1\nb,1,1\nc,2,2\n")
    path = saved(tmp_path, "n.csv", text)
    refused(path, "a-b", "one place", "least_km", detour=1.5)
    network = load(path, options=ReadingOptions(detour=1.5, least_km=2))
    assert network.links[0].length_km == 2
    assert "1 length below 2 km raised to that" in network.reading


def test_lengths_of_zero_are_raised_on_wish_and_negative_ones_are_not(tmp_path: Path) -> None:
    path = saved(tmp_path, "n.csv", HEADER + "a,b,0\nb,c,0.5\nc,d,7\n")
    refused(path, "a-b (0)", "least_km")
    network = load(path, options=ReadingOptions(least_km=1))
    assert [link.length_km for link in network.links] == [1, 1, 7]
    refused(saved(tmp_path, "m.csv", HEADER + "a,b,-1\n"), "a-b (-1)", least_km=1)


@given(
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
)
def test_great_circles_are_distances(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert great_circle_km(a, b) == pytest.approx(great_circle_km(b, a))
    assert 0 <= great_circle_km(a, b) <= 20_016
    assert great_circle_km(a, a) == 0


# -- the command -------------------------------------------------------------------------------


def test_the_command_shows_draws_and_writes(qsagin: Call, tmp_path: Path) -> None:
    path = two_cities(tmp_path, "length", 80)
    out, picture = tmp_path / "own.csv", tmp_path / "map.png"
    words = ("topology", str(path), "--detour", "1.5", "--out", str(out), "--map", str(picture))
    status, stdout, stderr = qsagin(*words, "--json")
    document = json.loads(stdout)
    assert status == 0
    assert "lengths are 1.5 times the great circle" in stderr
    assert document["files"] == [str(out), str(tmp_path / "own.nodes.csv"), str(picture)]
    assert document["links"][0]["length_km"] == pytest.approx(1.5 * 71.47, rel=1e-3)
    assert picture.read_bytes().startswith(b"\x89PNG")
    own, network = load(out), load(path, options=ReadingOptions(detour=1.5))
    assert (own.nodes, own.links) == (network.nodes, network.links)
    assert "great circle" in own.provenance
    status, stdout, stderr = qsagin(*words)
    assert (status, stdout) == (2, "")
    assert "must be a new file" in stderr


def test_the_command_knows_built_in_networks_and_shows_a_table(qsagin: Call) -> None:
    status, stdout, _ = qsagin("topology", "usnet")
    assert status == 0
    assert "43" in stdout


def test_the_command_refuses_what_it_cannot_read(qsagin: Call, tmp_path: Path) -> None:
    status, stdout, stderr = qsagin("topology", str(tmp_path / "gone[/b].csv"))
    assert (status, stdout) == (2, "")
    assert "gone[/b].csv: file: cannot be read" in stderr


def test_names_with_dollars_do_not_lose_a_map(tmp_path: Path) -> None:
    from emulator.report.network_map import draw_network

    nodes = (Node("$a^$"), Node("b$"), Node("$\\frac$"))
    links = (Link("$a^$", "b$", 1.0), Link("b$", "$\\frac$", 1.0))
    draw_network(Topology("n", "", nodes, links)).savefig(tmp_path / "n.svg")
