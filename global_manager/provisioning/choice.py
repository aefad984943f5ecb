"""The first-stage program as a reader knows it: which path, and how many wavelengths, for whom.

The multiple-choice model over given columns.  `take[i]` counts the members of a group that choose
column i: path p with exactly k wavelengths (binary where a group is one request).

    minimise   sum_i (c_p k + Q(k) - Q(0)) take_i
    uniqueness sum_{i of group g} take_i            <= n_g     for every group g
    capacity   sum_{i through e} k_i take_i         <= W_e     for every fiber e

Where the six constraints of the program are:

* flow conservation: by construction, a column's path is a walk from source to target.
* required number of wavelengths: `units + on demand >= demand` in every scenario holds by
  construction of Q, which is the least cost of meeting it; the model never sees a scenario.
* path uniqueness: rows `uniqueness`; a request takes at most one column, and a column has one path.
* capacity: rows `capacity`.
* wavelength continuity and wavelength uniqueness: not here.  They hold by construction in
  `wavelengths`, which gives every unit one colour along its whole path and every colour of a fiber
  to at most one unit.  This model is their relaxation; its bound holds with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pulp

from global_manager.provisioning.columns import Column, ColumnPool, make_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.rounding import Rounding
from global_manager.provisioning.solver import Limits, run

_COLUMNS_A_ROW = 3  # more columns cost time and hardly gain: they are taken by reduced cost
_FREE_GROUPS = (10, 40)  # a small search first: it often suffices
_WHOLE = 1e-6

Selection = Counter[Column]
"""How many members of its group take each column."""


def choose(instance: Instance, pool: ColumnPool, gap: float, nodes: int) -> Selection:
    """Return a whole selection whose cost is, if the search ends in time, near the pool's bound.

    Half of the relative `gap` is left to colours.  The bound holds over all paths.  Rounding comes
    first; branch and bound over everything only if that leaves the gap open, and it ends after
    `nodes` nodes.  With none, the master rounded down and filled must do.
    """
    rounded = _round_down(pool)
    if pool.separable:
        return rounded
    near = around(instance, pool)
    start = _fill(instance, rounded, near)
    good_enough = pool.lower_bound * (1 + gap / 2) - instance.unreserved_cost
    if nodes == 0 or -saving(start) <= good_enough:
        return start
    limits = Limits(gap=gap * pool.lower_bound / 2, target=good_enough, nodes=nodes)
    ranked = _ranked(instance, pool, near)
    for columns_a_row in (2, _COLUMNS_A_ROW):
        promising = _promising(instance, pool, ranked, start, columns_a_row)
        rounding = Rounding(instance, promising)
        start = _better(instance, start, _fill(instance, rounding.dive(), near))
        if -saving(start) <= good_enough:
            return start
    for free_groups in _FREE_GROUPS:
        start = _search_around(
            instance, pool, rounding, start, free_groups=free_groups, limits=limits
        )
        if -saving(start) <= good_enough:
            return start
    promising = _promising(instance, pool, ranked, start, _COLUMNS_A_ROW)
    return _solve(instance, promising, start, limits)


def round_and_fill(instance: Instance, pool: ColumnPool) -> Selection:
    """Return a fair selection without any search: round the master down, then fill greedily."""
    return _fill(instance, _round_down(pool), around(instance, pool))


def build(instance: Instance, columns: Sequence[Column]) -> tuple[Any, list[Any]]:
    """Return the PuLP model and its variables, one a column."""
    model = pulp.LpProblem("multiple_choice", pulp.LpMinimize)
    take = [
        model.add_variable(f"take_{i:06d}", 0, _members(instance, column), pulp.LpInteger)
        for i, column in enumerate(columns)
    ]
    model += pulp.LpAffineExpression(
        [(x, -column.saving) for x, column in zip(take, columns, strict=True)]
    )
    by_group: dict[int, list[tuple[Any, int]]] = {}
    by_fiber: dict[int, list[tuple[Any, int]]] = {}
    for x, column in zip(take, columns, strict=True):
        by_group.setdefault(column.group, []).append((x, 1))
        for e in column.resources:
            by_fiber.setdefault(e, []).append((x, column.units))
    for g, own in by_group.items():
        model += pulp.LpAffineExpression(own) <= len(instance.groups[g].members), f"uniqueness_{g}"
    for e, through in by_fiber.items():
        model += pulp.LpAffineExpression(through) <= instance.capacity[e], f"capacity_{e}"
    return model, take


def _members(instance: Instance, column: Column) -> int:
    return len(instance.groups[column.group].members)


def _solve(
    instance: Instance, columns: list[Column], start: Selection, limits: Limits
) -> Selection:
    model, take = build(instance, columns)
    names = {column: x.name for column, x in zip(columns, take, strict=True)}
    answer = run(model, limits, {names[c]: float(n) for c, n in start.items()})
    found = selected(columns, take, answer.values) if answer.values is not None else None
    return _better(instance, start, found)


def selected(columns: list[Column], take: list[Any], values: Mapping[str, float]) -> Selection:
    """Return the selection that a solved model's values say."""
    counts = {c: round(values[x.name]) for c, x in zip(columns, take, strict=True)}
    return Counter({column: n for column, n in counts.items() if n != 0})


