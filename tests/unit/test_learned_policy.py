"""The example of a trained agent: it learns, and a run by its policy costs what its training said."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import emulator as qsagin
from emulator.environments.provisioning import ProvisioningEnv

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "environments.md").read_text(), re.DOTALL
)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "examples" / "agent")
    module = import_module("qsagin_learned_policy.training")
    for name, value in {
        "EXPERIMENT": "tiny",
        "CHANGES": {},
        "ROUNDS": 4,
        "DRAWN": 8,
        "WEIGHTS": tmp_path / "weights.json",
    }.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_training_finds_weights_that_are_better_than_to_reserve_nothing(
    training: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    training.train()
    weights = json.loads(training.WEIGHTS.read_text())["weights"]
    env, fresh = ProvisioningEnv("tiny", "request"), range(20)

    assert capsys.readouterr().out.count("round") == 4
    nothing = np.zeros(3)
    assert training.mean_cost(env, weights, fresh) < training.mean_cost(env, nothing, fresh)


def test_a_run_by_the_policy_costs_by_period_what_the_environment_said(
    training: ModuleType,
) -> None:
    policy = training.wanted_units.__module__ + ":LearnedPolicy"
    shipped = json.loads(
        (ROOT / "examples/agent/qsagin_learned_policy/weights.json").read_text("utf-8")
    )["weights"]
    rows = qsagin.load("tiny", seed=9).run(policy=policy).ledger().to_pylist()
    by_period = [sum(row["cost"] for row in rows if row["period"] == p) for p in range(12)]

    env = ProvisioningEnv("tiny", "request")
    seen, _ = env.reset(seed=9)
    on_demand = np.minimum(seen["satellite_cost"], seen["uav_cost"])
    units = training.wanted_units(shipped, seen["mean_demand"], seen["fiber_cost"], on_demand)
    rewards = [env.step(np.concatenate([units, np.zeros(3)]))[1] for _ in by_period]

    assert units.sum() > 0
    assert [-cost for cost in by_period] == rewards


@pytest.mark.parametrize("number", range(2))
def test_an_example_of_the_page_runs(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) == 2
    exec(BLOCKS[number], {})
    assert capsys.readouterr().out
