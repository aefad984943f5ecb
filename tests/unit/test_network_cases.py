"""Public files that were refused or read wrong: what is made of each, and with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.build.loading import ExperimentError, read, write
from emulator.commands.displays import RunDisplay
from emulator.commands.terminal import OUT
from emulator.config.topology import Link, Node
from emulator.report.network_map import draw

CASES = Path(__file__).parent.parent / "cases" / "networks"

Call = Callable[..., tuple[int, str, str]]
Wishes = dict[str, Any]

READ: list[tuple[str, Wishes, int, int, list[str]]] = [
    ("04", {"network.largest_piece": True}, 3, 2, ["2 nodes outside the largest piece", "X, Y"]),
    ("06", {"network.length_unit": "m"}, 2, 1, ["lengths from `length`, in m", "from `x, y`"]),
    ("08", {}, 2, 1, ["names from `name`", "coordinates from `pos`", "`dist`, taken for km"]),
    ("17", {}, 3, 2, []),
    ("20", {}, 2, 1, ["names from `label`", "`length`, taken for km"]),
    ("23", {}, 2, 1, ["every length set to 80 km", "parallel links merged into 1 (London-Paris)"]),
    ("25", {}, 2, 1, ["directed, both ways everywhere: taken for undirected"]),
    ("27", {"network.detour": 1.5}, 2, 1, ["1.5 times the great circle", "from `lat, lon`"]),
    ("28", {}, 3, 2, ["every length set to 80 km"]),
    ("30", {"network.largest_piece": True}, 2, 1, ["1 node outside the largest piece", "(C)"]),
    ("31", {}, 2, 1, ["1 loop dropped (2)"]),
    ("32", {}, 2, 1, ["names from `label`"]),
    ("33", {}, 2, 1, ["coordinates of `lat, lon` set aside: lat 248, lon 283 are no degrees"]),
    ("34", {"network.detour": 1.2}, 2, 1, ["1.2 times the great circle", "from `x, y`"]),
    ("37", {}, 2, 1, ["links name nodes by place"]),
    ("40", {}, 3, 2, ["decimal commas read"]),
    ("42", {"network.length": "Weight"}, 3, 2, ["lengths from `weight`, taken for km"]),
    ("64", {}, 2, 1, ["lengths from `length_km`, in km"]),
]

REFUSED: list[tuple[str, list[str]]] = [
    ("01", ["row 1", "4 values for 3 columns", "Koeln,Bonn,28,5"]),
    ("03", [".nodes.csv", "row 1", "5 values for 3 columns"]),
    ("04", ["X, Y: not connected", "largest_piece"]),
    ("06", ["1-2 111.3 km", "1001 times", "set length_unit"]),
    ("09", ["look the same"]),
    ("19", ["at most 200 bytes"]),
    ("27", ["New York-Chicago: no length", "detour", "LinkLabel"]),
    ("30", ["C: not connected", "largest_piece"]),
    ("34", ["Gdansk-Warsaw: no length", "detour"]),
    ("36", ["GNPy", "fiber A-B"]),
    ("38", ["directed: must be true or false, not 'false'"]),
    ("42", ["no length", "weight", "network.length"]),
]


def experiment(case: str) -> str:
    return str(next(CASES.glob(f"{case}-*.yaml")))


@pytest.mark.parametrize(("case", "wishes", "nodes", "links", "words"), READ)
def test_a_file_of_the_field_is_read_and_that_is_told(
    case: str, wishes: Wishes, nodes: int, links: int, words: list[str]
) -> None:
    network = read(experiment(case), changes=wishes).topology
    assert (len(network.nodes), len(network.links)) == (nodes, links)
    assert all(part in network.reading for part in words), network.reading
    assert network.reading in network.provenance
    assert "\n" not in network.reading


@pytest.mark.parametrize(("case", "words"), REFUSED)
def test_what_cannot_be_told_is_refused_in_one_line(case: str, words: list[str]) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(experiment(case))
    told = str(caught.value)
    assert told.count("\n") == 0
    assert all(part in told for part in words), told


@pytest.mark.parametrize(("case", "wishes"), [(case, wishes) for case, wishes, *_ in READ])
def test_what_was_read_is_read_again_from_a_run_folder(
    case: str, wishes: Wishes, tmp_path: Path
) -> None:
    setup = read(experiment(case), changes=wishes)
    again = read(str(write(setup, tmp_path)))
    assert again.topology.nodes == setup.topology.nodes
    assert again.topology.links == setup.topology.links
    assert again.experiment.demand == setup.experiment.demand


def test_names_and_places_are_those_that_are_meant() -> None:
    topohub = read(experiment("08")).topology
    assert topohub.nodes == (Node("New York", 40.71, -74.01), Node("Chicago", 41.85, -87.65))
    german = read(experiment("40")).topology
    assert german.links == (Link("Köln", "Bonn", 28.5), Link("Köln", "Aachen", 70.0))
    osmnx = read(experiment("06"), changes={"network.length_unit": "m"}).topology
    assert osmnx.nodes[0] == Node("1", 39.998, -86.345)
    assert osmnx.links[0].length_km == pytest.approx(0.1113)
    zoo = read(experiment("27"), changes={"network.detour": 1.5}).topology
    assert zoo.links[0].length_km == pytest.approx(1.5 * 1145.8, rel=1e-3)


def test_only_one_field_can_give_every_length() -> None:
    with pytest.raises(ExperimentError, match="link_km and detour"):
        read(experiment("23"), changes={"network.detour": 1.5})


def test_check_and_plan_tell_what_they_read_on_stderr(qsagin: Call) -> None:
    for words in (("check", experiment("31")), ("plan", experiment("31"), "--json")):
        status, out, err = qsagin(*words)
        assert status == 0
        assert "31-self-loop.json: read 2 nodes, 1 link; lengths from `distance`" in err
        assert words[0] == "check" or json.loads(out)["allocations"]
    assert all("tiny: remark: " in line for line in qsagin("check", "tiny")[2].splitlines())


def test_names_and_paths_are_shown_as_they_are_whatever_brackets_they_have(
    qsagin: Call, write_experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_experiment()
    for name in ("a[/b]c", "o[bold]", "x:smile:"):
        place = path.parent / name
        place.mkdir(parents=True)
        file = path.rename(place / "e.yaml")
        (place / "tiny.csv").write_text((path.parent / "tiny.csv").read_text())
        status, out, _ = qsagin("check", str(file))
        assert (status, out.replace("\n", "")) == (0, f"{file}: ok")
        RunDisplay(OUT, read("tiny").experiment).conclude(OUT, summary(), place)
        assert f"{place}/report.html" in capsys.readouterr().out
        file.rename(path)


def summary() -> dict[str, Any]:
    numbers = (
        "seed",
        "requests",
        "demanded_units",
        "late_units",
        "shortfall_units",
        "planned_cost",
    )
    return dict.fromkeys(numbers, 1) | {
        "experiment": "tiny",
        "policy": "none",
        "periods": 1,
        "emulated_s": 1.0,
        "wall_s": 1.0,
        "down_s": 0.0,
        "digest": "00",
        "audit": {"ok": True},
        "plan": {"reserved_units": 1, "gap": 0.0},
        "served_units": {"fiber": 1, "satellite": 0, "uav": 0},
        "cost": {
            "reservation": 1,
            "change": 0,
            "satellite": 0,
            "uav": 0,
            "shortfall": 0,
            "total": 1,
            "cash": 1,
        },
        "assumed_rates": {"media": ["uav"], "share_of_key": 0.0, "share_of_cost": 0.0},
        "cost_per_period": {"planned": None, "ci95_low": None, "ci95_high": None},
    }


def test_a_map_has_numbers_for_names_that_its_font_cannot_write() -> None:
    network = read(experiment("64")).topology
    figure = draw(network, [0], {}, {})
    assert [text.get_text() for text in figure.axes[0].texts] == ["node 1", "node 2"]
    figure.canvas.draw()  # a warning would be an error
