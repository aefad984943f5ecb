"""A new plan from the one in force: keep what can stay, place the rest again.

An allocation whose fibers are all there keeps its path and wavelengths.  Requests that lost a fiber,
are new, or may move anyway get routes and units from the two-stage program on the capacity that is
left, and wavelengths by first-fit; the idle stretches of every wavelength are then packed for them.
Where requests share pools, units are valued at the prices that the pools have in the whole problem.
The bound is that of the problem as it is now, so the gap tells what keeping the rest may cost.

A request that lost a fiber often finds all others full, with reservations whose last units are worth
less than its first would be.  So a few reservations may be rearranged: a mover takes one wavelength
after the other along its best route, each where others lose least, as long as it gains more than they
lose and more than a changed reservation must save.  Requests that gave way then improve in what is
free.  It ends when nothing pays or enough has changed.  Nothing is random: equal input, equal plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from global_manager.provisioning.assignment import (
    Holding,
    Route,
    Routes,
    WavelengthAssignment,
    bits,
    first_fit,
    improve_all,
    mask_of,
    member_choices,
    route_of,
)
from global_manager.provisioning.check import check_problem, make_plan
from global_manager.provisioning.columns import ColumnPool, generate_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.local_search import top_up
from global_manager.provisioning.model import Allocation, Plan, Policy, Problem, Termination
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.selection import choose
from global_manager.provisioning.set_packing import SetPacking
from global_manager.provisioning.stochastic_plan import known_routes, termination_of

_ROUNDS = 2
_NODES = 50


@dataclass(frozen=True)
class Rearrangement:
    """How many kept reservations a re-plan may change, and what each must save in a period."""

    changes: int = 0
    least_saving: float = 0.0


NO_REARRANGEMENT = Rearrangement()


def replan(
    problem: Problem,
    previous: Plan,
    lost_fibers: Collection[tuple[str, str]] = (),
    *,
    movable: Collection[str] = (),
    gap: float = 1e-3,
    rearrangement: Rearrangement = NO_REARRANGEMENT,
) -> Plan:
    """Return a plan for the problem without the lost fibers, near to the previous one.

    Allocations that survive and are not `movable` (request ids) stay exactly as they were, except
    for those that `rearrangement` allows to change.
    `displaced_units` counts units of the previous plan that found no new place.  Deterministic.

    Raises InvalidProblemError as `solve` does, and InvalidPlanError if what is kept does not fit
    the problem (its fibers carry fewer wavelengths than before, say).
    """
    left = without_fibers(problem, lost_fibers)
    check_problem(left)
    relaxation = relax(left)
    assignment, movers = _keep(relaxation.instance, previous, frozenset(movable))
    first_fit(assignment, _choices(assignment, movers, gap))
    routes = known_routes(relaxation.instance, relaxation.pool)
    _place(assignment, relaxation.pool, routes, movers)
    if rearrangement.changes:
        assignment = rearrange(assignment, routes, movers, rearrangement)
    plan = make_plan(
        left,
        Policy.STOCHASTIC,
        assignment.allocations(),
        lower_bound=relaxation.lower_bound,
        termination=Termination.NOT_OPTIMIZED,
        displaced_units=max(0, sum(a.units for a in previous.allocations) - assignment.units),
    )
    return replace(plan, termination=termination_of(plan.gap, gap))


def without_fibers(problem: Problem, lost_fibers: Collection[tuple[str, str]]) -> Problem:
    """Return the problem without these fibers, whichever way round they are named."""
    lost = {frozenset(ends) for ends in lost_fibers}
    kept = tuple(f for f in problem.fibers if frozenset((f.a, f.b)) not in lost)
    return replace(problem, fibers=kept)


def _keep(
    instance: Instance, previous: Plan, movable: frozenset[str]
) -> tuple[WavelengthAssignment, list[int]]:
    """Return an assignment of all allocations that stay, and the requests that hold nothing yet."""
    assignment = WavelengthAssignment(instance)
    before = {a.request: a for a in previous.allocations}
    for position, request in enumerate(instance.problem.requests):
        allocation = before.get(request.id)
        if allocation is None or not allocation.path or request.id in movable:
            continue
        route = _surviving_route(instance, position, allocation)
        if route is not None:
            assignment.hold(position, route, mask_of(allocation.wavelengths))
    movers = [r for r in range(len(instance.problem.requests)) if r not in assignment.held]
    return assignment, movers


def _surviving_route(instance: Instance, position: int, allocation: Allocation) -> Route | None:
    group = instance.groups[instance.group_of[position]]
    path = allocation.path
    path = path if path[0] == group.source else path[::-1]
    return route_of(instance, path) if instance.has_path(path) else None


def _choices(
    assignment: WavelengthAssignment, movers: list[int], gap: float
) -> dict[int, tuple[Route, int]]:
    """Choose routes and wavelengths for the movers by the two-stage program on what is left free."""
    problem = assignment.instance.problem
    free = [wavelengths.bit_count() for wavelengths in assignment.free]
    ways = 2 if problem.directed_capacity else 1
    fibers = (
        replace(fiber, wavelengths=min(free[ways * i : ways * (i + 1)]))
        for i, fiber in enumerate(problem.fibers)
    )
    left = replace(problem, fibers=tuple(fibers)).of_requests(movers)
    rest = _part(assignment.instance, left, movers)
    selection = choose(rest, generate_columns(rest), gap, nodes=_NODES)
    return {movers[i]: choice for i, choice in member_choices(rest, selection).items()}


def _part(whole: Instance, problem: Problem, movers: list[int]) -> Instance:
    """Return the movers' part of the whole as an instance, at the whole's prices if it has any."""
    rest = Instance(problem)
    if not whole.is_priced:
        return rest
    rows = [whole.group_of[movers[group.members[0]]] for group in rest.groups]
    return rest.priced(whole.recourse[rows][:, : rest.most_units + 1].reshape(rest.recourse.shape))


def _place(
    assignment: WavelengthAssignment, pool: ColumnPool, routes: Routes, movers: list[int]
) -> None:
    instance = assignment.instance
    packing = SetPacking(instance, routes, pool.prices, {instance.group_of[r] for r in movers})
    for _ in range(_ROUNDS):
        improve_all(assignment, routes, movers)
        for wavelength in range(max(assignment.instance.wavelengths, default=0)):
            top_up(assignment, wavelength, packing, movers)
    improve_all(assignment, routes, movers)


def rearrange(
    assignment: WavelengthAssignment, routes: Routes, movers: Sequence[int], allowed: Rearrangement
) -> WavelengthAssignment:
    """Return the assignment, or a cheaper one that also changes others than `movers`, as allowed."""
    work = _Rearranging(assignment, routes, frozenset(movers), allowed)
    for request in sorted(movers, key=lambda r: (-work.regret(r), r)):
        work.make_way_for(request)
    return work.assignment


class _Rearranging:
    """A rearrangement in progress; `assignment` is the best state so far."""

    def __init__(
        self,
        assignment: WavelengthAssignment,
        routes: Routes,
        movers: frozenset[int],
        allowed: Rearrangement,
    ) -> None:
        self.assignment = assignment
        self._routes, self._movers, self._allowed = routes, movers, allowed
        self._before = dict(assignment.held)

    def regret(self, request: int) -> float:
        """Return what a request pays above its least cost if all were free."""
        group = self.assignment.instance.group_of[request]
        least = min((self._ideal(group, route) for route in self._routes[group]), default=0.0)
        return self.assignment.cost_of(request) - least

    def make_way_for(self, request: int) -> None:
        """Let a request take wavelengths from others if that pays and is allowed."""
        group = self.assignment.instance.group_of[request]
        held = self.assignment.held.get(request)
        best = sorted(self._routes[group], key=lambda route: self._ideal(group, route))
        trials = [self._take(request, route) for route in ([held.route] if held else best[:3])]
        found = min(trials, key=self._charged, default=self.assignment)
        if self._charged(found) < self._charged(self.assignment) - 1e-6:
            self.assignment = found

    def _ideal(self, group: int, route: Route) -> float:
        instance = self.assignment.instance
        brings = route.units_per_wavelength
        count = instance.worth(group, route.cost, brings)
        return route.cost * count + instance.recourse_of(group, count * brings)

    def _charged(self, assignment: WavelengthAssignment) -> float:
        """Return the cost of a state plus what its changes must save."""
        return assignment.cost + self._allowed.least_saving * len(self._changed(assignment))

    def _changed(self, assignment: WavelengthAssignment) -> set[int]:
        """Return the requests, movers aside, whose reservations differ from those before."""
        everybody = self._before.keys() | assignment.held.keys()
        return {
            r for r in everybody - self._movers if self._before.get(r) != assignment.held.get(r)
        }

    def _take(self, request: int, route: Route) -> WavelengthAssignment:
        """Return a state in which a request has taken wavelengths of a route, one by one."""
        trial, affected = self.assignment.copy(), dict[int, None]()
        while (offer := self._cheapest(trial, request, route)) is not None:
            wavelength, holders = offer
            for holder in holders:
                trial.drop(holder, 1 << wavelength)
                affected[holder] = None
            trial.give(request, route, 1 << wavelength)
        improve_all(trial, self._routes, [*affected, request])
        return trial if len(self._changed(trial)) <= self._allowed.changes else self.assignment

    def _cheapest(
        self, trial: WavelengthAssignment, request: int, route: Route
    ) -> tuple[int, list[int]] | None:
        """Return the wavelength that pays most to take, and its holders; None if none pays."""
        gain = -self._marginal(trial, request, route, 1)
        changed = self._changed(trial)
        most = self._allowed.changes - len(changed)
        best: tuple[float, int, list[int]] | None = None
        for wavelength, holders in self._on(trial, request, route):
            new = [r for r in holders if r not in changed and r not in self._movers]
            loss = self._allowed.least_saving * len(new)
            loss += sum(self._marginal(trial, r, trial.held[r].route, -1) for r in holders)
            if len(new) <= most and loss < gain - 1e-6 and (best is None or loss < best[0]):
                best = loss, wavelength, holders
        return best[1:] if best else None

    def _marginal(
        self, trial: WavelengthAssignment, request: int, route: Route, more: int
    ) -> float:
        """Return what one wavelength more or less on a route adds to a request's cost."""
        instance = trial.instance
        held, brings = trial.held.get(request), route.units_per_wavelength
        units = held.units if held else 0
        gain = instance.gain(instance.group_of[request], units, more * brings)
        return route.cost * more - gain

    def _on(
        self, trial: WavelengthAssignment, request: int, route: Route
    ) -> Iterator[tuple[int, list[int]]]:
        """Yield every wavelength of a route that the request does not hold, and its holders there."""
        held = trial.held.get(request)
        own, over = held.wavelengths if held else 0, set(route.resources)
        holders: dict[int, list[int]] = {}
        for r, other in trial.held.items():
            if r != request and _crosses(other, over):
                for wavelength in bits(other.wavelengths):
                    holders.setdefault(wavelength, []).append(r)
        for wavelength in range(min(trial.instance.wavelengths[e] for e in route.resources)):
            if not own >> wavelength & 1:
                yield wavelength, holders.get(wavelength, [])


def _crosses(held: Holding, over: set[int]) -> bool:
    return not over.isdisjoint(held.route.resources)
