"""Networks from files and by name: what loads, and what is refused with which words."""

import json
import pickle
from dataclasses import replace
from itertools import pairwise
from math import acos, cos, radians, sin
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config.topology import (
    BUILT_IN_NAMES,
    Link,
    Node,
    Topology,
    TopologyError,
    load,
    save_csv,
)


def triangle():
    graph = nx.Graph()
    graph.add_node("A", lat=47.6, lon=-122.3)
    graph.add_nodes_from(["B", "C"])
    graph.add_edge("B", "A", length_km=80.0)
    graph.add_edge("B", "C", length_km=120.5)
    graph.add_edge("C", "A", length_km=60.0)
    return graph


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def refusal(path, **options):
    with pytest.raises(TopologyError) as caught:
        load(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


# -- what loads --------------------------------------------------------------------------------


def test_the_same_network_comes_out_of_every_format(tmp_path):
    graph = triangle()
    nx.write_graphml(graph, tmp_path / "net.graphml")
    nx.write_gml(graph, tmp_path / "net.gml")
    write(tmp_path, "net.json", json.dumps(nx.node_link_data(graph, edges="edges")))
    write(tmp_path, "net.csv", "source,target,length_km\nB,A,80\nB,C,120.5\nC,A,60\n")
    write(tmp_path, "net.nodes.csv", "node,lat,lon\nA,47.6,-122.3\nB,,\nC,,\n")

    for name in ("net.graphml", "net.gml", "net.json", "net.csv"):
        topology = load(tmp_path / name)
        assert topology.nodes == (Node("A", 47.6, -122.3), Node("B"), Node("C"))
        assert topology.links == (Link("A", "B", 80), Link("A", "C", 60), Link("B", "C", 120.5))


def test_older_node_link_files_say_links_for_edges(tmp_path):
    data = nx.node_link_data(triangle(), edges="links")

    assert len(load(write(tmp_path, "old.json", json.dumps(data))).links) == 3


def test_nodes_are_numbered_as_links_first_name_them(tmp_path):
    network = load(write(tmp_path, "n.csv", "source,target,length_km\n1,10,4\n10,2,5\n2,1,6\n"))

    assert [node.name for node in network.nodes] == ["1", "10", "2"]
    assert [network.number(name) for name in ("1", "10", "2")] == [1, 2, 3]
    assert network.links == (Link("1", "10", 4), Link("1", "2", 6), Link("10", "2", 5))
    assert network.pairs([("2", "10"), ("10", "1"), ("10", "2")]) == (("1", "10"), ("10", "2"))


def test_a_companion_of_nodes_says_their_order(tmp_path):
    write(tmp_path, "n.nodes.csv", "node\n2\n1\n10\n")
    network = load(write(tmp_path, "n.csv", "source,target,length_km\n1,10,4\n10,2,5\n"))

    assert [node.name for node in network.nodes] == ["2", "1", "10"]
    assert network.links == (Link("2", "10", 5), Link("1", "10", 4))


@given(st.permutations(["A", "B", "C", "D", "E"]))
def test_renaming_nodes_renames_the_network_and_changes_nothing_else(names):
    network = load("usnet")
    new = {node.name: names[n] if n < 5 else f"n{n}" for n, node in enumerate(network.nodes)}
    with TemporaryDirectory() as folder:
        file = save_csv(
            replace(
                network,
                nodes=tuple(replace(node, name=new[node.name]) for node in network.nodes),
                links=tuple(replace(x, a=new[x.a], b=new[x.b]) for x in network.links),
            ),
            Path(folder, "renamed.csv"),
        )
        renamed = load(file)

    assert [node.name for node in renamed.nodes] == [new[node.name] for node in network.nodes]
    assert [(x.a, x.b, x.length_km) for x in renamed.links] == [
        (new[x.a], new[x.b], x.length_km) for x in network.links
    ]


def test_a_csv_may_say_where_it_comes_from(tmp_path):
    path = write(tmp_path, "n.csv", "# from my desk\nsource,target,length_km\na,b,5\n")

    reading = "read 2 nodes, 1 link; lengths from `length_km`, in km; no coordinates"
    assert load(path).provenance == f"from my desk ({reading})"


def test_a_length_for_all_links_replaces_those_of_the_file(tmp_path):
    path = write(tmp_path, "n.csv", "source,target,length_km\na,b,5\nb,c,7\n")

    assert {link.length_km for link in load(path, link_km=80).links} == {80}
    assert "80 km" in load(path, link_km=80).provenance


@pytest.mark.parametrize("text", ["source,target\na,b\n", "source,target,length_km\na,b,\n"])
def test_a_file_without_any_lengths_loads_when_one_is_given_for_all(tmp_path, text):
    assert load(write(tmp_path, "n.csv", text), link_km=80).links == (Link("a", "b", 80),)


def test_topology_zoo_style_gml_loads_with_its_names_and_coordinates(tmp_path):
    text = """graph [ multigraph 1
      node [ id 0 label "Oslo" Latitude 59.9 Longitude 10.7 ]
      node [ id 1 label "Bergen" Latitude 60.4 Longitude 5.3 ]
      edge [ source 0 target 1 dist 305.0 ] ]"""
    topology = load(write(tmp_path, "zoo.gml", text))

    assert topology.nodes == (Node("Oslo", 59.9, 10.7), Node("Bergen", 60.4, 5.3))
    assert topology.links == (Link("Oslo", "Bergen", 305),)


@pytest.mark.parametrize(
    ("name", "nodes", "links", "total_km"),
    [
        ("usnet", 24, 43, 42_700),
        ("usnet-ptrnet", 24, 43, 43_000),
        ("usnet-gcnrnn", 24, 43, 13_216),
        ("nsfnet", 14, 22, 20_800),
        ("nsfnet-deeprmsa", 14, 22, 21_300),
    ],
)
def test_built_in_networks(name, nodes, links, total_km):
    topology = load(name)

    assert topology.name == name
    assert [node.name for node in topology.nodes] == [str(n + 1) for n in range(nodes)]
    assert (len(topology.links), sum(link.length_km for link in topology.links)) == (
        links,
        total_km,
    )
    assert "Lengths: " in topology.provenance


def test_usnet_needs_551_spans_of_80_km():
    assert sum(-(-link.length_km // 80) for link in load("usnet").links) == 551


def test_usnet_sites_have_omaha_where_it_is_and_say_so():
    usnet = load("usnet")

    assert usnet.nodes[8] == Node("9", 41.2565, -95.93, "central")
    assert all(node.lat_deg is not None for node in usnet.nodes)
    assert "Omaha" in usnet.provenance


@pytest.mark.parametrize(
    ("name", "nodes", "links", "detour", "error_km"),
    [
        ("germany50", 50, 88, 1, 0),
        ("janos-us", 26, 42, 1, 0),
        ("nobel-us", 14, 21, 1, 0),
        ("vienna", 20, 31, 1.5, 0.006),
    ],
)
def test_networks_whose_lengths_are_great_circles_between_their_sites(
    name, nodes, links, detour, error_km
):
    topology = load(name)
    sites = {node.name: (radians(node.lat_deg), radians(node.lon_deg)) for node in topology.nodes}

    assert (len(topology.nodes), len(topology.links)) == (nodes, links)
    for link in topology.links:
        (lat_a, lon_a), (lat_b, lon_b) = sites[link.a], sites[link.b]
        angle = acos(sin(lat_a) * sin(lat_b) + cos(lat_a) * cos(lat_b) * cos(lon_a - lon_b))
        assert link.length_km == pytest.approx(detour * 6371 * angle, rel=0.002, abs=error_km)


# -- what is refused ---------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_known_ones():
    message = refusal("atlantis")

    assert all(name in message for name in BUILT_IN_NAMES)


def test_an_unknown_suffix_is_answered_with_the_known_ones(tmp_path):
    assert ".graphml, .gml, .json, .csv" in refusal(write(tmp_path, "net.xlsx", ""))


@pytest.mark.parametrize("name", ["gone.csv", "gone.json", "gone.gml", "gone.graphml"])
def test_a_file_that_is_not_there(tmp_path, name):
    assert "No such file" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["bad.json", "bad.gml", "bad.graphml", "bad.csv"])
def test_a_file_that_is_not_what_its_suffix_says(tmp_path, name):
    assert refusal(write(tmp_path, name, "][ not at all"))


@pytest.mark.parametrize("name", ["bad.json", "bad.gml", "bad.graphml", "bad.csv"])
def test_a_file_that_is_not_text(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x80\xff\x00\x01")

    assert refusal(path)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,b,5\nb,a,5\n", ("a-b", "more than once")),
        ("a,b,5\na,b,5\n", ("a-b", "more than once")),
        ("a,b,-5\n", ("a-b (-5)", "positive")),
        ("a,b,0\n", ("a-b (0)", "positive")),
        ("a,b,nan\n", ("a-b (nan)", "positive")),
        ("a,b,inf\n", ("a-b (inf)", "positive")),
        ("a,b,far\n", ("a-b (far)", "positive")),
        ("a,b,\nb,c,5\n", ("a-b", "no length", "link_km")),
        ("a,b\nb,c,5\n", ("a-b", "no length")),
        ("a,b,5\nc,d,5\nb,e,5\n", ("c, d", "not connected")),
        ("a,,5\n", ("row 1", "target")),
        ("", ("links", "none")),
    ],
)
def test_a_malformed_edge_list_is_refused_by_name(tmp_path, rows, words):
    message = refusal(write(tmp_path, "n.csv", "source,target,length_km\n" + rows))

    assert all(word in message for word in words), message


def test_one_missing_length_is_a_mistake_unless_one_is_given_for_all(tmp_path):
    path = write(tmp_path, "n.csv", "source,target,length_km\na,b,\nb,c,5\n")

    assert "a-b" in refusal(path)
    assert [link.length_km for link in load(path, link_km=80).links] == [80, 80]


def test_a_link_of_a_node_to_itself_is_dropped_and_told(tmp_path):
    path = write(tmp_path, "n.csv", "source,target,length_km\na,a,5\na,b,5\n")

    assert load(path).links == (Link("a", "b", 5),)
    assert "1 loop dropped (a)" in load(path).reading


@pytest.mark.parametrize("link_km", [0, -80, float("nan"), float("inf")])
def test_a_length_for_all_links_must_be_a_length(link_km):
    with pytest.raises(TopologyError, match="link_km"):
        load("usnet", link_km=link_km)


def test_an_edge_list_without_a_header_is_told_what_the_header_is(tmp_path):
    assert "source,target,length_km" in refusal(write(tmp_path, "n.csv", "a,b,5\n"))


def test_a_companion_of_nodes_declares_them_all(tmp_path):
    path = write(tmp_path, "n.csv", "source,target,length_km\na,b,5\nb,z,5\n")
    write(tmp_path, "n.nodes.csv", "node,lat,lon\na,0,0\nb,0,1\n")

    assert "b-z: unknown node z" in refusal(path)


@pytest.mark.parametrize("site", ["91,0", "0,181", "north,0", "50,"])
def test_coordinates_off_the_globe(tmp_path, site):
    path = write(tmp_path, "n.csv", "source,target,length_km\na,b,5\n")
    write(tmp_path, "n.nodes.csv", f"node,lat,lon\na,{site}\nb,0,1\n")

    assert "node a" in refusal(path)


def test_unknown_nodes_in_json(tmp_path):
    data = {
        "nodes": [{"id": 1}, {"id": 2}],
        "links": [{"source": 1, "target": 2, "length_km": 1}, {"source": 2, "target": 7}],
    }
    assert "unknown node 7" in refusal(write(tmp_path, "n.json", json.dumps(data)))


def test_unknown_nodes_in_gml(tmp_path):
    text = 'graph [ node [ id 0 label "a" ] edge [ source 0 target 7 length_km 4.0 ] ]'

    assert "7" in refusal(write(tmp_path, "n.gml", text))


def test_unknown_nodes_in_graphml(tmp_path):
    path = tmp_path / "n.graphml"
    nx.write_graphml(triangle(), path)
    path.write_text(path.read_text().replace('target="C"', 'target="Q"'))

    assert "unknown node Q" in refusal(path)


def test_a_node_without_links_in_graphml(tmp_path):
    graph = triangle()
    graph.add_node("alone")
    nx.write_graphml(graph, tmp_path / "n.graphml")

    assert "alone: not connected" in refusal(tmp_path / "n.graphml")


def test_a_node_declared_twice(tmp_path):
    data = {"nodes": [{"id": 1}, {"id": "1"}, {"id": 2}], "links": [{"source": 1, "target": 2}]}

    assert "1: declared twice" in refusal(write(tmp_path, "n.json", json.dumps(data)))


def test_directed_graphs_are_those_without_direction_only_if_arcs_pair_up(tmp_path):
    graph = triangle().to_directed()
    nx.write_graphml(graph, tmp_path / "pairs.graphml")
    nx.write_gml(graph, tmp_path / "pairs.gml")
    write(tmp_path, "pairs.json", json.dumps(nx.node_link_data(graph, edges="edges")))
    nx.write_graphml(triangle(), tmp_path / "n.graphml")
    for name in ("pairs.graphml", "pairs.gml", "pairs.json"):
        assert load(tmp_path / name).links == load(tmp_path / "n.graphml").links
    graph.remove_edge("A", "B")
    nx.write_graphml(graph, tmp_path / "n.graphml")
    nx.write_gml(graph, tmp_path / "n.gml")
    write(tmp_path, "n.json", json.dumps(nx.node_link_data(graph, edges="edges")))

    for name in ("n.graphml", "n.gml", "n.json"):
        assert "B-A: the graph is directed" in refusal(tmp_path / name)
        assert "undirected" in refusal(tmp_path / name)


def test_parallel_links_in_every_format_that_has_them(tmp_path):
    graph = nx.MultiGraph(triangle())
    graph.add_edge("A", "B", length_km=81.0)
    nx.write_graphml(graph, tmp_path / "n.graphml")
    nx.write_gml(graph, tmp_path / "n.gml")
    write(tmp_path, "n.json", json.dumps(nx.node_link_data(graph, edges="edges")))

    for name in ("n.graphml", "n.gml", "n.json"):
        assert "A-B: given more than once" in refusal(tmp_path / name)


def test_an_error_survives_pickling():
    error = TopologyError("net.csv", "links", "a-b: given more than once")

    assert str(pickle.loads(pickle.dumps(error))) == "net.csv: links: a-b: given more than once"


def test_many_culprits_are_counted_not_listed(tmp_path):
    rows = "".join(f"x{n},y{n},1\n" for n in range(30))

    assert "and 48 more" in refusal(write(tmp_path, "n.csv", "source,target,length_km\n" + rows))


@pytest.mark.parametrize("name", ["usnet", "janos-us", "nsfnet"])
def test_a_network_that_was_written_down_is_the_same_when_it_is_read_again(name, tmp_path):
    network = load(name)
    links = tuple(replace(link, length_km=link.length_km / 3) for link in network.links)
    network = replace(network, links=links)

    again = load(save_csv(network, tmp_path / "network.csv"))

    assert (again.nodes, again.links) == (network.nodes, network.links)


def test_the_order_of_nodes_survives_being_written_down(tmp_path: Path) -> None:
    nodes = tuple(Node(name) for name in ("b", "a", "c"))
    network = Topology("n", "", nodes, (Link("b", "c", 1.0), Link("a", "c", 2.0)))

    again = load(save_csv(network, tmp_path / "network.csv"))

    assert (again.nodes, again.links) == (network.nodes, network.links)


def test_names_may_be_of_any_letters(tmp_path: Path) -> None:
    names = ["Wien/Süd", "naïve café", "東京", "a-b", "x" * 200]
    rows = "".join(f"{a},{b},1\n" for a, b in pairwise(names))

    network = load(write(tmp_path, "n.csv", "source,target,length_km\n" + rows))

    assert [node.name for node in network.nodes] == names


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a\tb"], "'a\\tb': a name must not be empty, nor have control characters"),
        ([" "], "must not be empty"),
        (["x" * 201], "at most 200 bytes in UTF-8"),
        (["é" * 101], "at most 200 bytes in UTF-8"),
        (["caf\u00e9", "cafe\u0301"], "cannot be kept apart"),
    ],
)
def test_a_name_that_others_could_not_take_is_refused(
    tmp_path: Path, names: list[str], words: str
) -> None:
    graph = {"nodes": [{"id": name} for name in ("z", *names)]}
    links = [{"source": "z", "target": name, "length_km": 1} for name in names]
    assert words in refusal(write(tmp_path, "n.json", json.dumps(graph | {"links": links})))
