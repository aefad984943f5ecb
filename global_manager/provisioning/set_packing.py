"""The assignment program: the most valuable lightpaths for one wavelength, stated in PuLP.

A weighted set packing over fibers:

    maximise  sum_i value_i light_i
    wavelength_uniqueness_e   sum_{i over e} light_i <= 1       for every fiber e
    path_uniqueness_g         sum_{new i of g} light_i <= 1     for every group g

A lightpath is *new* for a request that holds nothing yet: the first such request of a group is offered on
every route of the group, and may have one.  A request that holds other wavelengths is bound to its path
and has one lightpath only.  This is the path-wavelength program restricted to one wavelength; the
literature calls its answer, a set of edge-disjoint lightpaths, a wavelength configuration.

The program is stated once, over all routes, and stays in HiGHS: one wavelength after the other changes
values and what is on offer.  Its relaxation is mostly whole; where it is not, branch and bound follows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import highspy
import numpy as np
import pulp

from global_manager.provisioning.assignment import Route, Routes
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.solver import keep_relaxed

_MOST = 400
_WHOLE = 1e-6
_OPTIONS = (
    ("mip_rel_gap", 1e-6),
    ("mip_max_nodes", 1_000),
    ("mip_heuristic_effort", 0.0),  # three quarters of the time, for the same answer
    ("mip_detect_symmetry", False),
    ("mip_allow_restart", False),
)


@dataclass(frozen=True)
class Lightpath:
    """A request of a group on a route, and what lighting one more wavelength for it saves.

    `is_new` says that the request holds nothing yet.
    """

    group: int
    request: int
    route: Route
    value: float
    is_new: bool


class SetPacking:
    """The program over all routes of some groups, kept in HiGHS.

    Of many lightpaths only the `_MOST` worth most above the `prices` of their fibers take part.
    `iterations` are those of the simplex method in all packings so far.
    """

    def __init__(
        self,
        instance: Instance,
        routes: Routes,
        prices: Floats,
        groups: Collection[int] | None = None,
    ) -> None:
        self.routes = routes
        self._prices = prices
        known = sorted(routes if groups is None else groups)
        columns = [(g, route, new) for g in known for route in routes[g] for new in (True, False)]
        self._column = {column: i for i, column in enumerate(columns)}
        self._highs = keep_relaxed(_stated(len(instance.wavelengths), columns)) if columns else None
        self._all = np.arange(len(columns), dtype=np.int32)
        self.iterations = 0

    def pack(self, lightpaths: Sequence[Lightpath]) -> list[Lightpath]:
        """Return the most valuable lightpaths of which no two share a fiber or a request."""
        if not lightpaths or self._highs is None:
            return []
        lightpaths = self._most_promising(lightpaths)
        at = [self._column[item.group, item.route, item.is_new] for item in lightpaths]
        values, most = np.zeros(len(self._all)), np.zeros(len(self._all))
        values[at], most[at] = [-item.value for item in lightpaths], 1.0
        self._highs.changeColsCost(len(self._all), self._all, values)
        self._highs.changeColsBounds(len(self._all), self._all, np.zeros(len(self._all)), most)
        lit = self._solved(self._highs)[at]
        return _disjoint([item for item, x in zip(lightpaths, lit, strict=True) if x > 0.5])

    def _most_promising(self, candidates: Sequence[Lightpath]) -> Sequence[Lightpath]:
        if len(candidates) <= _MOST:
            return candidates
        surplus = [c.value - float(self._prices[list(c.route.resources)].sum()) for c in candidates]
        order = sorted(range(len(candidates)), key=lambda i: -surplus[i])
        return [candidates[i] for i in order[:_MOST]]

    def _solved(self, highs: highspy.Highs) -> Floats:
        self._run(highs)
        relaxed = np.asarray(highs.getSolution().col_value)
        if np.all(np.abs(relaxed - np.round(relaxed)) <= _WHOLE):
            return relaxed
        basis = highs.getBasis()
        for option, value in _OPTIONS:
            highs.setOptionValue(option, value)
        self._require_whole(highs, highspy.HighsVarType.kInteger)
        self._run(highs)
        whole = np.asarray(highs.getSolution().col_value)
        self._require_whole(highs, highspy.HighsVarType.kContinuous)
        highs.setBasis(basis)
        return whole

    def _run(self, highs: highspy.Highs) -> None:
        highs.run()
        self.iterations += max(0, highs.getInfo().simplex_iteration_count)

    def _require_whole(self, highs: highspy.Highs, kind: highspy.HighsVarType) -> None:
        kinds = np.full(len(self._all), int(kind), dtype=np.uint8)
        highs.changeColsIntegrality(len(self._all), self._all, kinds)


def _stated(fibers: int, columns: Sequence[tuple[int, Route, bool]]) -> pulp.LpProblem:
    """Return the program; values and what is on offer come later."""
    model = pulp.LpProblem("set_packing", pulp.LpMinimize)
    over: list[list[tuple[pulp.LpVariable, int]]] = [[] for _ in range(fibers)]
    new: dict[int, list[tuple[pulp.LpVariable, int]]] = {}
    lights = []
    for i, (group, route, is_new) in enumerate(columns):
        x = model.add_variable(f"light_{i:06d}", 0, 1, pulp.LpInteger)
        lights.append((x, 0))
        for e in route.resources:
            over[e].append((x, 1))
        if is_new:
            new.setdefault(group, []).append((x, 1))
    model.setObjective(pulp.LpAffineExpression(lights))
    for e, terms in enumerate(over):
        _at_most_one(model, f"wavelength_uniqueness_{e}", terms)
    for group, terms in new.items():
        _at_most_one(model, f"path_uniqueness_{group}", terms)
    return model


def _at_most_one(
    model: pulp.LpProblem, name: str, terms: list[tuple[pulp.LpVariable, int]]
) -> None:
    expression = pulp.LpAffineExpression(terms)
    model.addConstraint(pulp.LpConstraint(expression, pulp.LpConstraintLE, name, 1))


def _disjoint(chosen: Sequence[Lightpath]) -> list[Lightpath]:
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
