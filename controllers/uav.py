"""The UAV controller: swarms and chains of drones, which fly below the clouds."""

from __future__ import annotations

from controllers.on_demand import OnDemandController
from protos.core import UAV_CONTROLLER
from protos.mib import MediumCode


class UavController(OnDemandController):
    """Serves two nodes by a chain of UAVs, deployed for each order."""

    name = UAV_CONTROLLER
    medium = MediumCode.UAV
