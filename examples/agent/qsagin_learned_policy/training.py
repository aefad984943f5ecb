"""Train the policy by the cross-entropy method: draw weights, keep the best, draw around these.

All weights of a round meet the same worlds, with seeds far from those that policies are compared in.
`python -m qsagin_learned_policy.training` writes weights.json and takes about two minutes on one core.
"""

import json
import sys
import time

import numpy as np

from emulator.environments.provisioning import ProvisioningEnv
from qsagin_learned_policy import WEIGHTS, Floats, wanted_units

EXPERIMENT, CHANGES = "paper", {"demand.periods": 40}
ROUNDS, DRAWN, KEPT, WORLDS = 16, 16, 4, 2
FIRST_SEED = 1_000_000
START, SPREAD, LEAST_SPREAD = (1.0, 0.0, 0.0), (0.4, 0.6, 0.6), 0.02


def train() -> None:
    """Train, tell of every round, and write the weights."""
    rng, env = np.random.default_rng(1), ProvisioningEnv(EXPERIMENT, "request", CHANGES)
    middle, spread, began_s = np.array(START), np.array(SPREAD), time.monotonic()
    for number in range(ROUNDS):
        drawn = np.vstack([middle, rng.normal(middle, spread, (DRAWN - 1, len(middle)))])
        seeds = range(FIRST_SEED + number * WORLDS, FIRST_SEED + (number + 1) * WORLDS)
        costs = np.array([mean_cost(env, weights, seeds) for weights in drawn])
        best = drawn[np.argsort(costs)[:KEPT]]
        middle, spread = best.mean(axis=0), np.maximum(best.std(axis=0), LEAST_SPREAD)
        elapsed_s = time.monotonic() - began_s
        told = f"round {number + 1}: best {costs.min():,.0f} a period, {elapsed_s:.0f} s\n"
        sys.stdout.write(told)
    weights = [round(float(each), 4) for each in middle]
    WEIGHTS.write_text(json.dumps({"weights": weights}) + "\n", encoding="utf-8")
    sys.stdout.write(f"weights {weights}\n")


def mean_cost(env: ProvisioningEnv, weights: Floats, seeds: range) -> float:
    """Return what a period costs on average in the worlds of these seeds."""
    costs = []
    for seed in seeds:
        seen, _ = env.reset(seed=seed)
        over = False
        while not over:
            on_demand = np.minimum(seen["satellite_cost"], seen["uav_cost"])
            units = wanted_units(weights, seen["mean_demand"], seen["fiber_cost"], on_demand)
            action = np.concatenate([units, np.zeros_like(units)])
            seen, reward, over, _, _ = env.step(action)
            costs.append(-float(reward))
    return float(np.mean(costs))


if __name__ == "__main__":
    train()
