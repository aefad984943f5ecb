"""The environment of three agents: what PettingZoo demands, and how prices move orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test

from emulator.environments.market import MarketEnv
from emulator.environments.provisioning import ProvisioningEnv

NOTHING = np.zeros(3, dtype=np.int64)


def test_pettingzoo_finds_nothing_wrong() -> None:
    parallel_api_test(MarketEnv("tiny"), num_cycles=100)


def test_the_same_seed_and_actions_give_the_same_500_steps() -> None:
    first, second, other = (_played(seed) for seed in (42, 42, 43))

    assert len(first) == 500
    assert first == second
    assert first != other


def test_list_prices_give_what_one_agent_would_have() -> None:
    market, alone = MarketEnv("tiny"), ProvisioningEnv("tiny")
    market.reset(seed=3)
    alone.reset(seed=3)
    units = np.array([1, 2, 0])
    for _ in range(12):
        _, rewards, *_ = market.step({"manager": units, "satellite": NOTHING, "uav": NOTHING})
        _, reward, *_ = alone.step(np.concatenate([units, NOTHING]))
        assert rewards == {"manager": reward, "satellite": 0.0, "uav": 0.0}


@pytest.mark.parametrize("dearer", ["satellite", "uav"])
def test_whoever_asks_for_much_more_sells_only_what_the_other_cannot_bring(dearer: str) -> None:
    changes = {"satellite.probability": 1.0, "prices": _equal()}
    env = MarketEnv("tiny", changes=changes)
    env.reset(seed=3)
    cheaper = "uav" if dearer == "satellite" else "satellite"
    ten = np.array([10, 10, 10])
    _, rewards, *_, infos = env.step({"manager": NOTHING, dearer: ten, cheaper: NOTHING + 1})
    info = infos["manager"]

    assert info[dearer] == 0
    assert info[cheaper] == info["demanded"] > 0
    assert rewards[dearer] == 0
    assert rewards[cheaper] * 11 == info[f"{cheaper}_cost"]


def _equal() -> dict[str, Any]:
    return {"on_demand_satellite": 1000, "on_demand_uav": 1000}


def _played(seed: int) -> list[str]:
    env = MarketEnv("tiny")
    for number, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(number)
    found: list[str] = []
    env.reset(seed=seed)
    while len(found) < 500:
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        found.append(str((actions, *env.step(actions))))
        if not env.agents:
            env.reset()
    return found
