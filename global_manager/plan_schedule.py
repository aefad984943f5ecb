"""The plans that are known in advance: which of them comes into force, and when.

A plan for a period is put in force when the period before it begins, so that its reservations are set up
before their keys are made.  It is a change like that of any new plan.  Fibers that are down then are
planned around.  Without `hours` nothing is ever due.
"""

from __future__ import annotations

from collections.abc import Callable

from global_manager.planner import Fibers, Planner
from global_manager.provisioning.hourly import Hours
from global_manager.provisioning.model import Plan, Problem
from global_manager.provisioning.own_policy import Heard


class PlanSchedule:
    """See the module; `plans` are by hour, empty until they are made."""

    def __init__(self, hours: Hours | None) -> None:
        self._hours = hours
        self._now = 0
        self.plans: tuple[Plan, ...] = ()

    @property
    def change_cost(self) -> int:
        """What changing a reservation costs."""
        return self._hours.change_cost if self._hours else 0

    def begin(self, solve: Callable[[Hours], tuple[Plan, ...]]) -> tuple[Problem, Plan] | None:
        """Make all plans; return the first with its problem, None if there are no hours."""
        if self._hours is None:
            return None
        self.plans = solve(self._hours)
        return self._hours.problems[0], self.plans[0]

    def due(
        self, period: int, down: Fibers, planner: Planner, heard: tuple[Heard, ...]
    ) -> tuple[Problem, Plan] | None:
        """Return the plan of a period, without fibers that are down, and its problem.

        None if it is that of the period before.
        """
        hours = self._hours
        if hours is None or not self.plans or period >= len(hours.hour_of):
            return None
        before, self._now = self._now, hours.hour_of[period]
        if self._now == before:
            return None
        problem, plan = hours.problems[self._now], self.plans[self._now]
        if not down:
            return problem, plan
        return problem, planner.replan(problem, plan, down, frozenset(), heard=heard)
