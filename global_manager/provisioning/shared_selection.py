"""Whole numbers for a problem with pools: the multiple-choice model with its second stage spelled out.

Added to the rows of `selection` are, for every kind of requests c in future w,

    need       s_cw + u_cw + v_cw >= sum_{r of kind c} d_rw - sum_{i of kind c} min(k_i, d_iw) take_i
    pools      sum_c s_cw <= S (no s_cw where no satellite can serve),  sum_c u_cw <= U

because at the best prices many requests are indifferent between one unit more and one less, and only
the rows say how many of them should have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import numpy as np
import pulp

from global_manager.provisioning.multiple_choice import Column, multiple_choice
from global_manager.provisioning.price_decomposition import Relaxation, SharedRecourse
from global_manager.provisioning.selection import (
    Selection,
    choose,
    is_feasible,
    neighbouring_columns,
    reduced_cost,
    round_and_fill,
    selected,
)
from global_manager.provisioning.shared_recourse import SecondStage
from global_manager.provisioning.solver import SearchLimits, run

_COLUMNS_PER_ROW = 3
_START_SHARE = 10  # of the nodes; more hardly improves a start


def choose_with_pools(relaxation: Relaxation, gap: float, nodes: int) -> Selection:
    """Return the best whole selection found, judged by its exact cost.

    The separable program at the best prices gives the start.  The model is searched until half the
    relative `gap` to the bound over all paths, or for `nodes` branch-and-bound nodes (0: not at all).
    """
    start = _start(relaxation, gap, nodes // _START_SHARE)
    good_enough = relaxation.lower_bound * (1 + gap / 2)
    if nodes == 0 or true_cost(relaxation, start) <= good_enough:
        return start
    columns = _promising(relaxation, start)
    model, take = _model(relaxation, columns)
    limits = SearchLimits(gap=gap * relaxation.lower_bound / 2, target=good_enough, nodes=nodes)
    known = {x.name: float(start[c]) for x, c in zip(take, columns, strict=True)}
    values = run(model, limits, known)  # HiGHS completes the start with the second stage
    if values is None:
        return start
    found = selected(columns, take, values)
    if not is_feasible(relaxation.instance, found):
        return start
    return min(found, start, key=lambda selection: true_cost(relaxation, selection))


def _start(relaxation: Relaxation, gap: float, nodes: int) -> Selection:
    instance, pool = relaxation.instance, relaxation.pool
    fair = round_and_fill(instance, pool), choose(instance, pool, gap, nodes)
    return min(fair, key=lambda selection: true_cost(relaxation, selection))


def true_cost(relaxation: Relaxation, selection: Selection) -> float:
    """Return what a selection costs, its recourse exact."""
    instance = relaxation.instance
    reserved = [0] * len(instance.problem.requests)
    waiting = {g: list(group.members) for g, group in enumerate(instance.groups)}
    first = 0
    for column, n in selection.items():
        first += n * column.units * column.path_cost
        for _ in range(n):
            reserved[waiting[column.group].pop()] = column.units
    return first + SecondStage(instance.problem).expected(reserved).cost


def _promising(relaxation: Relaxation, start: Selection) -> list[Column]:
    """Return the columns of least reduced cost, the master's own and the start's.

    At the best prices many save nothing, give or take a rounding error, and are wanted all the same;
    and along a straight piece of the recourse the master mixes its ends, however far apart.
    """
    instance, pool = relaxation.instance, relaxation.pool
    every = neighbouring_columns(instance, pool, reach=instance.most_units, saving_over=-inf)
    costs = {c: reduced_cost(instance, pool, c) for c in every}
    most = _COLUMNS_PER_ROW * (len(instance.groups) + len(instance.capacity))
    own = [c for c, weight in zip(pool.columns, pool.weights, strict=True) if weight > 0]
    return list(dict.fromkeys([*sorted(costs, key=costs.__getitem__)[:most], *own, *start]))


def _model(relaxation: Relaxation, columns: list[Column]) -> tuple[Any, list[Any]]:
    """Return the PuLP model and its first-stage variables, one per column."""
    recourse = SharedRecourse(relaxation.instance)
    model, take = multiple_choice(relaxation.instance, columns)
    cost = [(x, float(c.path_cost * c.units)) for x, c in zip(take, columns, strict=True)]
    covering: dict[tuple[int, int], list[tuple[Any, float]]] = {}
    for x, column in zip(take, columns, strict=True):
        covered = recourse.covered(column.group, column.units)
        for future in np.flatnonzero(covered):
            need = int(future), int(recourse.kind[future, column.group])
            covering.setdefault(need, []).append((x, float(covered[future])))
    bought: dict[tuple[str, int], list[Any]] = {}
    for (w, kind), needed in np.ndenumerate(recourse.stage.needed):
        serving = covering.get((w, kind), [])
        for medium, unit_cost in _unit_costs(recourse.stage, kind) if needed else ():
            x = model.add_variable(f"{medium}_{kind}_{w}", 0)
            bought.setdefault((medium, w), []).append(x)
            serving.append((x, 1.0))
            cost.append((x, float(recourse.stage.probability[w]) * unit_cost))
        if needed:
            model += pulp.LpAffineExpression(serving) >= int(needed), f"need_{kind}_{w}"
    room = {
        "satellite": recourse.stage.pools.satellite_units,
        "uav": recourse.stage.pools.uav_units,
    }
    for (medium, w), units in bought.items():
        most = room.get(medium)
        if most is not None:
            model += pulp.lpSum(units) <= most, f"{medium}_pool_{w}"
    model.setObjective(pulp.LpAffineExpression(cost))
    return model, take


def _unit_costs(stage: SecondStage, kind: int) -> Iterator[tuple[str, int]]:
    """Yield the media that can bring a missing unit of this kind, with its cost."""
    satellite_cost = stage.satellite_cost[kind]
    if satellite_cost is not None:
        yield "satellite", satellite_cost
    yield "uav", stage.uav_cost[kind]
    yield "lost", stage.shortfall_cost[kind]
