"""The stochastic program from end to end: bound, choice of paths and units, colours, plan.

Column generation gives the bound and the columns, the multiple-choice model a whole selection, the
palette its colours.  Where requests share pools, all of this happens at the pools' best prices, and
of all states of the palette the one whose exact cost is least is the plan.  Everything stops by gap,
nodes or rounds, so equal input gives an equal plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from global_manager.provisioning.check import make_plan, relative_gap
from global_manager.provisioning.choice import Selection, round_and_fill
from global_manager.provisioning.columns import ColumnPool
from global_manager.provisioning.improving import Effort, improve
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Plan, Policy, Problem, Termination
from global_manager.provisioning.odd_sets import choose_colourable
from global_manager.provisioning.palette import Palette, route_of
from global_manager.provisioning.pool_choice import choose_with_pools
from global_manager.provisioning.pool_recourse import has_pools
from global_manager.provisioning.pools import Relaxation, relax
from global_manager.provisioning.wavelengths import Routes, assign, candidate_routes

_CHEAPEST_ROUTES = 8  # alternatives a group may move to besides the columns' own paths,
_MOST_ROUTES = 4_000  # unless there are so many groups that finding them would take longest
_PROVEN = 1e-9


@dataclass(frozen=True)
class Progress:
    """Where a solve stands: what it does, its best cost so far, and the proven bound."""

    stage: str
    cost: float
    lower_bound: float

    @property
    def gap(self) -> float:
        """The fraction of the cost by which the bound lies below it."""
        return relative_gap(self.cost, self.lower_bound)


@dataclass(frozen=True)
class Watch:
    """Who hears of progress, and of every plan that could be used if solving ended now."""

    progress: Callable[[Progress], None] = lambda _progress: None
    plan: Callable[[Plan], None] | None = None


def nothing_reserved(problem: Problem, policy: Policy, termination: Termination) -> Plan:
    """Return the plan that buys everything on demand; always there, and always lawful."""
    allocations = Palette(Instance(problem)).allocations()
    return make_plan(problem, policy, allocations, lower_bound=0.0, termination=termination)


def lower_bound(problem: Problem) -> float:
    """Return a proven bound on the expected cost of every plan for this problem."""
    return relax(problem).lower_bound


def optimize(
    problem: Problem,
    gap: float = 1e-3,
    watch: Watch | None = None,
    effort: Effort | None = None,
) -> Plan:
    """Return the best plan found for the two-stage stochastic program."""
    return _Run(problem, gap, watch or Watch(), effort or Effort()).plan()


def known_routes(instance: Instance, pool: ColumnPool) -> Routes:
    """Return the routes of the pool's columns and some cheapest ones, by group."""
    known = [(c.group, route_of(instance, c.path)) for c in pool.columns]
    affordable = _MOST_ROUTES // max(1, len(instance.groups))
    more = 0 if pool.separable else min(_CHEAPEST_ROUTES, affordable)
    return candidate_routes(instance, known, more)


def termination_of(gap: float, wanted: float) -> Termination:
    """Say why solving ended, judged by the plan's own gap and by nothing a solver says."""
    if gap <= _PROVEN:
        return Termination.OPTIMAL
    return Termination.GAP_LIMIT if gap <= wanted else Termination.WORK_LIMIT


class _Run:
    """One solve, step by step."""

    def __init__(self, problem: Problem, gap: float, watch: Watch, effort: Effort) -> None:
        self._problem, self._gap, self._watch, self._effort = problem, gap, watch, effort

    def plan(self) -> Plan:
        relaxation = relax(self._problem, self._report("columns"))
        instance, pool = relaxation.instance, relaxation.pool
        routes = known_routes(instance, pool)
        if self._watch.plan is not None and not pool.separable:
            self._colour(relaxation, round_and_fill(instance, pool), routes)
        selection = self._choose(relaxation)
        return self._improve(relaxation, selection, routes)

    def _choose(self, relaxation: Relaxation) -> Selection:
        if has_pools(self._problem):
            return choose_with_pools(relaxation, self._gap, self._effort.nodes)
        instance, pool = relaxation.instance, relaxation.pool
        return choose_colourable(instance, pool, self._gap, self._effort.nodes)

    def _improve(self, relaxation: Relaxation, selection: Selection, routes: Routes) -> Plan:
        palette, plan = self._colour(relaxation, selection, routes)
        good_enough = relaxation.pool.lower_bound / (1 - self._gap)
        for better in improve(palette, relaxation.pool, routes, good_enough, self._effort):
            if plan.gap <= self._gap:
                break
            other = self._state(better, _units(selection), relaxation.lower_bound)
            plan = min(plan, other, key=lambda known: known.objective)
        return plan

    def _colour(
        self, relaxation: Relaxation, selection: Selection, routes: Routes
    ) -> tuple[Palette, Plan]:
        palette = assign(relaxation.instance, selection, routes)
        return palette, self._state(palette, _units(selection), relaxation.lower_bound)

    def _state(self, palette: Palette, wished_units: int, bound: float) -> Plan:
        """Make a plan of a palette and show it to whoever watches."""
        plan = make_plan(
            self._problem,
            Policy.STOCHASTIC,
            palette.allocations(),
            lower_bound=bound,
            termination=Termination.NOT_OPTIMIZED,
            displaced_units=max(0, wished_units - palette.units),
        )
        plan = replace(plan, termination=termination_of(plan.gap, self._gap))
        if self._watch.plan is not None:
            self._watch.plan(plan)
        self._report("colours")(plan.objective, bound)
        return plan

    def _report(self, stage: str) -> Callable[[float, float], None]:
        return lambda cost, bound: self._watch.progress(Progress(stage, cost, bound))


def _units(selection: Selection) -> int:
    return sum(column.units * n for column, n in selection.items())
