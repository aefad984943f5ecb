"""The stochastic program from end to end: in one piece if it is small, else in three steps.

Up to `ARCS_UP_TO` variables the extensive form over arcs is built and solved as it stands (`arcs`);
what it does not settle within its nodes, and all that is larger, is for the large method. There column
generation gives the bound and the columns, the multiple-choice model a whole selection, and local
search the wavelengths. Where requests share pools, all of this happens at the pools' best prices, and
the assignment of least exact cost is the plan. Everything stops by gap, nodes or rounds, so equal input
gives an equal plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from global_manager.provisioning.arcs import ArcSolution, solve_arcs
from global_manager.provisioning.assignment import (
    Routes,
    WavelengthAssignment,
    assign,
    candidate_routes,
    route_of,
)
from global_manager.provisioning.check import make_plan, relative_gap, verify
from global_manager.provisioning.columns import ColumnPool
from global_manager.provisioning.configurations import assign_by_configurations
from global_manager.provisioning.cuts import choose_with_cuts
from global_manager.provisioning.formulation import is_small
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.local_search import Effort, improve
from global_manager.provisioning.model import (
    Allocation,
    Formulation,
    OwnPolicy,
    Plan,
    Policy,
    Problem,
    Termination,
)
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.priced_recourse import Relaxation
from global_manager.provisioning.risk_search import objective, polish
from global_manager.provisioning.risk_selection import choose_with_risk
from global_manager.provisioning.selection import Selection, round_and_fill
from global_manager.provisioning.shared_recourse import has_pools
from global_manager.provisioning.shared_selection import choose_with_pools

_CHEAPEST_ROUTES = 8  # alternatives a group may move to besides the columns' own paths,
_MOST_ROUTES = 4_000  # over all groups: finding them must not dominate
_FAR = 4  # times the wanted gap
_PROVEN = 1e-9


@dataclass(frozen=True)
class SolveProgress:
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
    """Callbacks for progress, and for every plan that could be used if solving ended now."""

    progress: Callable[[SolveProgress], None] = lambda _progress: None
    plan: Callable[[Plan], None] | None = None


def nothing_reserved(
    problem: Problem, policy: Policy | OwnPolicy, termination: Termination
) -> Plan:
    """Return the plan that buys everything on demand; always available and always feasible."""
    allocations = WavelengthAssignment(Instance(problem)).allocations()
    return make_plan(problem, policy, allocations, lower_bound=0.0, termination=termination)


def lower_bound(problem: Problem) -> float:
    """Return a proven bound on the expected cost of every plan for this problem."""
    return relax(problem).lower_bound


def plan_made_elsewhere(
    problem: Problem, policy: Policy | OwnPolicy, allocations: tuple[Allocation, ...]
) -> Plan:
    """Return a plan that was made elsewhere: verified, priced, bounded.  Raises `InvalidPlanError`."""
    verify(problem, allocations)
    return make_plan(
        problem,
        policy,
        allocations,
        lower_bound=lower_bound(problem),
        termination=Termination.NOT_OPTIMIZED,
    )


def optimize(
    problem: Problem,
    gap: float = 1e-3,
    watch: Watch | None = None,
    effort: Effort | None = None,
    formulation: Formulation | None = None,
) -> Plan:
    """Return the best plan found for the two-stage stochastic program.

    Without a `formulation`, it is `formulation_for` the problem; arcs that leave the gap open are then
    followed by columns, and the better plan and the better bound are the answer.
    """
    chosen, watch = formulation or formulation_for(problem), watch or Watch()
    large = _Solve(problem, gap, watch, effort or Effort())
    if chosen is Formulation.COLUMNS:
        return large.plan()
    found = _plan_by_arcs(problem, gap, watch)
    if formulation is Formulation.ARCS or found.gap <= gap:
        return found
    return _better(found, large.plan(), gap)


def formulation_for(problem: Problem) -> Formulation:
    """Return the form in which a problem is solved, by its number of variables alone."""
    return Formulation.ARCS if is_small(problem) else Formulation.COLUMNS


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


def _plan_by_arcs(problem: Problem, gap: float, watch: Watch) -> Plan:
    def hear(found: ArcSolution) -> None:
        _stated(problem, found, gap, watch)

    found = solve_arcs(problem, found=None if watch.plan is None else hear)
    return _stated(problem, found, gap, watch)


def _stated(problem: Problem, found: ArcSolution, gap: float, watch: Watch) -> Plan:
    """Make a plan of a solution of the extensive form and report it."""
    plan = make_plan(
        problem,
        Policy.STOCHASTIC,
        found.allocations,
        lower_bound=found.lower_bound,
        termination=Termination.NOT_OPTIMIZED,
    )
    termination = termination_of(plan.gap, gap)
    plan = replace(plan, termination=termination, formulation=Formulation.ARCS)
    if watch.plan is not None:
        watch.plan(plan)
    watch.progress(SolveProgress("arcs", plan.objective, plan.lower_bound))
    return plan


def _better(one: Plan, other: Plan, gap: float) -> Plan:
    """Return the plan that costs less, the first of equals, against the better of both bounds."""
    plan = min(one, other, key=lambda known: known.objective)
    bound = min(plan.objective, max(one.lower_bound, other.lower_bound))
    left = relative_gap(plan.objective, bound)
    return replace(plan, lower_bound=bound, gap=left, termination=termination_of(left, gap))


class _Solve:
    """One solve, step by step."""

    def __init__(self, problem: Problem, gap: float, watch: Watch, effort: Effort) -> None:
        self._problem, self._gap, self._watch, self._effort = problem, gap, watch, effort

    def plan(self) -> Plan:
        relaxation = relax(self._problem, self._report("columns"))
        instance, pool = relaxation.instance, relaxation.pool
        if self._watch.plan is not None and not pool.separable:
            own = ((column.group, route_of(instance, column.path)) for column in pool.columns)
            self._assign(
                relaxation, round_and_fill(instance, pool), candidate_routes(instance, own, 0)
            )
        selection = self._choose(relaxation)
        return self._improve(relaxation, selection, known_routes(instance, pool))

    def _choose(self, relaxation: Relaxation) -> Selection:
        if self._problem.risk is not None:
            return choose_with_risk(relaxation, self._gap, self._effort.nodes)
        if has_pools(self._problem):
            return choose_with_pools(relaxation, self._gap, self._effort.nodes)
        instance, pool = relaxation.instance, relaxation.pool
        return choose_with_cuts(instance, pool, self._gap, self._effort.nodes)

    def _improve(self, relaxation: Relaxation, selection: Selection, routes: Routes) -> Plan:
        assignment, plan = self._assign(relaxation, selection, routes)
        pool, effort = relaxation.pool, self._effort
        good_enough = pool.lower_bound / (1 - self._gap)
        far = pool.lower_bound / (1 - min(0.5, _FAR * self._gap))
        if assignment.cost > far:
            colored = assign_by_configurations(relaxation.instance, selection, routes, far)
            if colored is not None:
                assignment = colored
                plan = self._state(colored, _units(selection), relaxation.lower_bound)
        for better in improve(assignment, pool, routes, good_enough, effort, far=far):
            if plan.gap <= self._gap:
                break
            other = self._state(better, _units(selection), relaxation.lower_bound)
            if other.objective < plan.objective:
                assignment, plan = better, other
        risk = self._problem.risk
        if risk is None or plan.gap <= self._gap:
            return plan
        kept = assign(relaxation.instance, selection, routes, as_selected=True)
        best = min((assignment, kept), key=lambda known: objective(known, risk))
        better = polish(best, routes, risk)
        other = self._state(better, _units(selection), relaxation.lower_bound)
        return min(plan, other, key=lambda known: known.objective)

    def _assign(
        self, relaxation: Relaxation, selection: Selection, routes: Routes
    ) -> tuple[WavelengthAssignment, Plan]:
        assignment = assign(relaxation.instance, selection, routes)
        return assignment, self._state(assignment, _units(selection), relaxation.lower_bound)

    def _state(self, assignment: WavelengthAssignment, selected_units: int, bound: float) -> Plan:
        """Make a plan of an assignment and report it."""
        plan = make_plan(
            self._problem,
            Policy.STOCHASTIC,
            assignment.allocations(),
            lower_bound=bound,
            termination=Termination.NOT_OPTIMIZED,
            displaced_units=max(0, selected_units - assignment.units),
        )
        plan = replace(plan, termination=termination_of(plan.gap, self._gap))
        if self._watch.plan is not None:
            self._watch.plan(plan)
        self._report("wavelengths")(plan.objective, bound)
        return plan

    def _report(self, stage: str) -> Callable[[float, float], None]:
        return lambda cost, bound: self._watch.progress(SolveProgress(stage, cost, bound))


def _units(selection: Selection) -> int:
    return sum(column.units * n for column, n in selection.items())
