"""The first-stage program in whole units: the path of each request, and how many wavelengths.

The multiple-choice program (`multiple_choice`) over given columns. The relaxation has few fractional
columns, so rounding comes first. Diving fixes the largest fractions and solves again, until all is
whole. Then every group but those that lose most against the bound's prices keeps what it has, and branch
and bound settles the rest. In small programs a search over everything follows; in large ones searches
around groups that are drawn, by what they lose, again and again (large neighbourhood search: Shaw, 1998).
None of this proves anything; all is counted in linear programs, draws and nodes, never in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import highspy
import numpy as np

from global_manager.provisioning.columns import ColumnPool
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.multiple_choice import Column, make_columns, multiple_choice
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.solver import SearchLimits, keep_relaxed, run

_COLUMNS_PER_ROW = 3  # more columns cost time and hardly gain: they are taken by reduced cost
_FEW_GROUPS = (10, 40)  # a small search first: it often suffices
_DRAWN_GROUPS = 30  # of which one takes hundredths of a second
_MOST_DRAWS = 100
_STALE = 40  # draws without a better selection
_ALSO = 0.02  # of the largest loss: the chance of groups that lose nothing
_SEED = 20_240_229
_WHOLE = 1e-6
_DIVES = 30  # at least this many steps; of more fractional columns several are fixed at once
_MOST_DIVES = 200
_MOST_SEARCH = 5_000_000  # nodes of branch and bound times rows times columns
_FEWEST_NODES = (
    25  # in programs whose search over everything may not have as many, groups are drawn
)

Selection = Counter[Column]
"""How many members of its group take each column."""


def choose(
    instance: Instance, pool: ColumnPool, gap: float, nodes: int, *, over_all: bool = True
) -> Selection:
    """Return a whole selection whose cost is, if the search ends in time, near the pool's bound.

    Half of the relative `gap` is left to wavelengths.  The bound holds over all paths.  Rounding comes
    first; branch and bound over everything only if that leaves the gap open and `over_all` allows it, and
    it ends after `nodes` nodes, earlier in large programs.  With no nodes, the master rounded down and
    filled must do.
    """
    rounded = _round_down(pool)
    if pool.separable:
        return rounded
    near = neighbouring_columns(instance, pool)
    start = _fill(instance, rounded, near)
    good_enough = -saving_wanted(instance, pool, gap)
    if not near or nodes == 0 or -saving(start) <= good_enough:
        return start
    limits = SearchLimits(gap=gap * pool.lower_bound / 2, target=good_enough, nodes=nodes)
    ranked = _ranked(instance, pool, near)
    for columns_per_row in (2, _COLUMNS_PER_ROW):
        promising = _promising(instance, pool, ranked, start, columns_per_row)
        rounding = Rounding(instance, promising)
        start = _better(instance, start, _fill(instance, rounding.dive(), near))
        if -saving(start) <= good_enough:
            return start
    if _nodes_over_all(instance, promising) < min(_FEWEST_NODES, nodes):
        return _search_by_draws(instance, pool, rounding, start, limits)
    for few in _FEW_GROUPS:
        free = _losing_groups(instance, pool, start, few)
        start = _better(instance, start, rounding.search(start, free, limits))
        if -saving(start) <= good_enough:
            return start
    promising = _promising(instance, pool, ranked, start, _COLUMNS_PER_ROW)
    return _solve(instance, promising, start, limits) if over_all else start


def saving_wanted(instance: Instance, pool: ColumnPool, gap: float) -> float:
    """Return the saving at which a selection is good enough: half of the gap is left to wavelengths."""
    return instance.unreserved_cost - pool.lower_bound * (1 + gap / 2)


def round_and_fill(instance: Instance, pool: ColumnPool) -> Selection:
    """Return a fair selection without any search: round the master down, then fill greedily."""
    return _fill(instance, _round_down(pool), neighbouring_columns(instance, pool))


def _solve(
    instance: Instance, columns: list[Column], start: Selection, limits: SearchLimits
) -> Selection:
    fewer = max(_FEWEST_NODES, _nodes_over_all(instance, columns))
    limits = replace(limits, nodes=min(limits.nodes, fewer))
    model, take = multiple_choice(instance, columns)
    names = {column: x.name for column, x in zip(columns, take, strict=True)}
    values = run(model, limits, {names[c]: float(n) for c, n in start.items()})
    found = selected(columns, take, values) if values is not None else None
    return _better(instance, start, found)


def _nodes_over_all(instance: Instance, columns: Sequence[Column]) -> int:
    """Return how many nodes a search over all these columns may have."""
    size = len(columns) * (len(instance.groups) + len(instance.capacity))
    return _MOST_SEARCH // max(1, size)


def selected(columns: list[Column], take: list[Any], values: Mapping[str, float]) -> Selection:
    """Return the selection that a solved model's values say."""
    counts = {c: round(values[x.name]) for c, x in zip(columns, take, strict=True)}
    return Counter({column: n for column, n in counts.items() if n != 0})


