"""What every clock of a run knows: how fast emulated time passes, how far a run is, and what was injected.

Nothing here knows processes or transport.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulator.store.injection_table import Injected, Injections, dated
from emulator.world.events import begun_at, read_back, write_down
from protos.core import Timeline, Totals

DRAIN_LIMIT = 1_000
"""The number of windows after which a run ends, whatever is still under way."""


@dataclass(frozen=True)
class Pace:
    """Emulated seconds a wall second; None: as fast as it goes."""

    factor: float | None

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Read `realtime`, `max` or a positive factor.  Raises `ValueError`."""
        if text in ("realtime", "max"):
            return cls(1.0 if text == "realtime" else None)
        try:
            factor = float(text)
        except ValueError:
            factor = 0.0
        if not 0 < factor < float("inf"):
            raise ValueError(f"must be realtime, max or a positive factor, not {text}")
        return cls(factor)


@dataclass(frozen=True)
class Progress:
    """The progress of a run."""

    window: int
    totals: Totals
    is_waiting: bool = False


@dataclass(frozen=True)
class Taken:
    """An injected fault that a run has taken: its fields, with its time, and its event in writing.

    The event is empty if the fault is one of processes.
    """

    fault: dict[str, Any]
    event: str


def take_injected(
    injections: Injections, window: int, window_s: float, timeline: Timeline
) -> Iterator[Taken]:
    """Give every fault that waits its time, from a window on; yield those not withdrawn meanwhile."""
    for item in injections.waiting():
        fault, event = _dated(item, window * window_s, timeline)
        if injections.accept(item.number, fault, event, window):
            yield Taken(fault, event)


def _dated(item: Injected, at_s: float, timeline: Timeline) -> tuple[dict[str, Any], str]:
    """Return a fault's fields with its time, and what it does to the world; nothing if to a process."""
    if not item.event:
        return {**item.fault, "at_s": max(at_s, item.fault["at_s"])}, ""
    event = begun_at(read_back(item.event), at_s, timeline)
    return dated(item.fault, event), write_down(event)
