"""The global manager's role; apart from the others because it loads the solvers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from emulator.plans import document
from global_manager.manager import GlobalManager, ManagerConfig
from global_manager.provisioning import solve
from global_manager.provisioning.model import Policy
from protos.core import GLOBAL_MANAGER, Core


@dataclass(frozen=True)
class ManagerRole:
    """The global manager and how it is to plan."""

    config: ManagerConfig
    policy: Policy
    gap: float
    seed: int
    rounding: str
    entity: str = GLOBAL_MANAGER

    def build(self) -> Core:
        """Return the core, which plans by gap and never by wall time."""
        planner = partial(
            solve, policy=self.policy, gap=self.gap, seed=self.seed, rounding=self.rounding
        )
        return GlobalManager(self.config, planner, document)
