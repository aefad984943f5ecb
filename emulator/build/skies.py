"""Which media can serve a request, as far as a plan can know: by how often, and with which demand.

Satellites serve as orbits, night, clouds and forecasts that fail have it; UAVs fly unless fog, wind or
daylight keep them from it.  Both are looked at as an order meets them that is made when its period begins.
What the schedule of an experiment does to the sky is not foreseen.  Where demand follows the hours, those
of much demand may have another sky than others, so each demand of a request has a sky of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from math import fsum
from statistics import fmean

from emulator.build.demand import as_scenarios, plan_profile_of
from emulator.build.environment import timeline_of
from emulator.build.free_space import flown_of, served_of
from emulator.build.setup import Setup, part
from emulator.world.demand import Law
from global_manager.provisioning.model import Request, Scenario, Sky

_MOST_LOOKS = 2_000
"""At the air over two nodes; of longer runs as many periods, spread evenly, are looked at."""

OfPeriods = Callable[[str, str, Sequence[int]], Sky]


@part
def sky_over(setup: Setup) -> Callable[[str, str], Sky]:
    """Return the sky over two nodes in all periods of the run."""
    return sky_in(setup, range(timeline_of(setup).periods))


def sky_in(setup: Setup, periods: Sequence[int]) -> Callable[[str, str], Sky]:
    """Return the sky over two nodes in some periods of the run."""
    of_periods = _of_periods(setup)
    looked_at = periods if flown_of(setup) is None else _some(periods)
    return cache(lambda a, b: of_periods(a, b, looked_at))


@part
def varies(setup: Setup) -> bool:
    """Return whether the sky of one period may differ from that of another, but for chance."""
    return served_of(setup) is not None or flown_of(setup) is not None


def with_skies(
    setup: Setup, requests: Sequence[Request], periods: Sequence[int]
) -> tuple[Request, ...]:
    """Return requests whose demands have skies of their own, where both follow the hours.

    The chance of a demand stays what it is.
    """
    if not setup.experiment.demand.hours or not varies(setup):
        return tuple(requests)
    seen = _skies_by_law(setup, periods)
    return tuple(
        item
        if item.scenarios is None
        else replace(item, scenarios=_with_skies(item.scenarios, seen(index, item)))
        for index, item in enumerate(requests)
    )


def grounded_share(requests: Iterable[Request]) -> float:
    """Return how often UAVs are grounded, on average over requests."""
    return fmean(
        fsum(chance for chance, _, flies in item.on_demand.sky.cases() if not flies)
        for item in requests
    )


_Part = tuple[float, tuple[Scenario, ...], Sky]


def _skies_by_law(setup: Setup, periods: Sequence[int]) -> Callable[[int, Request], list[_Part]]:
    """Return, for a request, each of its laws by how often it has it, and the sky of these hours."""
    profile, timeline, of_periods = plan_profile_of(setup), timeline_of(setup), _of_periods(setup)
    looked_at = _some(periods)

    def parts(index: int, item: Request) -> list[_Part]:
        under: dict[Law, list[int]] = {}
        for period in looked_at:
            law = profile.law(index, timeline.begins_s(period)) if profile else None
            under.setdefault(law or (), []).append(period)
        return [
            (
                len(own) / len(looked_at),
                as_scenarios(law),
                of_periods(item.source, item.target, own),
            )
            for law, own in under.items()
        ]

    return parts


def _with_skies(scenarios: Sequence[Scenario], parts: Sequence[_Part]) -> tuple[Scenario, ...]:
    """Return scenarios with the mean sky of the hours in which they come, by how likely they do."""
    weights: dict[int, list[tuple[float, Sky]]] = {}
    for share, law, sky in parts:
        for item in law:
            weights.setdefault(item.units, []).append((share * item.probability, sky))
    return tuple(
        replace(item, sky=_mean(weights.get(item.units, []))) if item.probability > 0 else item
        for item in scenarios
    )


def _mean(weighted: Sequence[tuple[float, Sky]]) -> Sky | None:
    """Return the mixture of skies; None of nothing."""
    total = fsum(weight for weight, _ in weighted)
    if total <= 0:
        return None
    cases: dict[tuple[bool, bool], float] = defaultdict(float)
    for weight, sky in weighted:
        for chance, can, flies in sky.cases():
            cases[can, flies] += weight * chance / total
    usable, without = (cases[can, True] + cases[can, False] for can in (True, False))
    return Sky(
        min(1.0, usable),
        (_share(cases[True, False], usable), _share(cases[False, False], without)),
    )


def _share(part_: float, whole: float) -> float:
    return min(1.0, part_ / whole) if whole > 0 else 0.0


@part
def _of_periods(setup: Setup) -> OfPeriods:
    served, flies = served_of(setup), flown_of(setup)
    chance = setup.experiment.satellite.probability if served is None else None

    def sky(a: str, b: str, periods: Sequence[int]) -> Sky:
        seen = Counter(
            (served is not None and served(a, b, p), flies is None or flies(a, b, p))
            for p in (periods if served or flies else ())
        )
        usable = seen[True, True] + seen[True, False]
        if chance is None:
            ways = {can: seen[can, True] + seen[can, False] for can in (True, False)}
            shares = (_share(seen[can, False], ways[can]) for can in ways)
            return Sky(_share(usable, seen.total()), (next(shares), next(shares)))
        grounded = _share(seen[False, False], seen.total())
        return Sky(chance, (grounded, grounded))

    return sky


def _some(periods: Sequence[int]) -> Sequence[int]:
    """Return periods spread evenly over those given, no more than can be looked at."""
    if len(periods) <= _MOST_LOOKS:
        return periods
    return [periods[n * len(periods) // _MOST_LOOKS] for n in range(_MOST_LOOKS)]
