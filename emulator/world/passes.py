"""When a satellite passes over a ground site.

Times are seconds since the constellation's epoch; elevations are geometric, without refraction.
Pure functions: the same answer in any process.  Clouds and keys are not known here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emulator.world.orbits import Constellation, Floats, OrbitError, require_between
from emulator.world.visibility import Site, sights

_STEP_S = 10.0  # between samples that passes are searched in


@dataclass(frozen=True)
class Pass:
    """One satellite above a site's horizon mask, cut off where the search begins and ends."""

    satellite: str
    site: str
    rise_s: float
    set_s: float
    culmination_s: float
    max_elevation_deg: float
    min_range_km: float


def passes_over(
    constellation: Constellation,
    sites: Sequence[Site],
    start_s: float,
    end_s: float,
    min_elevation_deg: float = 20.0,
) -> list[Pass]:
    """Return the passes over all sites, by rise, then satellite; of equals in order of sites.

    Sampled every 10 s, then refined by parabolas: edges to 0.02 s, the highest elevation to 0.02
    degrees (0.3 right under the zenith).  A satellite that stays up has one pass, as long as the
    search.  Raises OrbitError.
    """
    require_between("search", "min_elevation_deg", min_elevation_deg, 0, 89)
    times_s = _grid(start_s, end_s, _STEP_S)
    positions_km = constellation.positions_km(times_s)
    mask = math.sin(math.radians(min_elevation_deg))
    found: list[Pass] = []
    for site in sites:
        sine, square = sights(positions_km, [site])
        for index, name in enumerate(constellation.names):
            above = sine[index, 0] - mask
            for rise_s, set_s in _stretches_above_zero(times_s, above):
                top_s, top = _peak(times_s, above, rise_s, set_s)
                _, nearest = _peak(times_s, -square[index, 0], rise_s, set_s)
                elevation_deg = math.degrees(math.asin(min(1.0, top + mask)))
                nearest_km = math.sqrt(-nearest)
                found.append(Pass(name, site.name, rise_s, set_s, top_s, elevation_deg, nearest_km))
    return sorted(found, key=lambda each: (each.rise_s, each.satellite))


def _grid(start_s: float, end_s: float, step_s: float) -> Floats:
    """Return samples from start to end, both included, at most a step apart, and at least three."""
    if not start_s < end_s:
        raise OrbitError("end_s", f"must be after {start_s}, not {end_s}")
    return np.linspace(start_s, end_s, max(3, math.ceil((end_s - start_s) / step_s) + 1))


def _stretches_above_zero(times_s: Floats, values: Floats) -> list[tuple[float, float]]:
    """Return where a smooth function, sampled evenly, is positive; peaks between samples too."""
    above = values > 0
    edges = np.flatnonzero(above[1:] != above[:-1])
    ends = [_edge_s(times_s, values, int(edge)) for edge in edges]
    if above[0]:
        ends.insert(0, float(times_s[0]))
    if above[-1]:
        ends.append(float(times_s[-1]))
    found = list(zip(ends[::2], ends[1::2], strict=True))
    before, middle, after = values[:-2], values[1:-1], values[2:]
    highest = (middle <= 0) & (middle >= before) & (middle > after)
    for index in np.flatnonzero(highest) + 1:
        square, slope, value = _parabola(values, int(index))
        reach = slope**2 - 4 * square * value
        if reach > 0 and after[index - 1] <= 0 and before[index - 1] <= 0:
            center, half = -slope / (2 * square), math.sqrt(reach) / (2 * abs(square))
            step_s = float(times_s[1] - times_s[0])
            at_s = float(times_s[index])
            found.append((at_s + (center - half) * step_s, at_s + (center + half) * step_s))
    return sorted(found)


def _edge_s(times_s: Floats, values: Floats, index: int) -> float:
    """Return when a sampled function passes zero, between samples `index` and the next."""
    middle = max(1, index)
    square, slope, value = _parabola(values, middle)
    low, high = (0.0, 1.0) if middle == index else (-1.0, 0.0)
    rising = values[index + 1] > 0
    for _ in range(40):
        half = (low + high) / 2
        if (value + half * (slope + half * square) > 0) == rising:
            high = half
        else:
            low = half
    return float(times_s[middle] + low * (times_s[1] - times_s[0]))


def _peak(times_s: Floats, values: Floats, start_s: float, end_s: float) -> tuple[float, float]:
    """Return when and how high a sampled function is highest in a stretch."""
    step_s = float(times_s[1] - times_s[0])
    first = math.floor((start_s - times_s[0]) / step_s)
    last = math.ceil((end_s - times_s[0]) / step_s)
    top = first + int(np.argmax(values[first : last + 1]))
    middle = min(max(top, 1), len(values) - 2)
    square, slope, value = _parabola(values, middle)
    offset = -slope / (2 * square) if square < 0 else float(top - middle)
    low, high = ((edge - float(times_s[middle])) / step_s for edge in (start_s, end_s))
    offset = min(max(offset, low), high)
    return float(times_s[middle]) + offset * step_s, value + offset * (slope + offset * square)


def _parabola(values: Floats, middle: int) -> tuple[float, float, float]:
    """Return the coefficients of the parabola through three samples, in steps from the middle."""
    before, here, after = (float(values[middle + shift]) for shift in (-1, 0, 1))
    return (before + after) / 2 - here, (after - before) / 2, here
