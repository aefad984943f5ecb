"""The command line: exit statuses, one line a fault, JSON alone on stdout."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from emulator import cli

Write = Callable[..., Path]


Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("plan", "tiny", "--policy", "best"),
            "--policy: best is none of stochastic, expected-value, random, deterministic, none",
        ),
        (("run", "tiny"), "--out: is missing; name it"),
        (("fly",), "No such command 'fly'; see"),
        (("rates", "--out", __file__), f"--out: {__file__} is a file; name a folder"),
        (("run", "tiny", "--out", f"{__file__}/x"), f"--out: {__file__} is a file; name a folder"),
    ],
)
def test_bad_usage_is_told_in_one_line(qsagin: Call, words: tuple[str, ...], problem: str) -> None:
    status, out, err = qsagin(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(problem)


def test_the_help_of_a_command_is_the_first_line_of_its_docstring() -> None:
    for name, module, summary in cli.COMMANDS:
        command = getattr(import_module(f"emulator.commands.{module}"), name)
        assert summary == (command.__doc__ or "").splitlines()[0]


def test_check_says_ok_or_names_every_mistake(qsagin: Call, write_experiment: Write) -> None:
    assert qsagin("check", "tiny")[0] == 0
    bad = str(write_experiment(network__wavelengths=0, demand__periods=-1))
    status, out, err = qsagin("check", bad)
    assert (status, out) == (2, "")
    assert sorted(line.split(": ")[1] for line in err.splitlines()) == [
        "demand.periods",
        "network.wavelengths",
    ]
    status, out, err = qsagin("check", bad, "--json")
    document = json.loads(out)
    assert (status, document["ok"], err) == (2, False, "")
    assert {item["field"] for item in document["errors"]} == {
        "demand.periods",
        "network.wavelengths",
    }


def test_check_and_plan_warn_of_links_and_requests_that_fiber_cannot_serve(
    qsagin: Call, write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "far.csv").write_text("source,target,length_km,kind\nA,B,40,\nB,C,500,untrusted\n")
    path = str(write_experiment(network__topology="far.csv"))
    status, out, err = qsagin("check", path, "--json")
    told = json.loads(out)["warnings"]
    assert (status, len(told)) == (0, 2)
    assert told[0].startswith("link B-C is not used: errors are 0.499")
    assert (
        told[1]
        == "2 of the requests can never be served by fiber: r1, r3; all their keys are bought"
    )
    reading = "read 3 nodes, 2 links; lengths from `length_km`, in km; no coordinates"
    warnings = "".join(f"{path}: warning: {line}\n" for line in told)
    remarks = "".join(f"{path}: remark: {line}\n" for line in json.loads(out)["remarks"])
    assert err == f"{path}: far.csv: {reading}\n{warnings}{remarks}"
    status, out, _ = qsagin("plan", path, "--json")
    assert status == 0
    assert json.loads(out)["requests_without_fiber"] == ["r1", "r3"]
    assert [item["link"] for item in json.loads(out)["unused_links"]] == ["B-C"]


def test_plan_prints_the_fields_that_others_read(qsagin: Call) -> None:
    status, out, _ = qsagin("plan", "tiny", "--json")
    plan = json.loads(out)
    assert status == 0
    assert plan["objective"] == pytest.approx(
        plan["first_stage_cost"] + plan["expected_recourse_cost"]
    )
    assert 0 <= plan["gap"] <= 1e-3
    assert plan["lower_bound"] <= plan["objective"]
    assert plan["unplaced_units"] == 0
    assert {"policy", "termination", "solve_s"} <= plan.keys()
    assert [item["request"] for item in plan["allocations"]] == ["r1", "r2", "r3"]
    for item in plan["allocations"]:
        assert item["units"] == len(item["wavelengths"])
        assert not item["units"] or (item["path"][0], item["path"][-1]) == (
            item["source"],
            item["target"],
        )


def test_plan_tells_of_its_progress_on_stderr_only_when_asked_or_on_a_terminal(
    qsagin: Call,
) -> None:
    _, quiet_out, quiet_err = qsagin("plan", "paper-w80", "--gap", "0.02", "--json")
    _, out, err = qsagin("plan", "paper-w80", "--gap", "0.02", "--json", "--progress")
    plan, lines = json.loads(out), err.splitlines()
    assert quiet_err == ""
    assert json.loads(quiet_out)["allocations"] == plan["allocations"]
    assert {line.split(":")[0] for line in lines} == {"columns", "wavelengths"}
    assert lines[-1] == (
        f"wavelengths: cost {plan['objective']:,.0f}, bound {plan['lower_bound']:,.0f}, "
        f"gap {plan['gap']:.3%}"
    )


def test_plan_and_compare_say_what_their_figures_rest_on(
    qsagin: Call, write_experiment: Write
) -> None:
    path = str(write_experiment(demand__reduce_to=2))
    basis = json.loads(qsagin("plan", path, "--json")[1])["basis"]
    compared = json.loads(qsagin("compare", path, "--json")[1])["basis"]
    assert compared == [{"requests": 3, **basis}]
    for command in ("plan", "compare"):
        said = qsagin(command, path)[1]
        assert "Reduced from 5 scenarios" in said
        assert f"at most {basis['reduction_error']:,.0f}" in said
        assert "seed 7" in said


def test_hours_are_told_and_perfect_information_is_left_out_or_refused(
    qsagin: Call, write_experiment: Write
) -> None:
    path = str(write_experiment(demand__hours={"avatar": [0.5, 1.5] * 12}))
    status, out, _ = qsagin("compare", path)
    assert status == 0
    assert "deterministic" not in out
    assert "follows the hours" in out.replace("\n", " ")
    status, _, err = qsagin("plan", path, "--policy", "deterministic")
    assert status == 2
    assert err.startswith("--policy: deterministic needs one demand for all")


def test_the_papers_common_optimum_is_four_units_and_is_found_to_the_gap(qsagin: Call) -> None:
    plan = json.loads(qsagin("plan", "paper", "--json")[1])
    assert {item["units"] for item in plan["allocations"]} == {4}
    assert plan["gap"] <= 1e-3


def test_a_plan_counts_on_no_more_than_its_pools_hold(
    qsagin: Call, write_experiment: Write
) -> None:
    pools = {"uav_units": 1, "satellite_units": 0, "shortfall_cost": 200_000}
    common = {"demand__correlated": True, "satellite__probability": 0.5}
    plans = [
        json.loads(qsagin("plan", str(write_experiment(**common, **extra)), "--json")[1])
        for extra in ({"plan": {"pools": pools}}, {})
    ]
    assert plans[0]["reserved_units"] > plans[1]["reserved_units"]
    assert plans[0]["objective"] > plans[1]["objective"]


def test_pools_that_cannot_be_planned_for_are_named(qsagin: Call, write_experiment: Write) -> None:
    pools = {"uav_units": 1, "shortfall_cost": 5}
    path = str(write_experiment(demand__correlated=True, plan={"pools": pools}))
    folder = path.replace("changed.yaml", "run")
    for words in (("plan", path), ("run", path, "--out", folder)):
        status, out, err = qsagin(*words)
        assert (status, out) == (2, "")
        assert "shortfall" in err
        assert "Traceback" not in err
    assert not Path(folder).exists()


def test_compare_ranks_the_policies_as_the_paper_does(qsagin: Call) -> None:
    status, out, _ = qsagin("compare", "paper", "--requests", "50,200", "--json")
    assert status == 0
    totals = {
        (row["requests"], row["policy"]): row["total_cost"] for row in json.loads(out)["rows"]
    }
    for requests in (50, 200):
        best = totals[requests, "stochastic"]
        assert 1.0 < totals[requests, "expected-value"] / best < 1.15
        assert totals[requests, "random"] / best > 1.35
        assert totals[requests, "deterministic"] < best
    assert totals[200, "random"] / totals[200, "stochastic"] == pytest.approx(1.5, abs=0.15)


def test_figures_are_those_of_the_paper(qsagin: Call, tmp_path: Path) -> None:
    status, out, _ = qsagin("figures", "--out", str(tmp_path), "--json")
    assert status == 0
    assert len(json.loads(out)["files"]) == 4
    with (tmp_path / "fig4a.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    steps = {b["first_stage"] - a["first_stage"] for a, b in pairwise(rows)}
    assert len(steps) == 1
    crossing = next(row["reserved"] for row in rows if row["first_stage"] > row["second_stage"])
    assert crossing == 3
    assert min(rows, key=lambda row: row["total"])["reserved"] == 4
    for name in ("fig4a.png", "fig4b.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


BAD: list[tuple[list[str], str]] = [
    (["run", "tiny", "--out", "{tmp}/x", "--pace", "slow"], "--pace"),
    (["run", "tiny", "--out", "{tmp}/x", "--policy", "deterministic"], "--policy"),
    (["run", "tiny", "--out", "{tmp}"], "--out"),
    (["run", "tiny", "--out", "{tmp}/x", "--hosts", "0"], "--hosts"),
    (["run", "tiny", "--out", "{tmp}/x", "--address", "127.0.0.1:9"], "--address"),
    (["run", "tiny", "--out", "{tmp}/x", "--address", "somewhere"], "host:port"),
    (["run", "tiny", "--out", "{tmp}/x", "--ports", "99-9"], "two ports like 20000-20999"),
    (["run", "tiny", "--out", "{tmp}/x", "--placement", "pack"], "needs a cluster"),
    (["run", "--resume", "{tmp}"], "is it the folder of a run?"),
    (["run", "tiny", "--resume", "{tmp}"], "leave out EXPERIMENT"),
    (["run", "--out", "{tmp}/x"], "EXPERIMENT: is missing"),
    (["run", "nowhere", "--out", "{tmp}/x"], "nowhere"),
    (["plan", "tiny", "--gap", "2"], "--gap"),
    (["plan", "tiny", "--time-limit", "-1"], "--time-limit"),
    (["compare", "tiny", "--requests", "5"], "--requests"),
    (["compare", "paper", "--requests", "five"], "--requests"),
    (["skr", "--protocol", "magic", "--length-km", "1"], "magic"),
    (["skr", "--protocol", "bb84", "--length-km", "-1"], "length"),
    (["skr", "--protocol", "bb84", "--length-km", "1", "--set", "mu"], "--set"),
    (["skr", "--protocol", "gg02", "--length-km", "1", "--intercepted", "0.5"], "no bit errors"),
    (["skr", "--protocol", "bb84", "--length-km", "1", "--intercepted", "2"], "between 0 and 1"),
    (["audit", "{tmp}"], "is it the folder of a run?"),
    (["status", "{tmp}"], "is it the folder of a run?"),
]


@pytest.mark.parametrize(("words", "named"), BAD, ids=lambda part: str(part)[:40])
def test_bad_usage_exits_with_2_names_the_fault_and_writes_nothing(
    qsagin: Call, tmp_path: Path, words: list[str], named: str
) -> None:
    (tmp_path / "something").write_text("kept")
    status, out, err = qsagin(*(word.format(tmp=tmp_path) for word in words))
    assert (status, out) == (2, "")
    assert named in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_skr_tells_rate_error_and_what_was_assumed(qsagin: Call) -> None:
    status, out, _ = qsagin("skr", "--protocol", "bb84", "--length-km", "80", "--json")
    rate: dict[str, Any] = json.loads(out)
    assert status == 0
    assert rate["skr_bps"] > 0
    assert 0 < rate["qber"] < 0.11
    assert rate["transmittance"] == pytest.approx(10 ** (-0.21 * 80 / 10))
    assert rate["assumptions"]
    short = json.loads(qsagin("skr", "--protocol", "bb84", "--length-km", "10", "--json")[1])
    assert short["skr_bps"] > rate["skr_bps"]


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emulator", "experiments", "--json"], capture_output=True, check=True
    )
    assert "paper" in [item["name"] for item in json.loads(done.stdout)]


def test_skr_tells_what_an_eavesdropper_adds_and_takes(qsagin: Call) -> None:
    words = ("skr", "--protocol", "bb84", "--length-km", "20", "--json", "--intercepted")
    quiet, tapped = (json.loads(qsagin(*words, share)[1]) for share in ("0", "0.1"))
    assert 0 < tapped["skr_bps"] < quiet["skr_bps"]
    assert 0.02 < tapped["qber"] - quiet["qber"] < 0.025
    assert any("0.1 of the pulses intercepted" in words for words in tapped["assumptions"])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            PermissionError(13, "Permission denied", "/there/lock"),
            "/there/lock: Permission denied\n",
        ),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device\n"),
        (
            sqlite3.OperationalError("attempt to write a readonly database"),
            "a database of the run cannot be used: attempt to write a readonly database\n",
        ),
    ],
)
def test_what_the_system_refuses_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, told: str
) -> None:
    def refused(**_options: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app_for", lambda _given: refused)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == told


def test_a_key_rate_with_classical_channels_in_the_fiber(
    qsagin: Callable[..., tuple[int, str, str]],
) -> None:
    words = ("skr", "--protocol", "bb84", "--device", "t12", "--length-km", "50", "--json")
    light = ("--coexistence", "launch_dbm=-30", "--coexistence", "filter_nm=0.1")

    dark, lit = (json.loads(qsagin(*words, *more)[1]) for more in ((), light))
    assert lit["skr_bps"] < dark["skr_bps"]
    assert "Kumar" in lit["assumptions"][-1]
    status, _, err = qsagin(*words, "--coexistence", "band=X")
    assert (status, "--coexistence: band" in err) == (2, True)
