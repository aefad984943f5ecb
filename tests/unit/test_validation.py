"""One check of an experiment tells everything that can be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.build.loading import ExperimentError, built_in_names, read
from emulator.build.validation import RULES, check

Write = Callable[..., Path]

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"keys__unit_bits": "many"}, "keys.unit_bits"),
    "unknown field": ({"clock__windows": 3}, "clock.windows"),
    "unknown section": ({"wether": {}}, "wether"),
    "topology": ({"network__topology": "nowhere.csv"}, "network.topology"),
    "history": (
        {"demand__distribution": {"history": {"file": "past.csv"}}},
        "demand.distribution.history",
    ),
    "orbits": ({"satellite__orbits": {"tle": "gone.tle"}}, "satellite.orbits.tle"),
    "weather file": ({"weather__replay": "gone.csv"}, "weather.replay"),
    "fleet": ({"uav__fleet": {"uavs": 2, "endurance_s": 1.0}}, "uav.fleet.endurance_s"),
    "use of keys": ({"applications": {"poet": {}}}, "applications.poet"),
    "schedule": (
        {"faults": [{"kind": "partition", "groups": [["A"], ["A"]], "at_s": 1}]},
        "faults.0.groups",
    ),
    "name": ({"name": None}, "name"),
    "prices": ({"prices": "free"}, "prices"),
}


def told(path: Path, **options: Any) -> set[str]:
    with pytest.raises(ExperimentError) as caught:
        read(str(path), **options)
    assert len({str(item) for item in caught.value.mistakes}) == len(caught.value.mistakes)
    return {item.field for item in caught.value.mistakes}


def test_all_mistakes_are_told_at_once(write_experiment: Write) -> None:
    changes = {name: value for fields, _ in WRONG.values() for name, value in fields.items()}
    assert told(write_experiment(**changes)) == {field for _, field in WRONG.values()}


@pytest.mark.parametrize("first", WRONG)
@pytest.mark.parametrize("second", ["topology", "history", "orbits", "schedule", "unknown field"])
def test_no_mistake_hides_another_or_makes_one_up(
    write_experiment: Write, first: str, second: str
) -> None:
    changes = WRONG[first][0] | WRONG[second][0]
    assert told(write_experiment(**changes)) == {WRONG[first][1], WRONG[second][1]}


def test_what_the_network_says_of_requests_is_told_beside_a_wrong_field(
    write_experiment: Write,
) -> None:
    request = {"id": "r", "class": "avatar", "source": "A", "target": "Z"}
    fields = told(
        write_experiment(demand__requests=[request], demand__periods=0, network__wavelengths=-1)
    )
    assert fields == {"demand.periods", "network.wavelengths", "demand.requests.0.target"}


@pytest.mark.parametrize(
    "fields",
    [{}, {"name": "x"}, {"network": 3, "demand": [], "faults": 1}, {1: 2}, {"name": {"a": {}}}],
    ids=str,
)
def test_a_file_that_is_hardly_an_experiment_is_refused_in_its_own_words(
    tmp_path: Path, fields: dict[Any, Any]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(fields))
    assert told(path)


def test_every_change_that_leads_nowhere_is_told(write_experiment: Write) -> None:
    changes = {"name.first": 1, "seed.second": 2, "clock.window_s": 0}
    assert told(write_experiment(), changes=changes) == set(changes)


def test_a_length_for_all_links_that_is_wrong_is_not_missed_in_the_file(
    write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "bare.csv").write_text("source,target\nA,B\nB,C\nA,C\n")
    path = write_experiment(network__topology="bare.csv", network__link_km=-1)
    assert told(path) == {"network.link_km"}


@pytest.mark.parametrize("name", built_in_names())
def test_every_rule_is_kept_by_the_built_in_experiments(name: str) -> None:
    assert check(read(name)) == []


def test_a_rule_is_passed_over_where_what_it_reads_is_broken(write_experiment: Write) -> None:
    setup = read(str(write_experiment()))
    for rule in RULES:
        for field in rule.reads:
            section = field.split(".", maxsplit=1)[0]
            assert not rule.applies({field})
            assert not rule.applies({section})
            assert not rule.applies({f"{field}.inside"})
        assert rule.applies({"nothing"})
    assert check(setup, {"network", "demand", "faults"}) == []
