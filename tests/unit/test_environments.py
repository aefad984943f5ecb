"""Environments: the model by periods against the run, and what Gymnasium demands."""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import emulator as qsagin
from emulator.build.loading import read
from emulator.environments import MissingPackageError
from emulator.environments.periods import PeriodWorld, UnmodelledError
from emulator.environments.provisioning import NAME, ProvisioningEnv
from emulator.environments.reservations import Routes
from global_manager.plan_schedule import PlanSchedule
from global_manager.provisioning.check import make_plan, verify
from global_manager.provisioning.model import Allocation, Plan, Policy, Problem, Termination

LEDGER = {
    "demanded_units": "demanded",
    "fiber_units": "fiber",
    "satellite_units": "satellite",
    "uav_units": "uav",
    "shortfall_units": "shortfall",
    "reservation_cost": "reservation_cost",
    "satellite_cost": "satellite_cost",
    "uav_cost": "uav_cost",
    "shortfall_cost": "shortfall_cost",
    "cost": "costs",
}
METRO = {
    "demand.periods": 6,
    "demand.requests": {"avatar": 3, "digital-twin": 5, "ai-model": 6},
    "faults.0.at_s": 150,
    "faults.0.until_s": 300,
}
CLOUDS = METRO | {
    "prices": {"on_demand_satellite": 10},
    "satellite.probability": 0.8,
    "plan.policy": "none",
    "faults": [
        {"kind": "fog", "sites": ["Erdberg", "Landstrasse"], "at_s": 150, "until_s": 330},
        {"kind": "cloud", "sites": ["Aspern"], "sky": "overcast", "at_s": 100, "until_s": 400},
    ],
}
LOSSES = {
    "faults": [
        {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 80, "until_s": 130},
        {"kind": "uav-loss", "at_s": 62, "until_s": 95},
        {"kind": "satellite-loss", "at_s": 150, "until_s": 200},
        {"kind": "demand-shift", "from_period": 8, "mean_units": 3.0},
    ]
}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tiny", {"seed": 3, "satellite.setup_s": 16, "uav.setup_s": 13}),
        ("tiny", LOSSES),
        ("sagin-metro", METRO),
        ("sagin-metro", {key: CLOUDS[key] for key in CLOUDS if not key.startswith("faults.")}),
    ],
)
def test_a_period_brings_and_costs_what_the_ledger_of_its_run_says(
    name: str, changes: dict[str, Any]
) -> None:
    experiment = qsagin.load(name, changes={"plan.replan": False} | changes)
    rows = experiment.run().ledger().to_pylist()
    world, plan = PeriodWorld(experiment.setup), experiment.plan()
    requests = world.problem.requests
    offers = [world.list_offers(at) for at in range(len(requests))]
    outcomes = [world.play(plan.allocations, offers) for _ in range(world.timeline.periods)]

    place = {each.id: at for at, each in enumerate(requests)}
    assert len(rows) == len(requests) * len(outcomes)
    assert any(row["late_units"] for row in rows)
    for row in rows:
        outcome, at = outcomes[row["period"]], place[row["request"]]
        assert {key: row[key] for key in LEDGER} == {
            key: getattr(outcome, field)[at] for key, field in LEDGER.items()
        }


