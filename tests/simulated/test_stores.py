"""Stores that bridge periods, in runs: a run costs what its plan expects, and its audit agrees."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import pytest
from test_loop import booked

from emulator.build.assembly import assemble
from emulator.build.loading import ExperimentError, read
from emulator.build.setup import Setup
from emulator.results.audit import audit
from global_manager.provisioning import Policy, solve

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