def saving(selection: Selection) -> float:
    """Return what a selection saves over reserving nothing."""
    return sum(n * column.saving for column, n in selection.items())


def _losing_groups(
    instance: Instance, pool: ColumnPool, selection: Selection, few: int
) -> set[int]:
    """Return the few groups that lose most, and those that the master left fractional."""
    order = np.argsort(-_losses(instance, pool, selection), kind="stable")
    return {int(g) for g in order[:few]} | _fractional_groups(pool)


def _fractional_groups(pool: ColumnPool) -> set[int]:
    return {c.group for c, w in zip(pool.columns, pool.weights, strict=True) if w % 1 > _WHOLE}


def _search_by_draws(
    instance: Instance, pool: ColumnPool, rounding: Rounding, start: Selection, limits: SearchLimits
) -> Selection:
    """Return a selection no worse than the start, by searches around groups that are drawn by loss."""
    free = _losing_groups(instance, pool, start, _FEW_GROUPS[0])
    if len(free) <= _DRAWN_GROUPS:
        start = _better(instance, start, rounding.search(start, free, limits))
    rng, stale = np.random.default_rng(_SEED), 0
    for _ in range(_MOST_DRAWS):
        if -saving(start) <= limits.target or stale >= _STALE:
            break
        losses = np.maximum(_losses(instance, pool, start), 0.0)
        chances = losses + _ALSO * losses.max(initial=0.0) + _WHOLE
        many = min(_DRAWN_GROUPS, len(chances))
        drawn = rng.choice(len(chances), many, replace=False, p=chances / chances.sum())
        found = _better(instance, start, rounding.search(start, set(drawn.tolist()), limits, 0.0))
        stale = 0 if found is not start else stale + 1
        start = found
    return start


def _better(instance: Instance, known: Selection, found: Selection | None) -> Selection:
    if found is None or not is_feasible(instance, found):
        return known
    return found if saving(found) > saving(known) else known


def _losses(instance: Instance, pool: ColumnPool, selection: Selection) -> Floats:
    """Return by group what it pays above the least at the bound's prices."""
    members = np.array([len(group.members) for group in instance.groups], dtype=float)
    loss: Floats = members * (instance.recourse[:, 0] - pool.group_costs)
    for column, n in selection.items():
        nothing = float(instance.recourse[column.group, 0] - pool.group_costs[column.group])
        loss[column.group] += n * (reduced_cost(instance, pool, column) - nothing)
    return loss


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
    columns_per_row: int,
) -> list[Column]:
    """Return the columns of least reduced cost, and no column that cannot beat the start."""
    slack = instance.unreserved_cost - saving(start) - pool.lower_bound
    most = columns_per_row * (len(instance.groups) + len(instance.capacity))
    cheapest = [column for cost, column in ranked[:most] if cost <= slack]
    known = set(cheapest)
    return cheapest + [column for column in start if column not in known]


def reduced_cost(instance: Instance, pool: ColumnPool, column: Column) -> float:
    """Return by how much taking this column once raises the bound: above the gap, it cannot pay."""
    priced = column.path_cost + sum(float(pool.prices[e]) for e in column.resources)
    both = priced * column.wavelengths + instance.recourse_of(column.group, column.units)
    return both - float(pool.group_costs[column.group])


def is_feasible(instance: Instance, selection: Selection) -> bool:
    """Check bounds and rows from scratch: solvers have answered `Optimal` outside their bounds."""
    load = np.zeros(len(instance.capacity), dtype=int)
    members = [len(group.members) for group in instance.groups]
    for column, n in selection.items():
        load[list(column.resources)] += n * column.wavelengths
        members[column.group] -= n
        if n < 0:
            return False
    return min(members, default=0) >= 0 and bool(np.all(load <= np.asarray(instance.capacity)))


def _round_down(pool: ColumnPool) -> Selection:
    whole = {c: int(w + 1e-6) for c, w in zip(pool.columns, pool.weights, strict=True)}
    return Counter({column: n for column, n in whole.items() if n > 0})


