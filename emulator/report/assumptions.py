"""How much of a run's key and cost rests on rates that are assumed, not computed from devices.

A free-space service is computed from orbits or from a chain of UAVs, or the experiment assumes what it
offers.  Rates of fibers are always computed.  Devices that nobody has built may be behind a computed rate;
that is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.config.experiment import Experiment


def assumed_media(experiment: Experiment) -> list[str]:
    """Return the media whose rate the experiment assumes; satellites that never serve have none."""
    satellite = experiment.satellite
    is_assumed = {
        "satellite": satellite.orbits is None and satellite.probability > 0,
        "uav": experiment.uav.rate == "assumed",
    }
    return [medium for medium, assumed in is_assumed.items() if assumed]


def assumed_rates(
    media: list[str], served_units: Mapping[str, int], cost: Mapping[str, float]
) -> dict[str, Any]:
    """Return the media whose rate is assumed, and their shares of served key and of cash; 0 of nothing."""
    key, cash = sum(served_units.values()), cost["cash"]
    return {
        "media": media,
        "share_of_key": sum(served_units[each] for each in media) / key if key else 0.0,
        "share_of_cost": sum(cost[each] for each in media) / cash if cash else 0.0,
    }


def sentence(assumed: Mapping[str, Any]) -> str:
    """Return the same for a reader."""
    words = {"satellite": "satellites", "uav": "UAVs"}
    of = " and ".join(words[medium] for medium in assumed["media"])
    shares = (
        f"{assumed['share_of_key']:.1%} of the key and {assumed['share_of_cost']:.1%} of the cash"
    )
    if not of:
        return f"No rate is assumed: {shares} rest on one."
    return f"The rate of {of} is assumed: {shares} rest on it."
