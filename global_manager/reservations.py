"""How an allocation of a plan is written as rows of the fiber controller's tables, and asked for again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from global_manager.provisioning.model import Allocation, Fiber
from protos.core import Timeline
from protos.mib import ReservationHopRow, ReservationRow, ReservationWavelengthRow, Row
from protos.syntax import RowStatus

_LONGEST_WAIT = 256  # in first waits

UnitCosts = Mapping[frozenset[str], int]
"""What a wavelength costs in a period on each fiber, by its two ends."""


@dataclass(frozen=True)
class ReservationSchedule:
    """When a reservation that is sent now makes its first keys.

    `setup_s` is what it needs to be configured everywhere; epochs end `lead_s` before periods begin.
    """

    timeline: Timeline
    setup_s: float
    lead_s: float

    def next_epoch_s(self, start_s: float) -> float:
        """Return when the first epoch ends of a channel that starts at this moment: after it, not at it.

        Counted in milliseconds, as channels are.
        """
        first_s, period_s = self.timeline.first_period_s - self.lead_s, self.timeline.period_s
        whole = max(0, 1 + round((start_s - first_s) * 1000) // round(period_s * 1000))
        return first_s + whole * period_s


@dataclass
class Refusals:
    """Reservations that the fiber controller has refused, and when to ask again.

    The first time after `wait_s`, since a wavelength may not have been free before something went; then
    after twice as long each time, up to 256 times as long.  `total` counts every refusal.
    """

    wait_s: float
    total: int = 0
    _times: Counter[int] = field(default_factory=Counter)
    _again_s: dict[int, float] = field(default_factory=dict)

    def ask_later(self, request: int, now_s: float) -> None:
        """Ask again for what has been refused now."""
        wait_s = self.wait_s * min(2 ** self._times[request], _LONGEST_WAIT)
        self._times[request] = min(self._times[request] + 1, _LONGEST_WAIT)
        self._again_s[request] = now_s + wait_s

    def forget(self, request: int) -> None:
        """Begin from the first wait, and ask no more: it is there, or not wanted any more."""
        self._times.pop(request, None)
        self._again_s.pop(request, None)

    def due(self, now_s: float) -> list[int]:
        """Return what to ask for again now; it is due no more."""
        found = [request for request, at_s in self._again_s.items() if at_s <= now_s]
        for request in found:
            del self._again_s[request]
        return found

    @property
    def waiting(self) -> int:
        """How many reservations have been refused and are not there yet."""
        return len(self._times)

    @property
    def wake_s(self) -> float | None:
        """When something is due next; None: never."""
        return min(self._again_s.values(), default=None)


def kept_units(allocation: Allocation, most_needed: int) -> int:
    """Return the units of a reservation that are made into keys: what can be needed, if it brings more."""
    return min(allocation.units, max(most_needed, len(allocation.wavelengths)))


def head(  # noqa: PLR0917
    index: int,
    allocation: Allocation,
    units: int,
    status: RowStatus,
    schedule: ReservationSchedule,
    now_s: float,
    generation: int = 0,
) -> ReservationRow:
    """Return the row that names a reservation of these units.

    Alone, with status destroy, it takes the reservation down.
    """
    start_s = now_s + schedule.setup_s
    return ReservationRow(
        request=index,
        request_id=allocation.request,
        source=allocation.source,
        target=allocation.target,
        units=units,
        start_ms=round(start_s * 1000),
        due_ms=round(schedule.next_epoch_s(start_s) * 1000),
        period_ms=round(schedule.timeline.period_s * 1000),
        row_status=status,
        generation=generation,
    )


def rows(  # noqa: PLR0917
    index: int,
    allocation: Allocation,
    units: int,
    schedule: ReservationSchedule,
    now_s: float,
    generation: int = 0,
) -> list[Row]:
    """Return all rows of a new reservation: head, hops, wavelengths."""
    hops = [ReservationHopRow(index, at, node) for at, node in enumerate(allocation.path, 1)]
    wavelengths = [
        ReservationWavelengthRow(index, at, wavelength)
        for at, wavelength in enumerate(allocation.wavelengths, 1)
    ]
    first = head(index, allocation, units, RowStatus.CREATE_AND_GO, schedule, now_s, generation)
    return [first, *hops, *wavelengths]


def cost(allocation: Allocation, unit_costs: UnitCosts) -> int:
    """Return what an allocation costs in a period."""
    hops = pairwise(allocation.path)
    return len(allocation.wavelengths) * sum(unit_costs[frozenset(hop)] for hop in hops)


def unit_costs_of(fibers: Sequence[Fiber]) -> UnitCosts:
    """Return what a wavelength costs on each fiber."""
    return {frozenset((fiber.a, fiber.b)): fiber.unit_cost for fiber in fibers}
