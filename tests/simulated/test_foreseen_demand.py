"""A manager that foresees demand: plan and run agree, and learning costs less than the law of all times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from network import SimulatedNetwork, simulate

from emulator.build.loading import read
from emulator.results import ledger
from emulator.results.audit import audit
from emulator.results.ledger import Ledger
from protos.facts import FactKind

Write = Callable[..., Path]
PERIODS, HALF = 48, 6
SEASON = {"season": [0.1] * HALF + [1.9] * HALF}
REGIMES = {"regimes": {"factors": [0.1, 1.9], "stay": 0.93}}


def run(
    write_experiment: Write, folder: Path, **changes: Any
) -> tuple[Ledger, SimulatedNetwork, list[dict[str, Any]]]:
    """Run `tiny` with more demand; return its ledger, and its plans."""
    fields = {
        "demand__periods": PERIODS,
        "demand__scenarios": 16,
        "demand__distribution": {"poisson": {"mean_units": 3.0}},
        "demand__correlated": True,
        "network__wavelengths": 40,
        "satellite__probability": 0.0,
        "prices": "paper",
    }
    setup = read(str(write_experiment(**(fields | changes))))
    network, assembly = simulate(setup)
    network.write_journals(folder)
    assert audit(folder).ok
    clock, demand = setup.experiment.clock, setup.experiment.demand
    book = ledger.read(folder, assembly.problem.requests, clock.window_s, demand.period_s)
    facts = sorted(
        (window, fact.period, fact.text)
        for noted in network.facts.values()
        for window, fact in noted
        if fact.kind is FactKind.PLANNED
    )
    return book, network, [{"period": p, **json.loads(text)} for _, p, text in facts]


def replans(network: SimulatedNetwork) -> list[str]:
    facts = (fact for noted in network.facts.values() for _, fact in noted)
    return [fact.text for fact in facts if fact.kind is FactKind.REPLANNED]


@pytest.mark.parametrize(("process", "method"), [(SEASON, "seasonal"), (REGIMES, "regimes")])
def test_foreseeing_costs_less_than_the_mixture_of_all_periods(
    write_experiment: Write, tmp_path: Path, process: dict[str, Any], method: str
) -> None:
    fixed, network, _ = run(write_experiment, tmp_path / "fixed", demand__process=process)
    assert replans(network) == []
    forecast = {"method": method, "seasons": [2 * HALF] if method == "seasonal" else []}
    learned, network, _ = run(
        write_experiment, tmp_path / "learned", demand__process=process, demand__forecast=forecast
    )
    assert [row.demanded_units for row in learned.rows] == [r.demanded_units for r in fixed.rows]
    assert all(reason.endswith("units is foreseen") for reason in replans(network))
    assert sum(learned.cost_by_period()) < 0.9 * sum(fixed.cost_by_period())


@pytest.mark.parametrize("period_s", [14, 20])
def test_what_is_reserved_is_there_in_the_period_that_it_is_foreseen_for(
    write_experiment: Write, tmp_path: Path, period_s: int
) -> None:
    book, _, _ = run(
        write_experiment,
        tmp_path / "run",
        demand__process=SEASON,
        demand__forecast={"method": "seasonal", "seasons": [2 * HALF]},
        demand__period_s=period_s,
    )

    rows = [row for row in book.rows if row.period >= 2 * HALF]
    busy = [row for row in rows if row.period % (2 * HALF) >= HALF]
    calm = [row for row in rows if row.period % (2 * HALF) < HALF]
    assert sum(row.fiber_units for row in busy) > 0.8 * sum(row.demanded_units for row in busy)
    first = [row for row in busy if row.period % HALF == 0]
    assert sum(row.fiber_units for row in first) > 0.7 * sum(row.demanded_units for row in first)
    assert max(row.reservation_cost for row in calm) < min(row.reservation_cost for row in busy)


def test_what_plans_expect_is_what_a_run_costs_within_sampling_error(
    write_experiment: Write, tmp_path: Path
) -> None:
    forecast = {"method": "seasonal", "seasons": [2 * HALF], "least_saving": 0.0}
    book, _, plans = run(
        write_experiment,
        tmp_path / "run",
        demand__process=SEASON,
        demand__forecast=forecast,
        demand__periods=240,
    )
    expected = 0.0
    for period in range(240):
        in_force = [plan for plan in plans if plan["period"] <= period]
        expected += in_force[-1]["objective"]
    assert sum(book.cost_by_period()) == pytest.approx(expected, rel=0.06)


def test_a_plan_that_would_save_too_little_is_not_made(
    write_experiment: Write, tmp_path: Path
) -> None:
    forecast = {"method": "seasonal", "seasons": [2 * HALF], "least_saving": 1.0}
    _, network, _ = run(
        write_experiment, tmp_path / "run", demand__process=SEASON, demand__forecast=forecast
    )
    assert replans(network) == []


def test_a_plan_is_revised_no_more_often_than_asked(
    write_experiment: Write, tmp_path: Path
) -> None:
    forecast = {"method": "seasonal", "seasons": [2 * HALF], "revise_every_periods": HALF}
    _, _, plans = run(
        write_experiment, tmp_path / "run", demand__process=SEASON, demand__forecast=forecast
    )
    assert len(plans) > 3
    assert {plan["period"] % HALF for plan in plans} == {0}
