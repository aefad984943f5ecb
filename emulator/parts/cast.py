"""Who takes part in a run: the role of every entity, told what an assembly says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emulator.experiment.config import Experiment
from emulator.parts.assembly import Assembly
from emulator.parts.manager_role import ManagerRole, planner_of
from emulator.parts.roles import FiberRole, KeyManagerRole, Role, SatelliteRole, UavRole
from emulator.world.world import World


@dataclass(frozen=True)
class Cast:
    """The manager and the controllers, one key manager a node, and the world without sky and air."""

    ground: World
    leads: tuple[Role, ...]
    key_managers: tuple[Role, ...]

    @property
    def everybody(self) -> tuple[Role, ...]:
        """All roles."""
        return self.leads + self.key_managers


def cast_of(experiment: Experiment, assembly: Assembly) -> Cast:
    """Return all roles; whom sky and air do not concern gets a world that loads no weather."""
    ground = replace(assembly.world, sky=None, uav_links=None)
    air = replace(assembly.world, sky=None)
    return Cast(
        ground=ground,
        leads=(
            ManagerRole(assembly.manager, planner_of(experiment)),
            FiberRole(assembly.fiber, ground),
            SatelliteRole(assembly.satellite, assembly.world, assembly.overhead),
            UavRole(assembly.uav, air, assembly.fleet, assembly.flights),
        ),
        key_managers=tuple(KeyManagerRole(item, ground) for item in assembly.key_managers),
    )