def saving(selection: Selection) -> float:
    """Return what a selection saves over reserving nothing."""
    return sum(n * column.saving for column, n in selection.items())


def _search_around(
    instance: Instance,
    pool: ColumnPool,
    rounding: Rounding,
    start: Selection,
    *,
    free_groups: int,
    limits: Limits,
) -> Selection:
    """Return a selection no worse than the start, in which most groups keep what they have."""
    loses = set(_losing_groups(instance, pool, start)[:free_groups])
    loses |= {c.group for c, w in zip(pool.columns, pool.weights, strict=True) if w % 1 > _WHOLE}
    return _better(instance, start, rounding.search(start, loses, limits))


def _better(instance: Instance, known: Selection, found: Selection | None) -> Selection:
    if found is None or not is_feasible(instance, found):
        return known
    return found if saving(found) > saving(known) else known


def _losing_groups(instance: Instance, pool: ColumnPool, selection: Selection) -> list[int]:
    """Return all groups, those first that pay most above the least at the bound's prices."""
    members = np.array([len(group.members) for group in instance.groups], dtype=float)
    loss = members * (instance.recourse[:, 0] - pool.group_costs)
    for column, n in selection.items():
        nothing = float(instance.recourse[column.group, 0] - pool.group_costs[column.group])
        loss[column.group] += n * (reduced_cost(instance, pool, column) - nothing)
    return [int(g) for g in np.argsort(-loss, kind="stable")]


def _ranked(
    instance: Instance, pool: ColumnPool, columns: Sequence[Column]
) -> list[tuple[float, Column]]:
    """Return columns with their reduced costs, least first."""
    costs = [(reduced_cost(instance, pool, column), column) for column in columns]
    return sorted(costs, key=itemgetter(0))


def _promising(
    instance: Instance,
    pool: ColumnPool,
    ranked: Sequence[tuple[float, Column]],
    start: Selection,
    columns_a_row: int,
) -> list[Column]:
    """Return the columns of least reduced cost, and no column that cannot beat the start."""
    slack = instance.unreserved_cost - saving(start) - pool.lower_bound
    most = columns_a_row * (len(instance.groups) + len(instance.capacity))
    cheapest = [column for cost, column in ranked[:most] if cost <= slack]
    known = set(cheapest)
    return cheapest + [column for column in start if column not in known]


def reduced_cost(instance: Instance, pool: ColumnPool, column: Column) -> float:
    """Return by how much taking this column once raises the bound: above the gap, it cannot pay."""
    priced = column.path_cost + sum(float(pool.prices[e]) for e in column.resources)
    by_units = priced * column.units + float(instance.recourse[column.group, column.units])
    return by_units - float(pool.group_costs[column.group])


def is_feasible(instance: Instance, selection: Selection) -> bool:
    """Check bounds and rows from scratch: solvers have answered `Optimal` outside their bounds."""
    load = np.zeros(len(instance.capacity), dtype=int)
    members = [len(group.members) for group in instance.groups]
    for column, n in selection.items():
        load[list(column.resources)] += n * column.units
        members[column.group] -= n
        if n < 0:
            return False
    return min(members, default=0) >= 0 and bool(np.all(load <= np.asarray(instance.capacity)))


def _round_down(pool: ColumnPool) -> Selection:
    whole = {c: int(w + 1e-6) for c, w in zip(pool.columns, pool.weights, strict=True)}
    return Counter({column: n for column, n in whole.items() if n > 0})


def around(
    instance: Instance, pool: ColumnPool, reach: int = 3, saving_over: float = 0.0
) -> list[Column]:
    """Return the pool's paths, each with every number of units near those that the master used.

    Near is `reach` units away; columns that save no more than `saving_over` are left out.
    """
    units_of: dict[tuple[int, tuple[str, ...]], set[int]] = {}
    for column in pool.columns:
        units_of.setdefault((column.group, column.path), set()).add(column.units)
    columns = []
    for (g, path), units in units_of.items():
        first, last = max(1, min(units) - reach), min(instance.most_units, max(units) + reach)
        own = make_columns(instance, g, path, range(first, last + 1))
        columns += [column for column in own if column.saving > saving_over]
    return columns


def _fill(instance: Instance, selection: Selection, columns: Iterable[Column]) -> Selection:
    """Add columns greedily, most saving a colour first, while bounds and capacity allow."""
    filled = Counter(selection)
    free = np.asarray(instance.capacity).copy()
    idle = [len(group.members) for group in instance.groups]
    for column, n in filled.items():
        free[list(column.resources)] -= n * column.units
        idle[column.group] -= n
    for column in sorted(columns, key=lambda c: -c.saving / (c.units * len(c.resources))):
        over = list(column.resources)
        n = min(idle[column.group], int(free[over].min()) // column.units)
        if n > 0:
            filled[column] += n
            free[over] -= n * column.units
            idle[column.group] -= n
    return filled
