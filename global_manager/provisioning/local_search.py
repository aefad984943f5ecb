"""Local search over wavelength assignments: repack every wavelength, then reroute costly requests.

Each wavelength in turn is emptied and packed again, exactly, given all others; a little noise on
the values in every other pass breaks ties differently.  What is left is concentrated in a few
requests: at the bound's prices, a request's surcharge is what it pays above the least it could
(reservation, recourse and priced wavelengths), and surcharges plus idle priced wavelengths are the
gap.  So a request with a surcharge gets its best route and units at others' expense, the wavelengths
concerned are repacked, and the whole move is undone unless it saved something.

Packing one wavelength is a weighted set packing over fibers.  Each request values one more unit at
what it saves in recourse less what its path costs; a request that holds other wavelengths is bound
to its path:

    maximise  sum_i value_i light_i
    fiber     sum_{i over e} light_i <= 1     for every fiber e that carries the wavelength
    request   sum_{i of r} light_i   <= 1     for every request r

This is the path-wavelength model restricted to one wavelength; the literature calls its answer, a
set of edge-disjoint lightpaths, a wavelength configuration.

Effort is counted in steps, never in time, and noise comes from a fixed seed: equal input, equal plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import highspy
import numpy as np

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
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.solver import QuietHighs

_NOISE = 0.02
_SEED = 20_240_229
_MOST_CANDIDATES = 400

Perturbation = Callable[[float], float]
"""Changes a value slightly, so that ties break differently."""


@dataclass(frozen=True)
class Effort:
    """How much to try: passes over all wavelengths, single moves, and packings in total.

    Packings cost more in larger problems and are fewer there: `budget` is packings times requests,
    and single moves, which cost about twenty packings each, are limited likewise.
    `nodes` limits the multiple-choice model's branch and bound (0: only round its relaxation).
    """

    nodes: int = 500
    passes: int = 4
    moves: int = 100
    budget: int = 200_000


@dataclass(frozen=True)
class Lightpath:
    """A request on a route on the wavelength at hand, and what lighting it saves."""

    request: int
    route: Route
    value: float


def improve(
    assignment: WavelengthAssignment,
    pool: ColumnPool,
    routes: Routes,
    good_enough: float,
    effort: Effort,
) -> Iterator[WavelengthAssignment]:
    """Yield better and better assignments until one costs no more than `good_enough`."""
    search = _Search(assignment, pool, routes, effort)
    moves = min(effort.moves, search.packings_left // 20)
    for step in (*[search.repack_all] * effort.passes, *[search.reroute_one] * moves):
        if search.cost <= good_enough or search.packings_left <= 0:
            return
        if step():
            yield search.assignment


class _Search:
    """A search in progress; `assignment` is always the best so far."""

    def __init__(
        self, assignment: WavelengthAssignment, pool: ColumnPool, routes: Routes, effort: Effort
    ) -> None:
        self.assignment, self.cost = assignment, assignment.cost
        self.packings_left = effort.budget // max(1, len(assignment.instance.problem.requests))
        self._pool, self._routes = pool, routes
        self._rng = np.random.default_rng(_SEED)
        self._passes = 0
        self._surcharges = self._surcharge_all()

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
        route, units = choice
        wavelengths = self._least_occupied(trial, route, units)
        _evict(trial, route, mask_of(wavelengths))
        trial.hold(request, route, mask_of(wavelengths))
        improve_all(trial, self._routes)
        self._repack(trial, dict.fromkeys((*wavelengths, *_wavelengths(held))), _unchanged)
        return self._accept(trial)

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
            if self.packings_left <= 0:
                return
            self.packings_left -= 1
            repack(trial, wavelength, self._routes, self._pool.prices, perturb)

    def _perturb(self, value: float) -> float:
        return value * (1 + _NOISE * self._rng.random())

    def _surcharge_all(self) -> Floats:
        """Return what every request pays above the least at the bound's prices."""
        prices, least = self._pool.prices, self._pool.group_costs
        surcharges = np.zeros(len(self.assignment.instance.problem.requests))
        for r in range(len(surcharges)):
            held = self.assignment.held.get(r)
            priced = held.units * sum(prices[e] for e in held.route.resources) if held else 0.0
            group = self.assignment.instance.group_of[r]
            surcharges[r] = max(0.0, self.assignment.cost_of(r) + priced - least[group])
        return surcharges

    def _choice(self, trial: WavelengthAssignment, request: int) -> tuple[Route, int] | None:
        """Return the route and units that cost a request least at the bound's prices, or nearly."""
        instance = trial.instance
        group = instance.group_of[request]
        best: tuple[float, Route, int] | None = None
        for route in self._routes[group]:
            priced = route.cost + float(sum(self._pool.prices[e] for e in route.resources))
            units = min(instance.worth(group, priced), _wavelengths_of(trial, route))
            cost = (priced * units + float(instance.recourse[group, units])) * self._noise()
            if units > 0 and (best is None or cost < best[0]):
                best = cost, route, units
        return best[1:] if best else None

    def _noise(self) -> float:
        return 1 + _NOISE / 10 * float(self._rng.random())

    def _least_occupied(self, trial: WavelengthAssignment, route: Route, units: int) -> list[int]:
        """Return the wavelengths of a route that evict the fewest lightpaths."""
        over = set(route.resources)
        overlapping = [h for h in trial.held.values() if not over.isdisjoint(h.route.resources)]
        load = Counter(wavelength for held in overlapping for wavelength in bits(held.wavelengths))
        order = self._rng.permutation(_wavelengths_of(trial, route))
        return sorted((int(c) for c in order), key=lambda wavelength: load[wavelength])[:units]

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
    routes: Routes,
    prices: Floats,
    perturb: Perturbation = lambda v: v,
) -> None:
    """Give one wavelength to the most valuable set of lightpaths.

    Of many candidates only those worth most above the `prices` of their fibers take part.
    """
    bit = 1 << wavelength
    for request in [r for r, held in assignment.held.items() if held.wavelengths & bit]:
        assignment.drop(request, bit)
    _fill(assignment, bit, _candidates(assignment, bit, routes, perturb), prices)


