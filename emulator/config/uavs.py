"""The UAV section of an experiment file: assumed or computed rates, a fleet, and what weather does."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emulator.config.section import MOST_S, Fraction, PositiveSeconds, Rate, Seconds, Section


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
    says of theirs; the rate is that of one hop, whatever the distance.
    """

    device: Literal["liu-2020"] = "liu-2020"
    hop_km: float = Field(1.0, ge=0.01, le=10_000)
    relays: Literal["lens", "trusted"] = "lens"


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

    skr_bps: Rate = Field(10_000.0, description="if assumed")
    qber: Fraction = Field(0.03, description="if assumed")
    setup_s: Seconds = Field(20.0, description="from an order to the first key")
