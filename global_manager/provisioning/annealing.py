"""Simulated annealing over wavelength assignments: a request takes what it wants, others give way.

A move draws a request and one of its routes, by how little the route costs above the least at the
bound's prices.  Every wavelength of the route has a price: what those who hold it would lose.  The request
takes the number of wavelengths that is best at these prices, times a random discount; whoever loses some
moves to the best that is free then.  What the whole move costs is exact, and it is taken back unless it is
drawn to stay (Kirkpatrick, Gelatt and Vecchi, Optimization by simulated annealing, 1983).

Always: every request holds one route only, and a wavelength of a fiber has one holder at most.  Moves are
counted, never timed, and drawn from a fixed seed: equal input, equal plan.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import exp, fsum, inf, log

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.assignment import (
    Route,
    Routes,
    WavelengthAssignment,
    bits,
    mask_of,
)
from global_manager.provisioning.columns import ColumnPool
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats

_LARGEST = 200_000  # fibers times wavelengths, and costs in the tables of all groups
_RECOVERED = 0.3  # a move is not tried if it were too dear though its victims lost only this much
_NOISE = 0.3
_COLDEST = 1 / 20  # of the heat at the beginning
_SEED = 20_240_229

Integers = NDArray[np.int64]
_Place = tuple[int, Integers]
"""The number of a route among its group's, and wavelengths on it."""

