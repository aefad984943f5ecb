"""Experiments as typed, frozen configuration: the sections of an experiment file.

Every field except `name`, `network.topology` and `demand.requests` has a documented default.
`emulator.build.loading` makes an `Experiment` from a file.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from emulator.config.access import Access
from emulator.config.applications import KeyUse
from emulator.config.demand import MOST_PERIODS, Demand
from emulator.config.fiber import FiberOptions
from emulator.config.risk import AnyRisk, ServiceLevel
from emulator.config.satellites import Orbits, SatelliteOptions
from emulator.config.schedule import FaultEvent
from emulator.config.section import (
    MOST_S,
    Length,
    Name,
    PositiveSeconds,
    Price,
    Section,
)
from emulator.config.topology import LengthUnit, ParallelLinks, ReadingOptions
from emulator.config.uavs import UavOptions
from emulator.config.weather import Weather
from global_manager.provisioning.model import OwnPolicy, Policy
from global_manager.provisioning.own_policy import policy_named
from global_manager.provisioning.prices import Prices

MOST_LIMIT_UNITS = 1_000_000_000
MOST_WAVELENGTHS = 100_000
MOST_STORED_UNITS = 1_000
MOST_LIFETIME_PERIODS = 1_000


class Capacity(StrEnum):
    """How the wavelengths of a fiber are counted."""

    BOTH_DIRECTIONS = "both-directions"
    PER_DIRECTION = "per-direction"


class Network(Section):
    """Nodes and fibers."""

    topology: str = Field(description="a built-in name, or a file relative to the experiment file")
    link_km: Length | None = Field(None, description="overrides every length")
    detour: float | None = Field(
        None, ge=1, le=10, description="lengths are great circles between nodes times this"
    )
    length: Name | None = Field(
        None, description="attribute or column of the file that has the lengths"
    )
    length_unit: LengthUnit | None = Field(None, description="of lengths; None: as the file says")
    least_km: Length | None = Field(
        None, description="of shorter links, and of those between nodes at one place"
    )
    largest_piece: bool = Field(False, description="leave out nodes not connected to most others")
    parallel_links: ParallelLinks = Field(
        "equal", description="which become one link: equally long ones, or all, the shortest kept"
    )
    wavelengths: int = Field(80, ge=1, le=MOST_WAVELENGTHS, description="per fiber")
    capacity: Capacity = Field(
        Capacity.BOTH_DIRECTIONS, description="whether both directions share the wavelengths"
    )

    @model_validator(mode="after")
    def _one_source_of_lengths(self) -> Network:
        if self.link_km is not None and self.detour is not None:
            raise ValueError("link_km and detour both give every length; leave out one")
        return self

    @property
    def reading_options(self) -> ReadingOptions:
        """How the file of the network is read."""
        return ReadingOptions(
            self.length,
            self.length_unit,
            self.detour,
            self.largest_piece,
            self.parallel_links,
            self.least_km,
        )


class PriceTable(Section):
    """The paper's table: reserved units by 80-km span, on-demand units by hop."""

    reserved_transmitter: Price = Prices.reserved_transmitter
    reserved_receiver: Price = Prices.reserved_receiver
    reserved_local_key_manager: Price = Prices.reserved_local_key_manager
    reserved_security_infrastructure: Price = Prices.reserved_security_infrastructure
    reserved_mux_demux: Price = Prices.reserved_mux_demux
    reserved_fiber_km: Price = Prices.reserved_fiber_km
    on_demand_transmitter: Price = Prices.on_demand_transmitter
    on_demand_receiver: Price = Prices.on_demand_receiver
    on_demand_secret_key_buffer: Price = Prices.on_demand_secret_key_buffer
    on_demand_security_infrastructure: Price = Prices.on_demand_security_infrastructure
    on_demand_uav: Price = Prices.on_demand_uav
    on_demand_satellite: Price = Prices.on_demand_satellite


