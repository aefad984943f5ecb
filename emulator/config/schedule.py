"""The schedule of an experiment file: every kind of fault and weather that can be asked for.

Faults come in at three places, all outside the control plane.  Physical: what happens to fibers, nodes,
satellites, UAVs and the sky.  Messages: what happens between entities, and entities that are out.
Processes: what is done to the operating system's processes, which changes no outcome.  The plan is told of
none of them.  What operators set at agents is in the schedule too, since it is an input like these.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from emulator.config.demand import MOST_PERIODS, MeanUnits
from emulator.config.section import (
    Fraction,
    Name,
    PositiveSeconds,
    Seconds,
    Section,
    Strikes,
    Timed,
)
from emulator.config.weather import CloudEvent, FogEvent, StormEvent
from emulator.physics.raman import Direction
from emulator.world.events import ProcessAction
from protos.mib import AccessRole


def _no_slash(name: str) -> str:
    if "/" in name:
        raise ValueError("must have no slash")
    return name


Names = Annotated[list[str], Field(min_length=1)]


class FiberCutEvent(Timed):
    """A fiber that carries nothing."""

    strikes: ClassVar[Strikes] = Strikes.LINK

    kind: Literal["fiber-cut"]
    link: tuple[str, str]


class LinkDegradedEvent(Timed):
    """A fiber that loses more light: a bend, a dirty connector."""

    strikes: ClassVar[Strikes] = Strikes.LINK

    kind: Literal["link-degraded"]
    link: tuple[str, str]
    loss_db: float = Field(
        ge=1e-6, le=1_000, description="in each section between devices, on top of the fiber's"
    )


class EavesdropperEvent(Timed):
    """Somebody who intercepts part of the pulses on a fiber and sends others on."""

    strikes: ClassVar[Strikes] = Strikes.LINK
    is_listening: ClassVar[bool] = True

    kind: Literal["eavesdropper"]
    link: tuple[str, str]
    fraction: float = Field(gt=0, le=1, description="of the pulses; adds about a quarter to QBER")


class ClassicalPowerEvent(Timed):
    """Classical channels that an operator lights in a fiber; fewer than there are change nothing."""

    strikes: ClassVar[Strikes] = Strikes.LINK

    kind: Literal["classical-power"]
    link: tuple[str, str]
    launch_dbm: float = Field(ge=-100, le=40, description="of one channel, into the fiber")
    channels: int = Field(1, ge=0, le=10_000, description="with both: in each direction")
    direction: Direction = Field(
        Direction.FORWARD, description="seen from the end of the link that is named first here"
    )


class PowerCutEvent(Timed):
    """A node without power: its quantum devices are dark, and its local key manager is out."""

    strikes: ClassVar[Strikes] = Strikes.NODE

    kind: Literal["power-cut"]
    node: str


class SatelliteLossEvent(Timed):
    """Satellites that serve nobody any more."""

    strikes: ClassVar[Strikes] = Strikes.SATELLITE

    kind: Literal["satellite-loss"]
    satellites: Names | None = Field(None, description="None: all; assumed ones have no names")


class UavLossEvent(Timed):
    """UAVs of the fleet that cannot fly: lost, or with an empty battery."""

    strikes: ClassVar[Strikes] = Strikes.UAV

    kind: Literal["uav-loss"]
    uavs: int | None = Field(None, ge=1, le=1_000_000, description="None: all")


class OutageEvent(Timed):
    """A controller, the global manager or a local key manager that is out; mail to it is lost."""

    strikes: ClassVar[Strikes] = Strikes.ENTITY

    kind: Literal["outage"]
    entity: str = Field(
        description="as global-manager, uav-controller; or a node, for its key manager"
    )


class MessageFaultEvent(Timed):
    """What befalls messages on their way, each by chance."""

    strikes: ClassVar[Strikes] = Strikes.ENTITY

    kind: Literal["message-fault"]
    sources: Names | None = Field(None, description="entities, or nodes; None: all")
    destinations: Names | None = Field(None, description="entities, or nodes; None: all")
    drop: Fraction = 0.0
    duplicate: Fraction = 0.0
    corrupt: Fraction = 0.0
    delay_s: float = Field(0.0, ge=0, le=3600, description="at most; each message by chance")
    reorder: bool = Field(False, description="messages of one window arrive in another order")

    @model_validator(mode="after")
    def _anything(self) -> MessageFaultEvent:
        if not (self.drop or self.duplicate or self.corrupt or self.delay_s or self.reorder):
            raise ValueError("give one of drop, duplicate, corrupt, delay_s, reorder")
        return self


class PartitionEvent(Timed):
    """Groups of entities that hear nothing of one another."""

    strikes: ClassVar[Strikes] = Strikes.ENTITY

    kind: Literal["partition"]
    groups: Annotated[list[Names], Field(min_length=2)]


class DemandShiftEvent(Section):
    """From a period on, applications draw from the same law with another mean; the plan is not told."""

    strikes: ClassVar[Strikes] = Strikes.DEMAND

    kind: Literal["demand-shift"]
    from_period: int = Field(ge=0, le=MOST_PERIODS)
    mean_units: MeanUnits


class ProcessEvent(Section):
    """Something done to the process of an actor, when a window begins; no outcome changes."""

    strikes: ClassVar[Strikes] = Strikes.PROCESS

    kind: Literal["process"]
    actor: str = Field(description="clock, exporter, or an entity: the process that it lives in")
    action: ProcessAction = Field(  # `deed` is its former name
        validation_alias=AliasChoices("action", "deed")
    )
    at_s: Seconds = Field(description="emulated time")
    wall_s: float = Field(2.0, gt=0, le=600, description="how long to stop or slow; real time")


class OperatorSetEvent(Section):
    """What an operator sets at an agent by SNMP, in the window that begins then; see docs/management.md."""

    strikes: ClassVar[Strikes] = Strikes.OPERATION

    kind: Literal["operator-set"]
    at_s: Seconds = Field(description="emulated time")
    entity: str = Field(description="as global-manager, fiber-controller")
    operator: Annotated[Name, AfterValidator(_no_slash)] = "operator"
    role: AccessRole = AccessRole.MANAGER
    values: dict[str, int] = Field(
        min_length=1, max_length=500, description="as in qsFiberAdminStatus.3: 2; all or none"
    )


class RandomEvent(Section):
    """Faults drawn from the experiment's seed when the experiment is read."""

    kind: Literal["random"]
    count: int = Field(ge=1, le=10_000)
    kinds: list[
        Literal[
            "fiber-cut",
            "link-degraded",
            "eavesdropper",
            "power-cut",
            "satellite-loss",
            "uav-loss",
            "outage",
            "message-fault",
            "storm",
            "cloud",
        ]
    ] = Field(["fiber-cut"], min_length=1)
    at_s: Seconds = Field(0.0, description="none begins before")
    until_s: PositiveSeconds | None = Field(
        None, description="all have begun by then; None: by the end"
    )
    mean_s: PositiveSeconds = Field(
        300.0, description="how long they last; exponentially distributed"
    )


FaultEvent = Annotated[
    FiberCutEvent
    | LinkDegradedEvent
    | EavesdropperEvent
    | ClassicalPowerEvent
    | PowerCutEvent
    | SatelliteLossEvent
    | UavLossEvent
    | OutageEvent
    | MessageFaultEvent
    | PartitionEvent
    | DemandShiftEvent
    | StormEvent
    | FogEvent
    | CloudEvent
    | ProcessEvent
    | OperatorSetEvent
    | RandomEvent,
    Field(discriminator="kind"),
]


def _named(kind: Any) -> str:
    (name,) = get_args(kind.model_fields["kind"].annotation)
    return str(name)


_KINDS = [kind for kind in get_args(get_args(FaultEvent)[0]) if kind is not RandomEvent]
STRIKES: dict[str, Strikes] = {_named(kind): kind.strikes for kind in _KINDS}
"""What each kind of fault strikes, by the kind's name."""
LISTENING = {_named(kind) for kind in _KINDS if getattr(kind, "is_listening", False)}
"""The kinds that listen, and leave what they strike working."""