def neighbouring_columns(
    instance: Instance, pool: ColumnPool, reach: int = 3, saving_over: float = 0.0
) -> list[Column]:
    """Return the pool's paths, each with every number of wavelengths near those that the master used.

    Near is `reach` wavelengths away; columns that save no more than `saving_over` are left out.
    """
    used: dict[tuple[int, tuple[str, ...]], set[int]] = {}
    for column in pool.columns:
        used.setdefault((column.group, column.path), set()).add(column.wavelengths)
    columns = []
    for (g, path), numbers in used.items():
        most = instance.most_wavelengths(instance.units_along(path))
        first, last = max(1, min(numbers) - reach), min(most, max(numbers) + reach)
        own = make_columns(instance, g, path, range(first, last + 1))
        columns += [column for column in own if column.saving > saving_over]
    return columns


def _fill(instance: Instance, selection: Selection, columns: Iterable[Column]) -> Selection:
    """Add columns greedily, most saving a wavelength first, while bounds and capacity allow."""
    filled = Counter(selection)
    free = np.asarray(instance.capacity).copy()
    idle = [len(group.members) for group in instance.groups]
    for column, n in filled.items():
        free[list(column.resources)] -= n * column.wavelengths
        idle[column.group] -= n
    for column in sorted(columns, key=lambda c: -c.saving / (c.wavelengths * len(c.resources))):
        over = list(column.resources)
        n = min(idle[column.group], int(free[over].min()) // column.wavelengths)
        if n > 0:
            filled[column] += n
            free[over] -= n * column.wavelengths
            idle[column.group] -= n
    return filled


class Rounding:
    """The multiple-choice program over given columns, kept in HiGHS; answers are feasible."""

    def __init__(self, instance: Instance, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._most = np.array([float(len(instance.groups[c.group].members)) for c in columns])
        self._highs = keep_relaxed(multiple_choice(instance, columns)[0])

    def dive(self) -> Counter[Column]:
        """Return a selection; what is not whole when diving ends is rounded down."""
        low, high = np.zeros(len(self._columns)), self._most.copy()
        values = low
        for _ in range(_MOST_DIVES):
            relaxed = self._relaxed(low, high)
            if relaxed is None:
                break
            values = relaxed
            rest = values - np.floor(values + _WHOLE)
            fractional = np.flatnonzero(rest > _WHOLE)
            if len(fractional) == 0:
                break
            order = fractional[np.argsort(-rest[fractional], kind="stable")]
            first = order[: 1 + len(order) // _DIVES]
            before = low.copy()
            low[first] = np.ceil(values[first] - _WHOLE)
            if self._relaxed(low, high) is None:
                low = before
                high[first[0]] = np.floor(values[first[0]] + _WHOLE)
        return self._selection(np.floor(values + _WHOLE))

    def search(
        self,
        start: Counter[Column],
        free_groups: Collection[int],
        limits: SearchLimits,
        heuristics: float = 0.05,
    ) -> Counter[Column] | None:
        """Return the best selection found that differs from the start in free groups only.

        `heuristics` is the share of the effort that the solver's own may take.
        """
        held = np.array([float(start[c]) for c in self._columns])
        free = np.array([column.group in free_groups for column in self._columns])
        self._bound(np.where(free, 0.0, held), np.where(free, self._most, held))
        options = {
            "mip_rel_gap": 0.0,
            "mip_abs_gap": limits.gap,
            "mip_max_nodes": limits.nodes,
            "objective_target": limits.target,
            "mip_heuristic_effort": heuristics,
        }
        for name, value in options.items():
            self._highs.setOptionValue(name, value)
        count = len(self._columns)
        whole = np.full(count, int(highspy.HighsVarType.kInteger), dtype=np.uint8)
        self._highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), whole)
        self._highs.run()
        status = self._highs.getInfo().primal_solution_status
        if status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        return self._selection(np.asarray(self._highs.getSolution().col_value))

    def _relaxed(self, low: Floats, high: Floats) -> Floats | None:
        """Return the relaxation's values within these bounds, None if there is no solution."""
        self._bound(low, high)
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.asarray(self._highs.getSolution().col_value)

    def _bound(self, low: Floats, high: Floats) -> None:
        count = len(self._columns)
        self._highs.changeColsBounds(count, np.arange(count, dtype=np.int32), low, high)

    def _selection(self, values: Floats) -> Counter[Column]:
        counts = {c: round(v) for c, v in zip(self._columns, values, strict=True)}
        return Counter({column: n for column, n in counts.items() if n > 0})
