"""Provisioning for three agents: a manager that reserves, and two controllers that ask prices.

A PettingZoo parallel environment; a step is a provisioning period.  The manager says how many units to
reserve for each request, by group.  The controllers of satellites and UAVs say by how much their price
exceeds the list price, by group, before they know what will be missing.  What is missing is ordered from
the cheaper one, at equal prices in the order of the run, and nothing is bought for more than the price of
lost key.

The manager is rewarded with minus the cost of the period, a controller with what it was paid beyond the
list price, in monetary units: the list price stands for what its service costs.  Runs know no bargaining;
if nobody asks for more than the list price, this is what `provisioning` plays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.build.loading import Origin
from emulator.environments import MissingPackageError
from emulator.environments.episode import MOST, OF_ALL, By, Episode, Observation
from emulator.environments.periods import Ints, Offers, Outcome
from emulator.environments.provisioning import SEEDS, observation_space, told, with_seed
from global_manager.provisioning.model import Medium

try:
    from gymnasium.spaces import Box, Dict, MultiDiscrete
    from pettingzoo import ParallelEnv
except ModuleNotFoundError as error:
    raise MissingPackageError("gymnasium and pettingzoo") from error

MANAGER = "manager"
CONTROLLERS = {"satellite": Medium.SATELLITE, "uav": Medium.UAV}
STEP_PERCENT, MOST_STEPS = 10, 10
"""Prices go up in such steps of the list price, at most so many."""
_OWN = ("sold", "list_price")

PerAgent = dict[str, Any]


class MarketEnv(ParallelEnv):  # type: ignore[misc]  # the package is optional
    """See the module.

    Actions are whole numbers, shape (groups,): units for the manager, steps of the price for controllers.
    Numbers out of range are clipped.  The manager sees what `episode` tells; a controller, by group,
    how many units it `sold` in the period that is known last and its mean `list_price`, and the time.
    """

    metadata: dict[str, Any] = {"name": "qsagin_market_v0", "render_modes": []}  # noqa: RUF012 - as the base

    def __init__(
        self,
        experiment: str = "tiny",
        by: str = "class",
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        """Play an experiment, by file or built-in name; `by` is class or request.

        Raises ExperimentError, UnmodelledError, and ValueError for another `by`.
        """
        self._setup, self._by = Origin(experiment, changes=changes or {}).read(), By(by)
        self._rng = np.random.default_rng()
        self._episode: Episode | None = None
        self.groups = groups = Episode(self._setup, self._by).groups
        self.possible_agents = [MANAGER, *CONTROLLERS]
        self.agents: list[str] = []
        count = len(groups.names)
        self._most = {MANAGER: np.array(groups.most_units)}
        self._most |= {name: np.full(count, MOST_STEPS) for name in CONTROLLERS}
        self.action_spaces = {name: MultiDiscrete(most + 1) for name, most in self._most.items()}
        self.observation_spaces = {MANAGER: observation_space(count)}
        self.observation_spaces |= {name: _controller_space(count) for name in CONTROLLERS}

    def observation_space(self, agent: str) -> Dict:
        """Return what an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> MultiDiscrete:
        """Return what an agent can do."""
        return self.action_spaces[agent]

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - there are none
    ) -> tuple[PerAgent, PerAgent]:
        """Begin the run with this seed; without one, with a seed that is drawn."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        chosen = int(self._rng.integers(SEEDS)) if seed is None else seed
        self._episode = Episode(with_seed(self._setup, chosen), self._by)
        self.agents = list(self.possible_agents)
        return self._observations(self._episode), {name: {"seed": chosen} for name in self.agents}

    def step(
        self, actions: Mapping[str, NDArray[Any]]
    ) -> tuple[PerAgent, dict[str, float], dict[str, bool], dict[str, bool], PerAgent]:
        """Play a period."""
        episode, agents = self._episode, self.agents
        if episode is None or not agents:
            raise RuntimeError("there is no episode under way: reset the environment")
        legal = {
            name: np.clip(np.asarray(actions[name], dtype=np.int64), 0, self._most[name])
            for name in agents
        }
        prices = {CONTROLLERS[name]: episode.groups.spread(legal[name]) for name in CONTROLLERS}
        offers = [_asked(episode, at, prices) for at in range(len(episode.requests))]
        outcome, clipped = episode.play(legal[MANAGER], offers)
        rewards = {MANAGER: -float(outcome.cost)}
        rewards |= {name: float(_gained(episode, outcome, offers, name)) for name in CONTROLLERS}
        info, over = told(outcome, clipped), episode.is_over
        if over:
            self.agents = []
        return (
            self._observations(episode),
            rewards,
            dict.fromkeys(agents, over),
            dict.fromkeys(agents, False),
            {name: info if name == MANAGER else {} for name in agents},
        )

    def _observations(self, episode: Episode) -> PerAgent:
        seen = episode.observe()
        return {MANAGER: seen} | {name: _seen_by(name, seen) for name in CONTROLLERS}


def _controller_space(groups: int) -> Dict:
    own = {name: Box(0.0, MOST, (groups,), np.float64) for name in _OWN}
    return Dict(own | {name: Box(0.0, MOST, (1,), np.float64) for name in OF_ALL})


def _seen_by(controller: str, seen: Observation) -> Observation:
    own = {"sold": seen[controller].copy(), "list_price": seen[f"{controller}_cost"].copy()}
    return own | {name: seen[name].copy() for name in OF_ALL}


def _asked(episode: Episode, at: int, steps: Mapping[Medium, Ints]) -> Offers:
    """Return what a request may buy, the cheapest first, for no more than the price of lost key."""
    most = episode.requests[at].on_demand.shortfall_cost
    offers = [
        (medium, price * (100 + STEP_PERCENT * int(steps[medium][at])) // 100)
        for medium, price in episode.list_offers[at]
    ]
    return sorted((offer for offer in offers if offer[1] <= most), key=lambda offer: offer[1])


def _gained(episode: Episode, outcome: Outcome, offers: Sequence[Offers], controller: str) -> int:
    """Return what a controller was paid beyond the list price."""
    medium, paid = CONTROLLERS[controller], getattr(outcome, f"{controller}_cost")
    gained = 0
    for at in map(int, np.flatnonzero(paid)):
        price, listed = dict(offers[at])[medium], dict(episode.list_offers[at])[medium]
        gained += int(paid[at]) // price * (price - listed)
    return gained
