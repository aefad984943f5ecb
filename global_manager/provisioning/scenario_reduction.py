"""Fewer scenarios instead of many, and what that costs.

Why a Wasserstein distance bounds the error of a plan: with k units reserved, recourse costs
`c (d - k)+`, which changes by at most `c` when the demand `d` changes by one.  Moving probability from d to
d' therefore changes the expected recourse by at most `c |d - d'|` times the probability moved, whatever
k is; the least total of probability times distance is the 1-Wasserstein distance (Kantorovich and
Rubinstein).  So the cost of a plan is wrong by at most `c W`, and the plan that is best for the fewer
scenarios costs at most `2 c W` more than the best one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import fsum, inf

from global_manager.provisioning.demand import DemandParameterError
from global_manager.provisioning.model import Scenario


@dataclass(frozen=True)
class Reduced:
    """Fewer scenarios, and how far they are from all (1-Wasserstein distance)."""

    scenarios: tuple[Scenario, ...]
    wasserstein_units: float


def reduced_scenarios(scenarios: Sequence[Scenario], n: int) -> Reduced:
    """Return the at most `n` scenarios nearest to all, in 1-Wasserstein distance.

    On a line the nearest distribution on n points has one point for each of n runs of neighbouring
    demands, and the best point of a run is its median, which is one of its demands: so units stay whole,
    and dynamic programming over the ends of the runs finds the optimum, in O(n S log S) for S scenarios.
    Raises DemandParameterError unless `n >= 1`.
    """
    if n < 1:
        raise DemandParameterError("n", "at least 1", n)
    atoms = _merged(scenarios)
    if n >= len(atoms):
        return Reduced(atoms, 0.0)
    kept = []
    for run in _best_runs(atoms, n):
        probability = fsum(item.probability for item in run)
        kept.append(Scenario(_median(run).units, probability))
    return Reduced(tuple(kept), wasserstein_units(atoms, kept))


def wasserstein_units(one: Sequence[Scenario], other: Sequence[Scenario]) -> float:
    """Return the 1-Wasserstein distance: the area between the two distribution functions."""
    signed = [(item, 1) for item in one] + [(item, -1) for item in other]
    units = sorted({item.units for item, _ in signed})
    parts: dict[int, list[float]] = {unit: [] for unit in units}
    for item, sign in signed:
        parts[item.units].append(sign * item.probability)
    difference, area = 0.0, []
    for unit, after in pairwise(units):
        difference = fsum([difference, *parts[unit]])
        area.append(abs(difference) * (after - unit))
    return fsum(area)


def _merged(scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
    """Return the scenarios sorted, merged by units, without the impossible ones."""
    parts: dict[int, list[float]] = {}
    for item in scenarios:
        if item.probability > 0:
            parts.setdefault(item.units, []).append(item.probability)
    return tuple(Scenario(units, fsum(parts[units])) for units in sorted(parts))


def _median(run: Sequence[Scenario]) -> Scenario:
    """Return the first scenario at or below which half of the probability lies."""
    cumulative = list(accumulate(item.probability for item in run))
    return run[bisect_left(cumulative, cumulative[-1] / 2)]


def _best_runs(atoms: Sequence[Scenario], n: int) -> list[Sequence[Scenario]]:
    """Cut sorted scenarios into `n` runs of the least total distance from each to its median.

    The first of the best last cuts never moves left as atoms are added, so each level is found by
    divide and conquer.
    """
    mass = [0.0, *accumulate(item.probability for item in atoms)]
    moment = [0.0, *accumulate(item.probability * item.units for item in atoms)]

    def cost(start: int, end: int) -> float:
        half = (mass[start] + mass[end]) / 2
        middle = min(bisect_left(mass, half, start + 1, end), end) - 1
        below = mass[middle] - mass[start]
        above = mass[end] - mass[middle]
        low, high = moment[middle] - moment[start], moment[end] - moment[middle]
        return high - low - (above - below) * atoms[middle].units

    size = len(atoms)
    best = [0.0, *(cost(0, end) for end in range(1, size + 1))]
    cuts: list[list[int]] = []
    for level in range(2, n + 1):
        best, cut = _next_level(best, level, size, cost)
        cuts.append(cut)
    runs: list[Sequence[Scenario]] = []
    end = size
    for cut in reversed(cuts):
        runs.append(atoms[cut[end] : end])
        end = cut[end]
    return [atoms[:end], *reversed(runs)]


def _next_level(
    best: Sequence[float], level: int, size: int, cost: Callable[[int, int], float]
) -> tuple[list[float], list[int]]:
    """Return the least cost of the first `end` atoms in `level` runs, and where the last begins."""
    better, cut = [inf] * (size + 1), [0] * (size + 1)
    spans = [(level, size, level - 1, size - 1)]
    while spans:
        first, last, low, high = spans.pop()
        if first > last:
            continue
        end = (first + last) // 2
        starts = range(low, min(high, end - 1) + 1)
        better[end], cut[end] = min((best[start] + cost(start, end), start) for start in starts)
        spans += [(first, end - 1, low, cut[end]), (end + 1, last, cut[end], high)]
    return better, cut
