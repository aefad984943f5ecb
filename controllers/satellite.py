"""The satellite controller: key from orbit, refused when pass, night or sky forbid it."""

from __future__ import annotations

from controllers.on_demand import OnDemandController
from protos.core import SATELLITE_CONTROLLER
from protos.mib import MediumCode


class SatelliteController(OnDemandController):
    """Serves two ground stations from one satellite."""

    name = SATELLITE_CONTROLLER
    medium = MediumCode.SATELLITE
