"""The distribution of demand: how many units a request may need in a period, and how likely.

Scenario i means "every request needs i units"; probabilities are those of the distribution at
0 .. scenarios-1, renormalised, as in the paper's evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, factorial

from global_manager.provisioning.model import Scenario


def poisson_scenarios(mean_units: float, scenarios: int) -> tuple[Scenario, ...]:
    """Return `scenarios` futures, Poisson-distributed around `mean_units` and renormalised.

    Raises `ValueError` unless `mean_units > 0` and `scenarios >= 1`.
    """
    if mean_units <= 0 or scenarios < 1:
        raise ValueError(f"need mean_units > 0 and scenarios >= 1, not {mean_units}, {scenarios}")
    weights = [exp(-mean_units) * mean_units**i / factorial(i) for i in range(scenarios)]
    total = sum(weights)
    return tuple(Scenario(units, weight / total) for units, weight in enumerate(weights))


def mean_units(scenarios: Sequence[Scenario]) -> float:
    """Return the expected demand of one request in one period."""
    return sum(scenario.probability * scenario.units for scenario in scenarios)
