"""Re-planning while a run is under way: a fiber is lost and comes back; demand drifts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from network import SimulatedNetwork, simulate

from emulator.build.loading import ExperimentError, read
from emulator.build.manager_role import planner_of
from emulator.results import ledger
from emulator.results.audit import audit
from emulator.results.ledger import Ledger
from global_manager.provisioning import Rearrangement
from protos.facts import FactKind

Write = Callable[..., Path]
RING = "source,target,length_km\nA,B,40\nB,C,40\nC,D,40\nD,A,40\n"


def _ring(write_experiment: Write, tmp_path: Path, **changes: Any) -> str:
    (tmp_path / "ring.csv").write_text(RING)
    requests = [
        {"id": "around", "class": "avatar", "source": "A", "target": "B"},
        {"id": "apart", "class": "avatar", "source": "C", "target": "D"},
    ]
    return str(
        write_experiment(
            network__topology="ring.csv",
            demand__requests=requests,
            demand__periods=30,
            satellite__probability=0.0,
            prices={"on_demand_transmitter": 60_000},
            **changes,
        )
    )


def _book(path: str, folder: Path) -> tuple[Ledger, SimulatedNetwork]:
    setup = read(path)
    network, assembly = simulate(setup)
    network.write_journals(folder)
    return ledger.read(
        folder,
        assembly.problem.requests,
        setup.experiment.clock.window_s,
        setup.experiment.demand.period_s,
    ), network


def _noted(network: SimulatedNetwork, kind: FactKind) -> list[tuple[int, str]]:
    facts = [item for noted in network.facts.values() for item in noted]
    return sorted((window, fact.text) for window, fact in facts if fact.kind is kind)


def test_traffic_goes_round_a_cut_fiber_and_what_works_is_left_alone(
    write_experiment: Write, tmp_path: Path
) -> None:
    cut = [{"kind": "fiber-cut", "link": ["A", "B"], "at_s": 200, "until_s": 400}]
    book, network = _book(_ring(write_experiment, tmp_path, faults=cut), tmp_path / "run")
    seen = _noted(network, FactKind.LINK)
    assert [note for _, note in seen] == ["down", "up"]
    assert 200 <= seen[0][0] <= 210
    assert 460 <= seen[1][0] <= 470
    reasons = [note for _, note in _noted(network, FactKind.REPLANNED)]
    assert reasons == ["fiber A-B is down", "fiber A-B is up"]
    reserved = [f for f in network.all_facts() if f.kind is FactKind.RESERVED]
    assert [fact.cost / fact.units for fact in reserved if fact.request == 1] == [5440]
    around = [
        fact.cost / 5440 / fact.units for fact in reserved if fact.request == 0 and fact.units
    ]
    assert around == [1, 3, 1]
    costs = {row.period: row.reservation_cost for row in book.rows if row.request == "around"}
    assert costs[0] == costs[29] != costs[12]
    planned = [json.loads(f.text) for f in network.all_facts() if f.kind is FactKind.PLANNED]
    gaps = {row.period: row.plan_gap for row in book.rows}
    assert (gaps[0], gaps[29]) == (planned[0]["gap"], planned[-1]["gap"])
    assert audit(tmp_path / "run").ok


def test_a_cut_that_is_not_replanned_around_costs_more(
    write_experiment: Write, tmp_path: Path
) -> None:
    cut = [{"kind": "fiber-cut", "link": ["A", "B"], "at_s": 100}]
    totals = {}
    for replan in (True, False):
        path = _ring(write_experiment, tmp_path, faults=cut, plan={"replan": replan})
        book, _ = _book(path, tmp_path / f"run-{replan}")
        totals[replan] = sum(book.cost_by_period())
    assert totals[True] < totals[False]


def test_drifted_demand_is_noticed_from_usage_and_planned_for(
    write_experiment: Write, tmp_path: Path
) -> None:
    shift = [{"kind": "demand-shift", "from_period": 10, "mean_units": 5.0}]
    totals = {}
    for every in (5, 0):
        path = _ring(
            write_experiment,
            tmp_path,
            faults=shift,
            plan={"look_every_periods": every},
            demand__scenarios=8,
        )
        book, network = _book(path, tmp_path / f"run-{every}")
        totals[every] = sum(book.cost_by_period()[15:])
        reasons = [note for _, note in _noted(network, FactKind.REPLANNED)]
        assert len(reasons) == (1 if every else 0)
        assert all(reason.startswith("demand drifted to ") for reason in reasons)
        assert audit(tmp_path / f"run-{every}").ok
    assert totals[5] < totals[0]


def test_who_is_cut_off_is_served_on_demand_until_the_fiber_is_back(
    write_experiment: Write, tmp_path: Path
) -> None:
    cut = [{"kind": "fiber-cut", "link": ["A", "B"], "at_s": 60, "until_s": 200}]
    path = str(write_experiment(faults=cut, demand__periods=15))
    book, network = _book(path, tmp_path / "run")
    reasons = [note for _, note in _noted(network, FactKind.REPLANNED)]
    assert reasons == ["fiber A-B is down", "fiber A-B is up"]
    isolated = [row for row in book.rows if row.request == "r1" and 3 <= row.period <= 7]
    assert [row.reservation_cost for row in isolated] == [0] * 5
    assert sum(row.fiber_units for row in isolated) == 0
    assert sum(row.uav_units + row.satellite_units for row in isolated) > 0
    assert [row.reservation_cost > 0 for row in book.rows if row.request == "r1"][-1]
    assert audit(tmp_path / "run").ok


def test_how_much_a_new_plan_may_change_is_said_in_the_experiment(
    write_experiment: Write, tmp_path: Path
) -> None:
    stable = read(_ring(write_experiment, tmp_path)).experiment
    changes = {"replan_changes": 7, "replan_saving": 900}
    lively = read(_ring(write_experiment, tmp_path, plan=changes)).experiment
    assert planner_of(stable).rearrangement.changes == 0
    assert planner_of(lively).rearrangement == Rearrangement(changes=7, least_saving=900)


def test_steady_demand_is_not_taken_for_a_drift(write_experiment: Write, tmp_path: Path) -> None:
    path = _ring(write_experiment, tmp_path, plan={"look_every_periods": 2})
    _, network = _book(path, tmp_path / "run")
    assert _noted(network, FactKind.REPLANNED) == []


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"kind": "fiber-cut", "link": ["A", "Z"], "at_s": 1}, "faults.0.link"),
        ({"kind": "fiber-cut", "link": ["A", "B"], "at_s": 9, "until_s": 3}, "faults.0.until_s"),
        ({"kind": "meteor"}, "faults.0"),
    ],
)
def test_a_fault_that_cannot_be_is_named(
    write_experiment: Write, tmp_path: Path, event: dict[str, Any], field: str
) -> None:
    with pytest.raises(ExperimentError, match=field):
        read(_ring(write_experiment, tmp_path, faults=[event]))
