"""Column generation over all simple paths: a near-optimal pool of columns, and a proven bound.

A column says "a member of group g reserves k wavelengths on path p"; it saves
`Q_g(0) - Q_g(k y_p) - c_p k`, where y_p is what a wavelength brings on the weakest fiber of p.  The master
takes at most one column per request and respects every fiber's capacity.  Given fiber prices pi, the best
column of every group costs one shortest-path search on `c + pi` and a newsvendor quantile for every y that
a fiber brings, on the fibers that bring at least y; cbar_gy is what that path costs.  The same numbers give
the Lagrangian bound

    LB(pi) = sum_g n_g min_ky (cbar_gy k + Q_g(k y)) - sum_e W_e pi_e

which holds for every pi >= 0, whatever the master says: a path p is among those of y = y_p.  Wavelength
continuity is relaxed, so it holds with continuity too.  If all cheapest paths fit together, prices are
zero, requests separate, and the first round is already optimal (the newsvendor case).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum

import highspy
import networkx as nx
import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.multiple_choice import (
    Column,
    make_column,
    multiple_choice,
    occupied_rows,
)
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.routing import Path, cheapest_paths_between
from global_manager.provisioning.solver import keep_relaxed

_CONVERGED = 1e-6  # relative distance between master and bound at which more columns are pointless
_MOST_ROUNDS = 200


@dataclass(frozen=True)
class ColumnPool:
    """What column generation found.

    `lower_bound` is the best Lagrangian bound; `prices[e]` are the fiber prices of that bound and
    `group_costs[g]` what a member of group g pays at them; `weights[i]` is the master's value of
    `columns[i]`.  `separable` says that no fiber binds and
    that the weights are whole and optimal.
    """

    columns: tuple[Column, ...]
    weights: tuple[float, ...]
    prices: Floats
    group_costs: Floats
    lower_bound: float
    separable: bool


@dataclass(frozen=True)
class Priced:
    """Best answer of every group at some prices: path, and cost with its best number of wavelengths."""

    paths: list[Path | None]
    wavelengths: list[int]
    group_costs: Floats
    lower_bound: float


def generate_columns(
    instance: Instance, report: Callable[[float, float], None] = lambda _cost, _bound: None
) -> ColumnPool:
    """Solve the linear relaxation over all simple paths.

    `report(master_cost, lower_bound)` is called once per round.
    """
    prices = np.zeros(len(instance.capacity))
    priced = price(instance, prices)
    first = list(best_columns(instance, priced))
    weights = [float(len(instance.groups[c.group].members)) for c in first]
    if first and not _fits(instance, first, weights):
        return _generate(instance, first, priced, report)
    bound = priced.lower_bound
    cost = Master(instance, first).solve()[0] if first else bound
    report(cost, bound)
    least = priced.group_costs
    return ColumnPool(tuple(first), tuple(weights), prices, least, bound, separable=True)


def _generate(
    instance: Instance,
    columns: list[Column],
    priced: Priced,
    report: Callable[[float, float], None],
) -> ColumnPool:
    master = Master(instance, columns)
    best, best_prices = priced, np.zeros(len(instance.capacity))
    known = set(columns)
    rounds = 1
    while True:
        cost, weights, prices, shares = master.solve()
        priced = price(instance, prices)
        rounds += 1
        if priced.lower_bound > best.lower_bound:
            best, best_prices = priced, prices
        bound = best.lower_bound
        report(cost, bound)
        new = [c for c in _improving(instance, priced, prices, shares) if c not in known]
        if not new or cost - bound <= _CONVERGED * abs(cost) or rounds >= _MOST_ROUNDS:
            least = best.group_costs
            return ColumnPool(tuple(columns), weights, best_prices, least, bound, separable=False)
        columns.extend(new)
        known.update(new)
        master.add(new)


class Master:
    """The restricted master: the multiple-choice program relaxed, stated in PuLP with the first columns.

    HiGHS keeps it, so that every round adds its columns there and starts warm.
    """

    def __init__(self, instance: Instance, columns: Sequence[Column]) -> None:
        self._instance = instance
        self._fibers = len(instance.capacity)
        self._highs = keep_relaxed(multiple_choice(instance, columns)[0], bounded=False)

    def add(self, columns: Iterable[Column]) -> None:
        """Add columns; their values start at zero."""
        for column in columns:
            rows, values = zip(*occupied_rows(self._instance, column), strict=True)
            self._highs.addCol(-column.saving, 0.0, highspy.kHighsInf, len(rows), rows, values)

    def solve(self) -> tuple[float, tuple[float, ...], Floats, Floats]:
        """Return total cost, column weights, fiber prices (>= 0) and a member's share by group."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the column master ended as {status}")
        solution = self._highs.getSolution()
        duals = -np.asarray(solution.row_dual)
        cost = self._instance.unreserved_cost + self._highs.getInfo().objective_function_value
        return (
            cost,
            tuple(solution.col_value),
            np.maximum(duals[: self._fibers], 0.0),
            np.maximum(duals[self._fibers :], 0.0),
        )


