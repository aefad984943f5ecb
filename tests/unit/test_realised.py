"""Realised comparisons: policies in the same worlds, paired, against two floors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import pyarrow.parquet as pq
import pytest

from emulator.sweep import realised
from emulator.sweep.realised import PERFECT, CommonDemandError, Comparison, Realised
from emulator.sweep.realised_table import HINDSIGHT, rows_of, with_hindsight
from global_manager.provisioning import solve
from global_manager.provisioning.hindsight import with_known_demand
from global_manager.provisioning.model import (
    Fiber,
    Future,
    OnDemand,
    Pools,
    Problem,
    Request,
    Scenario,
)

Call = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).parents[2] / "examples" / "policy"
MEAN = "qsagin_mean_policy:MeanPolicy"
UNITS = {"demanded": 10, "fiber": 6, "satellite": 1, "uav": 2, "late": 4, "shortfall": 1}
DEAR = OnDemand(uav_cost=10, satellite_cost=20, satellite_probability=0.5, shortfall_cost=40)


def _run(policy: str, seed: int, cost: float) -> Realised:
    demand = ((1, 2), (3, 4))
    return Realised(policy, seed, cost, cost, 2, UNITS, 8.0, 2.0, {"avatar": UNITS}, (), demand)


def _found(costs: dict[str, list[float]]) -> Comparison:
    seeds = tuple(range(len(costs[PERFECT])))
    runs = {
        name: tuple(_run(name, seed, cost) for seed, cost in enumerate(values))
        for name, values in costs.items()
    }
    return Comparison(runs, seeds, ())


def test_differences_are_paired_and_their_intervals_are_those_of_student() -> None:
    worlds = [100.0, 200.0, 300.0, 400.0]
    costs = {"a": worlds, "b": [105.0, 209.0, 307.0, 407.0], PERFECT: [90.0] * 4}
    rows = {row["policy"]: row for row in rows_of(with_hindsight(_found(costs)), "a")}
    differences = [5.0, 9.0, 7.0, 7.0]
    half = (
        3.182446305284263 * stdev(differences) / sqrt(4)
    )  # the t quantile of 3 degrees, from tables
    assert rows["b"]["difference"] == pytest.approx(fmean(differences))
    assert rows["b"]["difference_low"] == pytest.approx(7 - half)
    assert rows["b"]["difference_high"] == pytest.approx(7 + half)
    assert rows["b"]["cost_high"] - rows["b"]["mean_cost"] > 100  # worlds differ more than policies
    assert rows["b"]["outage"] == pytest.approx(0.25)
    assert rows["b"]["uav_share"] == rows["b"]["classes"][0]["uav_share"] == pytest.approx(0.2)


def test_hindsight_has_the_best_policy_of_each_world_and_no_floor() -> None:
    found = with_hindsight(_found({"a": [1.0, 9.0], "b": [5.0, 2.0], PERFECT: [0.0, 0.0]}))
    assert [(item.policy, item.cost) for item in found[HINDSIGHT]] == [("a", 1.0), ("b", 2.0)]


def test_one_seed_has_a_mean_and_no_interval() -> None:
    rows = rows_of(with_hindsight(_found({"a": [1.0], PERFECT: [1.0]})), "a")
    assert [(row["mean_cost"], row["cost_low"]) for row in rows] == [(1.0, None)] * 3


def test_policies_that_met_other_demand_are_not_compared() -> None:
    one, other = _run("a", 1, 5.0), replace(_run("b", 1, 5.0), demand=((9, 9), (9, 9)))
    with pytest.raises(CommonDemandError, match="seed 1: b met another demand than a"):
        realised._compared([one, other], ["a", "b"], [1], [], [])


def _problem(pools: Pools | None = None, futures: tuple[Future, ...] = ()) -> Problem:
    requests = tuple(Request(name, "avatar", "A", "B", DEAR) for name in ("r1", "r2"))
    law = (Scenario(0, 0.5), Scenario(9, 0.5))
    fibers = (Fiber("A", "B", 6, 40),)
    return Problem(("A", "B"), fibers, requests, law, pools=pools, futures=futures)


def test_who_knows_demand_reserves_what_the_periods_need_on_average() -> None:
    # r1 needs 1, 3, 3: the third unit is needed in two of three periods, 2/3 * 10 > 6; r2 needs 4, 0, 0.
    known = with_known_demand(_problem(), [(1, 4), (3, 0), (3, 0)])
    plan = solve(known, gap=1e-6)
    assert {item.request: item.units for item in plan.allocations} == {"r1": 3, "r2": 0}
    assert plan.objective == pytest.approx(3 * 6 + 4 / 3 * 10)


def test_where_pools_are_shared_every_period_is_met_under_every_sky() -> None:
    known = with_known_demand(_problem(Pools(1, 1)), [(1, 4), (3, 0)])
    assert [(f.probability, f.units, f.usable) for f in known.futures] == [
        (0.25, (1, 4), (True, True)),
        (0.25, (1, 4), (False, False)),
        (0.25, (3, 0), (True, True)),
        (0.25, (3, 0), (False, False)),
    ]
    drawn = tuple(Future(0.25, (9, 9), (number % 2 == 0, True)) for number in range(4))
    known = with_known_demand(_problem(Pools(1, 1), drawn), [(1, 4), (3, 0)])
    assert [f.usable for f in known.futures] == [f.usable for f in drawn]
    assert sum(f.probability for f in known.futures) == pytest.approx(1)


def test_compare_runs_all_policies_in_the_same_worlds(
    qsagin: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    out = tmp_path / "all"
    words = ("compare", "tiny", "--realised", "2", "--jobs", "1", "--out", str(out), "--json")
    words += ("--policy", MEAN)
    status, text, err = qsagin(*words)
    assert status == 0, err
    document = json.loads(text)
    rows = {row["policy"]: row for row in document["rows"]}
    assert list(rows) == [
        "stochastic",
        "expected-value",
        "random",
        "none",
        MEAN,
        PERFECT,
        HINDSIGHT,
    ]
    assert document["seeds"] == [7, 8]
    assert rows["stochastic"]["difference"] == 0
    assert rows[MEAN] == rows["expected-value"] | {"policy": MEAN}
    assert rows["none"]["fiber_share"] == 0 < rows["stochastic"]["fiber_share"]
    own = [rows[name] for name in ("stochastic", "expected-value", "random", "none")]
    assert rows[HINDSIGHT]["mean_cost"] <= min(row["mean_cost"] for row in own)
    demanded = {
        row["policy"]: [item["demanded_units"] for item in row["classes"]] for row in rows.values()
    }
    assert all(units == demanded["none"] for units in demanded.values())
    runs = pq.read_table(out / "realised.parquet").to_pylist()
    assert len(runs) == 7 * 2
    costs = [row["cost_per_period"] for row in runs if row["policy"] == "none"]
    assert rows["none"]["mean_cost"] == pytest.approx(fmean(costs))
    assert (out / "realised.png").read_bytes().startswith(b"\x89PNG")
    assert pq.read_table(out / "realised-classes.parquet").num_rows == 7 * 2 * 3
    single = ("run", "tiny", "--engine", "in-process", "--policy", "none", "--seed", "8", "--json")
    alone = json.loads(qsagin(*single)[1])
    assert alone["cost_per_period"]["mean"] == pytest.approx(costs[1])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--realised", "2", "--requests", "50"), "--requests: does not go with --realised"),
        (("--out", "all"), "--out: goes with --realised N only"),
        (("--jobs", "2"), "--jobs: goes with --realised N only"),
    ],
)
def test_options_of_the_other_comparison_are_refused(
    qsagin: Call, words: tuple[str, ...], problem: str
) -> None:
    status, _, err = qsagin("compare", "tiny", *words)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(problem)


def test_a_policy_that_breaks_a_rule_in_a_world_is_told_in_one_line(
    qsagin: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "dear.py").write_text(
        "class Dear:\n    def recourse(self, view): return [1]\n", encoding="utf-8"
    )
    words = ("compare", "tiny", "--realised", "1", "--jobs", "1", "--policy", "dear:Dear", "--json")
    status, out, err = qsagin(*words)
    assert status == 1
    assert err.splitlines()[-1] == "policy dear:Dear: recourse must return a sequence of Order"
    rows = {row["policy"]: row for row in json.loads(out)["rows"]}
    assert rows["dear:Dear"]["policy_failures"] == 1
    assert rows["dear:Dear"]["mean_cost"] == rows["stochastic"]["mean_cost"]
