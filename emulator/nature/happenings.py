"""What happens to the emulated world and to whom, at which emulated time: the schedule of a run.

Each is a frozen value over [start_s, end_s) of emulated time, with all that physics has to say about it
worked out, so that a process which is told of it computes nothing anew.  A schedule only ever grows, and
what it says of a time does not depend on what is added for later: so a run that is told of something while
it goes on becomes the run that has known it from the start.  Weather (`emulator.nature.storms`) happens
too, and so do deeds to processes, which change no outcome.  Nothing here knows actors or wall time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, Self, TypeVar, cast, runtime_checkable

from controllers.ports import LinkSample
from protos.core import Timeline

Found = TypeVar("Found")


class ProcessDeed(StrEnum):
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
    """Somebody who intercepts a share of a fiber's pulses.

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
    """Satellites that serve nobody; no names: all of them."""

    satellites: frozenset[str]
    start_s: float
    end_s: float

    def takes(self, satellite: str) -> bool:
        """Return whether a satellite is one of them."""
        return not self.satellites or satellite in self.satellites


@dataclass(frozen=True)
class UavLoss:
    """So many UAVs of the fleet that cannot fly: lost, or with an empty battery; None: all of them."""

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
    """What befalls messages from some entities to others; no names: all of them.

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
    """Groups of entities that hear nothing of one another; who is in no group hears everybody."""

    groups: tuple[frozenset[str], ...]
    start_s: float
    end_s: float

    def parts(self, source: str, destination: str) -> bool:
        """Return whether two entities cannot hear one another."""
        homes = [[name in group for group in self.groups] for name in (source, destination)]
        return all(map(any, homes)) and homes[0] != homes[1]


@dataclass(frozen=True)
class DemandShift:
    """Another distribution of demand, as (units, probability), from a period on."""

    from_period: int
    demand: tuple[tuple[int, float], ...]


class Happening(Protocol):
    """Any of these, or of `emulator.nature.storms`; a `DemandShift` begins with a period."""


@runtime_checkable
class Told(Protocol):
    """Something that depends on the schedule, and can be told more of it."""

    def told(self, happening: Happening) -> Self:
        """Return this as it is when that happens too."""


@dataclass(frozen=True)
class Schedule:
    """All that happens, in the order in which it was announced."""

    happenings: tuple[Happening, ...] = ()

    def told(self, happening: Happening) -> Schedule:
        """Return the schedule with one more."""
        return Schedule((*self.happenings, happening))

    def of(self, kind: type[Found]) -> tuple[Found, ...]:
        """Return all of one kind."""
        return tuple(item for item in self.happenings if isinstance(item, kind))


NOTHING = Schedule()


def begun_at(happening: Happening, at_s: float, timeline: Timeline) -> Happening:
    """Return it as it is when it begins then at the earliest; one that would begin sooner is put off."""
    if isinstance(happening, DemandShift):
        periods = (at_s - timeline.first_period_s) / timeline.period_s
        first = max(happening.from_period, int(max(0.0, -(-periods // 1))))
        return replace(happening, from_period=first)
    timed = cast("FiberCut", happening)
    delay_s = max(0.0, at_s - timed.start_s)
    return replace(timed, start_s=timed.start_s + delay_s, end_s=timed.end_s + delay_s)
