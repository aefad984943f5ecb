"""Local search over wavelength assignments: repack every wavelength, then reroute costly requests.

Each wavelength in turn is emptied and packed again, exactly, given all others; a little noise on
the values in every other pass breaks ties differently.  What is left is concentrated in a few
requests: at the bound's prices, a request's surcharge is what it pays above the least it could
(reservation, recourse and priced wavelengths), and surcharges plus idle priced wavelengths are the
gap.  So a request with a surcharge gets its best route and units at others' expense, the wavelengths
concerned are repacked, and the whole move is undone unless it saved something.

An assignment far from the bound is annealed and repacked in turn first (`annealing`).  Where it stays far,
the search begins once more without annealing, for there are other ways down; it is short in large problems.

Packing one wavelength is the assignment program (`set_packing`).  Each request values one more
wavelength at what it saves in recourse less what its path costs.

Effort is counted in steps, never in time, and noise comes from a fixed seed: equal input, equal plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

import numpy as np

from global_manager.provisioning.annealing import Annealing, can_anneal
from global_manager.provisioning.assignment import (
    Holding,
    Route,
    Routes,
    WavelengthAssignment,
    bits,
    improve_all,
    mask_of,
)
from global_manager.provisioning.columns import ColumnPool
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.set_packing import Lightpath, SetPacking

_NOISE = 0.02
_MOVES = 6_000  # of one annealing
_HEAT = 0.25  # of what a request costs above the bound, on average
_AFTER = 60_000_000  # iterations without annealing, times fibers times requests
_SEED = 20_240_229

Perturbation = Callable[[float], float]
"""Changes a value slightly, so that ties break differently."""


@dataclass(frozen=True)
class Effort:
    """How much to try: passes over all wavelengths, single moves, and packings in total.

    Packings cost more in larger problems and are fewer there: `budget` is packings times requests,
    and single moves, which cost about twenty packings each, are limited likewise.  All packings together
    take `iterations` of the simplex method, and end with the one that exceeds them.
    `nodes` limits the multiple-choice model's branch and bound (0: only round its relaxation).  Where the
    cost is far from the bound after all that, up to `rounds` of ten moves and a pass follow; where it is
    far before, there are up to so many `annealings`.
    """

    nodes: int = 500
    passes: int = 4
    moves: int = 100
    budget: int = 200_000
    iterations: int = 35_000
    rounds: int = 6
    annealings: int = 4


def improve(
    assignment: WavelengthAssignment,
    pool: ColumnPool,
    routes: Routes,
    good_enough: float,
    effort: Effort,
    *,
    far: float | None = None,
) -> Iterator[WavelengthAssignment]:
    """Yield better and better assignments until one costs no more than `good_enough`.

    One that costs more than `far` (by default, `good_enough`) is annealed first, if it is small enough.
    """
    search, least = _Search(assignment, pool, routes, effort), inf
    still_far = good_enough if far is None else far
    if search.cost > still_far and can_anneal(assignment.instance, routes):
        yield from search.anneal_down_to(still_far)
        if search.cost > still_far:
            least = search.cost
            search = _Search(assignment, pool, routes, _shortened(effort, assignment.instance))
    moves = min(effort.moves, search.packings_left // 20)
    usual = (*[search.repack_all] * effort.passes, *[search.reroute_one] * moves)
    more = (*[search.reroute_one] * 10, search.repack_all) * effort.rounds
    for steps, target in ((usual, good_enough), (more, still_far)):
        for step in steps:
            if search.cost <= target or search.is_spent:
                break
            if step() and search.cost < least:
                yield search.assignment


def _shortened(effort: Effort, instance: Instance) -> Effort:
    """Return the effort of a search that others have gone before."""
    size = len(instance.wavelengths) * len(instance.problem.requests)
    return replace(effort, iterations=min(effort.iterations, _AFTER // max(1, size)))


class _Search:
    """A search in progress; `assignment` is always the best so far."""

    def __init__(
        self, assignment: WavelengthAssignment, pool: ColumnPool, routes: Routes, effort: Effort
    ) -> None:
        self.assignment, self.cost = assignment, assignment.cost
        self.packings_left = effort.budget // max(1, len(assignment.instance.problem.requests))
        self._iterations, self._annealings = effort.iterations, effort.annealings
        self._pool, self._routes = pool, routes
        self._rng = np.random.default_rng(_SEED)
        self._passes = 0
        self._surcharges = self._surcharge_all()

    @cached_property
    def _packing(self) -> SetPacking:
        return SetPacking(self.assignment.instance, self._routes, self._pool.prices)

    @property
    def is_spent(self) -> bool:
        """Whether no packing may follow."""
        return self.packings_left <= 0 or self._packing.iterations >= self._iterations

    def repack_all(self) -> bool:
        """Repack every wavelength once, those with the most priced room first."""
        trial = self.assignment.copy()
        perturb = self._perturb if self._passes % 2 == 0 else _unchanged
        self._passes += 1
        idle = self._idle_value(trial)
        order = sorted(range(len(idle)), key=lambda wavelength: -idle[wavelength])
        self._repack(trial, order, perturb)
        return self._accept(trial)

    def reroute_one(self) -> bool:
        """Give one request with a surcharge its best route; say whether that saved anything."""
        chances = self._surcharges + 1e-9
        request = int(self._rng.choice(len(chances), p=chances / chances.sum()))
        trial = self.assignment.copy()
        held = trial.release(request)
        choice = self._choice(trial, request)
        if choice is None:
            return False
        route, count = choice
        wavelengths = self._least_occupied(trial, route, count)
        _evict(trial, route, mask_of(wavelengths))
        trial.hold(request, route, mask_of(wavelengths))
        improve_all(trial, self._routes)
        self._repack(trial, dict.fromkeys((*wavelengths, *_wavelengths(held))), _unchanged)
        return self._accept(trial)

    def anneal_down_to(self, cost: float) -> Iterator[WavelengthAssignment]:
        """Yield better assignments by annealing and repacking in turn, until one costs no more."""
        per_request = (self.cost - self._pool.lower_bound) / len(self._surcharges)
        annealing = Annealing(self.assignment, self._pool, self._routes, _HEAT * per_request)
        for _ in range(self._annealings):
            if self.cost <= cost or self.is_spent:
                return
            annealed = self._accept(annealing.run(_MOVES))
            packed = self.repack_all()
            if annealed or packed:
                yield self.assignment
            annealing.restart(self.assignment)

    def _accept(self, trial: WavelengthAssignment) -> bool:
        """Take a trial that costs no more; say whether it costs less."""
        improve_all(trial, self._routes)
        cost = trial.cost
        if cost > self.cost + 1e-6:
            return False
        better = cost < self.cost - 1e-6
        self.assignment, self.cost = trial, cost
        self._surcharges = self._surcharge_all()
        return better

    def _repack(
        self, trial: WavelengthAssignment, wavelengths: Iterable[int], perturb: Perturbation
    ) -> None:
        for wavelength in wavelengths:
            if self.is_spent:
                return
            self.packings_left -= 1
            repack(trial, wavelength, self._packing, perturb)

    def _perturb(self, value: float) -> float:
        return value * (1 + _NOISE * self._rng.random())

    def _surcharge_all(self) -> Floats:
        """Return what every request pays above the least at the bound's prices."""
        prices, least = self._pool.prices, self._pool.group_costs
        surcharges = np.zeros(len(self.assignment.instance.problem.requests))
        for r in range(len(surcharges)):
            held = self.assignment.held.get(r)
            priced = held.count * sum(prices[e] for e in held.route.resources) if held else 0.0
            group = self.assignment.instance.group_of[r]
            surcharges[r] = max(0.0, self.assignment.cost_of(r) + priced - least[group])
        return surcharges

    def _choice(self, trial: WavelengthAssignment, request: int) -> tuple[Route, int] | None:
        """Return the route and wavelengths that cost a request least at the bound's prices, or nearly."""
        instance = trial.instance
        group = instance.group_of[request]
        best: tuple[float, Route, int] | None = None
        for route in self._routes[group]:
            priced = route.cost + float(sum(self._pool.prices[e] for e in route.resources))
            brings = route.units_per_wavelength
            count = min(instance.worth(group, priced, brings), _wavelengths_of(trial, route))
            recourse = instance.recourse_of(group, count * brings)
            cost = (priced * count + recourse) * self._noise()
            if count > 0 and (best is None or cost < best[0]):
                best = cost, route, count
        return best[1:] if best else None

    def _noise(self) -> float:
        return 1 + _NOISE / 10 * float(self._rng.random())

    def _least_occupied(self, trial: WavelengthAssignment, route: Route, count: int) -> list[int]:
        """Return the wavelengths of a route that evict the fewest lightpaths."""
        over = set(route.resources)
        overlapping = [h for h in trial.held.values() if not over.isdisjoint(h.route.resources)]
        load = Counter(wavelength for held in overlapping for wavelength in bits(held.wavelengths))
        order = self._rng.permutation(_wavelengths_of(trial, route))
        return sorted((int(c) for c in order), key=lambda wavelength: load[wavelength])[:count]

    def _idle_value(self, assignment: WavelengthAssignment) -> list[float]:
        """Return, by wavelength, the priced value of the fibers on which it is idle."""
        values = [0.0] * max(assignment.instance.wavelengths, default=0)
        for free, price in zip(assignment.free, self._pool.prices, strict=False):
            for wavelength in bits(free):
                values[wavelength] += float(price)
        return values