def price(instance: Instance, prices: Floats) -> Priced:
    """Answer every group at fiber prices `prices` >= 0, and add the answers up to a bound."""
    (paths, best, least), *others = (
        _best_of(instance, prices, brings, graph)
        for brings, graph in zip(instance.yields, instance.graphs, strict=True)
    )
    for other_paths, other_best, other_least in others:
        better = other_least < least
        best, least = np.where(better, other_best, best), np.where(better, other_least, least)
        pairs = zip(better, other_paths, paths, strict=True)
        paths = [other if is_better else path for is_better, other, path in pairs]
    members = [len(group.members) for group in instance.groups]
    bound = fsum(members * least) - fsum(np.asarray(instance.capacity) * prices)
    return Priced(paths, [int(k) for k in best], least, bound)


def _best_of(
    instance: Instance, prices: Floats, brings: int, graph: nx.DiGraph[str]
) -> tuple[list[Path | None], NDArray[np.int64], Floats]:
    """Return path, number of wavelengths and cost of every group if each brings this many units."""
    costs, paths = _cheapest(instance, prices, graph)
    recourse = instance.by_wavelengths(instance.recourse, brings)
    costs_by = costs[:, None] * np.arange(recourse.shape[1]) + recourse
    wavelengths = costs_by.argmin(axis=1)
    return paths, wavelengths, costs_by[np.arange(len(wavelengths)), wavelengths]


def _cheapest(
    instance: Instance, prices: Floats, graph: nx.DiGraph[str]
) -> tuple[Floats, list[Path | None]]:
    """Return priced cost and path of every group; unreachable ends cost more than any recourse."""
    for a, b, data in graph.edges(data=True):
        data["priced"] = data["cost"] + instance.arc_price((a, b), prices)
    out_of_reach = 1.0 + float(instance.recourse[:, 0].max(initial=0.0))
    pairs = [(group.source, group.target) for group in instance.groups]
    between = cheapest_paths_between(graph, pairs, "priced")
    costs = np.full(len(instance.groups), out_of_reach)
    paths: list[Path | None] = []
    for g, (group, pair) in enumerate(zip(instance.groups, pairs, strict=True)):
        found = between.get(pair)
        paths.append(found[1] if found else None)
        if found:
            costs[g] = found[0] - instance.passing_price(group.target, prices)
    return costs, paths


def best_columns(instance: Instance, priced: Priced) -> Iterator[Column]:
    """Yield every group's best answer that reserves anything."""
    for g, (path, count) in enumerate(zip(priced.paths, priced.wavelengths, strict=True)):
        if path is not None and count > 0:
            yield make_column(instance, g, path, count)


def _improving(
    instance: Instance, priced: Priced, prices: Floats, shares: Floats
) -> Iterator[Column]:
    """Yield the best column of every group that the master lacks: of negative reduced cost."""
    for column in best_columns(instance, priced):
        occupied = column.wavelengths * fsum(prices[e] for e in column.resources)
        if column.saving - occupied - shares[column.group] > 1e-6 * max(1.0, column.saving):
            yield column


def _fits(instance: Instance, columns: list[Column], weights: list[float]) -> bool:
    load = np.zeros(len(instance.capacity))
    for column, weight in zip(columns, weights, strict=True):
        load[list(column.resources)] += weight * column.wavelengths
    return bool(np.all(load <= np.asarray(instance.capacity)))
