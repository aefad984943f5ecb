"""What all requests together can buy on demand in a period: one answer for the plan and for the run."""

from __future__ import annotations

from math import ceil

from emulator.experiment.config import Experiment
from emulator.experiment.uav_config import Fleet
from global_manager.provisioning.model import Pools


def pools_of(experiment: Experiment) -> Pools | None:
    """Return the shared limits of an experiment, or None if it has none.

    Where UAVs fly from a fleet at an assumed rate and no other limit is given, it is the fleet's.
    """
    limits, fleet = experiment.limits, experiment.uav.fleet
    if limits is None:
        return None
    uav_units = limits.uav_units
    if uav_units is None and fleet is not None and experiment.uav.rate == "assumed":
        uav_units = _units_of(fleet, experiment)
    return Pools(limits.satellite_units, uav_units, limits.shortfall_cost)


def _units_of(fleet: Fleet, experiment: Experiment) -> int:
    """Return how many orders a fleet can fly in every period, at worst of one unit each.

    A UAV is away for both ways, a service and the turn-round; orders come when periods begin.
    """
    uav, demand = experiment.uav, experiment.demand
    service_s = demand.scenarios * experiment.keys.unit_bits / uav.skr_bps
    away_s = 2 * uav.setup_s + service_s + fleet.turn_s
    periods_away = max(1, ceil(away_s / demand.period_s))
    return fleet.uavs // fleet.uavs_per_order // periods_away
