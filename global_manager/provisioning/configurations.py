"""Coloring by configurations: sets of paths that share no fiber, each for one wavelength.

Paths p with n_p units are to be colored with W wavelengths. A unit of p that gets none loses v_p:

    minimise  sum_p v_p short_p
    units_p       sum_{c with p} z_c + short_p >= n_p   for every path p
    wavelengths   sum_c z_c <= W

z_c counts the wavelengths of configuration c. Configurations are priced by a set packing at the duals of
`units`, rounded from its relaxation by randomized greedy and, where that finds none, by a short branch and
bound. Then the program is dived on: whole parts of z, else its largest value, are wavelengths, and what is
left is solved again (Jaumard, Meyer and Thiongane, On column generation formulations for the RWA problem,
Discrete Applied Mathematics 157, 2009, solve such programs). Where nearly all fibers are full, every
configuration has to use nearly all of them, which greedy coloring sees too late.

Always: paths of one wavelength share no fiber, and no path gets more wavelengths than it has units. All is
counted in linear programs and drawn from a fixed seed. Nothing is proven.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import inf
from typing import Any

import highspy
import numpy as np
import pulp
from numpy.typing import NDArray

from global_manager.provisioning.assignment import (
    Route,
    Routes,
    WavelengthAssignment,
    improve_all,
    mask_of,
    member_choices,
)
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.selection import Selection, saving
from global_manager.provisioning.solver import keep_relaxed

_MOST_PATHS = 150  # of more paths it takes longer than what it finds is worth
_MOST_ROUNDS = 150
_MOST_ROUNDS_AFTER = 25  # when wavelengths are fixed already
_DRAWS = 48  # of greedy sets per pricing
_MOST_NEW = 6
_NODES = 8
_TOLERANCE = 1e-6
_SEED = 20_240_229

Fibers = tuple[int, ...]
Set = NDArray[np.bool_]


Colors = dict[Fibers, list[int]]
"""By path, its wavelengths."""


def color(
    units: Mapping[Fibers, int],
    losses: Mapping[Fibers, float],
    wavelengths: int,
    most_lost: float = inf,
) -> Colors | None:
    """Return the wavelengths of every path, no more than its units; what is lost is kept small.

    None if the relaxation loses more than `most_lost` already.
    """
    return _Dive(units, losses).run(wavelengths, most_lost) if units else {}


def assign_by_configurations(
    instance: Instance, selection: Selection, routes: Routes, most_cost: float
) -> WavelengthAssignment | None:
    """Assign wavelengths to a selection at no more than `most_cost`; None if that was not reached.

    It is not tried if the selection is large, or if fibers have different numbers of wavelengths.
    """
    choices = member_choices(instance, selection)
    own: dict[Fibers, list[int]] = defaultdict(list)
    for request, (route, _) in choices.items():
        own[tuple(sorted(route.resources))].append(request)
    if not 0 < len(own) <= _MOST_PATHS or len(set(instance.wavelengths)) > 1:
        return None
    units = {path: sum(choices[r][1] for r in requests) for path, requests in own.items()}
    losses = {
        path: max(1.0, min(_loss(instance, r, *choices[r]) for r in requests))
        for path, requests in own.items()
    }
    most_lost = most_cost - (instance.unreserved_cost - saving(selection))
    colors = color(units, losses, instance.wavelengths[0], most_lost)
    if colors is None:
        return None
    assignment = WavelengthAssignment(instance)
    for path, found in colors.items():
        _deal(assignment, {r: choices[r] for r in own[path]}, found)
    improve_all(assignment, routes)
    return assignment if assignment.cost <= most_cost else None


def _loss(instance: Instance, request: int, route: Route, count: int) -> float:
    """Return what a request loses that gets one wavelength less than `count`."""
    brings = route.units_per_wavelength
    return instance.gain(instance.group_of[request], (count - 1) * brings, brings) - route.cost


def _deal(
    assignment: WavelengthAssignment, choices: Mapping[int, tuple[Route, int]], found: list[int]
) -> None:
    """Deal wavelengths of one path to its requests; who loses least by it gives way."""
    counts = {request: count for request, (_, count) in choices.items()}
    while sum(counts.values()) > len(found):
        holding = [r for r, count in counts.items() if count > 0]
        least = min(holding, key=lambda r: _loss(assignment.instance, r, choices[r][0], counts[r]))
        counts[least] -= 1
    for request, count in counts.items():
        assignment.hold(request, choices[request][0], mask_of(found[:count]))
        found = found[count:]


class _Dive:
    """One coloring; the program stays in HiGHS and gets new configurations there."""

    def __init__(self, units: Mapping[Fibers, int], losses: Mapping[Fibers, float]) -> None:
        self._paths = list(units)
        self._left = np.array([units[path] for path in self._paths], dtype=float)
        self._mean = sum(losses.values()) / len(losses)
        self._losses = np.array([losses[path] / self._mean for path in self._paths])
        self._pricing = _Pricing(self._paths)
        self._sets: list[Set] = []
        self._highs = keep_relaxed(_stated(self._left, self._losses), bounded=False)

    def run(self, wavelengths: int, most_lost: float) -> Colors | None:
        """Fix configurations until all wavelengths are given away; None if too much is lost before."""
        colors: Colors = defaultdict(list)
        rounds = _MOST_ROUNDS
        while wavelengths > 0:
            self._bound(wavelengths)
            self._generate(rounds)
            if not colors and self._lost > most_lost:
                return None
            for chosen, times in self._fixed():
                for _ in range(min(times, wavelengths)):
                    wavelengths -= 1
                    for i in np.flatnonzero(chosen & (self._left > 0)):
                        self._left[i] -= 1
                        colors[self._paths[i]].append(wavelengths)
            rounds = _MOST_ROUNDS_AFTER
        return colors

    @property
    def _lost(self) -> float:
        """What the relaxation loses."""
        lost: float = self._mean * self._highs.getInfo().objective_function_value
        return lost

    def _bound(self, wavelengths: int) -> None:
        for i, left in enumerate(self._left):
            self._highs.changeRowBounds(i, float(left), highspy.kHighsInf)
        self._highs.changeRowBounds(len(self._paths), -highspy.kHighsInf, float(wavelengths))

    def _generate(self, rounds: int) -> None:
        """Add configurations until none pays, or nothing is lost."""
        for _ in range(rounds):
            self._highs.run()
            if self._lost <= _TOLERANCE:
                return
            duals = np.asarray(self._highs.getSolution().row_dual)
            worth = np.where(self._left > 0, np.maximum(duals[:-1], 0.0), 0.0)
            new = self._pricing.over(-float(duals[-1]), worth, self._left > 0)
            if not new:
                return
            for chosen in new:
                self._add(chosen)
        self._highs.run()

    def _add(self, chosen: Set) -> None:
        self._sets.append(chosen)
        rows = [*np.flatnonzero(chosen).tolist(), len(self._paths)]
        self._highs.addCol(0.0, 0.0, highspy.kHighsInf, len(rows), rows, [1.0] * len(rows))

    def _fixed(self) -> list[tuple[Set, int]]:
        """Return configurations and how many wavelengths they get now, one at least."""
        values = np.asarray(self._highs.getSolution().col_value)[len(self._paths) :]
        if len(values) == 0 or values.max() <= _TOLERANCE:
            return [(np.zeros(len(self._paths), dtype=bool), 1)]
        whole = np.floor(values + _TOLERANCE).astype(int)
        if not whole.any():
            whole[int(values.argmax())] = 1
        return [(self._sets[i], int(whole[i])) for i in np.flatnonzero(whole)]


class _Pricing:
    """Paths that share no fiber and are worth most together."""

    def __init__(self, paths: Sequence[Fibers]) -> None:
        uses = np.zeros((len(paths), 1 + max(max(path) for path in paths)))
        for i, path in enumerate(paths):
            uses[i, list(path)] = 1.0
        self._meet = uses @ uses.T > 0
        self._all = np.arange(len(paths), dtype=np.int32)
        self._rng = np.random.default_rng(_SEED)
        self._highs = keep_relaxed(_packing(uses > 0))

    def over(self, least: float, worth: Floats, wanted: Set) -> list[Set]:
        """Return sets of wanted paths worth more than `least`; none if none was found."""
        self._highs.changeColsCost(len(self._all), self._all, -worth)
        most, values = self._relaxed(np.zeros(len(worth)), wanted.astype(float))
        if most <= least + _TOLERANCE:
            return []
        if _is_whole(values):
            return [values > 0.5]
        likely = values + 0.1 * worth / max(float(worth.max()), _TOLERANCE)
        noise = self._rng.uniform(0.3, 1.0, (_DRAWS, len(worth)))
        noise[0] = 1.0
        drawn = self._greedy(likely * noise + _TOLERANCE, wanted)
        reached = drawn @ worth
        order = np.argsort(-reached, kind="stable")
        kept = {drawn[i].tobytes(): drawn[i] for i in order if reached[i] > least + _TOLERANCE}
        return list(kept.values())[:_MOST_NEW] or self._branched(least, wanted)

    def _relaxed(self, low: Floats, high: Floats) -> tuple[float, Floats]:
        self._highs.changeColsBounds(len(self._all), self._all, low, high)
        self._highs.run()
        value = -self._highs.getInfo().objective_function_value
        return value, np.asarray(self._highs.getSolution().col_value)

    def _greedy(self, scores: Floats, wanted: Set) -> Set:
        """Pick paths by score until none is left, for every row of scores apart."""
        left = np.where(wanted, scores, -1.0)
        chosen = np.zeros(scores.shape, dtype=bool)
        while True:
            picks = left.argmax(axis=1)
            rows = np.flatnonzero(left[np.arange(len(left)), picks] > 0)
            if len(rows) == 0:
                return chosen
            chosen[rows, picks[rows]] = True
            left[rows] = np.where(self._meet[picks[rows]], -1.0, left[rows])

    def _branched(self, least: float, wanted: Set) -> list[Set]:
        """Return the best set of a few nodes, depth first."""
        waiting = [(np.zeros(len(wanted)), wanted.astype(float))]
        best: list[Set] = []
        for _ in range(_NODES):
            if not waiting:
                break
            low, high = waiting.pop()
            value, values = self._relaxed(low, high)
            if value <= least + _TOLERANCE:
                continue
            if _is_whole(values):
                best, least = [values > 0.5], value
                continue
            i = int(np.where(np.abs(values - np.round(values)) > _TOLERANCE, values, 0.0).argmax())
            without, taken, apart = high.copy(), low.copy(), high.copy()
            without[i], taken[i] = 0.0, 1.0
            apart[self._meet[i]], apart[i] = 0.0, 1.0
            waiting += [(low, without), (taken, apart)]
        return best


def _is_whole(values: Floats) -> bool:
    return bool(np.all(np.abs(values - np.round(values)) <= _TOLERANCE))


def _stated(units: Floats, losses: Floats) -> Any:
    """Return the program without configurations; bounds of rows come later."""
    model = pulp.LpProblem("configurations", pulp.LpMinimize)
    short = [model.add_variable(f"short_{i:06d}", 0) for i in range(len(units))]
    model.setObjective(
        pulp.LpAffineExpression([(x, float(v)) for x, v in zip(short, losses, strict=True)])
    )
    for i, x in enumerate(short):
        row = pulp.LpAffineExpression([(x, 1)])
        model.addConstraint(pulp.LpConstraint(row, pulp.LpConstraintGE, f"units_{i}", units[i]))
    nothing = pulp.LpAffineExpression([(short[0], 0)])
    model.addConstraint(pulp.LpConstraint(nothing, pulp.LpConstraintLE, "wavelengths", 0))
    return model


def _packing(uses: Set) -> Any:
    """Return the packing; `uses` has shape (paths, fibers). Values come later."""
    model = pulp.LpProblem("configuration", pulp.LpMinimize)
    light = [model.add_variable(f"light_{i:06d}", 0, 1) for i in range(len(uses))]
    model.setObjective(pulp.LpAffineExpression([(x, 0) for x in light]))
    rows = [np.flatnonzero(uses[:, e]) for e in range(uses.shape[1])]
    rows += [np.flatnonzero(uses[:, list(three)].sum(axis=1) > 1) for three in _odd_sets(uses)]
    for e, row in enumerate(rows):
        over = pulp.LpAffineExpression([(light[i], 1) for i in row])
        if len(row) > 1:
            model.addConstraint(pulp.LpConstraint(over, pulp.LpConstraintLE, f"apart_{e}", 1))
    return model


def _odd_sets(uses: Set) -> list[tuple[int, int, int]]:
    """Return all threes of fibers of which every two are used by some path; one path has two of them."""
    together = uses.T.astype(float) @ uses.astype(float) > 0
    found = []
    for e in range(len(together)):
        later = [f for f in np.flatnonzero(together[e]).tolist() if f > e]
        found += [(e, f, g) for f, g in combinations(later, 2) if together[f, g]]
    return found
