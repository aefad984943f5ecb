"""Changing what a re-plan would keep, a little, where it saves enough.

Who lost a fiber often finds all others full, of reservations whose last units are worth less than its
first would be.  So it takes one colour after the other along its best route, each where that takes least
from others, as long as it gains more than they lose and more than the change of a reservation must save.
Whoever gave way then settles in what is free.  It ends when nothing pays or enough has been changed;
nothing is drawn, so equal input gives an equal plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from global_manager.provisioning.palette import Held, Palette, Route, bits
from global_manager.provisioning.wavelengths import Routes, settle


@dataclass(frozen=True)
class Disturbance:
    """How many kept reservations a re-plan may change, and what each must save in a period."""

    changes: int = 0
    least_saving: float = 0.0


NONE = Disturbance()


def disturb(
    palette: Palette, routes: Routes, movers: Sequence[int], allowed: Disturbance
) -> Palette:
    """Return the palette, or a cheaper one that changes as much of what is not `movers` as is allowed."""
    work = _Work(palette, routes, frozenset(movers), allowed)
    for request in sorted(movers, key=lambda r: (-work.regret(r), r)):
        work.make_way_for(request)
    return work.palette


class _Work:
    def __init__(
        self, palette: Palette, routes: Routes, movers: frozenset[int], allowed: Disturbance
    ) -> None:
        self.palette = palette
        self._routes, self._movers, self._allowed = routes, movers, allowed
        self._before = dict(palette.held)

    def regret(self, request: int) -> float:
        """Return what a request pays above the least that it could if all were free."""
        group = self.palette.instance.group_of[request]
        least = min((self._ideal(group, route) for route in self._routes[group]), default=0.0)
        return self.palette.cost_of(request) - least

    def make_way_for(self, request: int) -> None:
        """Let a request take from others what pays, if that is little enough."""
        group = self.palette.instance.group_of[request]
        held = self.palette.held.get(request)
        best = sorted(self._routes[group], key=lambda route: self._ideal(group, route))
        trials = [self._take(request, route) for route in ([held.route] if held else best[:3])]
        found = min(trials, key=self._charged, default=self.palette)
        if self._charged(found) < self._charged(self.palette) - 1e-6:
            self.palette = found

    def _ideal(self, group: int, route: Route) -> float:
        instance = self.palette.instance
        units = instance.worth(group, route.cost)
        return route.cost * units + float(instance.recourse[group, units])

    def _charged(self, palette: Palette) -> float:
        """Return the cost of a state, what its changes must save included."""
        return palette.cost + self._allowed.least_saving * len(self._changed(palette))

    def _changed(self, palette: Palette) -> set[int]:
        """Return whose reservations differ from those before; who moves anyway does not count."""
        everybody = self._before.keys() | palette.held.keys()
        return {r for r in everybody - self._movers if self._before.get(r) != palette.held.get(r)}

    def _take(self, request: int, route: Route) -> Palette:
        """Return a state in which a request has taken colours of a route, one by one."""
        trial, troubled = self.palette.copy(), dict[int, None]()
        while (offer := self._cheapest(trial, request, route)) is not None:
            colour, holders = offer
            for holder in holders:
                trial.drop(holder, 1 << colour)
                troubled[holder] = None
            trial.give(request, route, 1 << colour)
        settle(trial, self._routes, [*troubled, request])
        return trial if len(self._changed(trial)) <= self._allowed.changes else self.palette

    def _cheapest(self, trial: Palette, request: int, route: Route) -> tuple[int, list[int]] | None:
        """Return the colour whose taking pays most, and who holds it; None if none pays."""
        gain = -self._marginal(trial, request, route, 1)
        changed = self._changed(trial)
        most = self._allowed.changes - len(changed)
        best: tuple[float, int, list[int]] | None = None
        for colour, holders in self._on(trial, request, route):
            new = [r for r in holders if r not in changed and r not in self._movers]
            loss = self._allowed.least_saving * len(new)
            loss += sum(self._marginal(trial, r, trial.held[r].route, -1) for r in holders)
            if len(new) <= most and loss < gain - 1e-6 and (best is None or loss < best[0]):
                best = loss, colour, holders
        return best[1:] if best else None

    def _marginal(self, trial: Palette, request: int, route: Route, more: int) -> float:
        """Return what one unit more or less on a route adds to a request's cost."""
        instance = trial.instance
        recourse = instance.recourse[instance.group_of[request]]
        held = trial.held.get(request)
        units = held.units if held else 0
        if units + more >= len(recourse):
            return float(route.cost)
        return route.cost * more + float(recourse[units + more] - recourse[units])

    def _on(self, trial: Palette, request: int, route: Route) -> Iterator[tuple[int, list[int]]]:
        """Yield every colour of a route that the request does not hold, and who holds it there."""
        held = trial.held.get(request)
        own, over = held.colours if held else 0, set(route.resources)
        holders: dict[int, list[int]] = {}
        for r, other in trial.held.items():
            if r != request and _crosses(other, over):
                for colour in bits(other.colours):
                    holders.setdefault(colour, []).append(r)
        for colour in range(min(trial.instance.colours[e] for e in route.resources)):
            if not own >> colour & 1:
                yield colour, holders.get(colour, [])


def _crosses(held: Held, over: set[int]) -> bool:
    return not over.isdisjoint(held.route.resources)
