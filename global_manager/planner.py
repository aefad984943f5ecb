"""What makes the manager's plans, as the manager sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from global_manager.provisioning.hourly import Hours
from global_manager.provisioning.model import Plan, Problem
from global_manager.provisioning.own_policy import Heard

Fibers = frozenset[tuple[str, str]]


class Planner(Protocol):
    """How plans are made and written down; each is a pure function."""

    def solve(self, problem: Problem) -> Plan:
        """Return a plan for a problem."""

    def solve_hours(self, hours: Hours) -> tuple[Plan, ...]:
        """Return a plan for each hour."""

    def reserve_nothing(self, problem: Problem) -> Plan:
        """Return the plan that needs no optimizer."""

    def replan(
        self,
        problem: Problem,
        previous: Plan,
        down: Fibers,
        movable: frozenset[str],
        *,
        heard: tuple[Heard, ...],
    ) -> Plan:
        """Return a plan without the fibers that are down; working reservations that cannot move stay.

        `heard` are the latest shortages, for a policy that wants to know them.
        """

    def expect(self, problem: Problem, mean_units: float) -> Problem:
        """Return the problem with scenarios of this mean."""

    def foresee(
        self, problem: Problem, previous: Plan, observed: Sequence[float], down: Fibers
    ) -> tuple[Problem, Plan] | None:
        """Return the problem as foreseen after mean demands by period, and a plan for it, if that pays."""

    def describe(self, plan: Plan) -> str:
        """Return a plan as text."""

    @property
    def last_solve_s(self) -> float:
        """How long the last plan took; for observers only."""
