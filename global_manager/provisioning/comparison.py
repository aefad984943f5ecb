"""Policies side by side, and the textbook figures that compare them.

VSS = EEV - RP is what the stochastic solution is worth, EVPI = RP - WS what knowing the future would
be worth (Birge and Louveaux, Introduction to Stochastic Programming, chapter 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from global_manager.provisioning.model import Plan, Policy, Problem
from global_manager.provisioning.policies import Settings, believed_cost, make
from global_manager.provisioning.two_stage import Watch


@dataclass(frozen=True)
class Row:
    """One policy's expected cost per period, in both stages."""

    policy: Policy
    first_stage_cost: float
    expected_recourse_cost: float
    total_cost: float


@dataclass(frozen=True)
class Comparison:
    """All policies on one problem.

    `rp` is the expected cost of the stochastic plan (recourse problem), `eev` that of the plan made
    for the mean demand, `ev` the cost which that plan expects for itself, `ws` the cost when every
    future is known before reserving (wait and see); None where requests have demands of their own, and
    there is no list of futures.  `rp` and `ws` are those of plans; `rp_bound` and `ws_bound` are proven
    to lie below the least there is.
    """

    rows: tuple[Row, ...]
    rp: float
    eev: float
    ev: float
    ws: float | None
    rp_bound: float = 0.0
    ws_bound: float | None = None

    @property
    def vss(self) -> float:
        """Value of the stochastic solution."""
        return self.eev - self.rp

    @property
    def evpi(self) -> float | None:
        """Expected value of perfect information."""
        return None if self.ws is None else self.rp - self.ws

    @property
    def evpi_least(self) -> float | None:
        """What perfect information is worth at least, with the best plans that there may be."""
        return None if self.ws is None else max(0.0, self.rp_bound - self.ws)

    @property
    def evpi_most(self) -> float | None:
        """What perfect information is worth at most, to the plan there is."""
        return None if self.ws_bound is None else self.rp - self.ws_bound


def compare(
    problem: Problem,
    *,
    gap: float = 1e-3,
    seeds: Sequence[int] = (0,),
    rounding: str = "floor",
    watch: Watch | None = None,
) -> Comparison:
    """Plan by every policy; the random policy's row is the mean over `seeds`.

    Should heuristics ever make the mean-demand plan the cheaper one, it is also the better answer
    to the stochastic program and is used as such: EEV >= RP always holds.  Likewise the stochastic
    plan can be kept in every future: RP >= WS always holds.
    """
    settings, watch = Settings(gap=gap, rounding=rounding), watch or Watch()
    without = {Policy.RANDOM} | ({Policy.DETERMINISTIC} if problem.has_own_demands else set())
    plans: dict[Policy, Plan] = {
        p: make(problem, p, settings, watch) for p in Policy if p not in without
    }
    mean_plan = plans[Policy.EXPECTED_VALUE]
    stochastic = min(plans[Policy.STOCHASTIC], mean_plan, key=lambda plan: plan.objective)
    random = [make(problem, Policy.RANDOM, Settings(gap, seed), watch) for seed in seeds]
    rows: dict[Policy, Row] = {policy: _row(policy, [plan]) for policy, plan in plans.items()}
    rows[Policy.STOCHASTIC] = _row(Policy.STOCHASTIC, [stochastic])
    rows[Policy.RANDOM] = _row(Policy.RANDOM, random)
    known = plans.get(Policy.DETERMINISTIC)
    return Comparison(
        rows=tuple(rows[policy] for policy in Policy if policy in rows),
        rp=stochastic.objective,
        eev=mean_plan.objective,
        ev=believed_cost(problem, mean_plan, settings),
        ws=min(known.objective, stochastic.objective) if known else None,
        rp_bound=plans[Policy.STOCHASTIC].lower_bound,
        ws_bound=known.lower_bound if known else None,
    )


def _row(policy: Policy, plans: Sequence[Plan]) -> Row:
    first = fmean(plan.first_stage_cost for plan in plans)
    recourse = fmean(plan.expected_recourse_cost for plan in plans)
    return Row(policy, first, recourse, first + recourse)
