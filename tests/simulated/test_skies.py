"""What the plan knows of the air: fleets, fog and the hours in which they matter."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from test_loop import booked

from emulator.build.assembly import assemble
from emulator.build.futures import fresh_cost_of
from emulator.build.loading import read
from emulator.build.plan_report import basis_of
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.build.skies import sky_over
from emulator.config.uavs import Fleet
from global_manager.provisioning import solve

Write = Callable[..., Path]
MORNING = [0.2] * 6 + [3.0] * 6 + [0.2] * 12
FLAT = [1.0] * 24
DAYS = 60
_99 = 2.576  # quantile of the normal distribution: outside once in a hundred


@pytest.fixture
def foggy(write_experiment: Write) -> Write:
    """Write `tiny` over two months, with fog at A from 6 to 12 every day, and avatars who live then."""

    def write(**changes: Any) -> Path:
        own = {
            "demand__periods": 24 * DAYS,
            "demand__period_s": 3600,
            "demand__scenarios": 14,
            "demand__hours": {"avatar": MORNING, "digital-twin": FLAT},
            "clock__window_s": 60,
            "uav__weather": {"look_s": 600},
            "weather__replay": "fog.csv",
        }
        path = write_experiment(**(own | changes))
        (path.parent / "tiny.nodes.csv").write_text("node,lat,lon\nA,40,0\nB,41,0\nC,42,0\n")
        rows = [
            f"A,{day * 86_400 + hour * 3600},0,{km}"
            for day in range(DAYS + 2)
            for hour, km in ((6, 0.2), (12, ""))
        ]
        head = "site,start_s,opaque,visibility_km\nA,0,0,\nB,0,0,\nC,0,0,\n"
        (path.parent / "fog.csv").write_text(head + "\n".join(rows) + "\n")
        return path

    return write


def realised(setup: Setup, folder: Path) -> tuple[float, float]:
    """Return the mean cost of a period, and its standard error, days being independent."""
    book, _, _ = booked(setup, folder)
    costs = book.cost_by_period()
    days = [fmean(costs[at : at + 24]) for at in range(0, len(costs), 24)]
    return fmean(days), stdev(days) / sqrt(len(days))


def test_the_plan_knows_how_often_uavs_are_grounded_and_where(foggy: Write) -> None:
    setup = read(str(foggy(demand__hours=None)))
    over = sky_over(setup)
    assert over("A", "B").grounded == pytest.approx((0.25, 0.25), abs=0.01)
    assert over("B", "C").grounded == (0.0, 0.0)
    basis = basis_of(setup.experiment, problem_of(setup))
    assert basis["uavs_grounded"] == pytest.approx(0.25 * 2 / 3, abs=0.01)


def test_demand_of_foggy_hours_is_dearer_than_that_of_others(foggy: Write) -> None:
    problem = problem_of(read(str(foggy())))
    avatar = problem.requests[0]
    assert avatar.scenarios is not None
    grounded = [item.sky.grounded[0] for item in avatar.scenarios if item.sky]
    assert len(grounded) == len(avatar.scenarios)
    assert grounded == sorted(grounded)
    assert grounded[0] < 0.1
    assert grounded[-1] > 0.99


def test_a_run_costs_what_its_plan_expects_where_fog_comes_with_demand(
    foggy: Write, tmp_path: Path
) -> None:
    setup = read(str(foggy()))
    plan = solve(problem_of(setup), gap=1e-6)
    mean, error = realised(setup, tmp_path / "run")
    assert abs(mean - plan.objective) < _99 * error
    assert error < 0.05 * mean


@pytest.mark.parametrize("hours", [None, {"avatar": MORNING, "digital-twin": FLAT}])
def test_a_run_costs_what_its_plan_expects_of_a_fleet_in_fog_without_limits(
    foggy: Write, tmp_path: Path, hours: dict[str, list[float]] | None
) -> None:
    fleet = {"uavs": 2, "endurance_s": 2400, "turn_s": 1200}
    setup = read(str(foggy(uav__fleet=fleet, demand__hours=hours)))
    assert setup.experiment.limits is None
    problem = problem_of(setup)
    assert problem.pools is not None
    assert problem.pools.uavs == 2
    assert any(not all(future.flies) for future in problem.futures)
    fresh = fresh_cost_of(setup, problem, solve(problem, gap=1e-6))
    mean, error = realised(setup, tmp_path / "run")
    assert abs(mean - fresh.cost) < _99 * hypot(error, fresh.standard_error)
    assert hypot(error, fresh.standard_error) < 0.05 * mean


def test_a_fleet_that_all_requests_cannot_spend_is_no_limit(tiny: Setup) -> None:
    for uavs, shared in ((2, True), (3, False)):
        fleet = Fleet(uavs=uavs, turn_s=8)
        uav = tiny.experiment.uav.model_copy(update={"fleet": fleet})
        experiment = tiny.experiment.model_copy(update={"uav": uav})
        problem = assemble(tiny.with_experiment(experiment)).problem
        assert (problem.pools is not None) is shared
