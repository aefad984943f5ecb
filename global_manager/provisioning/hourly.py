"""Reservations by the hour: a plan for each hour of the day, and a price for every change between two.

    min  sum_h n_h f_h(x_h) + c sum over changes of hour |{r : x_h(r) != x_h'(r)}|

f_h is the two-stage program of hour h, which n_h periods of the run belong to, x_h(r) what request r has
reserved (path and wavelengths), and c the price of changing that.  Without c hours are independent, so the
sum of n_h times their bounds is a bound whatever c is.

Hours are planned apart, one after the other.  Then each plan is brought near to the one before: requests
between the same nodes swap reservations, those that keep path and number keep their wavelengths, and those
whose change saves less than it costs stay as they were.  If keeping the whole plan before is cheaper still,
it is kept.  So the plan is exact for c = 0, as far as hours are; else the gap tells what it may cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import fsum

from global_manager.provisioning.assignment import (
    WavelengthAssignment,
    first_fit,
    mask_of,
    route_of,
)
from global_manager.provisioning.check import against, make_plan, relative_gap
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.model import Allocation, Plan, Problem, Termination
from global_manager.provisioning.shared_recourse import has_pools
from global_manager.provisioning.stochastic_plan import termination_of

Held = dict[str, Allocation]
"""By request, what it has reserved; none with nothing."""


@dataclass(frozen=True)
class Hours:
    """The problems of a run's hours, which differ in demand and sky only.

    `hour_of` gives for each period the place of its problem; hours are numbered as they come first.
    `change_cost` is what changing one reservation costs.
    """

    problems: tuple[Problem, ...]
    hour_of: tuple[int, ...]
    change_cost: int

    @cached_property
    def periods(self) -> Counter[int]:
        """How many periods each hour has."""
        return Counter(self.hour_of)

    @cached_property
    def turns(self) -> Counter[tuple[int, int]]:
        """How often one hour follows another in the run."""
        return Counter((one, other) for one, other in pairwise(self.hour_of) if one != other)


@dataclass(frozen=True)
class HourlyPlan:
    """A plan for each hour; `changes` are those of all periods, without faults."""

    hours: Hours
    plans: tuple[Plan, ...]

    @property
    def changes(self) -> int:
        """How many reservations are changed in the run."""
        return sum(
            times * len(changed(self.plans[one], self.plans[other]))
            for (one, other), times in self.hours.turns.items()
        )

    @property
    def change_cost(self) -> float:
        """What changes cost, on average over periods."""
        return self.changes * self.hours.change_cost / len(self.hours.hour_of)

    @property
    def objective(self) -> float:
        """The expected cost of a period, changes included."""
        return self.mean(lambda plan: plan.objective) + self.change_cost

    @property
    def lower_bound(self) -> float:
        """What no plans by the hour can cost less than."""
        return self.mean(lambda plan: plan.lower_bound)

    @property
    def gap(self) -> float:
        """By which fraction of its cost the whole may exceed the least."""
        return relative_gap(self.objective, self.lower_bound)

    def mean(self, of: Callable[[Plan], float]) -> float:
        """Return the mean over periods of what plans have."""
        parts = (n * of(self.plans[hour]) for hour, n in self.hours.periods.items())
        return fsum(parts) / len(self.hours.hour_of)


def plan_by_hours(hours: Hours, solve: Callable[[Problem], Plan], gap: float) -> HourlyPlan:
    """Return plans for all hours; `gap` says when one counts as solved."""
    plans: list[Plan] = []
    for hour, problem in enumerate(hours.problems):
        alone = solve(problem)
        if plans:
            alone = _near(alone, plans[-1], problem, hours, hour)
        termination = alone.termination
        if termination is Termination.NOT_OPTIMIZED:
            termination = termination_of(alone.gap, gap)
        plans.append(replace(alone, termination=termination))
    return HourlyPlan(hours, tuple(plans))


def changed(before: Plan, after: Plan) -> set[str]:
    """Return the requests whose reservations two plans do not share."""
    one, other = _held(before), _held(after)
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def _near(alone: Plan, before: Plan, problem: Problem, hours: Hours, hour: int) -> Plan:
    """Return the cheapest of an hour's plans: as made, brought near to the one before, or that one."""

    def charged(plan: Plan) -> float:
        changes = len(changed(before, plan)) * hours.turns[hour - 1, hour]
        return hours.periods[hour] * plan.objective + hours.change_cost * changes

    def stated(allocations: tuple[Allocation, ...]) -> Plan:
        return make_plan(
            problem,
            alone.policy,
            allocations,
            lower_bound=alone.lower_bound,
            termination=Termination.NOT_OPTIMIZED,
            displaced_units=alone.displaced_units,
        )

    saving = hours.change_cost * hours.turns[hour - 1, hour] / hours.periods[hour]
    found = _Nearing(Instance(problem), alone, before, saving).allocations()
    others = [stated(allocations) for allocations in (found, before.allocations)]
    best = min((alone, *others), key=charged)
    return best if best is alone else against(best, alone.lower_bound)