_NOWHERE: _Place = (0, np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class _Offers:
    """A group's routes: their fibers, what k wavelengths cost with recourse, and the chances to be drawn.

    `fibers` has shape (routes, longest route), filled up with a row that is free throughout; `costs`
    (routes, most wavelengths + 1); `chances` are cumulative.
    """

    routes: tuple[Route, ...]
    fibers: Integers
    costs: Floats
    chances: Floats


def can_anneal(instance: Instance, routes: Routes) -> bool:
    """Return whether the tables of annealing are small enough to be worth it."""
    most = max(instance.wavelengths, default=0)
    states = len(instance.wavelengths) * most
    costs = sum(map(len, routes.values())) * (min(most, instance.most_units) + 1)
    return 0 < states <= _LARGEST and costs <= _LARGEST


class Annealing:
    """One search; `heat` is the temperature to begin with, in units of cost."""

    def __init__(
        self, assignment: WavelengthAssignment, pool: ColumnPool, routes: Routes, heat: float
    ) -> None:
        instance = self._instance = assignment.instance
        self._fibers, self._most = len(instance.wavelengths), max(instance.wavelengths)
        count = len(instance.problem.requests)
        self._nobody, no_wavelength = count, count + 1
        self._holders = np.full((self._fibers + 1, self._most), self._nobody)
        for e, wavelengths in enumerate(instance.wavelengths):
            self._holders[e, wavelengths:] = no_wavelength
        self._heat, self._rng = heat, np.random.default_rng(_SEED)
        offers = [self._offers(g, routes[g], pool) for g in range(len(instance.groups))]
        self._of = [offers[instance.group_of[r]] for r in range(count)]
        self._places = [_NOWHERE] * count
        self._costs = [instance.recourse_of(instance.group_of[r], 0) for r in range(count)]
        self._loss = np.zeros(count + 2)
        self._loss[no_wavelength] = inf
        self.restart(assignment)

    def restart(self, assignment: WavelengthAssignment) -> None:
        """Go on from another assignment."""
        for r in range(len(self._places)):
            self._lift(r)
            self._put(r, _NOWHERE)
        for r, held in assignment.held.items():
            wavelengths = np.array(bits(held.wavelengths), dtype=np.int64)
            self._put(r, (self._of[r].routes.index(held.route), wavelengths))

    def run(self, moves: int) -> WavelengthAssignment:
        """Return the best state of so many moves, which begin hot and end cold."""
        best, least, change = list(self._places), 0.0, 0.0
        for move in range(moves):
            temperature = self._heat * _COLDEST ** (move / moves)
            drawn = max(self._rng.random(), exp(-50))
            change += self._move(-temperature * log(drawn))
            if change < least - 1e-6:
                best, least = list(self._places), change
        return self._assignment(best)

    def _assignment(self, places: list[_Place]) -> WavelengthAssignment:
        found = WavelengthAssignment(self._instance)
        for r, (i, wavelengths) in enumerate(places):
            if len(wavelengths):
                found.hold(r, self._of[r].routes[i], mask_of(wavelengths.tolist()))
        return found

    def _offers(self, group: int, routes: tuple[Route, ...], pool: ColumnPool) -> _Offers:
        longest = max((len(route.resources) for route in routes), default=0)
        fibers = np.full((len(routes), longest), self._fibers)
        numbers = np.arange(min(self._most, max(1, self._instance.most_units)) + 1)
        recourse = np.asarray(self._instance.recourse_rows[group])
        costs, above = np.empty((len(routes), len(numbers))), np.empty(len(routes))
        for i, route in enumerate(routes):
            fibers[i, : len(route.resources)] = route.resources
            units = np.minimum(numbers * route.units_per_wavelength, len(recourse) - 1)
            costs[i] = route.cost * numbers + recourse[units]
            price = fsum(pool.prices[list(self._instance.occupies(route.path))])
            above[i] = (costs[i] + price * numbers).min() - pool.group_costs[group]
        chances = np.exp(-np.maximum(above, 0.0) / self._heat) + 1e-6
        return _Offers(routes, fibers, costs, np.cumsum(chances / chances.sum()))

    def _move(self, allowed: float) -> float:
        """Try one move that may cost so much; return what it cost, 0 if it was taken back."""
        r = int(self._rng.integers(len(self._places)))
        place = self._wanted(r, allowed)
        if place is None:
            return 0.0
        before = {r: (self._places[r], self._costs[r])}
        self._lift(r)
        for victim, lost in self._in_the_way(r, place).items():
            before[victim] = (self._places[victim], self._costs[victim])
            i, wavelengths = self._places[victim]
            self._lift(victim)
            self._put(victim, (i, wavelengths[~np.isin(wavelengths, lost)]))
        self._put(r, place)
        for victim in sorted(before.keys() - {r}):
            self._lift(victim)
            self._put(victim, self._best_free(victim))
        cost = fsum(self._costs[each] - known for each, (_, known) in before.items())
        if cost <= allowed:
            return cost
        for each in before:
            self._lift(each)
        for each, (known_place, _) in before.items():
            self._put(each, known_place)
        return 0.0

    def _wanted(self, r: int, allowed: float) -> _Place | None:
        """Return where a request would go on a drawn route; None if it is there, or that is too dear."""
        offers = self._of[r]
        if not offers.routes:
            return None
        drawn = int(np.searchsorted(offers.chances, self._rng.random()))
        i = min(drawn, len(offers.routes) - 1)
        holders = self._holders[list(offers.routes[i].resources)]
        prices = self._prices(np.where(holders == r, self._nobody, holders))
        discount = self._rng.random() * (1 + _NOISE * self._rng.random(len(prices)))
        order, total = _cheapest_first(prices * (1e-9 + discount), offers.costs[i])
        count = int(total.argmin())
        wavelengths = order[:count]
        gain = offers.costs[i, count] - self._costs[r]
        if gain + _RECOVERED * prices[wavelengths].sum() > allowed:
            return None
        known, own = self._places[r]
        if known == i and len(own) == count and set(own.tolist()) == set(wavelengths.tolist()):
            return None
        return i, wavelengths

    def _prices(self, holders: Integers) -> Floats:
        """Return by wavelength what holders lose, each once; `holders` has shape (fibers, wavelengths)."""
        in_order = np.sort(holders, axis=0)
        loss = self._loss[in_order]
        repeated = in_order[1:] == in_order[:-1]
        loss[1:][repeated] = 0.0
        prices: Floats = loss.sum(axis=0)
        return prices

    def _best_free(self, r: int) -> _Place:
        """Return the best place in what is free."""
        offers = self._of[r]
        taken = (self._holders[offers.fibers] != self._nobody).any(axis=1)
        order, total = _cheapest_first(np.where(taken, inf, 0.0), offers.costs)
        i, count = divmod(int(total.argmin()), total.shape[1])
        return i, order[i, :count]

    def _in_the_way(self, r: int, place: _Place) -> dict[int, list[int]]:
        """Return who holds some of a place, and which wavelengths."""
        i, wavelengths = place
        found: dict[int, list[int]] = defaultdict(list)
        over = list(self._of[r].routes[i].resources)
        for wavelength in wavelengths.tolist():
            for holder in sorted(set(self._holders[over, wavelength].tolist())):
                if holder < self._nobody:
                    found[holder].append(wavelength)
        return found

    def _lift(self, r: int) -> None:
        """Give back what a request holds; a place must be put for it then."""
        i, wavelengths = self._places[r]
        for e in self._of[r].routes[i].resources if len(wavelengths) else ():
            self._holders[e, wavelengths] = self._nobody
        self._places[r] = _NOWHERE

    def _put(self, r: int, place: _Place) -> None:
        """Let a request that holds nothing take a free place."""
        i, wavelengths = place
        count = len(wavelengths)
        self._places[r] = place if count else _NOWHERE
        if not count:
            self._costs[r] = self._instance.recourse_of(self._instance.group_of[r], 0)
            self._loss[r] = 0.0
            return
        for e in self._of[r].routes[i].resources:
            self._holders[e, wavelengths] = r
        costs = self._of[r].costs[i]
        more = min(count, len(costs) - 1)
        self._costs[r] = float(costs[more])
        self._loss[r] = costs[more - 1] - costs[more]


def _cheapest_first(prices: Floats, costs: Floats) -> tuple[Integers, Floats]:
    """Return wavelengths, cheapest first, and what every number of them costs with their prices."""
    order = prices.argsort(axis=-1, kind="stable")[..., : costs.shape[-1] - 1]
    total = costs.copy()
    total[..., 1:] += np.take_along_axis(prices, order, -1).cumsum(axis=-1)
    return order, total
