"""A problem compiled for solving: fibers as numbered resources, like requests in groups.

Requests between the same two nodes with the same demand and expected on-demand cost (where pools are
limited: the same cost by either medium) are the same to the optimizer and form one group; a model over
groups is as exact as one over requests and smaller.  Where joint futures were drawn, each is its own.
Where laws of demand are known only nearly, their worst cases are the demand (`robust`).
A resource is what a wavelength occupies: a fiber, or one direction of it.  Nodes that lightpaths pass
are limited too: a node with an odd number d of fibers cannot pair them all, so at most (d - 1) / 2
pairs share one wavelength (the odd set constraint of matching: Edmonds, Maximum matching and a
polyhedron with 0,1-vertices, 1965).  That holds for every wavelength assignment, so it may bind the
relaxation; without it units are promised that find no wavelength.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

import networkx as nx
import numpy as np

from global_manager.provisioning.model import Fiber, OnDemand, Problem, Request, Scenario
from global_manager.provisioning.recourse import (
    Floats,
    expected_unit_cost,
    has_skies,
    missing_table,
    newsvendor_units,
    recourse_table,
    recourse_under_skies,
)
from global_manager.provisioning.robust import planned_demand
from global_manager.provisioning.routing import Path, fiber_graph
from global_manager.provisioning.service import level_price
from global_manager.provisioning.shared_recourse import has_pools


@dataclass(frozen=True)
class Group:
    """Requests alike: same ends, demand and cost of a missing unit; `on_demand` is any member's.

    `members` are positions in `Problem.requests`; a member's own path may run the other way.  `beside` is
    what every reservation costs a member beside what it misses.
    """

    source: str
    target: str
    on_demand: OnDemand
    scenarios: tuple[Scenario, ...]
    unit_cost: float
    members: tuple[int, ...]
    beside: float = 0.0


Triple = tuple[int, int, int]
"""Three fibers (or directions)."""


class Instance:
    """The problem, compiled once; read-only afterwards.

    `wavelengths[e]` is how many wavelengths the fiber (or direction) e has; `capacity` has these first and
    then how many lightpaths each odd node can pass, in all wavelengths together.  Without
    `odd_nodes` that second part is empty: the aggregated program as textbooks have it.  `triples`
    come last: sets of three fibers, of which a wavelength has one path that uses two (`cuts`);
    `triples_of` has their numbers by fiber.
    `missing_units[g, k]` is E[(d - k)+] of a member of group g; `recourse[g, k]` its expected
    recourse cost with k units reserved, convex in k, and the price of units that it lacks to the `least`
    that it must have; limits of pools are not in it, but prices for
    their use may be (`priced`).  `yields` are what a wavelength can bring, least first and no more than
    the largest demand; the graph of a yield has the fibers that bring as much.  `recourse_rows` has the
    recourse as lists.
    """

    def __init__(self, problem: Problem, *, odd_nodes: bool = True) -> None:
        self.problem = problem
        self.graph: nx.DiGraph[str] = fiber_graph(
            problem.nodes, ((f.a, f.b, f.unit_cost) for f in problem.fibers)
        )
        self.wavelengths, self._resource = _number_resources(problem)
        passing = _passing(problem) if odd_nodes else {}
        self.capacity = (*self.wavelengths, *passing.values())
        self.triples: tuple[Triple, ...] = ()
        self.triples_of: Mapping[int, list[int]] = {}
        self._node = {node: len(self.wavelengths) + i for i, node in enumerate(passing)}
        self.groups = _group(problem)
        self.missing_units = missing_table([group.scenarios for group in self.groups])
        self.recourse: Floats = recourse_table(
            [group.unit_cost for group in self.groups], self.missing_units
        )
        for g, group in enumerate(self.groups):
            if has_skies(group.scenarios):
                row = recourse_under_skies(group.on_demand, group.scenarios)
                self.recourse[g, : len(row)] = row
        self._require_levels()
        beside = np.array([group.beside for group in self.groups])
        if beside.any():
            self.recourse = self.recourse + beside.reshape(-1, 1)
        self.recourse_rows: list[list[float]] = self.recourse.tolist()
        self.group_of = {m: g for g, group in enumerate(self.groups) for m in group.members}
        self.is_priced = False
        most = max(1, self.most_units)
        self._brings = {arc: f.units_per_wavelength for f in problem.fibers for arc in _arcs(f)}
        self.yields = tuple(sorted({min(most, units) for units in self._brings.values()})) or (1,)
        self._graphs = [_as_good(self.graph, self._brings, units) for units in self.yields[1:]]

    @property
    def graphs(self) -> tuple[nx.DiGraph[str], ...]:
        """The graph of every yield; all fibers are in the first."""
        return (self.graph, *self._graphs)

    def _require_levels(self) -> None:
        """Put a price on every unit that a member lacks to what it must have reserved."""
        requests = self.problem.requests
        self.least = [requests[group.members[0]].least_units for group in self.groups]
        beyond = max(self.least, default=0) - self.most_units
        if beyond > 0:
            wider = ((0, 0), (0, beyond))
            self.recourse = np.pad(self.recourse, wider)
            self.missing_units = np.pad(self.missing_units, wider)
        units = np.arange(self.recourse.shape[1])
        lacking = np.maximum(0, np.array(self.least).reshape(-1, 1) - units)
        self.recourse = self.recourse + level_price(self.problem) * lacking

    def priced(self, recourse: Floats) -> Instance:
        """Return this instance under another recourse table of the same shape."""
        twin = copy(self)
        twin.recourse, twin.is_priced = recourse, True
        twin.recourse_rows = recourse.tolist()
        return twin

    def with_triples(self, triples: Iterable[Triple]) -> Instance:
        """Return this instance with rows for more sets of three fibers."""
        twin = copy(self)
        new = tuple(triples)
        twin.triples = (*self.triples, *new)
        twin.triples_of = _numbers_by_fiber(twin.triples)
        second = (sorted(self.wavelengths[e] for e in triple)[1] for triple in new)
        twin.capacity = (*self.capacity, *second)
        return twin

    @property
    def most_units(self) -> int:
        """The largest demand K."""
        return int(self.missing_units.shape[1]) - 1

    @property
    def unreserved_cost(self) -> float:
        """The expected cost of reserving nothing."""
        return fsum(
            len(group.members) * float(self.recourse[g, 0]) for g, group in enumerate(self.groups)
        )

    def resources(self, path: Path) -> tuple[int, ...]:
        """Return the resources that a lightpath on this path occupies."""
        return tuple(self._resource[arc] for arc in pairwise(path))

    def occupies(self, path: Path) -> tuple[int, ...]:
        """Return all capacity that a lightpath on this path takes: fibers, and odd nodes passed."""
        over = self.resources(path)
        passed = (self._node[node] for node in path[1:-1] if node in self._node)
        used = Counter(number for e in over for number in self.triples_of.get(e, ()))
        first = len(self.capacity) - len(self.triples)
        sets = sorted(first + number for number, fibers in used.items() if fibers > 1)
        return (*over, *passed, *sets)

    def has_path(self, path: Path) -> bool:
        """Say whether every fiber of the path exists."""
        return all(arc in self._resource for arc in pairwise(path))

    def path_cost(self, path: Path) -> int:
        """Return the cost of one reserved wavelength on this path."""
        return sum(self.graph.edges[arc]["cost"] for arc in pairwise(path))

    def units_along(self, path: Path) -> int:
        """Return what a wavelength brings on this path: what its weakest fiber does."""
        return min(self._brings[arc] for arc in pairwise(path))

    def most_wavelengths(self, units_per_wavelength: int) -> int:
        """Return the number of such wavelengths that brings the largest demand."""
        return -(-self.most_units // units_per_wavelength)

    def by_wavelengths(self, table: Floats, units_per_wavelength: int) -> Floats:
        """Return a table by units as one by wavelengths; the last axis has most_wavelengths + 1."""
        if units_per_wavelength == 1:
            return table
        numbers = np.arange(self.most_wavelengths(units_per_wavelength) + 1)
        return table[..., np.minimum(numbers * units_per_wavelength, self.most_units)]

    def recourse_of(self, group: int, units: int) -> float:
        """Return the expected recourse cost of a member with this many units, however many."""
        row = self.recourse_rows[group]
        return row[units] if units < len(row) else row[-1]

    def gain(self, group: int, units: int, more: int) -> float:
        """Return what more units save a member that has this many already."""
        return self.recourse_of(group, units) - self.recourse_of(group, units + more)

    def worth(self, group: int, route_cost: float, units_per_wavelength: int = 1) -> int:
        """Return how many wavelengths a member would reserve at this cost if all were free."""
        of_demand = self.is_priced or self.least[group] or has_skies(self.groups[group].scenarios)
        unit_cost = 1.0 if of_demand else self.groups[group].unit_cost
        table = (self.recourse if of_demand else self.missing_units)[group]
        return newsvendor_units(
            route_cost, unit_cost, self.by_wavelengths(table, units_per_wavelength)
        )

    def arc_price(self, arc: tuple[str, str], prices: Floats) -> float:
        """Return the price of an arc to a path that continues from it."""
        return float(prices[self._resource[arc]]) + self.passing_price(arc[1], prices)

    def passing_price(self, node: str, prices: Floats) -> float:
        """Return the price of passing a node; ending there is free."""
        return float(prices[self._node[node]]) if node in self._node else 0.0


def _numbers_by_fiber(triples: Iterable[Triple]) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for number, triple in enumerate(triples):
        for e in triple:
            numbers[e].append(number)
    return numbers


def _arcs(fiber: Fiber) -> tuple[tuple[str, str], tuple[str, str]]:
    return (fiber.a, fiber.b), (fiber.b, fiber.a)


def _as_good(
    graph: nx.DiGraph[str], brings: Mapping[tuple[str, str], int], units: int
) -> nx.DiGraph[str]:
    """Return the part of a graph on which a wavelength brings at least as many units."""
    part = graph.copy()
    part.remove_edges_from([arc for arc, own in brings.items() if own < units])
    return part


def _number_resources(problem: Problem) -> tuple[tuple[int, ...], dict[tuple[str, str], int]]:
    capacity: list[int] = []
    resource: dict[tuple[str, str], int] = {}
    for fiber in problem.fibers:
        resource[fiber.a, fiber.b] = len(capacity)
        capacity.append(fiber.wavelengths)
        if problem.directed_capacity:
            resource[fiber.b, fiber.a] = len(capacity)
            capacity.append(fiber.wavelengths)
        else:
            resource[fiber.b, fiber.a] = resource[fiber.a, fiber.b]
    return tuple(capacity), resource


def _passing(problem: Problem) -> dict[str, int]:
    """Return, for nodes where it says more than the fibers do, how many lightpaths can pass."""
    if problem.directed_capacity:
        return {}  # every way in can be paired with a way out
    at: dict[str, list[int]] = {node: [] for node in problem.nodes}
    for fiber in problem.fibers:
        at[fiber.a].append(fiber.wavelengths)
        at[fiber.b].append(fiber.wavelengths)
    return {node: pairs for node, own in at.items() if 2 * (pairs := _pairs(own)) < sum(own)}


def _pairs(wavelengths: list[int]) -> int:
    """Return how many pairs fibers with these numbers of wavelengths make, wavelength by wavelength."""
    most_first = sorted(wavelengths, reverse=True)
    steps = pairwise((*most_first, 0))
    return sum((n // 2) * (a - b) for n, (a, b) in enumerate(steps, start=1))


def _group(problem: Problem) -> tuple[Group, ...]:
    pooled = has_pools(problem) or problem.risk is not None
    members: dict[tuple[object, ...], list[int]] = {}
    ranks = _ranks(problem)
    for position, request in enumerate(problem.requests):
        ends = _ends(request, ranks)
        cost: OnDemand | float | int = expected_unit_cost(request.on_demand)
        if pooled:
            cost = position if problem.futures else request.on_demand
        elif request.scenarios is not None and has_skies(request.scenarios):
            cost = request.on_demand
        members.setdefault(
            (*ends, cost, request.scenarios, request.ball, request.least_units, request.beside), []
        ).append(position)
    return tuple(_group_of(problem, tuple(positions), ranks) for positions in members.values())


def _group_of(problem: Problem, positions: tuple[int, ...], ranks: Mapping[str, str]) -> Group:
    request = problem.requests[positions[0]]
    source, target = _ends(request, ranks)
    unit_cost = expected_unit_cost(request.on_demand)
    scenarios = planned_demand(problem, request)
    on_demand, beside = request.on_demand, request.least_beside
    return Group(source, target, on_demand, scenarios, unit_cost, positions, beside)


def _ranks(problem: Problem) -> dict[str, str]:
    """Return by what ends are put in order, whatever nodes are called; nothing where ways are apart."""
    if problem.directed_capacity:
        return {}
    return {node: str(number) for number, node in enumerate(problem.nodes, 1)}


def _ends(request: Request, ranks: Mapping[str, str]) -> tuple[str, str]:
    if ranks and ranks[request.source] > ranks[request.target]:
        return request.target, request.source
    return request.source, request.target
