"""What is wrong with the schedule of an experiment: strangers, and what cannot happen in its network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import singledispatchmethod

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
from emulator.experiment.topology import Topology
from emulator.experiment.weather_config import CloudEvent, FogEvent, StormEvent
from emulator.input_checks import ParameterError
from emulator.parts import skies
from emulator.parts.fiber_links import QuantumLink, link_between, quantum_links
from emulator.parts.schedule import entity_named
from global_manager.provisioning import demand as laws
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX

CLOCK, EXPORTER = "clock", "exporter"
Mistakes = Iterator[tuple[str, str]]


def schedule_faults(experiment: Experiment, topology: Topology) -> Mistakes:
    """Yield what is wrong with a schedule, as (field, what would be right)."""
    checker = _Checker(experiment, topology)
    for place, event in enumerate(experiment.faults):
        for field, problem in checker.check(event):
            yield f"faults.{place}{field and '.'}{field}", problem


@dataclass(frozen=True)
class _Checker:
    """Knows the network in which something is to happen."""

    experiment: Experiment
    topology: Topology

    @singledispatchmethod
    def check(self, event: FaultEvent) -> Mistakes:
        """Yield what is wrong with one entry."""
        raise NotImplementedError(event)

    @check.register
    def _(self, event: FiberCutEvent) -> Mistakes:
        yield from self._strange_links(event.link)

    @check.register
    def _(self, event: EavesdropperEvent) -> Mistakes:
        yield from self._strange_links(event.link)
        for link in self._links(event.link):
            try:
                link.tapped(event.fraction)
            except ParameterError as error:
                problem = f"cannot be listened to with protocol {link.rate.protocol}: {error}"
                yield "link", problem

    @check.register
    def _(self, event: LinkDegradedEvent) -> Mistakes:
        yield from self._strange_links(event.link)
        for link in self._links(event.link):
            try:
                link.dimmed(event.loss_db)
            except ParameterError as error:
                yield "link", f"cannot be degraded with protocol {link.rate.protocol}: {error}"

    @check.register
    def _(self, event: PowerCutEvent) -> Mistakes:
        yield from self._strange_nodes("node", [event.node])

    @check.register
    def _(self, event: SatelliteLossEvent) -> Mistakes:
        orbits = self.experiment.satellite.orbits
        if event.satellites is None:
            return
        if orbits is None:
            yield "satellites", "assumed satellites have no names; leave it out to lose all"
            return
        known = orbits.constellation().names
        for name in sorted(set(event.satellites) - set(known)):
            yield "satellites", f"no satellite {name}; they are named as {known[0]}"

    @check.register
    def _(self, event: UavLossEvent) -> Mistakes:
        fleet = self.experiment.uav.fleet
        if event.uavs is not None and fleet is None:
            yield "uavs", "there is no fleet to lose so many of; leave it out to lose all"
        elif event.uavs is not None and fleet is not None and event.uavs > fleet.uavs:
            yield "uavs", f"the fleet has {fleet.uavs}, not {event.uavs}"

    @check.register
    def _(self, event: OutageEvent) -> Mistakes:
        yield from self._strangers("entity", [event.entity])

    @check.register
    def _(self, event: MessageFaultEvent) -> Mistakes:
        yield from self._strangers("sources", event.sources or ())
        yield from self._strangers("destinations", event.destinations or ())

    @check.register
    def _(self, event: PartitionEvent) -> Mistakes:
        names = [name for group in event.groups for name in group]
        yield from self._strangers("groups", names)
        if len({entity_named(name) for name in names}) < len(names):
            yield "groups", "an entity can be named once only"

    @check.register
    def _(self, event: DemandShiftEvent) -> Mistakes:
        """Refuse a mean that demand as it was seen cannot be stretched to."""
        demand = self.experiment.demand
        try:
            demand.distribution.scenarios_of_mean(event.mean_units, demand.scenarios)
        except laws.DemandError as error:
            yield "mean_units", f"the experiment's law cannot have this mean: {error}"

    @check.register
    def _(self, event: ProcessEvent) -> Mistakes:
        if event.actor not in (CLOCK, EXPORTER):
            yield from self._strangers("actor", [event.actor])

    @check.register
    def _(self, event: RandomEvent) -> Mistakes:
        needs = skies.without_place(self.topology)
        if needs and {"storm", "cloud"} & set(event.kinds):
            yield "kinds", f"weather {needs}"
        if event.until_s is not None and event.until_s <= event.at_s:
            yield "until_s", f"must be after at_s, {event.at_s:g}"

    @check.register(StormEvent)
    @check.register(FogEvent)
    @check.register(CloudEvent)
    def _(self, event: skies.WeatherEvent) -> Mistakes:
        needs = skies.without_place(self.topology)
        if needs:
            yield "", needs
        if not isinstance(event, StormEvent):
            yield from self._strange_nodes("sites", event.sites or ())

    def _strange_nodes(self, field: str, names: Iterable[str]) -> Mistakes:
        for name in sorted(set(names) - {node.name for node in self.topology.nodes}):
            yield field, f"no node {name} in the network"

    def _strange_links(self, ends: tuple[str, str]) -> Mistakes:
        if frozenset(ends) not in self._ends:
            yield "link", f"no link {'-'.join(ends)} in the network"

    @property
    def _ends(self) -> set[frozenset[str]]:
        return {frozenset((link.a, link.b)) for link in self.topology.links}

    def _links(self, ends: tuple[str, str]) -> Iterator[QuantumLink]:
        """Yield the link as it is equipped, if it is there and its devices are possible."""
        try:
            links = quantum_links(self.experiment.fiber, self.topology)
        except (ParameterError, ValueError):
            return  # told of another field
        if frozenset(ends) in self._ends:
            yield link_between(links, *ends)

    def _strangers(self, field: str, names: Iterable[str]) -> Mistakes:
        nodes = {node.name for node in self.topology.nodes}
        for name in sorted(set(names)):
            entity = entity_named(name)
            if not entity.startswith(KEY_MANAGER_PREFIX):
                continue
            if entity.removeprefix(KEY_MANAGER_PREFIX) not in nodes:
                known = ", ".join((GLOBAL_MANAGER, *CONTROLLERS))
                yield field, f"no entity {name}; name a node, or one of {known}"
