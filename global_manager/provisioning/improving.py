"""Better colours, step by step: repack every wavelength, then trouble those who pay too much.

Each wavelength in turn is emptied and packed again, exactly, given all others; a little noise on
the values in every other pass lets equal answers change places.  What is left is concentrated in a
few requests: by the bound's prices, a request's surcharge is what it pays above the least it could
(reservation, recourse and priced colours), and surcharges plus idle priced colours are the gap.  So
a request with a surcharge gets its best route and units at others' expense, the colours concerned
are repacked, and the whole move is undone unless it saved something.

All of it is counted in steps, never in time, and drawn from a fixed seed: equal input, equal plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from global_manager.provisioning.columns import ColumnPool
from global_manager.provisioning.packing import Taste, repack
from global_manager.provisioning.palette import Held, Palette, Route, bits, mask_of
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.wavelengths import Routes, settle

_NOISE = 0.02
_SEED = 20_240_229


@dataclass(frozen=True)
class Effort:
    """How much to try: passes over all wavelengths, single moves, and packings in total.

    Packings cost more in larger problems and are fewer there: `looks` is packings times requests,
    and single moves, of some twenty packings' cost each, are cut likewise.
    `nodes` limits the multiple-choice model's branch and bound (0: only round its relaxation).
    """

    nodes: int = 500
    passes: int = 4
    moves: int = 100
    looks: int = 200_000


def improve(
    palette: Palette,
    pool: ColumnPool,
    routes: Routes,
    good_enough: float,
    effort: Effort,
) -> Iterator[Palette]:
    """Yield better and better palettes until one costs no more than `good_enough`."""
    search = _Search(palette, pool, routes, effort)
    moves = min(effort.moves, search.packings_left // 20)
    for step in (*[search.repack_all] * effort.passes, *[search.trouble_one] * moves):
        if search.cost <= good_enough or search.packings_left <= 0:
            return
        if step():
            yield search.palette


class _Search:
    """A palette under improvement; `palette` is always the best so far."""

    def __init__(self, palette: Palette, pool: ColumnPool, routes: Routes, effort: Effort) -> None:
        self.palette, self.cost = palette, palette.cost
        self.packings_left = effort.looks // max(1, len(palette.instance.problem.requests))
        self._pool, self._routes = pool, routes
        self._rng = np.random.default_rng(_SEED)
        self._passes = 0
        self._surcharges = self._surcharge_all()

    def repack_all(self) -> bool:
        """Repack every wavelength once, those with most priced room first to spend the budget."""
        trial = self.palette.copy()
        taste = self._taste if self._passes % 2 == 0 else _plainly
        self._passes += 1
        idle = self._idle_value(trial)
        order = sorted(range(len(idle)), key=lambda colour: -idle[colour])
        self._repack(trial, order, taste)
        return self._accept(trial)

    def trouble_one(self) -> bool:
        """Let one request with a surcharge have what it should; say whether that saved anything."""
        chances = self._surcharges + 1e-9
        request = int(self._rng.choice(len(chances), p=chances / chances.sum()))
        trial = self.palette.copy()
        held = trial.release(request)
        wish = self._wish(trial, request)
        if wish is None:
            return False
        route, units = wish
        colours = self._least_disturbing(trial, route, units)
        _evict(trial, route, mask_of(colours))
        trial.hold(request, route, mask_of(colours))
        settle(trial, self._routes)
        self._repack(trial, dict.fromkeys((*colours, *_colours(held))), _plainly)
        return self._accept(trial)

    def _accept(self, trial: Palette) -> bool:
        """Take a trial that costs no more; say whether it costs less."""
        settle(trial, self._routes)
        cost = trial.cost
        if cost > self.cost + 1e-6:
            return False
        better = cost < self.cost - 1e-6
        self.palette, self.cost = trial, cost
        self._surcharges = self._surcharge_all()
        return better

    def _repack(self, trial: Palette, colours: Iterable[int], taste: Taste) -> None:
        for colour in colours:
            if self.packings_left <= 0:
                return
            self.packings_left -= 1
            repack(trial, colour, self._routes, self._pool.prices, taste)

    def _taste(self, value: float) -> float:
        return value * (1 + _NOISE * self._rng.random())

    def _surcharge_all(self) -> Floats:
        """Return what every request pays above the least at the bound's prices."""
        prices, least = self._pool.prices, self._pool.group_costs
        surcharges = np.zeros(len(self.palette.instance.problem.requests))
        for r in range(len(surcharges)):
            held = self.palette.held.get(r)
            priced = held.units * sum(prices[e] for e in held.route.resources) if held else 0.0
            group = self.palette.instance.group_of[r]
            surcharges[r] = max(0.0, self.palette.cost_of(r) + priced - least[group])
        return surcharges

    def _wish(self, trial: Palette, request: int) -> tuple[Route, int] | None:
        """Return the route and units that cost a request least at the bound's prices, or nearly."""
        instance = trial.instance
        group = instance.group_of[request]
        best: tuple[float, Route, int] | None = None
        for route in self._routes[group]:
            priced = route.cost + float(sum(self._pool.prices[e] for e in route.resources))
            units = min(instance.worth(group, priced), _colours_of(trial, route))
            cost = (priced * units + float(instance.recourse[group, units])) * self._whim()
            if units > 0 and (best is None or cost < best[0]):
                best = cost, route, units
        return best[1:] if best else None

    def _whim(self) -> float:
        return 1 + _NOISE / 10 * float(self._rng.random())

    def _least_disturbing(self, trial: Palette, route: Route, units: int) -> list[int]:
        """Return the colours of a route whose taking puts the fewest lightpaths out."""
        over = set(route.resources)
        crossing = [h for h in trial.held.values() if not over.isdisjoint(h.route.resources)]
        load = Counter(colour for held in crossing for colour in bits(held.colours))
        order = self._rng.permutation(_colours_of(trial, route))
        return sorted((int(c) for c in order), key=lambda colour: load[colour])[:units]

    def _idle_value(self, palette: Palette) -> list[float]:
        """Return, by colour, the priced value of the fibers on which nobody holds it."""
        values = [0.0] * max(palette.instance.colours, default=0)
        for free, price in zip(palette.free, self._pool.prices, strict=False):
            for colour in bits(free):
                values[colour] += float(price)
        return values


def _evict(palette: Palette, route: Route, colours: int) -> None:
    over = set(route.resources)
    for request, held in list(palette.held.items()):
        if held.colours & colours and not over.isdisjoint(held.route.resources):
            palette.drop(request, held.colours & colours)


def _colours_of(palette: Palette, route: Route) -> int:
    return min(palette.instance.colours[e] for e in route.resources)


def _colours(held: Held | None) -> list[int]:
    return bits(held.colours) if held else []


def _plainly(value: float) -> float:
    return value
