"""Experiment files: what is accepted, and how every mistake is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.assembly import assemble, problem_of
from emulator.config import ExperimentError, built_in_names, read, schema
from protos.mib import MediumCode

Write = Callable[..., Path]


@pytest.mark.parametrize("name", built_in_names())
def test_every_built_in_experiment_can_be_read_and_assembled(name: str) -> None:
    experiment, topology = read(name)
    assembly = assemble(experiment, topology)
    assert len(assembly.key_managers) == len(topology.nodes)


def test_the_papers_case_is_what_the_paper_says() -> None:
    experiment, topology = read("paper")
    problem = problem_of(experiment, topology)
    assert (len(topology.nodes), len(topology.links)) == (24, 43)
    assert {link.length_km for link in topology.links} == {80.0}
    assert {fiber.unit_cost for fiber in problem.fibers} == {5480}
    kinds = [request.application for request in problem.requests]
    assert [kinds.count(kind) for kind in ("avatar", "digital-twin", "ai-model")] == [20, 80, 100]
    assert len(problem.scenarios) == 10
    assert sum(item.units * item.probability for item in problem.scenarios) == pytest.approx(
        3.317, abs=1e-3
    )


def test_an_on_demand_unit_costs_its_bundle_on_every_hop_of_the_shortest_path() -> None:
    problem = problem_of(*read("paper"))
    for request in problem.requests:
        hops, rest = divmod(request.on_demand.uav_cost, 18_520)
        assert rest == 0
        assert hops >= 1
        assert request.on_demand.satellite_cost == 38_500 * hops


def test_the_seed_of_the_command_line_replaces_the_files_and_changes_the_requests() -> None:
    one, two, again = (problem_of(*read("paper", seed)) for seed in (1, 2, 1))
    assert one.requests != two.requests
    assert one.requests == again.requests


def test_the_least_file_of_the_documentation_is_enough(write_experiment: Write) -> None:
    path = write_experiment(
        network__wavelengths=None, prices=None, satellite=None, uav=None, clock=None, seed=None
    )
    assert read(str(path))[0].name == "tiny"


# ruff: noqa: E501 - a table reads better in rows
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"network__wavelenghts": 3}, "network.wavelenghts", "unknown field"),
    ({"name": None}, "name", "is required"),
    ({"name": "two words"}, "name", "pattern"),
    ({"network__wavelengths": 0}, "network.wavelengths", "greater than or equal to 1"),
    ({"network__link_km": -1}, "network.link_km", "greater than 0"),
    ({"network__link_km": float("nan")}, "network.link_km", "finite"),
    ({"network__topology": "nowhere.csv"}, "network.topology", "nowhere.csv"),
    ({"demand__periods": "many"}, "demand.periods", "integer"),
    ({"demand__period_s": float("inf")}, "demand.period_s", "finite"),
    ({"demand__period_s": 20.5}, "demand.period_s", "whole number of windows"),
    ({"demand__distribution": {"normal": {}}}, "demand.distribution.normal", "unknown field"),
    ({"demand__distribution": {"poisson": {"mean_units": 0}}}, "demand.distribution.poisson.mean_units", "greater"),
    ({"demand__requests": {"avatar": 0}}, "demand.requests", "at least one"),
    ({"demand__requests": []}, "demand.requests", "at least one"),
    ({"demand__requests": [{"id": "r", "class": "x", "source": "A", "target": "Z"}]}, "demand.requests.0.target", "no node Z"),
    ({"demand__requests": [{"id": "r", "class": "x", "source": "A", "target": "A"}]}, "demand.requests.0.target", "differ"),
    ({"demand__requests": [{"id": "r", "source": a, "target": "C"} for a in "AB"]}, "demand.requests.1.id", "twice"),
    ({"prices": "cheap"}, "prices", "paper"),
    ({"prices__on_demand_uav": -5}, "prices", "greater"),
    ({"plan__policy": "clever"}, "plan.policy", "stochastic"),
    ({"keys__unit_bits": 12}, "keys.unit_bits", "multiple of 8"),
    ({"fiber__device": "perfect"}, "fiber", "gys"),
    ({"satellite__probability": 1.5}, "satellite.probability", "less than or equal to 1"),
    ({"clock__window_s": 10, "demand__period_s": 40}, "clock.window_s", "at most"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "words"), MISTAKES, ids=lambda part: str(part)[:40])
def test_a_mistake_is_named_by_file_field_and_remedy(
    write_experiment: Write, changes: dict[str, Any], field: str, words: str
) -> None:
    path = write_experiment(**changes)
    with pytest.raises(ExperimentError) as caught:
        read(str(path))
    faults = {fault.field: fault.message for fault in caught.value.faults}
    assert any(name.startswith(field) and words in text for name, text in faults.items()), faults
    for line in str(caught.value).splitlines():
        assert line.startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "name: [\n", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ExperimentError, match=r"bad\.yaml: file: "):
        read(str(path))


def test_an_unknown_name_lists_the_built_in_ones() -> None:
    with pytest.raises(ExperimentError, match="paper-w80"):
        read("papper")


def test_the_error_survives_pickling() -> None:
    with pytest.raises(ExperimentError) as caught:
        read("nowhere")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_schema_describes_every_section() -> None:
    assert {"name", "network", "demand", "prices", "clock"} <= schema()["properties"].keys()


def test_a_fiber_of_many_spans_yields_what_one_span_yields() -> None:
    near, far = (assemble(*read(name)).world for name in ("paper", "paper-real-km"))
    a, b = near.fibers[0][:2]
    sample = near.sample(MediumCode.FIBER, a, b, 0.0)
    assert 50 < sample.skr_bps < 200
    assert far.sample(MediumCode.FIBER, b, a, 0.0).skr_bps == pytest.approx(sample.skr_bps, rel=0.6)
