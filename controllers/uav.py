"""The UAV controller: swarms and chains of drones, which fly below the clouds."""

from __future__ import annotations

from controllers.fleet import Fleet, FleetConfig
from controllers.on_demand import OnDemandConfig, OnDemandController
from controllers.ports import LinkProbe, LinkSample
from protos.core import UAV_CONTROLLER, Measure
from protos.mib import MediumCode, OrderRow


class UavController(OnDemandController):
    """Serves two nodes by a chain of UAVs, deployed for each order.

    With a fleet, an order is refused when too few UAVs are ready; without one, there are always enough.
    """

    name = UAV_CONTROLLER
    medium = MediumCode.UAV

    def __init__(
        self,
        config: OnDemandConfig,
        probe: LinkProbe,
        fleet: FleetConfig | None = None,
        uavs_per_order: int = 1,
    ) -> None:
        super().__init__(config, probe)
        self._fleet = Fleet(fleet) if fleet else None
        self._uavs_per_order = uavs_per_order

    def schedule(self, row: OrderRow, sample: LinkSample, now_s: float) -> float | None:
        """Send out a chain, if there is one."""
        if self._fleet is None:
            return super().schedule(row, sample, now_s)
        service_s = self.service_s(row, sample)
        return self._fleet.try_assign(row.order, self._uavs_per_order, service_s, now_s)

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
