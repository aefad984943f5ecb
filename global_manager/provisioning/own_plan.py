"""The plan that a policy of one's own makes: verified and priced as any other, or refused.

What it may know is in `own_policy`; how it fares afterwards is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from global_manager.provisioning.check import InvalidPlanError
from global_manager.provisioning.model import (
    Allocation,
    Formulation,
    OwnPolicy,
    Plan,
    Problem,
)
from global_manager.provisioning.own_policy import Heard, PolicyError, ReserveView, decide
from global_manager.provisioning.replanning import without_fibers
from global_manager.provisioning.stochastic_plan import Watch, optimize, plan_made_elsewhere
from global_manager.provisioning.work_budget import uncounted

MOST_PROGRAMS = 100


@dataclass(frozen=True)
class Settings:
    """What the policies need to know besides the problem."""

    gap: float = 1e-3
    seed: int = 0
    rounding: str = "floor"
    formulation: Formulation | None = None


@dataclass(frozen=True)
class Past:
    """What whoever plans again knows besides the problem; `reserved` is None before the first plan."""

    reserved: tuple[Allocation, ...] | None = None
    lost_fibers: frozenset[tuple[str, str]] = frozenset()
    heard: tuple[Heard, ...] = ()


def own_plan(problem: Problem, policy: OwnPolicy, settings: Settings) -> Plan:
    """Have a policy make its first plan.  Raises PolicyError, which names policy and constraint."""
    chosen = _chosen(problem, policy, settings, Past())
    return _checked(problem, policy, () if chosen is None else chosen)


def own_replan(
    problem: Problem,
    policy: OwnPolicy,
    settings: Settings,
    previous: Plan,
    past: Past,
) -> Plan:
    """Have a policy plan again, without lost fibers; `previous` itself if it keeps that.

    Raises PolicyError, which names policy and constraint.
    """
    left = without_fibers(problem, past.lost_fibers)
    chosen = _chosen(left, policy, settings, replace(past, reserved=previous.allocations))
    return previous if chosen is None else _checked(left, policy, chosen)


def _chosen(
    problem: Problem,
    policy: OwnPolicy,
    settings: Settings,
    past: Past,
) -> tuple[Allocation, ...] | None:
    def best(other: Problem) -> tuple[Allocation, ...]:
        found = optimize(other, settings.gap, Watch(), formulation=settings.formulation)
        return found.allocations

    view = ReserveView(
        problem,
        settings.gap,
        settings.seed,
        settings.rounding,
        past.reserved,
        past.lost_fibers,
        past.heard,
        uncounted(best, MOST_PROGRAMS, "programs solved"),
    )
    chosen = decide(policy, "reserve", view)
    if chosen is None:
        return None
    if not isinstance(chosen, Sequence) or not all(isinstance(a, Allocation) for a in chosen):
        raise PolicyError(policy, "reserve must return a sequence of Allocation, or None")
    return tuple(chosen)


def _checked(problem: Problem, policy: OwnPolicy, allocations: tuple[Allocation, ...]) -> Plan:
    try:
        return plan_made_elsewhere(problem, policy, allocations)
    except InvalidPlanError as error:
        raise PolicyError(policy, f"reserve: {error}") from error