class Limits(Section):
    """What all requests together can buy in a period, in units; None: no limit but the fleet's UAVs.

    The plan counts on no more, and in a run the controllers give no more.
    """

    satellite_units: int | None = Field(None, ge=0, le=MOST_LIMIT_UNITS)
    uav_units: int | None = Field(
        None,
        ge=0,
        le=MOST_LIMIT_UNITS,
        description="beside the UAVs of uav.fleet, of which an order takes its chain",
    )
    futures: int = Field(
        100,
        ge=2,
        le=10_000,
        description="joint futures drawn, where demands or skies are too many to list",
    )


def _policy(name: object) -> Policy | OwnPolicy:
    """Take a built-in policy, or one of the user's own by its name."""
    if isinstance(name, Policy | OwnPolicy):
        return name
    text = str(name)
    return Policy(text) if text in set(Policy) else policy_named(text)


PolicyName = Annotated[
    Policy | OwnPolicy,
    PlainValidator(_policy, json_schema_input_type=str),
    PlainSerializer(lambda policy: policy.value, return_type=str),
]


class PlanOptions(Section):
    """How the first stage is decided."""

    policy: PolicyName = Field(
        Policy.STOCHASTIC,
        description="built-in, or your own: module:Class, or an installed entry point",
    )
    gap: float = Field(1e-3, gt=0, lt=1, description="relative gap at which solving may stop")
    expected_value_rounding: Literal["floor", "nearest", "up"] = "floor"
    replan: bool = Field(
        True, description="plan again on fibers lost or back, and drift; the stochastic policy only"
    )
    look_every_periods: int = Field(
        0, ge=0, le=MOST_PERIODS, description="compare demand with the plan; 0: never"
    )
    replan_changes: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="reservations that work and a plan made again may change all the same",
    )
    replan_saving: Price = Field(
        5_000, description="what each of these changes must save in a period"
    )
    by_hour: bool = Field(
        False, description="reservations for each hour of the day (UTC), instead of the same always"
    )
    change_cost: Price = Field(
        5_000, description="with by_hour: what it costs to change the reservation of a request"
    )
    risk: AnyRisk | None = Field(None, description="None: the plan minimises the mean cost")
    service_levels: dict[Name, ServiceLevel] = Field(
        {}, description="by class: how likely reserved units are to be all that a period needs"
    )
    drift_sigmas: float = Field(
        3.0, ge=0.001, le=1_000, description="standard errors that count as a drift"
    )


