"""Whole numbers for a problem with pools: the program with its second stage spelled out (`pooled_choice`).

At the best prices many requests are indifferent between one unit more and one less, and only the rows of
the second stage say how many of them should have it.
"""

from __future__ import annotations

from math import inf

from global_manager.provisioning.fleet_prices import cost_of
from global_manager.provisioning.multiple_choice import Column
from global_manager.provisioning.pooled_choice import PooledChoice
from global_manager.provisioning.priced_recourse import Relaxation, SharedRecourse
from global_manager.provisioning.selection import (
    Selection,
    choose,
    is_feasible,
    neighbouring_columns,
    reduced_cost,
    round_and_fill,
    selected,
)
from global_manager.provisioning.shared_recourse import SecondStage, pools_of
from global_manager.provisioning.solver import SearchLimits, run

_COLUMNS_PER_ROW = 3
_START_SHARE = 10  # of the nodes; more hardly improves a start


def choose_with_pools(relaxation: Relaxation, gap: float, nodes: int) -> Selection:
    """Return the best whole selection found, judged by its exact cost.

    The separable program at the best prices gives the start, and where UAVs fly from a fleet it is the
    answer.  Else the model is searched until half the
    relative `gap` to the bound over all paths, or for `nodes` branch-and-bound nodes (0: not at all).
    """
    start = _start(relaxation, gap, nodes // _START_SHARE)
    good_enough = relaxation.lower_bound * (1 + gap / 2)
    flies = pools_of(relaxation.instance.problem).uavs is not None
    if nodes == 0 or flies or true_cost(relaxation, start) <= good_enough:
        return start
    columns = promising_columns(relaxation, start)
    instance = relaxation.instance
    program = PooledChoice(instance, SharedRecourse(instance), columns)
    limits = SearchLimits(gap=gap * relaxation.lower_bound / 2, target=good_enough, nodes=nodes)
    known = {x.name: float(start[c]) for x, c in zip(program.take, columns, strict=True)}
    values = run(program.model, limits, known)  # HiGHS completes the start with the second stage
    if values is None:
        return start
    found = selected(columns, program.take, values)
    if not is_feasible(instance, found):
        return start
    return min(found, start, key=lambda selection: true_cost(relaxation, selection))


def _start(relaxation: Relaxation, gap: float, nodes: int) -> Selection:
    instance, pool = relaxation.instance, relaxation.pool
    fair = round_and_fill(instance, pool), choose(instance, pool, gap, nodes)
    return min(fair, key=lambda selection: true_cost(relaxation, selection))


def true_cost(relaxation: Relaxation, selection: Selection) -> float:
    """Return what a selection costs, its recourse exact."""
    instance = relaxation.instance
    return cost_of(instance, SecondStage(instance.problem), selection)


def promising_columns(relaxation: Relaxation, start: Selection) -> list[Column]:
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
