"""The UAV section of an experiment file: assumed or computed rates, a fleet, and what weather does."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from emulator.config.section import (
    MOST_S,
    Fraction,
    Length,
    Parameters,
    PositiveSeconds,
    Rate,
    Seconds,
    Section,
)
from emulator.input_checks import ParameterError
from emulator.physics import drone
from emulator.physics.parameters import with_parameters


class Fleet(Section):
    """UAVs that can be out at a time; see `controllers.fleet`."""

    uavs: int = Field(ge=0, le=1_000_000)
    endurance_s: PositiveSeconds = 2400.0
    turn_s: Seconds = Field(1200.0, description="from landing to ready")
    uavs_per_order: int = Field(
        1, ge=1, le=1_000_000, description="a computed chain has its own number instead"
    )


class Chain(Section):
    """UAVs in a row between two nodes, one for each `hop_km` of the great circle; see `physics.drone`.

    `lens` relays pass the light on unmeasured, as has been flown over 1 km: only the ends know the key,
    and after a few hops there is none.  `trusted` UAVs make key on every hop and know it, as the paper
    says of theirs; the rate is that of one hop, whatever the distance.  `decoy-bb84` prepares states
    instead of pairs, so that the UAV in the middle knows the key of `lens` relays too.
    """

    device: Literal["liu-2020", "decoy-bb84"] = "liu-2020"
    parameters: Parameters = Field(
        default_factory=dict, description="replaces numbers of the device, its hops and receivers"
    )
    hop_km: float = Field(1.0, ge=0.01, le=10_000)
    relays: Literal["lens", "trusted"] = "lens"
    daylight: bool = Field(
        True, description="sky light, and turbulence by day; else all hours are as moonless nights"
    )

    @model_validator(mode="after")
    def _known_parameters(self) -> Chain:
        try:
            self.devices()
        except ParameterError as error:
            raise ValueError(f"parameters.{error}") from error
        return self

    def devices(self) -> drone.Setup:
        """Return the devices of a chain.  Raises `ParameterError`."""
        setup = drone.UAV_DEVICES[self.device].setup
        return replace(with_parameters(setup, self.parameters, drone.UNUSED), hop_km=self.hop_km)


class UavWeather(Section):
    """Which weather at either end keeps UAVs on the ground, and calls home those that fly."""

    fog: bool = Field(True, description="fog: a view of less than 1 km")
    max_wind_m_s: float | None = Field(
        12.0, ge=0.1, le=1_000, description="None: wind does not matter"
    )
    look_s: float = Field(
        30.0, ge=0.001, le=MOST_S, description="how often the controller looks while UAVs fly"
    )


class UavOptions(Section):
    """What a UAV service offers; unless `weather` is given, in any weather, as the paper has it."""

    rate: Literal["assumed", "computed"] = "assumed"
    chain: Chain | None = Field(None, description="what a computed rate is computed from")
    fleet: Fleet | None = Field(None, description="without one there are always enough UAVs")
    weather: UavWeather | None = None
    max_chain_km: Length | None = Field(
        None, description="between nodes farther apart UAVs never serve; None: no limit"
    )

    skr_bps: Rate = Field(10_000.0, description="if assumed")
    qber: Fraction = Field(0.03, description="if assumed")
    setup_s: Seconds = Field(20.0, description="from an order to the first key")

    @property
    def goes_by_distance(self) -> bool:
        """Whether it matters where nodes are."""
        return self.rate == "computed" or self.max_chain_km is not None
