"""Plans that leave as files and come back, and plans made elsewhere: verified, and priced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., tuple[int, str, str]]

SAME = ("objective", "first_stage_cost", "expected_recourse_cost", "reserved_units", "allocations")


def export(qsagin: Call, file: Path, name: str = "tiny") -> dict[str, Any]:
    status, out, err = qsagin("plan", name, "--export", str(file), "--json")
    assert (status, err) == (0, f"written: {file}\n")
    return json.loads(out)


@pytest.mark.parametrize("name", ["tiny", "sagin-metro"])
def test_a_plan_that_is_exported_comes_back_as_it_was(
    qsagin: Call, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "plan.json"
    planned = export(qsagin, file, name)

    status, out, _ = qsagin("plan", name, "--import", str(file), "--json")

    again = json.loads(out)
    assert status == 0
    assert {key: again[key] for key in SAME} == {key: planned[key] for key in SAME}
    assert again["termination"] == "not-optimized"
    assert again["lower_bound"] <= again["objective"]


def test_an_exported_plan_has_the_instance_with_it(qsagin: Call, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    planned = export(qsagin, file)

    document = json.loads(file.read_text(encoding="utf-8"))

    assert document["format"] == 1
    assert [item["id"] for item in document["problem"]["requests"]] == ["r1", "r2", "r3"]
    assert sum(item["probability"] for item in document["problem"]["scenarios"]) == pytest.approx(1)
    assert document["plan"]["allocations"] == planned["allocations"]


def test_both_formulations_find_the_same_plan_and_say_which_they_are(qsagin: Call) -> None:
    plans = [
        json.loads(qsagin("plan", "tiny", "--formulation", form, "--json")[1])
        for form in ("arcs", "columns")
    ]

    assert [plan["formulation"] for plan in plans] == ["arcs", "columns"]
    assert plans[0]["objective"] == plans[1]["objective"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("paper-w80", "--formulation", "arcs"),
            "--formulation: arcs has 1,413,000 variables here",
        ),
        (("paper-w80", "--export", "p.mps"), "--formulation: arcs has 1,413,000 variables here"),
        (
            ("tiny", "--export", "p.txt"),
            "--export: p.txt must end with one of .lp, .mps, .cor, .json",
        ),
        (
            ("tiny", "--export", "p.cor", "--formulation", "columns"),
            "--export: p.cor: SMPS is of arcs; leave out --formulation",
        ),
    ],
)
def test_programs_that_cannot_be_written_are_refused_in_one_line(
    qsagin: Call, words: tuple[str, ...], problem: str
) -> None:
    status, out, err = qsagin("plan", *words)

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(problem)


def test_a_file_that_cannot_be_written_is_told_in_one_line(qsagin: Call, tmp_path: Path) -> None:
    file = tmp_path / "taken.json"
    file.mkdir()

    status, out, err = qsagin("plan", "tiny", "--export", str(file))

    assert (status, out) == (2, "")
    assert err == f"--export: {file} cannot be written (Is a directory)\n"


def test_a_plan_is_priced_under_its_law_another_and_a_trace(qsagin: Call, tmp_path: Path) -> None:
    file, trace = tmp_path / "plan.json", tmp_path / "trace.csv"
    planned = export(qsagin, file)
    # two units are reserved for each, and nobody ever needs more
    rows = [f"{period},r{i},{i % 3}" for period in range(2) for i in (1, 2, 3)]
    trace.write_text("\n".join(["period,request,units", *rows]), encoding="utf-8")

    def judged(*words: str) -> dict[str, Any]:
        status, out, err = qsagin("evaluate", "tiny", str(file), *words, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    own, never, seen = (
        judged(),
        judged("--law", "empirical: {counts: {0: 1}}"),
        judged("--trace", str(trace)),
    )
    assert (own["under"], own["objective"]) == ("experiment", planned["objective"])
    assert (never["under"], never["objective"]) == ("law", planned["first_stage_cost"])
    assert never["lower_bound"] == 0
    assert (seen["under"], seen["objective"]) == ("trace", planned["first_stage_cost"])


def test_a_trace_costs_what_its_periods_cost_on_average(qsagin: Call, tmp_path: Path) -> None:
    file, trace = tmp_path / "plan.json", tmp_path / "trace.csv"
    file.write_text('{"allocations": []}', encoding="utf-8")
    # nothing is reserved; r1 needs 0, 3, 0 and 1 units over two hops, by satellite every other time
    rows = [f"avatar,{period},{units}" for period, units in enumerate((0, 3, 0, 1))]
    rows += [f"{kind},{period},0" for kind in ("digital-twin", "ai-model") for period in range(4)]
    trace.write_text("\n".join(["class,period,units", *rows]), encoding="utf-8")

    status, out, _ = qsagin("evaluate", "tiny", str(file), "--trace", str(trace), "--json")

    assert status == 0
    assert json.loads(out)["objective"] == pytest.approx((3 + 1) / 4 * (18_520 + 18_510))


def test_every_broken_constraint_has_a_line(qsagin: Call, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    items = [
        {"request": "r1", "path": ["A", "C"], "wavelengths": [0]},
        {"request": "r2", "path": ["B", "A"], "wavelengths": [0, 99]},
        {"request": "r3", "path": ["C", "B"], "wavelengths": []},
    ]
    file.write_text(json.dumps({"allocations": items}), encoding="utf-8")
    lines = [
        f"{file}: request r1: no fiber A-C",
        f"{file}: request r2: wavelength 99 is not on fiber A-B",
        f"{file}: request r3: has a path without wavelengths, or wavelengths without a path",
    ]

    status, out, err = qsagin("evaluate", "tiny", str(file), "--json")
    assert (status, err.splitlines()) == (1, lines)
    assert json.loads(out)["violations"] == [line.removeprefix(f"{file}: ") for line in lines]

    status, out, err = qsagin("plan", "tiny", "--import", str(file))
    assert (status, out, err.splitlines()) == (2, "", lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1: is no JSON"),
        ("[]", "allocations: is missing"),
        ('{"plan": {"allocations": 3}}', "allocations: is missing"),
        ('{"allocations": [3]}', "allocations[0]: must be an object"),
        ('{"allocations": [{"request": "r9"}]}', "allocations[0].request: 'r9' is no request"),
        (
            '{"allocations": [{"request": "r1", "source": "B"}]}',
            "allocations[0].source: 'B' is not that of request r1, A",
        ),
        (
            '{"allocations": [{"request": "r1", "path": "AB"}]}',
            "allocations[0].path: must be a list of names of nodes",
        ),
        (
            '{"allocations": [{"request": "r1", "path": ["A"], "wavelengths": [true]}]}',
            "allocations[0].wavelengths: must be a list of whole numbers from 0",
        ),
    ],
)
def test_files_that_hold_no_plan_are_refused_naming_the_field(
    qsagin: Call, tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text, encoding="utf-8")

    status, out, err = qsagin("evaluate", "tiny", str(file))

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{file}: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("period,units\n", "header: must be period, request or class, and units"),
        ("period,request,units\n", "rows: there are none"),
        ("period,request,units\n0,r9,2\n", "row 2, request: no request 'r9' in the experiment"),
        ("period,class,units\n0,avatar,-2\n", "row 2, units: '-2' are no whole units"),
        ("period,class,units\n0,avatar,2\n", "period 0: says nothing of request r2 and 1 more"),
    ],
)
def test_traces_that_cannot_be_read_are_refused_naming_the_row(
    qsagin: Call, tmp_path: Path, text: str, problem: str
) -> None:
    plan, trace = tmp_path / "plan.json", tmp_path / "trace.csv"
    plan.write_text('{"allocations": []}', encoding="utf-8")
    trace.write_text(text, encoding="utf-8")

    status, out, err = qsagin("evaluate", "tiny", str(plan), "--trace", str(trace))

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"trace.csv: {problem}")


def test_a_plan_is_priced_under_one_law_only(qsagin: Call, tmp_path: Path) -> None:
    words = ("--law", "poisson: {mean_units: 1}", "--trace", "t.csv")

    status, _, err = qsagin("evaluate", "tiny", str(tmp_path / "plan.json"), *words)

    assert (status, err) == (2, "--trace: leave out --law: a plan is priced under one of them\n")


def test_mistakes_in_a_law_are_told_as_such(qsagin: Call, tmp_path: Path) -> None:
    words = ("--law", "poisson: {mean_units: -1}")

    status, _, err = qsagin("evaluate", "tiny", str(tmp_path / "plan.json"), *words)

    assert status == 2
    assert err.startswith("--law: demand.distribution.poisson.mean_units: ")
