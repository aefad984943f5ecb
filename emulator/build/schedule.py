"""The schedule of an experiment: what happens in its world, and what its seed makes of random faults.

Everything that physics has to say, the rate of a tapped or dimmed fiber for instance, is worked out here,
so that actors need not.  What is done to processes is not part of it.  An experiment that has been read
holds nothing that is left to chance, so that a run folder repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import singledispatchmethod
from math import inf
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from emulator.build.demand import as_law
from emulator.build.environment import WeatherEvent, weather_event
from emulator.build.quantum_links import link_between, links_of
from emulator.build.setup import Setup, part
from emulator.config.schedule import (
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
from emulator.config.section import MOST_S, Timed
from emulator.config.weather import CloudEvent, FogEvent, StormEvent
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
STORM_KM, DROP, LOSS_DB, TAPPED = 500.0, 0.2, 3.0, 0.6
_STREAM = 0x4641
_FAULT: TypeAdapter[FaultEvent] = TypeAdapter(FaultEvent)


@part
def schedule_of(setup: Setup) -> Schedule:
    """Return what happens in an experiment, except the weather, which belongs to the sky."""
    found = events_of(setup)
    return Schedule(tuple(item for item in found if not isinstance(item, Event)))


@part
def events_of(setup: Setup) -> tuple[WorldEvent, ...]:
    """Return all that happens in an experiment, in the order of its schedule."""
    resolver = _Resolver(setup)
    return tuple(
        resolver.resolve(event)
        for event in setup.experiment.faults
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
    """Works out what entries of a schedule do in a setup."""

    setup: Setup

    @singledispatchmethod
    def resolve(self, event: FaultEvent) -> WorldEvent:
        """Return what one entry of the schedule does."""
        raise NotImplementedError(event)

    @resolve.register
    def _(self, event: FiberCutEvent) -> WorldEvent:
        return FiberCut(*event.link, *_time(event))

    @resolve.register
    def _(self, event: LinkDegradedEvent) -> WorldEvent:
        offer = link_between(links_of(self.setup), *event.link).dimmed(event.loss_db)
        return Dimming(*event.link, *_time(event), offer)

    @resolve.register
    def _(self, event: EavesdropperEvent) -> WorldEvent:
        link = link_between(links_of(self.setup), *event.link)
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
        demand = self.setup.experiment.demand
        law = demand.distribution.scenarios_of_mean(event.mean_units, demand.scenarios)
        return DemandShift(event.from_period, as_law(demand.kept(law)))

    @resolve.register(StormEvent)
    @resolve.register(FogEvent)
    @resolve.register(CloudEvent)
    def _(self, event: WeatherEvent) -> WorldEvent:
        return weather_event(event, self.setup.topology)


def _time(event: Timed) -> tuple[float, float]:
    return event.at_s, inf if event.until_s is None else event.until_s


def drawn(setup: Setup) -> Setup:
    """Return the setup with faults of the seed in place of those that are left to chance."""
    experiment = setup.experiment
    if not any(isinstance(event, RandomEvent) for event in experiment.faults):
        return setup
    faults: list[FaultEvent] = []
    for index, event in enumerate(experiment.faults):
        if isinstance(event, RandomEvent):
            faults += _draw(event, index, setup)
        else:
            faults.append(event)
    return setup.with_experiment(experiment.model_copy(update={"faults": faults}))


def _draw(event: RandomEvent, index: int, setup: Setup) -> Iterator[FaultEvent]:
    """Yield as many faults, in order of time, on whole windows."""
    experiment = setup.experiment
    stream = np.random.Generator(np.random.PCG64([experiment.seed, _STREAM, index]))
    demand, window_s = experiment.demand, experiment.clock.window_s
    until_s = event.until_s or (demand.periods + 1) * demand.period_s
    make = _Dice(stream, setup).makers()
    for at_s in sorted(stream.uniform(event.at_s, max(event.at_s, until_s), event.count)):
        kind = str(stream.choice(event.kinds))
        lasts = max(1, round(stream.exponential(event.mean_s) / window_s))
        begins = round(float(at_s) / window_s)
        ends_s = (begins + lasts) * window_s
        time = {
            "at_s": min(begins * window_s, MOST_S),
            "until_s": ends_s if ends_s <= MOST_S else None,
        }
        yield _FAULT.validate_python({"kind": kind, **time, **make[kind]()})


class _Dice:
    """Draws what each kind of fault is about."""

    def __init__(self, stream: np.random.Generator, setup: Setup) -> None:
        topology = setup.topology
        self._stream, self._experiment = stream, setup.experiment
        self._links = [[link.a, link.b] for link in topology.links]
        self._nodes = [node.name for node in topology.nodes]
        self._places = [(n.lat_deg, n.lon_deg) for n in topology.nodes]

    def makers(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return a maker of fields for each kind."""
        return {
            "fiber-cut": lambda: {"link": self._one(self._links)},
            "link-degraded": lambda: {"link": self._one(self._links), "loss_db": LOSS_DB},
            "eavesdropper": lambda: {"link": self._one(self._links), "fraction": TAPPED},
            "power-cut": lambda: {"node": self._one(self._nodes)},
            "satellite-loss": dict,
            "uav-loss": self._uavs,
            "outage": lambda: {"entity": self._one([GLOBAL_MANAGER, *CONTROLLERS, *self._nodes])},
            "message-fault": lambda: {"drop": DROP, "duplicate": DROP},
            "storm": self._storm,
            "cloud": lambda: {"sky": "overcast"},
        }

    def _one(self, choices: list[Any]) -> Any:
        return choices[int(self._stream.integers(len(choices)))]

    def _uavs(self) -> dict[str, Any]:
        fleet = self._experiment.uav.fleet
        if fleet is None or not fleet.uavs:
            return {}
        return {"uavs": int(self._stream.integers(1, fleet.uavs + 1))}

    def _storm(self) -> dict[str, Any]:
        lat_deg, lon_deg = self._one(self._places)
        return {"lat_deg": lat_deg, "lon_deg": lon_deg, "radius_km": STORM_KM}
