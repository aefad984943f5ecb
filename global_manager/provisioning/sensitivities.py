"""What one more of a scarce thing is worth in a period: a wavelength of a fiber, a unit of a pool.

Values are of the linear relaxation, so they are those of the bound: a wavelength's is its price there (a
dual, and exact for small changes only), a pool's what the bound falls by with one unit more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from global_manager.provisioning.model import Problem
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.shared_recourse import has_pools

_NOTHING = 1e-6


@dataclass(frozen=True)
class Sensitivities:
    """Values in monetary units per period.

    `wavelengths` holds (a, b, value) for every fiber, or each direction of it, whose wavelengths are
    scarce, the most valuable first; `pools` the value of a unit by the pool's name.
    """

    wavelengths: tuple[tuple[str, str, float], ...]
    pools: dict[str, float]


def sensitivities(problem: Problem) -> Sensitivities:
    """Return what more of the problem's scarce things is worth."""
    relaxation = relax(problem)
    prices = relaxation.pool.prices[: len(relaxation.instance.wavelengths)]
    ends = [
        pair
        for fiber in problem.fibers
        for pair in ((fiber.a, fiber.b), (fiber.b, fiber.a))[: 1 + problem.directed_capacity]
    ]
    scarce = [(a, b, float(p)) for (a, b), p in zip(ends, prices, strict=True) if p > _NOTHING]
    return Sensitivities(
        tuple(sorted(scarce, key=lambda item: -item[2])),
        _of_pools(problem, relaxation.lower_bound),
    )


def _of_pools(problem: Problem, bound: float) -> dict[str, float]:
    found: dict[str, float] = {}
    pools = problem.pools
    if pools is None or not has_pools(problem):
        return found
    for name in ("satellite_units", "uav_units", "uavs"):
        units = getattr(pools, name)
        if units is not None:
            larger = replace(problem, pools=replace(pools, **{name: units + 1}))
            found[name] = max(0.0, bound - relax(larger).lower_bound)
    return found
