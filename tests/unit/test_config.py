"""Experiment files: what is accepted, and how every mistake is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.build.assembly import assemble
from emulator.build.loading import ExperimentError, built_in_names, read, schema, write
from emulator.build.problem import problem_of
from emulator.config.demand import Distribution, History
from global_manager.provisioning.scenario_reduction import reduced_scenarios, wasserstein_units
from protos.syntax import MediumCode

Write = Callable[..., Path]


@pytest.mark.parametrize("name", built_in_names())
def test_every_built_in_experiment_can_be_read_and_assembled(name: str) -> None:
    setup = read(name)
    assembly = assemble(setup)
    assert len(assembly.key_managers) == len(setup.topology.nodes)


def test_the_papers_case_is_what_the_paper_says() -> None:
    setup = read("paper")
    problem = problem_of(setup)
    assert (len(setup.topology.nodes), len(setup.topology.links)) == (24, 43)
    assert {link.length_km for link in setup.topology.links} == {80.0}
    assert {fiber.unit_cost for fiber in problem.fibers} == {5480}
    kinds = [request.application for request in problem.requests]
    assert [kinds.count(kind) for kind in ("avatar", "digital-twin", "ai-model")] == [20, 80, 100]
    assert len(problem.scenarios) == 10
    assert sum(item.units * item.probability for item in problem.scenarios) == pytest.approx(
        3.317, abs=1e-3
    )


def test_an_on_demand_unit_costs_its_bundle_on_every_hop_of_the_shortest_path() -> None:
    problem = problem_of(read("paper"))
    for request in problem.requests:
        hops, rest = divmod(request.on_demand.uav_cost, 18_520)
        assert rest == 0
        assert hops >= 1
        assert request.on_demand.satellite_cost == 38_500 * hops


def test_the_seed_of_the_command_line_replaces_the_files_and_changes_the_requests() -> None:
    one, two, again = (problem_of(read("paper", seed)) for seed in (1, 2, 1))
    assert one.requests != two.requests
    assert one.requests == again.requests


def test_the_least_file_of_the_documentation_is_enough(write_experiment: Write) -> None:
    path = write_experiment(
        network__wavelengths=None, prices=None, satellite=None, uav=None, clock=None, seed=None
    )
    assert read(str(path)).experiment.name == "tiny"


# ruff: noqa: E501 - a table reads better in rows
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"network__wavelenghts": 3}, "network.wavelenghts", "unknown field"),
    ({"name": None}, "name", "is required"),
    ({"name": "two words"}, "name", "pattern"),
    ({"network__wavelengths": 0}, "network.wavelengths", "greater than or equal to 1"),
    ({"network__link_km": -1}, "network.link_km", "greater than or equal to 0"),
    ({"network__link_km": float("nan")}, "network.link_km", "finite"),
    ({"network__topology": "nowhere.csv"}, "network.topology", "nowhere.csv"),
    ({"demand__periods": "many"}, "demand.periods", "whole number"),
    ({"demand__period_s": float("inf")}, "demand.period_s", "finite"),
    ({"demand__period_s": 20.5}, "demand.period_s", "whole number of windows"),
    ({"demand__distribution": {"normal": {}}}, "demand.distribution.normal", "unknown field"),
    ({"demand__distribution": {"poisson": {"mean_units": 0}}}, "demand.distribution.poisson.mean_units", "greater"),
    ({"demand__distribution": {}}, "demand.distribution", "exactly one of poisson, negative-binomial, empirical, history, not none"),
    ({"demand__distribution": {"poisson": {"mean_units": 1}, "empirical": {"counts": {1: 1}}}}, "demand.distribution", "not poisson and empirical"),
    ({"demand__distribution": {"negative-binomial": {"mean_units": 3}}}, "demand.distribution.negative-binomial.variance", "is required"),
    ({"demand__distribution": {"negative-binomial": {"mean_units": 3, "variance": 3}}}, "demand.distribution.negative-binomial.variance", "greater than mean_units, 3"),
    ({"demand__distribution": {"negative-binomial": {"mean_units": -3, "variance": 3}}}, "demand.distribution.negative-binomial.mean_units", "greater than or equal to 0"),
    ({"demand__distribution": {"empirical": {"counts": {}}}}, "demand.distribution.empirical.counts", "at least 1 item"),
    ({"demand__distribution": {"empirical": {"counts": {-1: 3}}}}, "demand.distribution.empirical.counts.-1", "greater than or equal to 0"),
    ({"demand__distribution": {"empirical": {"counts": {2: 0}}}}, "demand.distribution.empirical.counts.2", "greater than or equal to 1"),
    ({"demand__distribution": {"empirical": {"counts": {7: 1}}}}, "demand.scenarios", "greater than 7, the least demand there is, not 5"),
    ({"demand__distribution": {"history": {"file": "none.csv"}}}, "demand.distribution.history", "none.csv"),
    ({"demand__distribution": {"history": {}}}, "demand.distribution.history.file", "is required"),
    ({"demand__distribution": {"history": {"file": "h.csv", "fit": "normal"}}}, "demand.distribution.history.fit", "'best', 'poisson'"),
    ({"demand__reduce_to": 0}, "demand.reduce_to", "greater than or equal to 1"),
    ({"demand__requests": {"avatar": 0}}, "demand.requests", "at least one"),
    ({"demand__requests": []}, "demand.requests", "at least one"),
    ({"demand__requests": [{"id": "r", "class": "x", "source": "A", "target": "Z"}]}, "demand.requests.0.target", "no node Z"),
    ({"demand__requests": [{"id": "r", "class": "x", "source": "A", "target": "A"}]}, "demand.requests.0.target", "differ"),
    ({"demand__requests": [{"id": "r", "source": a, "target": "C"} for a in "AB"]}, "demand.requests.1.id", "twice"),
    ({"demand__requests": "many"}, "demand.requests", "the number of requests of each class, or a list"),
    ({"demand__requests": {"avatar": -1}}, "demand.requests.avatar", "greater than or equal to 0"),
    ({"prices": "cheap"}, "prices", "must be paper, or a table of prices"),
    ({"prices": {"on_demand_uav": -5}}, "prices.on_demand_uav", "must be greater than or equal to 0"),
    ({"faults": [{"kind": "flood"}]}, "faults.0", "kind: must be one of 'fiber-cut'"),
    ({"limits": "many"}, "limits", "must be a mapping of fields"),
    ({"management": {"rotation_s": "often"}}, "management.rotation_s", "must be a number"),
    ({"plan__policy": "clever"}, "plan.policy", "stochastic"),
    ({"plan__policy": -(2**63)}, "plan.policy", "stochastic"),
    ({"plan__policy": ["stochastic"]}, "plan.policy", "stochastic"),
    ({"keys__unit_bits": 12}, "keys.unit_bits", "multiple of 8"),
    ({"fiber__device": "perfect"}, "fiber", "gys"),
    ({"fiber__repeaters": "magic"}, "fiber.repeaters", "'trusted', 'untrusted' or 'quantum-router'"),
    ({"fiber__untrusted": {"device": "perfect"}}, "fiber", "known are lo-curty-qi"),
    ({"fiber__untrusted": {"parameters": {"relay_position": 2}}}, "fiber", "relay_position: must lie between 0 and 1"),
    ({"fiber__quantum_router": {"parameters": {"memories": float("inf")}}}, "fiber.quantum_router.parameters.memories", "finite"),
    ({"fiber__links": [{"link": ["A", "C"]}]}, "fiber.links.0.link", "no link A-C"),
    ({"fiber__links": [{"link": ["A", "B"]}, {"link": ["B", "A"]}]}, "fiber.links.1.link", "is named before"),
    ({"fiber__links": [{"link": ["A", "B"], "kind": "quantum-router", "parameters": {"routers": 1.5}}]}, "fiber.links.0.parameters", "whole number"),
    ({"fiber__links": [{"link": ["A", "B"], "kind": "untrusted", "parameters": {"split": 0.5}}]}, "fiber.links.0.parameters", "relay_position"),
    ({"faults": [{"kind": "eavesdropper", "link": ["A", "C"], "fraction": 0.5, "at_s": 1}]}, "faults.0.link", "no link A-C"),
    ({"faults": [{"kind": "eavesdropper", "link": ["A", "B"], "fraction": 2, "at_s": 1}]}, "faults.0.fraction", "less than or equal to 1"),
    ({"faults": [{"kind": "eavesdropper", "link": ["A", "B"], "fraction": 1, "at_s": 9, "until_s": 3}]}, "faults.0.until_s", "after at_s"),
    ({"faults": [{"kind": "eavesdropper", "link": ["A", "B"], "fraction": 1, "at_s": 9}], "fiber": {"protocol": "gg02"}}, "faults.0.link", "counts no bit errors"),
    ({"satellite__probability": 1.5}, "satellite.probability", "less than or equal to 1"),
    ({"limits": {"uav_units": -1, "shortfall_cost": 9}}, "limits.uav_units", "greater than"),
    (
        {"limits": {"uav_units": 1, "shortfall_cost": 9}, "demand__shortfall_cost": 9},
        "limits.shortfall_cost",
        "former name of demand.shortfall_cost",
    ),
    ({"demand__shortfall_cost": "much"}, "demand.shortfall_cost", "a price for each class"),
    ({"demand__shortfall_cost": 5}, "demand.shortfall_cost", "at least 18,520, the dearest unit by UAV"),
    ({"demand__shortfall_cost": {"nobody": 10**6}}, "demand.shortfall_cost.nobody", "no request"),
    ({"demand__shortfall_cost": {"avatar": 5}}, "demand.shortfall_cost.avatar", "at least"),
    (
        {"limits": {"uav_units": 9}, "plan__pools": {"uav_units": 9}},
        "plan.pools",
        "former name of limits",
    ),
    ({"satellite__orbits": {}}, "satellite.orbits", "coordinates"),
    ({"satellite__orbits": {"tle": "no.tle"}}, "satellite.orbits.tle", "give a file of two-line elements"),
    ({"satellite__setup_s": float("inf")}, "satellite.setup_s", "finite"),
    ({"demand__scenarios": 10**9}, "demand.scenarios", "less than or equal to"),
    ({"satellite__orbits": {"walker": {"satellites": 7}}}, "satellite.orbits.walker", "evenly"),
    ({"satellite__orbits": {"epoch": "2026-01-01T00:00:00"}}, "satellite.orbits.epoch", "time zone"),
    ({"uav__fleet": {"uavs": 3, "endurance_s": 5}}, "uav.fleet.endurance_s", "way out and back"),
    ({"clock__window_s": 10, "demand__period_s": 40}, "clock.window_s", "at most"),
    ({"keys__lifetime_s": 7}, "keys.lifetime_s", "more than 7 s"),
    ({"keys__lifetime_s": 70, "keys__lifetime_periods": 2}, "keys.lifetime_periods", "leave out keys.lifetime_s"),
    ({"keys__lifetime_periods": 0}, "keys.lifetime_periods", "greater than or equal to 1"),
    ({"keys__lifetime_periods": 6, "keys__store_units": 60, "demand__scenarios": 40}, "keys.lifetime_periods", "too much for the plan"),
    ({"keys__keeping_cost": -1}, "keys.keeping_cost", "greater than or equal to 0"),
    ({"keys__keeping_cost": 10**15}, "keys.keeping_cost", "less than or equal to"),
    ({"keys__keeping_cost": 5, "fiber__wavelength": "key-rate"}, "keys.keeping_cost", "fiber.wavelength: key-rate"),
    ({"keys__store_units": {"avatar": 1_001}}, "keys.store_units.avatar", "from 0 to 1,000"),
    ({"keys__store_units": {"avatar": True}}, "keys.store_units.avatar", "reserved, or a number of units"),
    ({"keys__store_units": True}, "keys.store_units", "reserved, a number of units"),
    ({"keys__store_units": {"nobody": 1}}, "keys.store_units.nobody", "no class or request has this name"),
    ({"keys__store_units": "full"}, "keys.store_units", "reserved, a number of units"),
    ({"keys__store_units": {"avatar": "full"}}, "keys.store_units", "reserved"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "words"), MISTAKES, ids=lambda part: str(part)[:40])
def test_a_mistake_is_named_by_file_field_and_remedy(
    write_experiment: Write, changes: dict[str, Any], field: str, words: str
) -> None:
    path = write_experiment(**changes)
    with pytest.raises(ExperimentError) as caught:
        read(str(path))
    found = {item.field: item.message for item in caught.value.mistakes}
    assert any(name.startswith(field) and words in text for name, text in found.items()), found
    for line in str(caught.value).splitlines():
        assert line.startswith(f"{path}: ")


def with_history(write_experiment: Write, text: str | bytes, fit: str, **changes: Any) -> Path:
    """Write `tiny` with this history for its demand."""
    history = {"history": {"file": "past.csv", "fit": fit}}
    path = write_experiment(demand__distribution=history, **changes)
    data = text.encode() if isinstance(text, str) else text
    path.with_name("past.csv").write_bytes(data)
    return path


BAD_HISTORIES: list[tuple[str | bytes, str, str]] = [
    ("", "best", "row 1 must be the header `units`"),
    ("3\n4\n", "best", "row 1 must be the header `units`, one column only, not `3`"),
    ("day,units\n1,3\n", "best", "not `day,units`"),
    ("units\n", "empirical", "past.csv has no rows"),
    ("units\n3\n-1\n4\n", "best", "row 3 (`-1`) must be whole units from 0"),
    ("units\n3\n\n2.5\n", "best", "row 4 (`2.5`) must be whole units"),
    ("units\n3\n4,1\nmany\n", "best", "row 3 (`4,1`), row 4 (`many`) must be"),
    ("units\n" + "x\n" * 12, "best", "row 11 (`x`) and 2 more must be"),
    ("units\n" + "9" * 5000, "best", "row 2 (`99999999999999999999`) must be whole units from 0 to 100000"),
    (b"units\n\xff\xfe\n", "best", "past.csv is not a readable CSV file"),
    ("units\n" + "9" * 200_000, "best", "past.csv is not a readable CSV file"),
    ("units\n3\n", "best", "only one period"),
    ("units\n0\n0\n", "poisson", "no demand at all"),
    ("units\n3\n3\n3\n", "negative-binomial", "variance, 0, does not clearly exceed its mean, 3"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fit", "words"), BAD_HISTORIES, ids=lambda part: str(part)[:30])
def test_a_mistake_in_a_history_is_named_by_its_row_in_one_line(
    write_experiment: Write, text: str | bytes, fit: str, words: str
) -> None:
    path = with_history(write_experiment, text, fit)
    with pytest.raises(ExperimentError) as caught:
        read(str(path))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: demand.distribution.history: ")
    assert words in line


def test_a_history_of_demands_that_are_all_cut_off_is_refused(write_experiment: Write) -> None:
    path = with_history(write_experiment, "units\n8\n9\n", "empirical")
    with pytest.raises(ExperimentError, match=r"demand\.scenarios: must be greater than 8"):
        read(str(path))


PAST = "units\r\n" + "\r\n".join("000144092106") + "\r\n"


@pytest.mark.parametrize(
    ("text", "fit", "law"),
    [
        (PAST, "best", "negative-binomial"),
        (PAST, "negative-binomial", "negative-binomial"),
        (PAST, "poisson", "poisson"),
        (PAST, "empirical", "empirical"),
        ("\ufeffunits\n 3 \n2\n\n4\n3\n", "best", "poisson"),
    ],
)
def test_a_history_that_was_read_is_written_down_and_read_again_without_its_file(
    write_experiment: Write, tmp_path: Path, text: str, fit: str, law: str
) -> None:
    path = with_history(write_experiment, text, fit)
    setup = read(str(path))

    fields = setup.experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    path.with_name("past.csv").unlink()
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    again = read(str(path))

    assert set(fields["demand"]["distribution"]) == {law, "fitted_from"}
    assert fields["demand"]["distribution"]["fitted_from"]["file"] == "past.csv"
    assert again == setup
    assert problem_of(again) == problem_of(setup)


def test_a_fitted_distribution_says_how_well_it_fits(write_experiment: Write) -> None:
    experiment = read(str(with_history(write_experiment, PAST, "best"))).experiment

    law, source = experiment.demand.distribution, experiment.demand.distribution.fitted_from
    assert law.negative_binomial is not None
    assert law.negative_binomial.mean_units == pytest.approx(27 / 12)
    assert law.negative_binomial.variance > 27 / 12
    assert source is not None
    assert source.periods == 12
    assert source.dispersion_index == pytest.approx(3.81, abs=0.01)
    assert source.log_likelihood is not None
    assert source.aic == pytest.approx(4 - 2 * source.log_likelihood)
    assert (source.degrees_of_freedom, source.p_value) == (0, None)


def test_seen_demand_is_planned_for_and_asked_for_as_often_as_it_was_seen(
    write_experiment: Write,
) -> None:
    setup = read(str(with_history(write_experiment, PAST, "empirical")))
    assembly = assemble(setup)

    kept = {0: 5 / 10, 1: 2 / 10, 2: 1 / 10, 4: 2 / 10}  # 6 and 9 are beyond scenarios: 5
    assert {s.units: s.probability for s in assembly.problem.scenarios} == pytest.approx(kept)
    whole = {0: 5, 1: 2, 2: 1, 4: 2, 6: 1, 9: 1}
    assert dict(assembly.world.demand.law) == pytest.approx({u: n / 12 for u, n in whole.items()})
    assert setup.experiment.demand.distribution.tail_mass(5) == pytest.approx(2 / 12)


@pytest.mark.parametrize(
    ("distribution", "tail"),
    [
        ({"poisson": {"mean_units": 1.5}}, 0.018576),
        ({"negative-binomial": {"mean_units": 2, "variance": 6}}, (2 / 3) ** 5),
        ({"empirical": {"counts": {0: 3, 5: 1}}}, 0.25),
    ],
)
def test_what_is_cut_off_can_be_asked_for(
    write_experiment: Write, distribution: dict[str, Any], tail: float
) -> None:
    experiment = read(str(write_experiment(demand__distribution=distribution))).experiment
    law = experiment.demand.distribution
    assert law.tail_mass(5) == pytest.approx(tail, abs=1e-6)
    assert sum(item.probability for item in law.scenarios(5)) == pytest.approx(1)


def test_a_history_that_was_not_read_cannot_be_planned_for() -> None:
    with pytest.raises(ValueError, match="use `read`"):
        Distribution(history=History(file="past.csv")).scenarios(5)


def test_fewer_scenarios_are_planned_for_when_asked(write_experiment: Write) -> None:
    full, few, all_of_them = (
        problem_of(read(str(write_experiment(demand__reduce_to=n)))).scenarios for n in (None, 2, 5)
    )
    assert len(full) == len(all_of_them) == 5
    assert len(few) == 2
    assert wasserstein_units(full, all_of_them) == 0
    assert few == reduced_scenarios(full, 2).scenarios


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
    near, far = (assemble(read(name)).world for name in ("paper", "paper-real-km"))
    a, b = near.fibers[0][:2]
    sample = near.sample(MediumCode.FIBER, a, b, 0.0)
    assert 50 < sample.skr_bps < 200
    assert far.sample(MediumCode.FIBER, b, a, 0.0).skr_bps == pytest.approx(sample.skr_bps, rel=0.6)


def test_a_run_folder_keeps_what_is_without_a_limit(
    tmp_path: Path, write_experiment: Write
) -> None:
    weather = {"max_wind_m_s": None}
    setup = read(str(write_experiment(uav__weather=weather)))
    again = read(str(write(setup, tmp_path))).experiment
    assert again.uav == setup.experiment.uav
    assert again.demand == setup.experiment.demand