def _held(plan: Plan) -> Held:
    return {item.request: item for item in plan.allocations if item.wavelengths}


class _Nearing:
    """One hour's plan on its way to the plan before; `saving` is what a change must save in a period."""

    def __init__(self, instance: Instance, alone: Plan, before: Plan, saving: float) -> None:
        self._instance, self._saving = instance, saving
        self._before = _held(before)
        self._assignment = WavelengthAssignment(instance)
        self._requests = instance.problem.requests
        self._wanted = {item.request: item for item in alone.allocations}
        self._swap()

    def allocations(self) -> tuple[Allocation, ...]:
        """Return what all requests reserve; those that find no wavelengths get fewer."""
        later = {}
        for r, request in enumerate(self._requests):
            wanted, known = self._wanted[request.id], self._before.get(request.id)
            if known is not None and _like(wanted) == _like(known):
                self._hold(r, known)
            elif wanted.wavelengths:
                later[r] = (route_of(self._instance, self._way(r, wanted)), len(wanted.wavelengths))
        first_fit(self._assignment, later)
        for r, request in enumerate(self._requests):
            self._keep(r, self._before.get(request.id))
        return self._assignment.allocations()

    def _swap(self) -> None:
        """Deal the reservations of like requests out so that most have what they had."""
        for group in self._instance.groups:
            names = [self._requests[member].id for member in group.members]
            left = [self._wanted[name] for name in names]
            dealt: dict[str, Allocation] = {}
            for name in names:
                known = self._before.get(name)
                same = (a for a in left if known and _run(a) == _run(known))
                found = next(same, None)
                if found is not None:
                    left.remove(found)
                    dealt[name] = found
            rest = iter(left)
            for member, name in zip(group.members, names, strict=True):
                given = dealt[name] if name in dealt else next(rest)
                self._wanted[name] = self._of(member, given)

    def _of(self, member: int, given: Allocation) -> Allocation:
        """Return what was given to a like request as that of a member, from its source to its target."""
        request = self._requests[member]
        path = given.path if given.path[:1] in {(), (request.source,)} else given.path[::-1]
        ends = request.source, request.target
        return Allocation(request.id, *ends, path, given.wavelengths, given.units_per_wavelength)

    def _keep(self, r: int, known: Allocation | None) -> None:
        """Let a request have what it had, if that is free and its change saves too little."""
        assignment, instance = self._assignment, self._instance
        held = assignment.held.get(r)
        units = known.units if known else 0
        if held is None and known is None:
            return
        if has_pools(instance.problem) and (held.units if held else 0) != units:
            return  # what that costs depends on all requests
        cost = assignment.cost_of(r)
        assignment.release(r)
        if known is not None:
            route, mask = route_of(instance, self._way(r, known)), mask_of(known.wavelengths)
            if assignment.free_along(route) & mask == mask:
                assignment.hold(r, route, mask)
        unfit = known is not None and r not in assignment.held
        if unfit or assignment.cost_of(r) - cost > self._saving:
            assignment.release(r)
            if held is not None:
                assignment.hold(r, held.route, held.wavelengths)

    def _hold(self, r: int, known: Allocation) -> None:
        route = route_of(self._instance, self._way(r, known))
        self._assignment.hold(r, route, mask_of(known.wavelengths))

    def _way(self, r: int, item: Allocation) -> tuple[str, ...]:
        """Return a path as the request's group goes."""
        group = self._instance.groups[self._instance.group_of[r]]
        return item.path if item.path[0] == group.source else item.path[::-1]


def _like(item: Allocation) -> tuple[tuple[str, ...], int]:
    return item.path, len(item.wavelengths)


def _run(item: Allocation) -> tuple[tuple[str, ...], int]:
    """Return path and number of wavelengths, whichever way the path goes."""
    return min(item.path, item.path[::-1]), len(item.wavelengths)


def hours_changed(plan: HourlyPlan) -> Iterator[int]:
    """Yield for every hour how many reservations differ from those of the hour before it."""
    yield 0
    for before, after in pairwise(plan.plans):
        yield len(changed(before, after))
