"""From the schedule of an experiment file to what happens in the world.

Everything that physics has to say, the rate of a tapped or dimmed fiber for instance, is worked out here,
so that actors need not.  What is done to processes, and what is left to chance, is none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, singledispatchmethod
from math import inf

from emulator.experiment.config import Experiment
from emulator.experiment.fault_config import (
    DemandShiftEvent,
    EavesdropperEvent,
    FaultEvent,
    FiberCutEvent,
    LinkDegradedEvent,
    MessageFaultEvent,
    OutageEvent,
    PartitionEvent,
    PowerCutEvent,
    ProcessEvent,
    RandomEvent,
    SatelliteLossEvent,
    UavLossEvent,
)
from emulator.experiment.section import Timed
from emulator.experiment.topology import Topology
from emulator.experiment.weather_config import CloudEvent, FogEvent, StormEvent
from emulator.parts import skies
from emulator.parts.daytime import as_law
from emulator.parts.fiber_links import QuantumLink, link_between, quantum_links
from emulator.world.events import (
    DemandShift,
    Dimming,
    Eavesdropper,
    FiberCut,
    MessageFault,
    Outage,
    Partition,
    PowerCut,
    SatelliteLoss,
    Schedule,
    UavLoss,
    WorldEvent,
)
from emulator.world.weather_events import Event
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX, key_manager_of

TAP_STEPS = 64


def schedule_of(experiment: Experiment, topology: Topology) -> Schedule:
    """Return what happens in an experiment, but for the weather, which is the sky's affair."""
    found = happenings_of(experiment, topology)
    return Schedule(tuple(item for item in found if not isinstance(item, Event)))


def happenings_of(experiment: Experiment, topology: Topology) -> tuple[WorldEvent, ...]:
    """Return all that happens in an experiment, in the order of its schedule."""
    resolver = _Resolver(experiment, topology)
    return tuple(
        resolver.resolve(event)
        for event in experiment.faults
        if not isinstance(event, ProcessEvent | RandomEvent)
    )


def entity_named(name: str) -> str:
    """Return an entity by its own name, or by that of its node."""
    known = name in (GLOBAL_MANAGER, *CONTROLLERS) or name.startswith(KEY_MANAGER_PREFIX)
    return name if known else key_manager_of(name)


def entities_named(names: list[str] | None) -> frozenset[str]:
    """Return entities by name; none for None."""
    return frozenset(entity_named(name) for name in names or ())


@dataclass(frozen=True)
class _Resolver:
    """Knows the network in which something is to happen."""

    experiment: Experiment
    topology: Topology

    @cached_property
    def links(self) -> tuple[QuantumLink, ...]:
        """All links as they are equipped."""
        return quantum_links(self.experiment.fiber, self.topology)

    @singledispatchmethod
    def resolve(self, event: FaultEvent) -> WorldEvent:
        """Return what one entry of the schedule does."""
        raise NotImplementedError(event)

    @resolve.register
    def _(self, event: FiberCutEvent) -> WorldEvent:
        return FiberCut(*event.link, *_time(event))

    @resolve.register
    def _(self, event: LinkDegradedEvent) -> WorldEvent:
        offer = link_between(self.links, *event.link).dimmed(event.loss_db)
        return Dimming(*event.link, *_time(event), offer)

    @resolve.register
    def _(self, event: EavesdropperEvent) -> WorldEvent:
        link = link_between(self.links, *event.link)
        rates = [link.tapped(step / TAP_STEPS) for step in range(TAP_STEPS + 1)]
        skr_bps, worst_qber = tuple(rate.skr_bps for rate in rates), rates[-1].qber or 0.0
        return Eavesdropper(*event.link, event.fraction, *_time(event), skr_bps, worst_qber)

    @resolve.register
    def _(self, event: PowerCutEvent) -> WorldEvent:
        return PowerCut(event.node, *_time(event))

    @resolve.register
    def _(self, event: SatelliteLossEvent) -> WorldEvent:
        return SatelliteLoss(frozenset(event.satellites or ()), *_time(event))

    @resolve.register
    def _(self, event: UavLossEvent) -> WorldEvent:
        return UavLoss(event.uavs, *_time(event))

    @resolve.register
    def _(self, event: OutageEvent) -> WorldEvent:
        return Outage(entity_named(event.entity), *_time(event))

    @resolve.register
    def _(self, event: MessageFaultEvent) -> WorldEvent:
        return MessageFault(
            entities_named(event.sources),
            entities_named(event.destinations),
            *_time(event),
            drop=event.drop,
            duplicate=event.duplicate,
            corrupt=event.corrupt,
            delay_s=event.delay_s,
            shuffled=event.reorder,
        )

    @resolve.register
    def _(self, event: PartitionEvent) -> WorldEvent:
        return Partition(tuple(entities_named(group) for group in event.groups), *_time(event))

    @resolve.register
    def _(self, event: DemandShiftEvent) -> WorldEvent:
        demand = self.experiment.demand
        law = demand.distribution.scenarios_of_mean(event.mean_units, demand.scenarios)
        return DemandShift(event.from_period, as_law(demand.kept(law)))

    @resolve.register(StormEvent)
    @resolve.register(FogEvent)
    @resolve.register(CloudEvent)
    def _(self, event: skies.WeatherEvent) -> WorldEvent:
        return skies.happening(event, self.topology)


def _time(event: Timed) -> tuple[float, float]:
    return event.at_s, inf if event.until_s is None else event.until_s
