"""What a shortfall is expected to cost, collapsed over all scenarios into one table.

On-demand units of different requests compete for nothing, so the second stage separates: with `k`
units reserved, a request pays `Q(k) = c * E[(d - k)+]`, where `c` is its expected on-demand cost of
one unit and `d` the demand.  Q is convex and piecewise linear with whole breakpoints; it replaces
every second-stage variable exactly, and the size of a model no longer depends on the number of
scenarios.  Where hours of much demand have another sky, c depends on d and stays inside the expectation.
See Birge and Louveaux, Introduction to Stochastic Programming (simple recourse).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import OnDemand, Scenario, Sky

Floats = NDArray[np.float64]


def expected_unit_cost(on_demand: OnDemand, sky: Sky | None = None) -> float:
    """Return the expected cost of one missing unit: of the cheapest medium that can serve, or of its loss.

    `sky` replaces that of the request.
    """
    sky, lost = sky or on_demand.sky, on_demand.shortfall_cost
    flown = min(on_demand.uav_cost, lost)
    with_satellite = _mixed(sky.grounded[0], on_demand.satellite_cost, flown, lost)
    without = _mixed(sky.grounded[1], lost, flown, lost)
    return sky.satellite * with_satellite + (1 - sky.satellite) * without


def _mixed(grounded: float, satellite: int, flown: int, lost: int) -> float:
    return (1 - grounded) * min(satellite, flown) + grounded * min(satellite, lost)


def has_skies(scenarios: Sequence[Scenario]) -> bool:
    """Return whether the sky depends on demand."""
    return any(item.sky is not None for item in scenarios)


def recourse_under_skies(on_demand: OnDemand, scenarios: Sequence[Scenario]) -> Floats:
    """Return Q where the sky depends on demand: `sum of P(d) c(d) (d - k)+`; shape (K + 1,)."""
    weighted = (
        Scenario(item.units, item.probability * expected_unit_cost(on_demand, item.sky))
        for item in scenarios
    )
    found = expected_missing_units(tuple(weighted))
    row = np.zeros(largest_demand(scenarios) + 1)
    row[: len(found)] = found
    return row


def largest_demand(scenarios: Sequence[Scenario]) -> int:
    """Return the most units that any scenario of positive probability asks for."""
    return max((s.units for s in scenarios if s.probability > 0), default=0)


def expected_missing_units(scenarios: Sequence[Scenario]) -> Floats:
    """Return `E[(d - k)+]` for k = 0 .. K, K the largest demand; shape (K + 1,)."""
    mass = np.zeros(largest_demand(scenarios) + 1)
    for scenario in scenarios:
        if scenario.probability > 0:
            mass[scenario.units] += scenario.probability
    exceeds = np.cumsum(mass[::-1])[::-1]  # P(d >= k)
    missing = np.zeros(len(mass))
    missing[:-1] = np.cumsum(exceeds[:0:-1])[::-1]  # E[(d - k)+] = sum over j > k of P(d >= j)
    return missing


def missing_table(demands: Sequence[Sequence[Scenario]]) -> Floats:
    """Return `E[(d - k)+]` of every demand; shape (demands, K + 1), K the largest of all."""
    rows = [expected_missing_units(scenarios) for scenarios in demands]
    table = np.zeros((len(rows), max(map(len, rows), default=1)))
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
    return table


def recourse_table(unit_costs: Sequence[float], missing_units: Floats) -> Floats:
    """Return Q of every request and reservation; both shapes are (requests, K + 1)."""
    return np.asarray(unit_costs, dtype=float)[:, None] * missing_units


def newsvendor_units(path_cost: float, on_demand_cost: float, missing_units: Floats) -> int:
    """Return the least k with `P(d > k) <= path_cost / on_demand_cost`: best if no fiber binds.

    With missing units by wavelengths, of which each brings several units, k is a number of these.
    """
    no_longer_missing = missing_units[:-1] - missing_units[1:]  # P(d > k), with a unit each
    worth_reserving = on_demand_cost * no_longer_missing > path_cost
    return int(np.count_nonzero(worth_reserving))


def rounded_mean(scenarios: Sequence[Scenario], rounding: str) -> int:
    """Return the mean demand as whole units, by `floor`, `nearest` (half up) or `up`."""
    steady = round(mean_units(scenarios), 9)  # 2.9999999999 is a sum of probabilities, not a demand
    how = {"floor": floor(steady), "nearest": floor(steady + 0.5), "up": ceil(steady)}
    if rounding not in how:
        raise ValueError(f"rounding must be one of {', '.join(how)}, not {rounding!r}")
    return how[rounding]
