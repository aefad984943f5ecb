"""Reservations by the hour: a run changes them as planned, pays for it, and costs what its plans expect."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from test_loop import booked

from emulator import run as running
from emulator.build.loading import ExperimentError, read
from emulator.build.manager_role import planner_of
from emulator.build.problem import hours_of, periods_by_hour, problem_of
from emulator.build.setup import Setup
from emulator.engines.job import Options
from emulator.results import claims, journal_queries
from emulator.runtime.pacing import Pace
from emulator.store.files import SUMMARY, Engine
from global_manager.provisioning.hourly import HourlyPlan, plan_by_hours
from protos.facts import FactKind

Write = Callable[..., Path]
OFFICE = [0.1] * 8 + [2.5] * 8 + [0.1] * 8
NIGHT = OFFICE[12:] + OFFICE[:12]
DAYS = 20
_99 = 2.576  # quantile of the normal distribution: outside once in a hundred


class Quiet:
    """Nobody watches."""

    def started(self, *_: Any) -> None:
        """Say nothing."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return self.started


@pytest.fixture
def daily(write_experiment: Write) -> Write:
    """Write `tiny` over some days, its avatars busy by day, its AI models by night, all in UTC."""

    def write(**changes: Any) -> Path:
        own = {
            "demand__periods": 24 * DAYS,
            "demand__period_s": 3600,
            "demand__scenarios": 12,
            "demand__hours": {"avatar": OFFICE, "ai-model": NIGHT},
            "plan__by_hour": True,
            "plan__change_cost": 300,
            "clock__window_s": 60,
        }
        return write_experiment(**(own | changes))

    return write


def plans_of(setup: Setup) -> HourlyPlan:
    hours = hours_of(setup)
    assert hours is not None
    planner = planner_of(setup.experiment)
    return plan_by_hours(hours, planner.solve, planner.gap)


def test_every_period_belongs_to_the_hour_in_which_it_begins(daily: Write) -> None:
    setup = read(str(daily(demand__periods=50)))
    hours = hours_of(setup)
    assert hours is not None
    assert [len(own) for own in periods_by_hour(setup)] == [3, 3] + [2] * 22
    assert hours.hour_of == tuple(period % 24 for period in range(50))
    assert hours.periods.total() == 50
    assert hours.turns[23, 0] == 2


def test_without_a_price_of_change_plans_by_the_hour_are_never_dearer(daily: Write) -> None:
    setup = read(str(daily(plan__change_cost=0)))
    plan, always = plans_of(setup), planner_of(setup.experiment).solve(problem_of(setup))
    assert plan.objective < 0.9 * always.objective
    assert plan.gap <= setup.experiment.plan.gap
    assert plan.change_cost == 0


def test_dear_changes_are_made_seldom_and_never_push_the_cost_below_the_bound(daily: Write) -> None:
    found = [
        plans_of(read(str(daily(plan__change_cost=price)))) for price in (0, 300, 30_000, 10**7)
    ]
    changes = [plan.changes for plan in found]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 0 == changes[-1]
    costs = [plan.objective for plan in found]
    assert costs == sorted(costs)
    assert all(plan.lower_bound <= found[0].objective for plan in found)


def test_a_run_costs_what_its_hourly_plans_expect_and_pays_for_every_change(
    daily: Write, tmp_path: Path
) -> None:
    setup = read(str(daily()))
    plan = plans_of(setup)
    book, _, _ = booked(setup, tmp_path / "run")
    costs = book.cost_by_period()
    days = [fmean(costs[at : at + 24]) for at in range(0, len(costs), 24)]
    error = stdev(days) / sqrt(len(days))
    assert abs(fmean(days) - plan.objective) < _99 * error
    assert error < 0.05 * plan.objective
    assert sum(row.change_cost for row in book.rows) == plan.changes * 300
    number = {a.request: a for a in plan.plans[12].allocations}
    for row in book.rows:
        if row.period % 24 == 12 and row.period > 24:
            held = number[row.request]
            assert (row.reservation_cost > 0) is bool(held.wavelengths)


def ran(setup: Setup, out: Path) -> dict[str, Any]:
    options = Options(Pace.parse("max"), engine=Engine.IN_PROCESS, report=False)
    return dict(running.run(setup, out, options, Quiet()).summary)


def test_the_audit_adds_changes_up_itself_and_finds_one_that_was_not_paid(
    daily: Write, tmp_path: Path
) -> None:
    cut = {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 100_000, "until_s": 130_000}
    setup = read(str(daily(demand__periods=60, faults=[cut])))
    out = tmp_path / "run"
    summary = ran(setup, out)
    assert summary["cost"]["change"] > 0
    assert summary["audit"]["ok"]
    paid = [item for item in journal_queries.payments(out) if item.kind is FactKind.CHANGED]
    assert summary["cost"]["change"] == sum(item.cost for item in paid) == 300 * len(paid)
    reasons = {item["reason"] for item in summary["replans"]}
    assert {"another hour", "fiber A-B is down", "fiber A-B is up"} <= reasons
    written = json.loads((out / SUMMARY).read_text())
    problem = problem_of(setup)
    assert not claims._sums_of(out, problem, 300).wrong
    assert claims._sums_of(out, problem, 301).wrong
    written["cost"]["change"] += 1
    audited = {name: value for name, value in written["audit"].items() if name != "problems"}
    told = claims.problems(out, setup, written, audited)
    assert any("cost is" in line for line in told)


def test_while_a_fiber_is_down_other_hours_are_planned_around_it(
    daily: Write, tmp_path: Path
) -> None:
    cut = {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 50_000, "until_s": 120_000}
    setup = read(str(daily(demand__periods=48, faults=[cut])))
    book, _, _ = booked(setup, tmp_path / "run")
    down = [row for row in book.rows if 16 <= row.period <= 30 and row.request != "r3"]
    assert all(row.reservation_cost == 0 for row in down)
    after = [row for row in book.rows if row.period >= 36 and row.request == "r1"]
    assert any(row.reservation_cost for row in after)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"plan__look_every_periods": 5, "demand__hours": None}, "plan.look_every_periods"),
        ({"demand__periods": 200_000, "demand__hours": None}, "demand.periods"),
        ({"demand__period_s": 600}, "demand.period_s: must be at least"),
        ({"plan__change_cost": -1}, "plan.change_cost"),
    ],
)
def test_what_does_not_go_with_plans_by_the_hour_is_refused(
    daily: Write, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ExperimentError, match=told):
        read(str(daily(**changes)))
