"""From "k wavelengths on path p" to colours: first-fit or peeling, repair, and giving back the rest.

A selection that respects every fiber's capacity may still admit no colouring (five paths around a
ring of five, two colours).  So each unit is given the lowest colour free along its path, longest
paths first; if some find none, colours are peeled off the whole selection instead, if that places
more.  A unit that has none yet asks the lightpaths in its way to change colour; and then every
request in turn may move to the path and number of units that cost it least in what is free.  What
still finds no colour is left to recourse: any state of the palette is a plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from global_manager.provisioning.choice import Selection
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.palette import Palette, Route, bits, lowest_bits, route_of
from global_manager.provisioning.peeling import peel
from global_manager.routing import k_cheapest_paths

_MOST_PASSES = 20
_MOST_LOOKS = 5_000_000  # lightpaths that repair may look at, one by one, in large problems

Routes = Mapping[int, tuple[Route, ...]]
"""Candidate routes by group, cheapest first."""


def assign(instance: Instance, selection: Selection, routes: Routes) -> Palette:
    """Colour a selection as far as possible; nothing is left that pays and fits."""
    wishes = member_wishes(instance, selection)
    palette = _coloured(instance, wishes)
    affordable = _MOST_LOOKS // max(1, palette.units)
    for request in _lacking(palette, wishes)[:affordable]:
        _make_room(palette, request, *wishes[request])
    settle(palette, routes)
    return palette


def member_wishes(instance: Instance, selection: Selection) -> dict[int, tuple[Route, int]]:
    """Deal the columns of every group out to its members: route and units by request."""
    waiting = {g: list(group.members) for g, group in enumerate(instance.groups)}
    wishes: dict[int, tuple[Route, int]] = {}
    for column, n in selection.items():
        route = route_of(instance, column.path)
        for _ in range(n):
            wishes[waiting[column.group].pop(0)] = (route, column.units)
    return wishes


def candidate_routes(instance: Instance, selection: Iterable[tuple[int, Route]], k: int) -> Routes:
    """Return, by group, the routes given and the `k` cheapest, cheapest first."""
    routes: dict[int, dict[Route, None]] = {g: {} for g in range(len(instance.groups))}
    cheapest: dict[tuple[str, str], list[Route]] = {}
    for g, group in enumerate(instance.groups):
        ends = group.source, group.target
        if ends not in cheapest and k > 0:
            paths = k_cheapest_paths(instance.graph, *ends, k)
            cheapest[ends] = [route_of(instance, path) for path in paths]
        routes[g].update(dict.fromkeys(cheapest.get(ends, ())))
    for g, route in selection:
        routes[g][route] = None
    return {g: tuple(sorted(found, key=lambda r: r.cost)) for g, found in routes.items()}


def _coloured(instance: Instance, wishes: Mapping[int, tuple[Route, int]]) -> Palette:
    palette = Palette(instance)
    first_fit(palette, wishes)
    if palette.units == sum(units for _, units in wishes.values()):
        return palette
    other = Palette(instance)
    _peel_and_deal(other, wishes)
    return max(palette, other, key=lambda known: known.units)


def _peel_and_deal(palette: Palette, wishes: Mapping[int, tuple[Route, int]]) -> None:
    """Colour whole paths by peeling; deal their colours to requests, what is short to all alike."""
    by_path: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
    for request, (route, units) in wishes.items():
        over = min(route.resources, route.resources[::-1])
        by_path[over][request] = units
    peeled = peel(palette.instance, {over: sum(own.values()) for over, own in by_path.items()})
    for over, own in by_path.items():
        runs = peeled.runs.get(over, [])
        short = sum(own.values()) - sum(end - begin for begin, end in runs)
        colours = 0
        for begin, end in runs:
            colours |= (1 << end) - (1 << begin)
        for request, units in _shortened(own, short).items():
            given = lowest_bits(colours, units)
            palette.hold(request, wishes[request][0], given)
            colours ^= given


def _shortened(wishes: Mapping[int, int], short: int) -> dict[int, int]:
    """Take `short` units away, one after the other from whoever wishes most."""
    left = dict(wishes)
    for _ in range(short):
        most = max(left, key=left.__getitem__)
        left[most] -= 1
    return left


def first_fit(palette: Palette, wishes: Mapping[int, tuple[Route, int]]) -> None:
    """Give every request the lowest colours free along its route, longest routes first."""
    longest_first = sorted(wishes, key=lambda r: (-len(wishes[r][0].resources), -wishes[r][1], r))
    for request in longest_first:
        route, units = wishes[request]
        palette.hold(request, route, lowest_bits(palette.free_along(route), units))


def settle(palette: Palette, routes: Routes, requests: Iterable[int] | None = None) -> None:
    """Let requests move to what is best for each in what is free, until none moves."""
    everyone = range(len(palette.instance.problem.requests)) if requests is None else requests
    waiting = list(everyone)
    for _ in range(_MOST_PASSES):
        moved = [r for r in waiting if improve_one(palette, r, routes)]
        if not moved:
            return


def improve_one(palette: Palette, request: int, routes: Routes) -> bool:
    """Move one request to its best route and number of units; say whether that saved anything."""
    before = palette.cost_of(request)
    held = palette.release(request)
    best = _best_place(palette, request, routes)
    if best is not None and best[0] < before - 1e-6:
        _, route, units = best
        same = held.colours if held is not None and held.route == route else 0
        free = palette.free_along(route)
        kept = lowest_bits(free & same, units)
        palette.hold(request, route, kept | lowest_bits(free & ~kept, units - kept.bit_count()))
        return True
    if held is not None:
        palette.hold(request, held.route, held.colours)
    return False


def _best_place(palette: Palette, request: int, routes: Routes) -> tuple[float, Route, int] | None:
    """Return cost, route and units of the cheapest reservation that fits, or None."""
    instance = palette.instance
    group = instance.group_of[request]
    recourse = instance.recourse[group]
    best: tuple[float, Route, int] | None = None
    for route in routes[group]:
        units = min(palette.free_along(route).bit_count(), instance.worth(group, route.cost))
        cost = route.cost * units + float(recourse[units])
        if units > 0 and (best is None or cost < best[0]):
            best = cost, route, units
    return best


def _lacking(palette: Palette, wishes: Mapping[int, tuple[Route, int]]) -> list[int]:
    held = {r: palette.held[r].units if r in palette.held else 0 for r in wishes}
    return [r for r in sorted(wishes) if held[r] < wishes[r][1]]


def _make_room(palette: Palette, request: int, route: Route, units: int) -> None:
    """Find colours for what a request lacks on its route by recolouring lightpaths in the way."""
    held = palette.held.get(request)
    own = held.colours if held else 0
    lacking = units - own.bit_count()
    if lacking <= 0:
        return
    in_the_way = _holders_by_colour(palette, route)
    shared = min(palette.instance.colours[e] for e in route.resources)
    others = [colour for colour in range(shared) if not own >> colour & 1]
    for colour in sorted(others, key=lambda c: len(in_the_way[c])):
        if lacking > 0 and _clear(palette, in_the_way, colour):
            palette.give(request, route, 1 << colour)
            lacking -= 1


def _holders_by_colour(palette: Palette, route: Route) -> dict[int, list[int]]:
    """Return, by colour, who holds it on some fiber of the route."""
    over = set(route.resources)
    holders: dict[int, list[int]] = defaultdict(list)
    for r, held in palette.held.items():
        if not over.isdisjoint(held.route.resources):
            for colour in bits(held.colours):
                holders[colour].append(r)
    return holders


def _clear(palette: Palette, in_the_way: dict[int, list[int]], colour: int) -> bool:
    """Recolour every lightpath of this colour that is in the way, or none.

    Lightpaths of one colour share no fiber, so each may choose its new colour by itself.
    """
    moves = []
    for r in in_the_way[colour]:
        other = lowest_bits(palette.free_along(palette.held[r].route), 1)
        if not other:
            return False
        moves.append((r, other))
    for r, other in moves:
        palette.give(r, palette.held[r].route, other)
        palette.drop(r, 1 << colour)
        in_the_way[other.bit_length() - 1].append(r)
    in_the_way[colour] = []
    return True