def _store_units(value: Any) -> Any:
    """Return a size of a store as it is.  Raises `ValueError` if it is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value == "reserved" or (is_number and 0 <= value <= MOST_STORED_UNITS):
        return value
    raise ValueError(f"must be reserved, or a number of units from 0 to {MOST_STORED_UNITS:,}")


StoreUnits = Annotated[
    Literal["reserved"] | Annotated[int, Field(ge=0, le=MOST_STORED_UNITS)],
    BeforeValidator(_store_units),
]


class Keys(Section):
    """What a unit of key is."""

    unit_bits: int = Field(
        256,
        ge=8,
        le=1_048_576,
        multiple_of=8,
        description="one unit is one key of this size",
    )
    qber_limit: float = Field(0.11, gt=0, lt=0.5, description="a noisier block is discarded")
    lifetime_s: PositiveSeconds | None = Field(
        None, description="reserved keys that nobody has used by then are destroyed; None: kept"
    )
    lifetime_periods: int | None = Field(
        None,
        ge=1,
        le=MOST_LIFETIME_PERIODS,
        description="in how many periods a reserved key may serve, that for which it was made included; "
        "what is left then expires; None: kept",
    )
    store_units: StoreUnits | dict[Name, StoreUnits] = Field(
        "reserved",
        description="what a request's store keeps from quiet periods for busy ones, beyond what is "
        "reserved for one period, for all, or by class or request; reserved: nothing",
    )
    keeping_cost: Price = Field(
        0, description="what it costs to keep a unit in a store from one period for the next"
    )

    def bridging_units(self, request: str, kind: str) -> int:
        """Return what a store holds beyond what one period brings; what a request is given goes first."""
        given = self.store_units
        if isinstance(given, dict):
            given = given.get(request, given.get(kind, "reserved"))
        return 0 if given == "reserved" else given

    @property
    def most_bridging_units(self) -> int:
        """The most that any store holds beyond what one period brings."""
        given = self.store_units
        sizes = given.values() if isinstance(given, dict) else (given,)
        return max((0 if size == "reserved" else size for size in sizes), default=0)

    @property
    def matters_to_plan(self) -> bool:
        """Whether a plan has to know how full stores are."""
        return self.most_bridging_units > 0 or self.keeping_cost > 0

    @property
    def is_kept_count_of(self) -> bool:
        """Whether what is kept from period to period is noted."""
        return self.keeping_cost > 0 or self.lifetime_periods is not None


class Management(Section):
    """How management messages are protected."""

    rotation_s: float = Field(
        600.0, ge=1, le=MOST_S, description="emulated time after which keys are replaced"
    )
    share: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="of what a wavelength yields on each fiber of a node, beside those of requests; "
        "each end gives this share",
    )
    stored_keys: int = Field(
        4, ge=1, le=1_000_000, description="how many keys each pair's store can hold"
    )


class Clock(Section):
    """Emulated time."""

    window_s: float = Field(1.0, ge=0.001, le=MOST_S, description="the least latency of a message")


class Experiment(Section):
    """A whole experiment."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")
    description: str = Field("", max_length=10_000)
    seed: int = Field(1, ge=0, le=2**63 - 1)
    network: Network
    demand: Demand
    prices: Literal["paper"] | PriceTable = "paper"
    plan: PlanOptions = PlanOptions()
    limits: Limits | None = Field(None, description="what requests share on demand")
    keys: Keys = Keys()
    applications: dict[Name, KeyUse] = Field(
        default_factory=dict, description="how each class uses its keys; the default is AES-256-GCM"
    )
    fiber: FiberOptions = FiberOptions()
    satellite: SatelliteOptions = SatelliteOptions()
    uav: UavOptions = UavOptions()
    weather: Weather = Weather()
    access: Access | None = Field(None, description="who outside the network takes keys from it")
    faults: list[FaultEvent] = Field(default_factory=list, max_length=100_000)
    management: Management = Management()
    clock: Clock = Clock()

    @model_validator(mode="before")
    @classmethod
    def _shortfall_cost_is_of_demand(cls, fields: Any) -> Any:
        """Take `limits.shortfall_cost`, the former place of `demand.shortfall_cost`, for it."""
        limits = fields.get("limits") if isinstance(fields, dict) else None
        demand = fields.get("demand") if isinstance(fields, dict) else None
        if not isinstance(limits, dict) or "shortfall_cost" not in limits:
            return fields
        if not isinstance(demand, dict) or demand.get("shortfall_cost") is not None:
            return fields  # refused as an unknown field of limits
        rest = {name: value for name, value in limits.items() if name != "shortfall_cost"}
        priced = demand | {"shortfall_cost": limits["shortfall_cost"]}
        return fields | {"limits": rest, "demand": priced}

    @model_validator(mode="before")
    @classmethod
    def _pools_are_limits(cls, fields: Any) -> Any:
        """Take `plan.pools`, the former name of `limits`, for it."""
        plan = fields.get("plan") if isinstance(fields, dict) else None
        if not isinstance(plan, dict) or "pools" not in plan:
            return fields
        if fields.get("limits") is not None:
            return fields  # refused as an unknown field of plan
        rest = {name: value for name, value in plan.items() if name != "pools"}
        return fields | {"plan": rest, "limits": plan["pools"]}

    @property
    def epoch(self) -> datetime:
        """Emulated second 0, in UTC: that of the orbits, or else their default."""
        return (self.satellite.orbits or Orbits()).epoch

    @property
    def price_table(self) -> PriceTable:
        """The prices, by name or written out."""
        return PriceTable() if self.prices == "paper" else self.prices