def top_up(
    assignment: WavelengthAssignment,
    wavelength: int,
    routes: Routes,
    prices: Floats,
    requests: Collection[int],
) -> None:
    """Give what is free of one wavelength to some of the requests; none loses it."""
    bit, eligible = 1 << wavelength, set(requests)
    candidates = _candidates(assignment, bit, routes, lambda v: v, eligible)
    _fill(assignment, bit, candidates, prices)


def _fill(
    assignment: WavelengthAssignment, bit: int, candidates: list[Lightpath], prices: Floats
) -> None:
    for lightpath in pack(_most_promising(candidates, prices)):
        assignment.give(lightpath.request, lightpath.route, bit)


def pack(lightpaths: Sequence[Lightpath]) -> list[Lightpath]:
    """Return the most valuable lightpaths of which no two share a fiber or a request."""
    if not lightpaths:
        return []
    highs = QuietHighs()
    for option, value in (("threads", 1), ("mip_rel_gap", 1e-6), ("mip_max_nodes", 1_000)):
        highs.setOptionValue(option, value)
    highs.passModel(_model(lightpaths))
    highs.run()
    chosen = highs.getSolution().col_value
    return _disjoint(lp for lp, x in zip(lightpaths, chosen, strict=False) if x > 0.5)


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
    marginal = instance.recourse[:, :-1] - instance.recourse[:, 1:]
    usable = {e for e, free in enumerate(assignment.free) if free & bit}
    best: dict[tuple[int, Route], tuple[float, int]] = {}
    for g, group in enumerate(instance.groups):
        idle = False
        for request in group.members:
            if eligible is not None and request not in eligible:
                continue
            held = assignment.held.get(request)
            if held is None:
                if not idle:
                    _offer_all(best, g, request, routes[g], float(marginal[g, 0]))
                idle = True
            elif held.units < instance.most_units:
                value = float(marginal[g, held.units]) - held.route.cost
                _offer(best, (g, held.route), value, request)
    return [
        Lightpath(request, route, perturb(value))
        for (_, route), (value, request) in best.items()
        if usable.issuperset(route.resources)
    ]


def _most_promising(candidates: list[Lightpath], prices: Floats) -> list[Lightpath]:
    if len(candidates) <= _MOST_CANDIDATES:
        return candidates
    surplus = [c.value - float(prices[list(c.route.resources)].sum()) for c in candidates]
    order = sorted(range(len(candidates)), key=lambda i: -surplus[i])
    return [candidates[i] for i in order[:_MOST_CANDIDATES]]


def _offer_all(
    best: dict[tuple[int, Route], tuple[float, int]],
    group: int,
    request: int,
    routes: Iterable[Route],
    saved: float,
) -> None:
    for route in routes:
        _offer(best, (group, route), saved - route.cost, request)


def _offer(
    best: dict[tuple[int, Route], tuple[float, int]],
    where: tuple[int, Route],
    value: float,
    request: int,
) -> None:
    if value > 0 and (where not in best or best[where][0] < value):
        best[where] = value, request


def _model(lightpaths: Sequence[Lightpath]) -> highspy.HighsLp:
    """Return the set packing as the solver takes it: one column per lightpath, sparse by column."""
    rows: dict[tuple[str, int], int] = {}
    starts: list[int] = [0]
    indices: list[int] = []
    for lightpath in lightpaths:
        over = [("fiber", e) for e in lightpath.route.resources]
        own = [*over, ("request", lightpath.request)]
        indices.extend([rows.setdefault(row, len(rows)) for row in own])
        starts.append(len(indices))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(lightpaths), len(rows)
    lp.col_cost_ = np.array([-lightpath.value for lightpath in lightpaths])
    lp.col_lower_, lp.col_upper_ = np.zeros(len(lightpaths)), np.ones(len(lightpaths))
    lp.row_lower_, lp.row_upper_ = np.full(len(rows), -highspy.kHighsInf), np.ones(len(rows))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = np.array(starts), np.array(indices)
    lp.a_matrix_.value_ = np.ones(len(indices))
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(lightpaths)
    return lp


def _disjoint(chosen: Iterable[Lightpath]) -> list[Lightpath]:
    """Keep lightpaths that share no fiber and no request with earlier ones: a solver may err."""
    fibers: set[int] = set()
    requests: set[int] = set()
    kept = []
    for lightpath in chosen:
        apart = fibers.isdisjoint(lightpath.route.resources)
        if apart and lightpath.request not in requests:
            fibers.update(lightpath.route.resources)
            requests.add(lightpath.request)
            kept.append(lightpath)
    return kept
