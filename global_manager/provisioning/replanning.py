"""A new plan from the one in force: keep what can stay, place again what cannot.

Traffic that works is left alone.  An allocation whose fibers are all there keeps its path and
colours.  Requests that lost a fiber, are new, or may move anyway get routes and units from the
two-stage program on the capacity that is left, and colours by first-fit; every colour's idle
stretches are then packed for them.  A few of the others may be changed where that saves enough
(`disturbing`).  Where requests share pools, units are valued at the prices that
the pools have in the whole problem.  The bound is that of the problem as it is now, so the gap tells
what keeping the rest may cost.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from global_manager.provisioning.check import check_problem, make_plan
from global_manager.provisioning.choice import choose
from global_manager.provisioning.columns import ColumnPool, generate_columns
from global_manager.provisioning.disturbing import NONE, Disturbance, disturb
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Allocation, Plan, Policy, Problem, Termination
from global_manager.provisioning.packing import top_up
from global_manager.provisioning.palette import Palette, Route, mask_of, route_of
from global_manager.provisioning.pools import relax
from global_manager.provisioning.two_stage import known_routes, termination_of
from global_manager.provisioning.wavelengths import Routes, first_fit, member_wishes, settle

_ROUNDS = 2
_NODES = 50


def replan(
    problem: Problem,
    previous: Plan,
    lost_fibers: Collection[tuple[str, str]] = (),
    *,
    movable: Collection[str] = (),
    gap: float = 1e-3,
    disturbance: Disturbance = NONE,
) -> Plan:
    """Return a plan for the problem without the lost fibers, near to the previous one.

    Allocations that survive and are not `movable` (request ids) stay exactly as they were, but for
    those that the `disturbance` allows to change.
    `displaced_units` counts units of the previous plan that found no new place.  Deterministic.

    Raises InvalidProblemError as `solve` does, and InvalidPlanError if what is kept does not fit
    the problem (its fibers carry fewer wavelengths than before, say).
    """
    left = without_fibers(problem, lost_fibers)
    check_problem(left)
    relaxation = relax(left)
    palette, movers = _keep(relaxation.instance, previous, frozenset(movable))
    first_fit(palette, _wishes(palette, movers, gap))
    routes = known_routes(relaxation.instance, relaxation.pool)
    _place(palette, relaxation.pool, routes, movers)
    if disturbance.changes:
        palette = disturb(palette, routes, movers, disturbance)
    plan = make_plan(
        left,
        Policy.STOCHASTIC,
        palette.allocations(),
        lower_bound=relaxation.lower_bound,
        termination=Termination.NOT_OPTIMIZED,
        displaced_units=max(0, sum(a.units for a in previous.allocations) - palette.units),
    )
    return replace(plan, termination=termination_of(plan.gap, gap))


def changes(previous: Plan, plan: Plan) -> tuple[Allocation, ...]:
    """Return the new plan's allocations that the previous one does not have: what must be sent."""
    before = {a.request: a for a in previous.allocations}
    return tuple(a for a in plan.allocations if before.get(a.request) != a)


def without_fibers(problem: Problem, lost_fibers: Collection[tuple[str, str]]) -> Problem:
    """Return the problem without these fibers, whichever way round they are named."""
    lost = {frozenset(ends) for ends in lost_fibers}
    kept = tuple(f for f in problem.fibers if frozenset((f.a, f.b)) not in lost)
    return replace(problem, fibers=kept)


def _keep(instance: Instance, previous: Plan, movable: frozenset[str]) -> tuple[Palette, list[int]]:
    """Return a palette of all allocations that stay, and the requests that hold nothing yet."""
    palette = Palette(instance)
    before = {a.request: a for a in previous.allocations}
    for position, request in enumerate(instance.problem.requests):
        allocation = before.get(request.id)
        if allocation is None or not allocation.path or request.id in movable:
            continue
        route = _surviving_route(instance, position, allocation)
        if route is not None:
            palette.hold(position, route, mask_of(allocation.wavelengths))
    movers = [r for r in range(len(instance.problem.requests)) if r not in palette.held]
    return palette, movers


def _surviving_route(instance: Instance, position: int, allocation: Allocation) -> Route | None:
    group = instance.groups[instance.group_of[position]]
    path = allocation.path
    path = path if path[0] == group.source else path[::-1]
    return route_of(instance, path) if instance.has_path(path) else None


def _wishes(palette: Palette, movers: list[int], gap: float) -> dict[int, tuple[Route, int]]:
    """Choose routes and units for the movers by the two-stage program on what is left free."""
    problem = palette.instance.problem
    free = [colours.bit_count() for colours in palette.free]
    ways = 2 if problem.directed_capacity else 1
    fibers = (
        replace(fiber, wavelengths=min(free[ways * i : ways * (i + 1)]))
        for i, fiber in enumerate(problem.fibers)
    )
    left = replace(problem, fibers=tuple(fibers)).of_requests(movers)
    rest = _rest(palette.instance, left, movers)
    selection = choose(rest, generate_columns(rest), gap, nodes=_NODES)
    return {movers[i]: wish for i, wish in member_wishes(rest, selection).items()}


def _rest(whole: Instance, problem: Problem, movers: list[int]) -> Instance:
    """Return the movers' part of the whole as an instance, at the whole's prices if it has any."""
    rest = Instance(problem)
    if not whole.is_priced:
        return rest
    rows = [whole.group_of[movers[group.members[0]]] for group in rest.groups]
    return rest.priced(whole.recourse[rows][:, : rest.most_units + 1].reshape(rest.recourse.shape))


def _place(palette: Palette, pool: ColumnPool, routes: Routes, movers: list[int]) -> None:
    for _ in range(_ROUNDS):
        settle(palette, routes, movers)
        for colour in range(max(palette.instance.colours, default=0)):
            top_up(palette, colour, routes, pool.prices, movers)
    settle(palette, routes, movers)
