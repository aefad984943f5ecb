"""The kinds of faults: what each does to the world, what can be wrong with one, and how chance draws one.

A new kind is a class in `emulator.config.schedule`, which says what it strikes, and an entry of
`FAULT_KINDS` here; only an effect that the world does not know yet needs more.  Everything that physics
has to say, the rate of a tapped or dimmed fiber for instance (`fiber_faults`), is worked out here, so that
actors need not.
What is done to processes has no effect on the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from emulator.build import fiber_faults
from emulator.build.demand import as_law
from emulator.build.environment import WeatherEvent, weather_event
from emulator.build.setup import Setup
from emulator.config.schedule import (
    ClassicalPowerEvent,
    DemandShiftEvent,
    EavesdropperEvent,
    FiberCutEvent,
    LinkDegradedEvent,
    MessageFaultEvent,
    OperatorSetEvent,
    OutageEvent,
    PartitionEvent,
    PowerCutEvent,
    ProcessEvent,
    RandomEvent,
    SatelliteLossEvent,
    UavLossEvent,
)
from emulator.config.topology import Topology
from emulator.config.weather import CloudEvent, FogEvent, StormEvent
from emulator.world.events import (
    DemandShift,
    MessageFault,
    OperatorSet,
    Outage,
    Partition,
    PowerCut,
    SatelliteLoss,
    UavLoss,
    WorldEvent,
)
from global_manager.provisioning import demand as laws
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX, key_manager_of, operator_of
from protos.settings import is_setting, named

CLOCK, EXPORTER = "clock", "exporter"
STORM_KM, DROP, LOSS_DB, TAPPED = 500.0, 0.2, 3.0, 0.6
NETWORK = "network.topology"
FIBERS = (NETWORK, "network.link_km", "fiber")
LAW = ("demand.distribution", "demand.scenarios")

Mistakes = fiber_faults.Mistakes
E = TypeVar("E")


@dataclass(frozen=True)
class Draws:
    """Chance, and what there is to strike."""

    stream: np.random.Generator
    setup: Setup

    def one_of(self, choices: Sequence[Any]) -> Any:
        """Return one of several."""
        return choices[int(self.stream.integers(len(choices)))]

    def link(self) -> list[str]:
        """Return the ends of a link."""
        link = self.one_of(self.setup.topology.links)
        return [link.a, link.b]

    def node(self) -> str:
        """Return the name of a node."""
        return str(self.one_of(self.setup.topology.nodes).name)


@dataclass(frozen=True)
class Check(Generic[E]):
    """Yields (field of the entry, what would be right) where the fields that it `reads` are sound."""

    mistakes: Callable[[Setup, E], Mistakes]
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaultKind(Generic[E]):
    """A kind: its entry in a schedule, what that does, what may be wrong, and what chance gives it."""

    event: type[E]
    effect: Callable[[Setup, E], WorldEvent] | None
    checks: tuple[Check[E], ...] = ()
    drawn: Callable[[Draws], dict[str, Any]] | None = None


def kind_of(event: object) -> FaultKind[Any]:
    """Return the kind of an entry."""
    return next(kind for kind in FAULT_KINDS if isinstance(event, kind.event))


def entity_named(name: str) -> str:
    """Return an entity by its own name, or by that of its node."""
    known = name in (GLOBAL_MANAGER, *CONTROLLERS) or name.startswith(KEY_MANAGER_PREFIX)
    return name if known else key_manager_of(name)


def entities_named(names: Iterable[str] | None) -> frozenset[str]:
    """Return entities by name; none for None."""
    return frozenset(entity_named(name) for name in names or ())


def without_place(topology: Topology) -> str:
    """Return why there can be no weather, if there cannot."""
    lost = [node.name for node in topology.nodes if node.lat_deg is None or node.lon_deg is None]
    needs = f"needs coordinates (lat, lon) of every node; there are none of {', '.join(lost[:5])}"
    return needs if lost else ""


# Effects


def _dark(_setup: Setup, event: PowerCutEvent) -> WorldEvent:
    return PowerCut(event.node, *fiber_faults.times_of(event))


def _satellites_lost(_setup: Setup, event: SatelliteLossEvent) -> WorldEvent:
    return SatelliteLoss(frozenset(event.satellites or ()), *fiber_faults.times_of(event))


def _uavs_lost(_setup: Setup, event: UavLossEvent) -> WorldEvent:
    return UavLoss(event.uavs, *fiber_faults.times_of(event))


def _out(_setup: Setup, event: OutageEvent) -> WorldEvent:
    return Outage(entity_named(event.entity), *fiber_faults.times_of(event))


def _messages_hit(_setup: Setup, event: MessageFaultEvent) -> WorldEvent:
    return MessageFault(
        entities_named(event.sources),
        entities_named(event.destinations),
        *fiber_faults.times_of(event),
        drop=event.drop,
        duplicate=event.duplicate,
        corrupt=event.corrupt,
        delay_s=event.delay_s,
        shuffled=event.reorder,
    )


def _parted(_setup: Setup, event: PartitionEvent) -> WorldEvent:
    return Partition(
        tuple(entities_named(group) for group in event.groups), *fiber_faults.times_of(event)
    )


def _set_by_operator(_setup: Setup, event: OperatorSetEvent) -> WorldEvent:
    operator = operator_of(event.operator, event.role)
    return OperatorSet(
        entity_named(event.entity), operator, tuple(event.values.items()), event.at_s
    )


def _demand_shifted(setup: Setup, event: DemandShiftEvent) -> WorldEvent:
    demand = setup.experiment.demand
    return DemandShift(
        event.from_period,
        as_law(demand.distribution.whole_of_mean(event.mean_units, demand.scenarios)),
    )


def _weather(setup: Setup, event: WeatherEvent) -> WorldEvent:
    return weather_event(event, setup.topology)


# Checks


def _node_exists(setup: Setup, event: PowerCutEvent) -> Mistakes:
    return _strange_nodes(setup, "node", [event.node])


def _sites_exist(setup: Setup, event: FogEvent | CloudEvent) -> Mistakes:
    return _strange_nodes(setup, "sites", event.sites or ())


def _strange_nodes(setup: Setup, field: str, names: Iterable[str]) -> Mistakes:
    for name in sorted(set(names) - _names(setup.topology)):
        yield field, f"no node {name} in the network"


def _has_places(setup: Setup, _event: WeatherEvent) -> Mistakes:
    if needs := without_place(setup.topology):
        yield "", needs


def _entity_exists(setup: Setup, event: OutageEvent | OperatorSetEvent) -> Mistakes:
    return _strangers(setup, "entity", [event.entity])


def _can_be_set(_setup: Setup, event: OperatorSetEvent) -> Mistakes:
    for name in event.values:
        try:
            if not is_setting(named(name)):
                yield "values", f"{name} cannot be set by an operator; see docs/management.md"
        except ValueError as error:
            yield "values", str(error)


def _ends_exist(setup: Setup, event: MessageFaultEvent) -> Mistakes:
    yield from _strangers(setup, "sources", event.sources or ())
    yield from _strangers(setup, "destinations", event.destinations or ())


def _members_exist(setup: Setup, event: PartitionEvent) -> Mistakes:
    return _strangers(setup, "groups", [name for group in event.groups for name in group])


def _actor_exists(setup: Setup, event: ProcessEvent) -> Mistakes:
    if event.actor not in (CLOCK, EXPORTER):
        yield from _strangers(setup, "actor", [event.actor])


def _strangers(setup: Setup, field: str, names: Iterable[str]) -> Mistakes:
    nodes = _names(setup.topology)
    for name in sorted(set(names)):
        entity = entity_named(name)
        if not entity.startswith(KEY_MANAGER_PREFIX):
            continue
        if entity.removeprefix(KEY_MANAGER_PREFIX) not in nodes:
            known = ", ".join((GLOBAL_MANAGER, *CONTROLLERS))
            yield field, f"no entity {name}; name a node, or one of {known}"


def _groups_are_apart(_setup: Setup, event: PartitionEvent) -> Mistakes:
    names = [name for group in event.groups for name in group]
    if len(entities_named(names)) < len(names):
        yield "groups", "an entity can be named once only"


def _satellites_exist(setup: Setup, event: SatelliteLossEvent) -> Mistakes:
    orbits = setup.experiment.satellite.orbits
    if event.satellites is None:
        return
    if orbits is None:
        yield "satellites", "assumed satellites have no names; leave it out to lose all"
        return
    known = orbits.constellation().names
    for name in sorted(set(event.satellites) - set(known)):
        yield "satellites", f"no satellite {name}; they are named as {known[0]}"


def _fleet_is_as_large(setup: Setup, event: UavLossEvent) -> Mistakes:
    fleet = setup.experiment.uav.fleet
    if event.uavs is None:
        return
    if fleet is None:
        yield "uavs", "there is no fleet to lose that many of; leave it out to lose all"
    elif event.uavs > fleet.uavs:
        yield "uavs", f"the fleet has {fleet.uavs}, not {event.uavs}"


def _law_can_have_mean(setup: Setup, event: DemandShiftEvent) -> Mistakes:
    demand = setup.experiment.demand
    try:
        demand.distribution.scenarios_of_mean(event.mean_units, demand.scenarios)
    except laws.DemandError as error:
        yield "mean_units", f"the experiment's law cannot have this mean: {error}"


def _demand_has_one_law(setup: Setup, _event: DemandShiftEvent) -> Mistakes:
    demand = setup.experiment.demand
    for name, what in (
        ("hours", "the laws of all hours"),
        ("laws", "the laws of all classes"),
        ("joint", "joint futures"),
        ("trace", "what is replayed"),
        ("process", "a law whose mean changes"),
    ):
        if getattr(demand, name):
            yield "", f"would replace {what} by one law; leave it out, or demand.{name}"


def _ends_after_it_begins(_setup: Setup, event: RandomEvent) -> Mistakes:
    if event.until_s is not None and event.until_s <= event.at_s:
        yield "until_s", f"must be after at_s, {event.at_s:g}"


def _weather_has_places(setup: Setup, event: RandomEvent) -> Mistakes:
    needs = without_place(setup.topology)
    if needs and {"storm", "cloud"} & set(event.kinds):
        yield "kinds", f"weather {needs}"


def _names(topology: Topology) -> set[str]:
    return {node.name for node in topology.nodes}


# Draws


def _drawn_uavs(draws: Draws) -> dict[str, Any]:
    fleet = draws.setup.experiment.uav.fleet
    if fleet is None or not fleet.uavs:
        return {}
    return {"uavs": int(draws.stream.integers(1, fleet.uavs + 1))}


def _drawn_entity(draws: Draws) -> dict[str, Any]:
    nodes = [node.name for node in draws.setup.topology.nodes]
    return {"entity": draws.one_of([GLOBAL_MANAGER, *CONTROLLERS, *nodes])}


def _drawn_storm(draws: Draws) -> dict[str, Any]:
    node = draws.one_of(draws.setup.topology.nodes)
    return {"lat_deg": node.lat_deg, "lon_deg": node.lon_deg, "radius_km": STORM_KM}


FAULT_KINDS: tuple[FaultKind[Any], ...] = (
    FaultKind(
        FiberCutEvent,
        fiber_faults.cut,
        (Check(fiber_faults.link_exists, (NETWORK,)),),
        lambda draws: {"link": draws.link()},
    ),
    FaultKind(
        LinkDegradedEvent,
        fiber_faults.dimmed,
        (Check(fiber_faults.link_exists, (NETWORK,)), Check(fiber_faults.can_be_dimmed, FIBERS)),
        lambda draws: {"link": draws.link(), "loss_db": LOSS_DB},
    ),
    FaultKind(
        EavesdropperEvent,
        fiber_faults.tapped,
        (Check(fiber_faults.link_exists, (NETWORK,)), Check(fiber_faults.can_be_tapped, FIBERS)),
        lambda draws: {"link": draws.link(), "fraction": TAPPED},
    ),
    FaultKind(
        ClassicalPowerEvent,
        fiber_faults.lit,
        (Check(fiber_faults.link_exists, (NETWORK,)), Check(fiber_faults.can_be_lit, FIBERS)),
    ),
    FaultKind(
        PowerCutEvent,
        _dark,
        (Check(_node_exists, (NETWORK,)),),
        lambda draws: {"node": draws.node()},
    ),
    FaultKind(
        SatelliteLossEvent,
        _satellites_lost,
        (Check(_satellites_exist, ("satellite.orbits",)),),
        lambda _draws: {},
    ),
    FaultKind(UavLossEvent, _uavs_lost, (Check(_fleet_is_as_large, ("uav.fleet",)),), _drawn_uavs),
    FaultKind(OutageEvent, _out, (Check(_entity_exists, (NETWORK,)),), _drawn_entity),
    FaultKind(
        MessageFaultEvent,
        _messages_hit,
        (Check(_ends_exist, (NETWORK,)),),
        lambda _draws: {"drop": DROP, "duplicate": DROP},
    ),
    FaultKind(
        PartitionEvent,
        _parted,
        (Check(_members_exist, (NETWORK,)), Check(_groups_are_apart)),
    ),
    FaultKind(
        DemandShiftEvent,
        _demand_shifted,
        (Check(_law_can_have_mean, LAW), Check(_demand_has_one_law, ("demand",))),
    ),
    FaultKind(StormEvent, _weather, (Check(_has_places, (NETWORK,)),), _drawn_storm),
    FaultKind(
        FogEvent,
        _weather,
        (Check(_has_places, (NETWORK,)), Check(_sites_exist, (NETWORK,))),
    ),
    FaultKind(
        CloudEvent,
        _weather,
        (Check(_has_places, (NETWORK,)), Check(_sites_exist, (NETWORK,))),
        lambda _draws: {"sky": "overcast"},
    ),
    FaultKind(
        OperatorSetEvent,
        _set_by_operator,
        (Check(_entity_exists, (NETWORK,)), Check(_can_be_set)),
    ),
    FaultKind(ProcessEvent, None, (Check(_actor_exists, (NETWORK,)),)),
    FaultKind(
        RandomEvent,
        None,
        (Check(_ends_after_it_begins), Check(_weather_has_places, (NETWORK,))),
    ),
)