def _evict(assignment: WavelengthAssignment, route: Route, wavelengths: int) -> None:
    over = set(route.resources)
    for request, held in list(assignment.held.items()):
        if held.wavelengths & wavelengths and not over.isdisjoint(held.route.resources):
            assignment.drop(request, held.wavelengths & wavelengths)


def _wavelengths_of(assignment: WavelengthAssignment, route: Route) -> int:
    return min(assignment.instance.wavelengths[e] for e in route.resources)


def _wavelengths(held: Holding | None) -> list[int]:
    return bits(held.wavelengths) if held else []


def _unchanged(value: float) -> float:
    return value


def repack(
    assignment: WavelengthAssignment,
    wavelength: int,
    packing: SetPacking,
    perturb: Perturbation = lambda v: v,
) -> None:
    """Give one wavelength to the most valuable set of lightpaths."""
    bit = 1 << wavelength
    for request in [r for r, held in assignment.held.items() if held.wavelengths & bit]:
        assignment.drop(request, bit)
    _fill(assignment, bit, packing, _candidates(assignment, bit, packing.routes, perturb))


def top_up(
    assignment: WavelengthAssignment,
    wavelength: int,
    packing: SetPacking,
    requests: Collection[int],
) -> None:
    """Give what is free of one wavelength to some of the requests; none loses it."""
    bit, eligible = 1 << wavelength, set(requests)
    candidates = _candidates(assignment, bit, packing.routes, lambda v: v, eligible)
    _fill(assignment, bit, packing, candidates)


