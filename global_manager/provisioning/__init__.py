"""Two-stage provisioning: how many wavelengths to reserve for each request, and on which path.

First stage: reserve wavelengths on fibers before demand is known.  Recourse: buy what is missing
on demand, from a satellite or a UAV, once it is known.  `solve` answers with a `Plan` whose cost
was recomputed from its paths and units, and whose gap is against a proven lower bound.
"""

from __future__ import annotations

from collections.abc import Callable

from global_manager.provisioning.check import (
    BoundError,
    Cost,
    InvalidPlanError,
    InvalidProblemError,
    check_problem,
    evaluate,
    verify,
)
from global_manager.provisioning.model import (
    Allocation,
    Fiber,
    Formulation,
    Future,
    Medium,
    OnDemand,
    OwnPolicy,
    Plan,
    Policy,
    Pools,
    Problem,
    Request,
    Scenario,
    Termination,
)
from global_manager.provisioning.own_plan import Settings
from global_manager.provisioning.policies import Comparison, PolicyCost, compare, plan_by
from global_manager.provisioning.replanning import Rearrangement, replan
from global_manager.provisioning.service import UnmetLevelError, require_levels
from global_manager.provisioning.service_room import require_room
from global_manager.provisioning.stochastic_plan import SolveProgress, Watch
from global_manager.provisioning.time_limit import SolverDiedError, plan_within

__all__ = [
    "Allocation",
    "BoundError",
    "Comparison",
    "Cost",
    "Fiber",
    "Formulation",
    "Future",
    "InvalidPlanError",
    "InvalidProblemError",
    "Medium",
    "OnDemand",
    "Plan",
    "Policy",
    "PolicyCost",
    "Pools",
    "Problem",
    "Rearrangement",
    "Request",
    "Scenario",
    "SolveProgress",
    "SolverDiedError",
    "Termination",
    "UnmetLevelError",
    "Watch",
    "check_problem",
    "compare",
    "evaluate",
    "replan",
    "solve",
    "verify",
]


def solve(
    problem: Problem,
    policy: Policy | OwnPolicy = Policy.STOCHASTIC,
    *,
    gap: float = 1e-3,
    time_limit_s: float | None = None,
    seed: int = 0,
    rounding: str = "floor",
    formulation: Formulation | None = None,
    progress: Callable[[SolveProgress], None] | None = None,
) -> Plan:
    """Return a plan by the policy, verified and priced.

    Without a time limit the answer depends on the arguments only.  With one, solving happens in a
    spawned process; when time is up the best plan so far comes back, marked `TIME_LIMIT`.
    `rounding` (floor, nearest, up) is how the expected-value policy makes the mean demand whole,
    `seed` draws the random policy's amounts.  `formulation` says in which form the program is solved;
    without, its size decides.

    Raises InvalidProblemError, naming what is wrong, before anything is solved, and UnmetLevelError if the
    plan does not keep the service levels.
    """
    check_problem(problem)
    settings, listen = Settings(gap, seed, rounding, formulation), progress or _ignore
    if time_limit_s is None:
        plan = plan_by(problem, policy, settings, Watch(progress=listen))
    else:
        plan = plan_within(problem, policy, settings, time_limit_s, listen)
    if plan.lacking_units:
        require_room(problem)
        require_levels(problem, plan.allocations)
    return plan


def _ignore(_progress: SolveProgress) -> None:
    pass