@pytest.mark.parametrize("name", ["tiny", "sagin-metro"])
def test_so_does_a_period_whose_reservations_are_others_than_those_before(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    metro = METRO | {"faults": []} if name == "sagin-metro" else {}
    changes = {"plan.replan": False, "plan.policy": "none"} | {
        key: value for key, value in metro.items() if not key.startswith("faults.")
    }
    experiment = qsagin.load(name, changes=changes, seed=4)
    world, rng = PeriodWorld(experiment.setup), np.random.default_rng(4)
    problem, periods = world.problem, range(world.timeline.periods)
    routes, size = Routes(problem), len(problem.requests)
    wanted = [[0] * size, *(rng.integers(0, 4, size).tolist() for _ in periods[1:])]
    plans = [_plan(problem, routes.fit(units).allocations) for units in wanted]

    def due(_self: Any, period: int, *_: Any) -> Any:
        return (problem, plans[period]) if period in periods else None

    monkeypatch.setattr(PlanSchedule, "due", due)  # as for reservations by the hour
    rows = experiment.run().ledger().to_pylist()
    offers = [world.list_offers(at) for at in range(size)]
    costs = [world.play(plan.allocations, offers).cost for plan in plans]

    assert len({plan.first_stage_cost for plan in plans}) > 3
    assert costs == [sum(row["cost"] for row in rows if row["period"] == p) for p in periods]


@pytest.mark.parametrize("by", ["class", "request"])
def test_gymnasium_finds_nothing_wrong(by: str) -> None:
    check_env(gymnasium.make(NAME, experiment="tiny", by=by).unwrapped)


def test_the_same_seed_and_actions_give_the_same_500_steps() -> None:
    first, second, other = (_played(seed) for seed in (5, 5, 6))

    assert len(first) == 500
    assert first == second
    assert first != other


def test_what_an_agent_sees_ends_before_the_period_that_it_cannot_know_yet() -> None:
    env = ProvisioningEnv("tiny")
    env.reset(seed=1)
    action = np.array([1, 0, 1, 0, 0, 0])
    steps = [env.step(action) for _ in range(6)]

    assert len({info["demanded"] for *_, info in steps}) > 1
    for (*_, before), (seen, *_) in pairwise(steps):
        assert seen["demanded"].sum() == before["demanded"]


def test_units_that_do_not_fit_are_left_out_and_told() -> None:
    env = ProvisioningEnv("tiny", changes={"network.wavelengths": 3})
    env.reset(seed=1)
    *_, info = env.step(np.array([4, 4, 9, 0, 1, 2]))
    problem = PeriodWorld(read("tiny", changes={"network.wavelengths": 3})).problem
    fitted = Routes(problem).fit([4, 4, 4])

    verify(problem, fitted.allocations)
    assert info["clipped_units"] == sum(fitted.clipped_units) == 12 - _units(fitted.allocations)
    assert info["clipped_numbers"] == 1


def test_a_medium_that_is_preferred_is_asked_first() -> None:
    env = ProvisioningEnv("tiny", changes={"satellite.probability": 1.0})
    media = []
    for preference in (1, 2):
        env.reset(seed=4)
        *_, info = env.step(np.array([0, 0, 0, *[preference] * 3]))
        media.append((info["satellite"], info["uav"]))

    assert media[0][0] == media[1][1] > 0
    assert media[0][1] == media[1][0] == 0


def test_what_the_model_does_not_know_is_refused_in_one_line() -> None:
    with pytest.raises(
        UnmodelledError, match=r"^satellite.orbits: environments do not know orbits"
    ):
        ProvisioningEnv("sagin-day")


def test_a_package_that_is_missing_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "emulator.environments.provisioning")
    with pytest.raises(MissingPackageError, match=r"needs gymnasium: pip install 'qsagin\[gym\]'"):
        import_module("emulator.environments.provisioning")


def _played(seed: int) -> list[tuple[Any, ...]]:
    env = ProvisioningEnv("tiny")
    env.action_space.seed(seed % 5)
    found: list[tuple[Any, ...]] = []
    seen, _ = env.reset(seed=seed)
    while len(found) < 500:
        seen, reward, over, _, info = env.step(env.action_space.sample())
        found.append((*(tuple(values) for values in seen.values()), reward, over, str(info)))
        if over:
            env.reset()
    return found


def _plan(problem: Problem, allocations: tuple[Allocation, ...]) -> Plan:
    none, ended = Policy.NONE, Termination.NOT_OPTIMIZED
    return make_plan(problem, none, allocations, lower_bound=0.0, termination=ended)


def _units(allocations: Any) -> int:
    return sum(each.units for each in allocations)