def _fill(
    assignment: WavelengthAssignment, bit: int, packing: SetPacking, candidates: list[Lightpath]
) -> None:
    for lightpath in packing.pack(candidates):
        assignment.give(lightpath.request, lightpath.route, bit)


def _candidates(
    assignment: WavelengthAssignment,
    bit: int,
    routes: Routes,
    perturb: Perturbation,
    eligible: Collection[int] | None = None,
) -> list[Lightpath]:
    """Return every lightpath worth having; of requests alike on one route, the neediest."""
    instance = assignment.instance
    if instance.most_units == 0:
        return []
    usable = {e for e, free in enumerate(assignment.free) if free & bit}
    best: dict[tuple[int, Route], tuple[float, int, bool]] = {}
    for g, group in enumerate(instance.groups):
        offers_new = True
        for request in group.members:
            if eligible is not None and request not in eligible:
                continue
            held = assignment.held.get(request)
            if held is None:
                for route in routes[g] if offers_new else ():
                    value = instance.gain(g, 0, route.units_per_wavelength) - route.cost
                    _offer(best, (g, route), (value, request, True))
                offers_new = False
            elif held.units < instance.most_units:
                brings = held.route.units_per_wavelength
                value = instance.gain(g, held.units, brings) - held.route.cost
                _offer(best, (g, held.route), (value, request, False))
    return [
        Lightpath(g, request, route, perturb(value), is_new)
        for (g, route), (value, request, is_new) in best.items()
        if usable.issuperset(route.resources)
    ]


def _offer(
    best: dict[tuple[int, Route], tuple[float, int, bool]],
    where: tuple[int, Route],
    offered: tuple[float, int, bool],
) -> None:
    if offered[0] > 0 and (where not in best or best[where][0] < offered[0]):
        best[where] = offered
