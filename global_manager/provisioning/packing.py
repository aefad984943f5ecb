"""One colour at a time, exactly: the set of lightpaths that saves most on an empty wavelength.

Take one colour away from everybody.  Each request then values one more unit at what it saves in
recourse less what its path costs; a request that holds other colours is bound to its path.  Which
lightpaths should have the colour is a weighted set packing over fibers:

    maximise  sum_i value_i light_i
    fiber     sum_{i over e} light_i <= 1     for every fiber e that carries the colour
    request   sum_{i of r} light_i   <= 1     for every request r

It is the path-wavelength model restricted to one wavelength; its answer, a set of edge-disjoint
lightpaths, is what the literature calls a wavelength configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from global_manager.provisioning.palette import Palette, Route
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.solver import QuietHighs
from global_manager.provisioning.wavelengths import Routes

_MOST_CANDIDATES = 400

Taste = Callable[[float], float]
"""Bends a value a little, so that ties break otherwise than last time."""


@dataclass(frozen=True)
class Lightpath:
    """A request on a route in the colour at hand, and what lighting it saves."""

    request: int
    route: Route
    value: float


def repack(
    palette: Palette, colour: int, routes: Routes, prices: Floats, taste: Taste = lambda v: v
) -> None:
    """Give one colour to the set of lightpaths that makes the most of it.

    Of very many candidates only those worth most above the `prices` of their fibers take part.
    """
    bit = 1 << colour
    for request in [r for r, held in palette.held.items() if held.colours & bit]:
        palette.drop(request, bit)
    _fill(palette, bit, _candidates(palette, bit, routes, taste), prices)


def top_up(
    palette: Palette, colour: int, routes: Routes, prices: Floats, requests: Collection[int]
) -> None:
    """Give what is free of one colour to some of the requests; nobody loses it."""
    bit, eligible = 1 << colour, set(requests)
    candidates = _candidates(palette, bit, routes, lambda v: v, eligible)
    _fill(palette, bit, candidates, prices)


def _fill(palette: Palette, bit: int, candidates: list[Lightpath], prices: Floats) -> None:
    for lightpath in pack(_most_promising(candidates, prices)):
        palette.give(lightpath.request, lightpath.route, bit)


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
    return _lawful(lp for lp, x in zip(lightpaths, chosen, strict=False) if x > 0.5)


def _candidates(
    palette: Palette,
    bit: int,
    routes: Routes,
    taste: Taste,
    eligible: Collection[int] | None = None,
) -> list[Lightpath]:
    """Return every lightpath worth having; of requests alike on one route, the neediest."""
    instance = palette.instance
    marginal = instance.recourse[:, :-1] - instance.recourse[:, 1:]
    usable = {e for e, free in enumerate(palette.free) if free & bit}
    best: dict[tuple[int, Route], tuple[float, int]] = {}
    for g, group in enumerate(instance.groups):
        idle = False
        for request in group.members:
            if eligible is not None and request not in eligible:
                continue
            held = palette.held.get(request)
            if held is None:
                if not idle:
                    _offer_all(best, g, request, routes[g], float(marginal[g, 0]))
                idle = True
            elif held.units < instance.most_units:
                value = float(marginal[g, held.units]) - held.route.cost
                _offer(best, (g, held.route), value, request)
    return [
        Lightpath(request, route, taste(value))
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
    """Return the set packing as the solver takes it: one column a lightpath, sparse by column."""
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


def _lawful(chosen: Iterable[Lightpath]) -> list[Lightpath]:
    """Keep what shares no fiber and no request with what came before: a solver may err."""
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
