"""The events of the emulated world: what happens to which part of it, and when; and their text.

Each is a frozen value over [start_s, end_s) of emulated time with its physical consequences worked out, so
that a process which learns of it computes nothing again.  A schedule only ever grows, and what it says of
a time does not depend on what is added for later: a run that learns of an event on the way becomes the run
that has known it from the start.  Weather (`emulator.world.weather_events`) is an event too, and so are
faults of processes, which change no outcome.  As text, events are sent to processes and kept in files.
Nothing here knows actors or wall time.

Thin on imports on purpose: every actor loads it.  Only reading a text loads the weather and a validator.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, Protocol, Self, TypeVar, cast, runtime_checkable

from controllers.ports import LinkSample
from protos.core import Timeline

Found = TypeVar("Found")


class ProcessAction(StrEnum):
    """What is done to a process."""

    KILL = "kill"  # SIGKILL; it is started again
    STOP = "stop"  # SIGSTOP for `wall_s`, then SIGCONT
    SLOW = "slow"  # stopped for nine tenths of the time, for `wall_s`


@dataclass(frozen=True)
class FiberCut:
    """A fiber that carries nothing."""

    a: str
    b: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Dimming:
    """A fiber that loses more light than it should; `offer` is what one wavelength yields then."""

    a: str
    b: str
    start_s: float
    end_s: float
    offer: LinkSample


@dataclass(frozen=True)
class Eavesdropper:
    """An eavesdropper that intercepts a share of a fiber's pulses.

    `skr_bps` is what the fiber yields by intercepted share, in equal steps from 0 to 1; `worst_qber`
    its error rate if all is intercepted, and in between errors grow in proportion.
    """

    a: str
    b: str
    share: float
    start_s: float
    end_s: float
    skr_bps: tuple[float, ...]
    worst_qber: float

    def share_of(self, since_s: float, now_s: float) -> float:
        """Return the intercepted share of all pulses in a time, or at an instant."""
        if since_s >= now_s:
            return self.share if self.start_s <= now_s < self.end_s else 0.0
        overlap_s = min(now_s, self.end_s) - max(since_s, self.start_s)
        return self.share * max(0.0, overlap_s) / (now_s - since_s)


@dataclass(frozen=True)
class PowerCut:
    """A node without power: none of its quantum devices works, and its local key manager is out."""

    node: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class SatelliteLoss:
    """Satellites that are out of service; no names: all of them."""

    satellites: frozenset[str]
    start_s: float
    end_s: float

    def takes(self, satellite: str) -> bool:
        """Return whether a satellite is one of them."""
        return not self.satellites or satellite in self.satellites


@dataclass(frozen=True)
class UavLoss:
    """UAVs of the fleet that cannot fly: lost, or with an empty battery; `uavs` None: all of them."""

    uavs: int | None
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Outage:
    """An entity that is down: it does nothing, and what is sent to it is lost."""

    entity: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class MessageFault:
    """What happens to messages from some entities to others; no names: all of them.

    Each is lost, doubled or damaged by chance, and comes up to `delay_s` late; with `shuffled` those of
    a window arrive in another order than they were sent.
    """

    sources: frozenset[str]
    destinations: frozenset[str]
    start_s: float
    end_s: float
    drop: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    delay_s: float = 0.0
    shuffled: bool = False

    def befalls(self, source: str, destination: str) -> bool:
        """Return whether messages from one entity to another are concerned."""
        return (not self.sources or source in self.sources) and (
            not self.destinations or destination in self.destinations
        )


@dataclass(frozen=True)
class Partition:
    """Groups of entities that hear nothing from one another; an entity in no group hears all."""

    groups: tuple[frozenset[str], ...]
    start_s: float
    end_s: float

    def parts(self, source: str, destination: str) -> bool:
        """Return whether two entities cannot hear one another."""
        homes = [[name in group for group in self.groups] for name in (source, destination)]
        return all(map(any, homes)) and homes[0] != homes[1]


@dataclass(frozen=True)
class OperatorSet:
    """What an operator, as the source of a request, sets at an entity: names and values, all or none."""

    entity: str
    operator: str
    values: tuple[tuple[str, int], ...]
    start_s: float


@dataclass(frozen=True)
class DemandShift:
    """Another distribution of demand, as (units, probability), from a period on."""

    from_period: int
    demand: tuple[tuple[int, float], ...]


class WorldEvent(Protocol):
    """Any of these, or of `emulator.world.weather_events`; a `DemandShift` begins with a period."""


_KINDS = {
    kind.__name__: kind
    for kind in (
        FiberCut,
        Dimming,
        Eavesdropper,
        PowerCut,
        SatelliteLoss,
        UavLoss,
        Outage,
        MessageFault,
        Partition,
        OperatorSet,
        DemandShift,
    )
}


@runtime_checkable
class EventAware(Protocol):
    """Something that depends on the schedule, and can learn of more events."""

    def with_event(self, event: WorldEvent) -> Self:
        """Return this as it is when that happens too."""


@dataclass(frozen=True)
class Schedule:
    """All events, in the order in which they became known."""

    events: tuple[WorldEvent, ...] = ()

    def with_event(self, event: WorldEvent) -> Schedule:
        """Return the schedule with one more."""
        return Schedule((*self.events, event))

    def of(self, kind: type[Found]) -> tuple[Found, ...]:
        """Return all of one kind."""
        return tuple(item for item in self.events if isinstance(item, kind))


NOTHING = Schedule()


def begun_at(event: WorldEvent, at_s: float, timeline: Timeline) -> WorldEvent:
    """Return the event with a start no sooner than that; if it is put off, it lasts as long."""
    if isinstance(event, DemandShift):
        periods = (at_s - timeline.first_period_s) / timeline.period_s
        first = max(event.from_period, int(max(0.0, -(-periods // 1))))
        return replace(event, from_period=first)
    if isinstance(event, OperatorSet):
        return replace(event, start_s=max(at_s, event.start_s))
    timed = cast("FiberCut", event)
    delay_s = max(0.0, at_s - timed.start_s)
    return replace(timed, start_s=timed.start_s + delay_s, end_s=timed.end_s + delay_s)


def write_down(event: WorldEvent) -> str:
    """Return an event as one line of JSON."""
    return json.dumps([type(event).__name__, _plain(event)])


def read_back(text: str) -> WorldEvent:
    """Return the event that was written down.  Raises `ValueError` or `KeyError` for anything else."""
    from pydantic import TypeAdapter

    from emulator.world.weather_events import Event

    name, values = json.loads(text)
    kind = Event if name == Event.__name__ else _KINDS[name]
    found: WorldEvent = TypeAdapter(kind).validate_python(values)
    return found


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
