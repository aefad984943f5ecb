"""Provisioning for one agent: `qsagin/Provisioning-v0`, a Gymnasium environment.

A step is a provisioning period.  The action says for each group of requests how many units to reserve for
each of its requests, and which medium is asked first for what is missing.  The reward is minus what the
period cost, in monetary units.  `reset(seed)` begins the run of the experiment with that seed: the
same seed and the same actions give the same trajectory.  What the agent sees is in `episode`.
Importing this registers the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from emulator.build.loading import Origin
from emulator.build.setup import Setup
from emulator.environments import MissingPackageError
from emulator.environments.episode import BY_GROUP, MOST, OF_ALL, By, Episode, Observation
from emulator.environments.periods import Outcome
from global_manager.provisioning.model import Medium

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise MissingPackageError("gymnasium") from error

NAME = "qsagin/Provisioning-v0"
PREFERENCES = (None, Medium.SATELLITE, Medium.UAV)
"""By the number in an action, the medium that is asked first; None: the cheapest."""
SEEDS = 2**63
"""As many as an experiment can have."""


class ProvisioningEnv(gymnasium.Env):  # type: ignore[misc]  # the package is optional
    """See the module.

    Actions are whole numbers, shape (2 groups,): units by group, then preferences by group (0: cheapest
    first, 1: satellite first, 2: UAV first).  Numbers out of range are clipped, and so are units for
    which no wavelength is free; `info` counts both.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as the base class has it

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
        self._episode: Episode | None = None
        self.groups = groups = Episode(self._setup, self._by).groups
        sizes = [most + 1 for most in groups.most_units] + [len(PREFERENCES)] * len(groups.names)
        self._most = np.array(sizes) - 1
        self.action_space = gymnasium.spaces.MultiDiscrete(sizes)
        self.observation_space = observation_space(len(groups.names))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the run with this seed; without one, with a seed that is drawn.  There are no options."""
        super().reset(seed=seed, options=options)
        chosen = int(self.np_random.integers(SEEDS)) if seed is None else seed
        self._episode = Episode(with_seed(self._setup, chosen), self._by)
        return self._episode.observe(), {"seed": chosen}

    def step(
        self, action: NDArray[Any]
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play a period."""
        if self._episode is None:
            raise RuntimeError("there is no episode yet: reset the environment")
        legal = np.clip(np.asarray(action, dtype=np.int64), 0, self._most)
        units, preferences = np.split(legal, 2)
        first = {at: each for at, n in enumerate(preferences) if (each := PREFERENCES[n])}
        offers = self._episode.preferring(first) if first else self._episode.list_offers
        outcome, clipped = self._episode.play(units, offers)
        info = told(outcome, clipped) | {"clipped_numbers": int((legal != action).sum())}
        return self._episode.observe(), -float(outcome.cost), self._episode.is_over, False, info


def observation_space(groups: int) -> gymnasium.spaces.Dict:
    """Return the space of observations: an array by group for each of BY_GROUP, one number for OF_ALL."""
    box = gymnasium.spaces.Box
    by_group = {name: box(0.0, MOST, (groups,), np.float64) for name in BY_GROUP}
    of_all = {name: box(0.0, MOST, (1,), np.float64) for name in OF_ALL}
    return gymnasium.spaces.Dict(by_group | of_all)


def with_seed(setup: Setup, seed: int) -> Setup:
    """Return the experiment in the world of another seed."""
    changed = setup.experiment.model_copy(update={"seed": seed % SEEDS})
    return setup.with_experiment(changed)


def told(outcome: Outcome, clipped: int) -> dict[str, Any]:
    """Return what a step tells besides: costs in monetary units, key in units, all requests together."""
    costs = ("reservation_cost", "satellite_cost", "uav_cost", "shortfall_cost")
    units = ("demanded", "fiber", "satellite", "uav", "shortfall")
    sums = {name: int(getattr(outcome, name).sum()) for name in (*costs, *units)}
    return {"cost": outcome.cost, **sums, "clipped_units": clipped}


if NAME not in gymnasium.registry:
    gymnasium.register(NAME, entry_point=f"{__name__}:ProvisioningEnv")
