"""The UAV controller: swarms and chains of drones, which fly below the clouds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from controllers.fleet import Fleet, FleetConfig
from controllers.on_demand import OnDemandConfig, OnDemandController
from controllers.ports import LinkSample, UavProbe
from protos.core import UAV_CONTROLLER, Measure
from protos.mib import OrderRow
from protos.syntax import MediumCode


@dataclass(frozen=True)
class FlightConfig:
    """How many UAVs an order takes, and whether weather can end a flight.

    `chains` holds the length of the chain between two nodes, by their names in order; other orders take
    `uavs_per_order`.  Every `look_s` the links of all flights are looked at; None: nothing ends a flight.
    """

    uavs_per_order: int = 1
    chains: Mapping[tuple[str, str], int] = field(default_factory=dict)
    look_s: float | None = None

    def uavs(self, row: OrderRow) -> int:
        """Return how many UAVs an order takes."""
        first, second = sorted((row.source, row.target))
        return self.chains.get((first, second), self.uavs_per_order)


class UavController(OnDemandController):
    """Serves two nodes by a chain of UAVs, deployed for each order.

    With a fleet, an order is refused when too few UAVs are ready; without one, there are always enough.
    A flight whose link is lost is called home, and its order has failed; so has one that loses a UAV.
    """

    name = UAV_CONTROLLER
    medium = MediumCode.UAV

    def __init__(
        self,
        config: OnDemandConfig,
        probe: UavProbe,
        fleet: FleetConfig | None = None,
        flights: FlightConfig = FlightConfig(),
    ) -> None:
        super().__init__(config, probe)
        self._air = probe
        self._took_off: dict[int, tuple[float, int]] = {}
        self._fleet = Fleet(fleet) if fleet else None
        self._flights = flights
        self._looked_s = 0.0

    def schedule(self, row: OrderRow, sample: LinkSample, now_s: float) -> float | None:
        """Send out a chain, if there is one."""
        self._took_off[row.order] = now_s, 0
        if self._fleet is None:
            return super().schedule(row, sample, now_s)
        self._fleet.lose(self._air.lost_uavs(now_s, now_s))
        service_s, chain = self.service_s(row, sample), self._flights.uavs(row)
        ready_s = self._fleet.try_assign(row.order, chain, service_s, now_s)
        if ready_s is not None:
            self._took_off[row.order] = now_s, min(self._fleet.out_for(row.order))
        return ready_s

    def conclude(self, row: OrderRow, now_s: float) -> str:
        """Return that a UAV of the chain was lost, if one was."""
        start_s, first_uav = self._took_off.pop(row.order, (now_s, 0))
        lost = self._air.lost_uavs(start_s, now_s)
        return "a UAV of the chain was lost" if lost > first_uav and self._counts(lost) else ""

    def _counts(self, lost: float) -> bool:
        """Whether a loss matters: without a fleet, only that of all UAVs."""
        return self._fleet is not None or lost == inf

    def measures(self) -> list[Measure]:
        """Return those of every on-demand controller, and where the fleet is."""
        if self._fleet is None:
            return super().measures()
        states = {
            "ready": self._fleet.ready,
            "flying": self._fleet.flying,
            "charging": self._fleet.charging,
        }
        fleet = [Measure("uavs", (("state", state),), count) for state, count in states.items()]
        return [*super().measures(), *fleet]

    def _act(self, now_s: float) -> None:
        """Call home flights that weather has caught; then do what every on-demand controller does."""
        if self._fleet is not None:
            self._fleet.advance(now_s)
            self._fleet.lose(self._air.lost_uavs(now_s, now_s))
        if self._flights.look_s is not None:
            self._looked_s = now_s
            self._call_home(now_s)
        super()._act(now_s)

    def _call_home(self, now_s: float) -> None:
        for order in [each for each in self._orders.values() if not each.sent]:
            ends = (order.row.source, order.row.target)
            if not self._usable(self._probe.sample(self.medium, *ends, now_s)):
                if self._fleet is not None:
                    self._fleet.recall(order.row.order, now_s)
                self._fail(order, f"UAVs between {' and '.join(ends)} were called home", now_s)

    def _due_s(self) -> float | None:
        due_s, look_s = super()._due_s(), self._flights.look_s
        if look_s is None or all(order.sent for order in self._orders.values()):
            return due_s
        return min(self._looked_s + look_s, *([] if due_s is None else [due_s]))
