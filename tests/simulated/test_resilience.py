"""How a run took its faults, from the same journals as everything else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from network import simulate

from emulator.build.loading import read
from emulator.report import summary
from emulator.report.summary import Ending
from emulator.results.decisions import FILE
from emulator.results.resilience import Story, _recovered_after_s
from protos.core import Timeline

REQUESTS = [
    {"id": "short", "class": "avatar", "source": "A", "target": "B"},
    {"id": "far", "class": "avatar", "source": "C", "target": "D"},
]


def run_with(
    write_experiment: Any, folder: Path, faults: list[dict[str, Any]], **changes: Any
) -> Any:
    """Run a ring of four nodes, and write all results; return the summary."""
    ring = folder / "ring.csv"
    ring.write_text("source,target,length_km\nA,B,80\nB,C,80\nC,D,80\nD,A,80\n", encoding="utf-8")
    demand = {
        "periods": 8,
        "period_s": 60,
        "scenarios": 4,
        "distribution": {"poisson": {"mean_units": 2.0}},
        "requests": REQUESTS,
    }
    fields = {
        "network": {"topology": str(ring), "wavelengths": 8},
        "demand": demand,
        "fiber": {"wait_to_restore_s": 0},
        "satellite": {"probability": 0.0},
        "faults": faults,
    } | changes
    setup = read(str(write_experiment(**fields)))
    network, assembly = simulate(setup)
    out = folder / "run"
    network.write_journals(out)
    return summary.write(out, setup, assembly, Ending(network.window, 0.0, 0.0))


def test_a_cut_is_noticed_answered_and_over(write_experiment: Any, tmp_path: Path) -> None:
    cut = {"kind": "fiber-cut", "link": ["B", "A"], "at_s": 205, "until_s": 402}
    summary = run_with(write_experiment, tmp_path, [cut])
    (fault,) = summary["faults"]
    took = fault["resilience"]
    assert took["concerned_requests"] == 1
    assert took["detected_after_s"] == 5  # it looks at whole 10 s
    assert took["recourse_after_s"] == 6  # the manager reads of it a window later
    assert took["restored_after_s"] == 205
    assert took["recovered_after_s"] == 0  # UAVs bring what fibers do not
    assert took["shortfall_units"] == 0
    assert took["extra_cost"] > 0


def test_without_anybody_to_buy_from_a_cut_costs_keys(
    write_experiment: Any, tmp_path: Path
) -> None:
    cut = {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 205, "until_s": 402}
    nobody = {"kind": "uav-loss", "at_s": 0}
    summary = run_with(write_experiment, tmp_path, [cut, nobody], plan={"replan": False})
    took = summary["faults"][0]["resilience"]
    assert took["shortfall_units"] > 0
    assert took["recovered_after_s"] is None or took["recovered_after_s"] > 0
    assert summary["faults"][1]["resilience"]["detected_after_s"] is not None
    assert summary["audit"]["ok"]


def test_faults_of_different_links_do_not_share_what_only_one_has_done(
    write_experiment: Any, tmp_path: Path
) -> None:
    cuts = [
        {"kind": "fiber-cut", "link": link, "at_s": 205, "until_s": 402}
        for link in (["A", "B"], ["B", "C"])
    ]
    first, second = run_with(write_experiment, tmp_path, cuts[:2], plan={"replan": False})["faults"]
    assert first["resilience"]["concerned_requests"] == 1
    assert second["resilience"]["concerned_requests"] == 0
    assert first["resilience"]["extra_cost"] > 0
    assert second["resilience"]["extra_cost"] == 0
    assert first["resilience"]["shared_with"] == second["resilience"]["shared_with"] == []


def test_faults_that_strike_the_same_requests_say_that_they_share(
    write_experiment: Any, tmp_path: Path
) -> None:
    cut = {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 205, "until_s": 402}
    nobody = {"kind": "uav-loss", "at_s": 205, "until_s": 402}
    elsewhere = {"kind": "fiber-cut", "link": ["B", "C"], "at_s": 205, "until_s": 402}
    faults = [cut, nobody, elsewhere]
    found = run_with(write_experiment, tmp_path, faults, plan={"replan": False})["faults"]
    assert [item["resilience"]["shared_with"] for item in found] == [[1], [0], []]


def test_a_lost_medium_that_nobody_needed_has_cost_nothing(
    write_experiment: Any, tmp_path: Path
) -> None:
    enough = {"on_demand_transmitter": 600_000}  # all that can be needed is reserved
    nobody = {"kind": "uav-loss", "at_s": 205, "until_s": 402}
    (fault,) = run_with(write_experiment, tmp_path, [nobody], prices=enough)["faults"]
    assert fault["resilience"]["concerned_requests"] == 0
    assert fault["resilience"]["extra_cost"] == 0


def test_a_silent_controller_is_noticed_by_who_asks_it(
    write_experiment: Any, tmp_path: Path
) -> None:
    out = {"kind": "outage", "entity": "uav-controller", "at_s": 130, "until_s": 300}
    summary = run_with(write_experiment, tmp_path, [out], plan={"policy": "none"})
    took = summary["faults"][0]["resilience"]
    assert 30 <= took["detected_after_s"] <= 40
    assert took["restored_after_s"] == pytest.approx(171, abs=2)
    assert took["shortfall_units"] > 0
    assert summary["audit"]["ok"]


def test_a_controller_that_has_just_come_back_is_not_taken_for_silent(
    write_experiment: Any, tmp_path: Path
) -> None:
    out = {"kind": "outage", "entity": "uav-controller", "at_s": 70, "until_s": 100}
    summary = run_with(write_experiment, tmp_path, [out], plan={"policy": "none"})
    table = pq.read_table(tmp_path / "run" / FILE).to_pylist()
    said = [row["reason"] for row in table if row["decision"] == "agent"]
    assert said == ["is back"]
    assert summary["faults"][0]["resilience"]["concerned_requests"] > 0


def test_a_cut_is_over_although_the_same_fiber_is_cut_again(
    write_experiment: Any, tmp_path: Path
) -> None:
    times = [(105, 152), (305, None)]
    cuts = [
        {"kind": "fiber-cut", "link": ["A", "B"], "at_s": at_s, "until_s": until_s}
        for at_s, until_s in times
    ]
    first, second = run_with(write_experiment, tmp_path, cuts)["faults"]
    assert first["resilience"]["restored_after_s"] == 55
    assert second["resilience"]["restored_after_s"] is None


def test_the_manager_out_for_a_while_catches_up(write_experiment: Any, tmp_path: Path) -> None:
    out = {"kind": "outage", "entity": "global-manager", "at_s": 130, "until_s": 200}
    summary = run_with(write_experiment, tmp_path, [out])
    assert summary["audit"]["ok"]
    assert summary["periods"] == 8
    table = pq.read_table(tmp_path / "run" / FILE).to_pylist()
    back = [row for row in table if row["decision"] == "agent"]
    assert ("global-manager", "is back", 200.0) in [
        (r["about"], r["reason"], r["at_s"]) for r in back
    ]


def test_periods_that_the_manager_is_out_for_until_the_end_are_in_the_ledger(
    write_experiment: Any, tmp_path: Path
) -> None:
    out = {"kind": "outage", "entity": "global-manager", "at_s": 300}
    enough = {"on_demand_transmitter": 600_000}  # all that can be needed is reserved
    summary = run_with(write_experiment, tmp_path, [out], prices=enough)
    assert summary["shortfall_units"] == 0
    assert summary["periods"] == 8


def test_nobody_buys_for_a_period_that_a_key_manager_slept_through(
    write_experiment: Any, tmp_path: Path
) -> None:
    out = {"kind": "outage", "entity": "A", "at_s": 205}
    run_with(write_experiment, tmp_path, [out])
    table = pq.read_table(tmp_path / "run" / FILE).to_pylist()
    orders = [(row["request"], row["period"]) for row in table if row["decision"] == "ordered"]
    assert ("short", 7) not in orders
    assert orders


def test_every_order_says_why(write_experiment: Any, tmp_path: Path) -> None:
    run_with(write_experiment, tmp_path, [])
    table = pq.read_table(tmp_path / "run" / FILE).to_pylist()
    orders = [row for row in table if row["decision"] == "ordered"]
    assert orders
    assert all(row["reason"] for row in orders)
    assert {row["request"] for row in orders} <= {"short", "far"}


def test_a_process_that_is_killed_has_no_figures(write_experiment: Any, tmp_path: Path) -> None:
    kill = {"kind": "process", "actor": "clock", "action": "kill", "at_s": 100}
    (fault,) = run_with(write_experiment, tmp_path, [kill])["faults"]
    assert fault["resilience"] == {}


def test_a_fiber_that_flaps_is_left_alone(write_experiment: Any, tmp_path: Path) -> None:
    flaps = [
        {"kind": "fiber-cut", "link": ["A", "B"], "at_s": at_s, "until_s": at_s + 15}
        for at_s in range(100, 400, 30)
    ]
    waiting = {"wait_to_restore_s": 60}
    summary = run_with(write_experiment, tmp_path, flaps, fiber=waiting)
    assert [item["reason"] for item in summary["replans"]] == [
        "fiber A-B is down",
        "fiber A-B is up",
    ]


@pytest.mark.parametrize(("periods_run", "recovered_after_s"), [(7, 100.0), (6, None)])
def test_a_run_that_was_cut_short_has_not_recovered_in_a_period_that_never_came(
    periods_run: int, recovered_after_s: float | None
) -> None:
    rows: Any = [
        SimpleNamespace(period=period, request="a", shortfall_units=int(period == 5))
        for period in range(periods_run)
    ]
    story = Story(Timeline(40.0, 60.0, 60), (), (), (), (), rows)
    assert _recovered_after_s(story, rows[5:6], start_s=300.0) == recovered_after_s
