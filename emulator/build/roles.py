"""What an actor is told to be: small values that build a core where they arrive.

A host process imports only what its own roles need; the solvers are loaded by the manager alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from controllers.fiber import FiberController, FiberControllerConfig
from controllers.fleet import FleetConfig
from controllers.key_access import NO_ACCESS, NodeAccess
from controllers.key_manager import KeyManagerConfig, LocalKeyManager
from controllers.on_demand import OnDemandConfig
from controllers.ports import SatelliteView
from controllers.satellite import SatelliteController
from controllers.uav import FlightConfig, UavController
from emulator.world.world import World
from protos.core import (
    FIBER_CONTROLLER,
    SATELLITE_CONTROLLER,
    UAV_CONTROLLER,
    Core,
    key_manager_of,
)


class Role(Protocol):
    """Builds one core."""

    @property
    def entity(self) -> str:
        """The entity's name."""

    def build(self) -> Core:
        """Return the core."""


@dataclass(frozen=True)
class KeyManagerRole:
    """A local key manager in the emulated world."""

    config: KeyManagerConfig
    world: World
    access: NodeAccess = NO_ACCESS

    @property
    def entity(self) -> str:
        """The entity's name."""
        return key_manager_of(self.config.node)

    def build(self) -> Core:
        """Return the core."""
        return LocalKeyManager(self.config, self.world, self.access)


@dataclass(frozen=True)
class FiberRole:
    """The fiber controller."""

    config: FiberControllerConfig
    world: World
    entity: str = FIBER_CONTROLLER

    def build(self) -> Core:
        """Return the core."""
        return FiberController(self.config, self.world)


@dataclass(frozen=True)
class SatelliteRole:
    """The satellite controller; satellites are as the world assumes, or as computed from orbits."""

    config: OnDemandConfig
    world: World
    view: SatelliteView | None = None
    entity: str = SATELLITE_CONTROLLER

    def build(self) -> Core:
        """Return the core."""
        return SatelliteController(self.config, self.world, self.view)


@dataclass(frozen=True)
class UavRole:
    """The UAV controller in the emulated air."""

    config: OnDemandConfig
    world: World
    fleet: FleetConfig | None = None
    flights: FlightConfig = field(default_factory=FlightConfig)
    entity: str = UAV_CONTROLLER

    def build(self) -> Core:
        """Return the core."""
        return UavController(self.config, self.world, self.fleet, self.flights)
