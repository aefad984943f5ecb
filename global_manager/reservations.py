"""How an allocation of a plan is written as rows of the fiber controller's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from global_manager.provisioning.model import Allocation, Fiber
from protos.core import Timeline
from protos.mib import (
    ReservationHopRow,
    ReservationRow,
    ReservationWavelengthRow,
    Row,
    RowStatus,
)

UnitCosts = Mapping[frozenset[str], int]
"""What a unit costs in a period on each fiber, by its two ends."""


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


def head(  # noqa: PLR0917
    index: int,
    allocation: Allocation,
    status: RowStatus,
    schedule: ReservationSchedule,
    now_s: float,
    generation: int = 0,
) -> ReservationRow:
    """Return the row that names a reservation; alone, with status destroy, it takes it down."""
    start_s = now_s + schedule.setup_s
    return ReservationRow(
        request=index,
        request_id=allocation.request,
        source=allocation.source,
        target=allocation.target,
        units=allocation.units,
        start_ms=round(start_s * 1000),
        due_ms=round(schedule.next_epoch_s(start_s) * 1000),
        period_ms=round(schedule.timeline.period_s * 1000),
        row_status=status,
        generation=generation,
    )


def rows(
    index: int,
    allocation: Allocation,
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
    first = head(index, allocation, RowStatus.CREATE_AND_GO, schedule, now_s, generation)
    return [first, *hops, *wavelengths]


def cost(allocation: Allocation, unit_costs: UnitCosts) -> int:
    """Return what an allocation costs in a period."""
    return allocation.units * sum(unit_costs[frozenset(hop)] for hop in pairwise(allocation.path))


def unit_costs_of(fibers: Sequence[Fiber]) -> UnitCosts:
    """Return what a unit costs on each fiber."""
    return {frozenset((fiber.a, fiber.b)): fiber.unit_cost for fiber in fibers}
