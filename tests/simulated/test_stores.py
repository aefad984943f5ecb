"""Stores that bridge periods, in runs: a run costs what its plan expects, and its audit agrees."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import pytest
from test_loop import booked
from test_oracle import plans_of

from emulator.build.assembly import assemble
from emulator.build.demand_trace import under_trace
from emulator.build.loading import ExperimentError, read
from emulator.build.setup import Setup
from emulator.results.audit import audit
from global_manager.provisioning import Policy, solve
from global_manager.provisioning.check import evaluate
from global_manager.provisioning.recourse import expected_unit_cost
from protos.facts import FactKind

Write = Callable[..., Path]
MORNING = [0.3] * 6 + [2.5] * 6 + [0.7] * 12
_99 = 2.576  # quantile of the normal distribution: outside once in a hundred


def _realised(setup: Setup, folder: Path) -> tuple[float, int]:
    """Return the mean cost of a period, and what was missing when it was asked for."""
    book, _, _ = booked(setup, folder)
    assert audit(folder).ok
    return fmean(book.cost_by_period()), sum(row.late_units for row in book.rows)


@pytest.mark.parametrize("hours", [None, {"avatar": MORNING}])
def test_a_run_costs_what_its_plan_expects(
    write_experiment: Write, tmp_path: Path, hours: dict[str, list[float]] | None
) -> None:
    late = {}
    for beyond in ("reserved", 4):
        setups = [
            read(
                str(
                    write_experiment(
                        seed=seed,
                        keys__store_units=beyond,
                        demand__periods=96,
                        demand__period_s=3600 if hours else 20,
                        clock__window_s=60 if hours else 1,
                        demand__scenarios=16,
                        demand__hours=hours,
                    )
                )
            )
            for seed in range(8)
        ]
        plan = solve(assemble(setups[0]).problem, Policy.STOCHASTIC)
        found = [
            _realised(setup, tmp_path / f"{beyond}-{seed}") for seed, setup in enumerate(setups)
        ]
        costs = [cost for cost, _ in found]
        error = stdev(costs) / sqrt(len(costs))
        assert abs(fmean(costs) - plan.objective) < _99 * error + 1e-9
        late[beyond] = sum(units for _, units in found)
    assert late[4] < 0.8 * late["reserved"]


def test_a_run_in_which_key_expires_and_is_paid_for_while_kept_costs_what_its_plan_expects(
    write_experiment: Write, tmp_path: Path
) -> None:
    store = {"lifetime_periods": 2, "keeping_cost": 1_500, "store_units": {"avatar": 4}}
    costs, expired, kept = [], 0, 0
    for seed in range(12):
        fields = {f"keys__{name}": value for name, value in store.items()}
        fields |= {"demand__periods": 96, "demand__period_s": 20, "demand__scenarios": 16}
        setup = read(str(write_experiment(seed=seed, **fields)))
        book, assembly, _ = booked(setup, tmp_path / str(seed))
        costs.append(fmean(book.cost_by_period()))
        expired += sum(row.expired_units for row in book.rows)
        kept += sum(row.kept_units for row in book.rows)
    plan = solve(assembly.problem, Policy.STOCHASTIC)
    error = stdev(costs) / sqrt(len(costs))
    assert abs(fmean(costs) - plan.objective) < _99 * error
    assert expired > 50
    assert kept > 500


def test_a_ledger_tells_what_stores_of_each_size_kept_and_lost(
    write_experiment: Write, tmp_path: Path
) -> None:
    sizes = {"avatar": 3, "ai-model": "reserved", "avatar-1": 6}
    fields = {"store_units": sizes, "lifetime_periods": 3, "keeping_cost": 40}
    requests = {"avatar": 3, "ai-model": 2}
    setup = read(
        str(
            write_experiment(
                **{f"keys__{name}": value for name, value in fields.items()},
                demand__periods=50,
                demand__requests=requests,
                demand__correlated=False,
            )
        )
    )
    book, assembly, network = booked(setup, tmp_path)
    assert audit(tmp_path).ok
    (plan,) = plans_of(network)
    beyond = {"avatar-1": 6, "avatar-2": 3, "avatar-3": 3, "ai-model-1": 0, "ai-model-2": 0}
    assert {item.id for item in assembly.problem.requests} == set(beyond)
    for name, units in beyond.items():
        rows = [row for row in book.rows if row.request == name]
        expected = _follow([row.demanded_units for row in rows], plan[name].units, units)
        found = [(row.late_units, row.kept_units, row.expired_units) for row in rows]
        assert found == expected
        assert all(row.keeping_cost == 40 * row.kept_units for row in rows)
        assert all(row.cash >= row.reservation_cost + row.keeping_cost for row in rows)
    assert sum(row.expired_units for row in book.rows) > 0


def _follow(demands: list[int], reserved: int, beyond: int) -> list[tuple[int, int, int]]:
    """Return what was missing, had been kept and expired in each period, if units serve in three."""
    there, told = [0] * reserved, []
    for period, units in enumerate(demands):
        kept = sum(born < period for born in there)
        served, there = there[:units], there[units:]
        young = [born for born in there if born + 3 > period + 1]
        told.append((units - len(served), kept, len(there) - len(young)))
        room = reserved + beyond - len(young)
        there = young + [period + 1] * min(reserved, room)
    return told


def test_a_plan_is_priced_under_a_trace_as_its_stores_go_through_it(
    write_experiment: Write, tmp_path: Path
) -> None:
    fields = {"store_units": {"avatar": 3}, "lifetime_periods": 3, "keeping_cost": 300}
    changes = {f"keys__{name}": value for name, value in fields.items()}
    setup = read(str(write_experiment(**changes)))
    problem = assemble(setup).problem
    plan = solve(problem, Policy.STOCHASTIC)
    demands = {
        item.id: [(7 * n * n + 3 * at) % 6 for n in range(20)]
        for at, item in enumerate(problem.requests)
    }
    rows = [f"{n},{name},{units}" for name, own in demands.items() for n, units in enumerate(own)]
    trace = tmp_path / "trace.csv"
    trace.write_text("\n".join(["period,request,units", *rows]) + "\n")
    expected = 0
    for item, held in zip(problem.requests, plan.allocations, strict=True):
        beyond = 3 if item.application == "avatar" else 0
        told = _follow(demands[item.id], held.units, beyond)
        unit = expected_unit_cost(item.on_demand)
        expected += sum(unit * missed + 300 * kept for missed, kept, _ in told)
    found = evaluate(under_trace(setup, problem, trace), plan.allocations)
    assert found.expected_recourse == pytest.approx(expected / 20)


def test_runs_without_the_new_fields_note_nothing_of_stores(
    write_experiment: Write, tmp_path: Path
) -> None:
    _, _, network = booked(read(str(write_experiment(keys__store_units=4))), tmp_path)
    kinds = {(fact.kind, fact.medium) for noted in network.facts.values() for _, fact in noted}
    assert FactKind.KEPT not in {kind for kind, _ in kinds}
    assert (FactKind.EXPIRED, "end-to-end") not in kinds


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"limits": {}}, "limits"),
        ({"uav__fleet": {"uavs": 3}}, "uav.fleet"),
        ({"keys__lifetime_s": 1000}, "keys.lifetime_s"),
        ({"plan__look_every_periods": 2}, "plan.look_every_periods"),
        ({"demand__process": {"trend": 0.01}}, "demand.process"),
    ],
)
def test_what_the_plan_does_not_know_of_stores_is_refused(
    write_experiment: Write, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(ExperimentError, match=f"keys.store_units: cannot be combined with {field}"):
        read(str(write_experiment(keys__store_units=2, **changes)))
    if field != "keys.lifetime_s":
        with pytest.raises(
            ExperimentError, match=f"keys.keeping_cost: cannot be combined with {field}"
        ):
            read(str(write_experiment(keys__keeping_cost=2, **changes)))
