"""Planning policies: the two-stage program, what it is compared with, and the comparison.

* stochastic: the two-stage program; its expected cost is RP.
* expected-value: plan as if demand were its mean in whole units; priced under the true demand: EEV.
* random: a random amount on one of the three cheapest paths, drawn at random.
* deterministic: plan every future knowing it (wait and see); WS is a bound no plan can beat.
* none: buy everything on demand.

VSS = EEV - RP is the value of the stochastic solution, EVPI = RP - WS the expected value of perfect
information (Birge and Louveaux, Introduction to Stochastic Programming, chapter 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import floor, fsum
from statistics import fmean

import numpy as np

from global_manager.provisioning.assignment import Route, WavelengthAssignment, first_fit, route_of
from global_manager.provisioning.check import (
    InvalidProblemError,
    against,
    evaluate,
    make_plan,
    relative_gap,
)
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.local_search import Effort
from global_manager.provisioning.model import (
    OwnPolicy,
    Plan,
    Policy,
    Problem,
    Scenario,
    Termination,
)
from global_manager.provisioning.own_plan import Settings, own_plan
from global_manager.provisioning.recourse import rounded_mean
from global_manager.provisioning.robust import without_balls
from global_manager.provisioning.routing import k_cheapest_paths
from global_manager.provisioning.service import require_levels
from global_manager.provisioning.service_room import require_room
from global_manager.provisioning.shared_recourse import has_pools
from global_manager.provisioning.stochastic_plan import (
    Watch,
    lower_bound,
    nothing_reserved,
    optimize,
)

_LIGHT = Effort(nodes=0, moves=10, budget=60_000, rounds=0)  # wait and see solves once per scenario
_RANDOM_ROUTES = 3


@dataclass(frozen=True)
class PolicyCost:
    """One policy's expected cost per period, in both stages; with a risk, CVaR and what is minimised.

    Where laws are known only nearly, that is the worst case.
    """

    policy: Policy | OwnPolicy
    first_stage_cost: float
    expected_recourse_cost: float
    total_cost: float
    cvar: float | None = None
    objective: float | None = None
    worst_case_cost: float | None = None


@dataclass(frozen=True)
class Comparison:
    """All policies on one problem.

    `rp` is the expected cost of the stochastic plan (recourse problem), `eev` that of the plan made
    for the mean demand, `ev` the cost which that plan expects for itself, `ws` the cost when every
    future is known before reserving (wait and see); None where requests have demands of their own, and
    there is no list of futures, and with a risk, where `rp` and `eev` are mean and CVaR, weighed, or worst
    cases.  `rp` and `ws` are those of plans; `rp_bound` and `ws_bound` are proven to lie below the
    least there is.
    """

    rows: tuple[PolicyCost, ...]
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


def plan_by(problem: Problem, policy: Policy | OwnPolicy, settings: Settings, watch: Watch) -> Plan:
    """Plan by the policy; costs are under the problem's own scenarios."""
    match policy:
        case Policy.STOCHASTIC:
            return optimize(problem, settings.gap, watch, formulation=settings.formulation)
        case Policy.EXPECTED_VALUE:
            return expected_value_plan(problem, settings, watch)
        case Policy.RANDOM:
            return random_plan(problem, settings)
        case Policy.DETERMINISTIC:
            return deterministic_plan(problem, settings, watch)
        case Policy.NONE:
            plan = nothing_reserved(problem, Policy.NONE, Termination.NOT_OPTIMIZED)
            return against(plan, lower_bound(problem))
        case OwnPolicy():
            return own_plan(problem, policy, settings)


def compare(
    problem: Problem,
    *,
    gap: float = 1e-3,
    seeds: Sequence[int] = (0,),
    rounding: str = "floor",
    watch: Watch | None = None,
    own: Sequence[OwnPolicy] = (),
) -> Comparison:
    """Plan by every policy; the random policy's row is the mean over `seeds`.  Those in `own` follow.

    Should heuristics ever make the mean-demand plan the cheaper one, it is also the better answer
    to the stochastic program and is used as such: EEV >= RP always holds.  Likewise the stochastic
    plan can be kept in every future: RP >= WS always holds.  Where requests must have units reserved,
    policies that do not mind are left out.

    Raises UnmetLevelError if a plan does not keep the service levels.
    """
    settings, watch = Settings(gap=gap, rounding=rounding), watch or Watch()
    without = {Policy.RANDOM}
    if problem.has_own_demands or problem.risk is not None or problem.is_robust:
        without.add(Policy.DETERMINISTIC)
    if problem.has_levels:
        without.add(Policy.NONE)
    plans: dict[Policy, Plan] = {
        p: plan_by(problem, p, settings, watch) for p in Policy if p not in without
    }
    mean_plan = plans[Policy.EXPECTED_VALUE]
    if any(plan.lacking_units for plan in plans.values()):
        require_room(problem)
    for plan in plans.values():
        require_levels(problem, plan.allocations)
    stochastic = min(plans[Policy.STOCHASTIC], mean_plan, key=lambda plan: plan.objective)
    drawn = () if problem.has_levels else seeds
    random = [plan_by(problem, Policy.RANDOM, Settings(gap, seed), watch) for seed in drawn]
    rows: dict[Policy, PolicyCost] = {
        policy: _row(policy, [plan]) for policy, plan in plans.items()
    }
    mine = [_row(name, [plan_by(problem, name, settings, watch)]) for name in own]
    rows[Policy.STOCHASTIC] = _row(Policy.STOCHASTIC, [stochastic])
    if random:
        rows[Policy.RANDOM] = _row(Policy.RANDOM, random)
    known = plans.get(Policy.DETERMINISTIC)
    return Comparison(
        rows=(*(rows[policy] for policy in Policy if policy in rows), *mine),
        rp=stochastic.objective,
        eev=mean_plan.objective,
        ev=believed_cost(problem, mean_plan, settings),
        ws=min(known.objective, stochastic.objective) if known else None,
        rp_bound=plans[Policy.STOCHASTIC].lower_bound,
        ws_bound=known.lower_bound if known else None,
    )


def expected_value_plan(problem: Problem, settings: Settings, watch: Watch) -> Plan:
    """Plan for the mean demand as if it were certain; price the plan under the true demand."""
    mean_problem, known = _mean_problem(problem, settings), _progress_only(watch)
    believed = optimize(mean_problem, settings.gap, known, formulation=settings.formulation)
    return make_plan(
        problem,
        Policy.EXPECTED_VALUE,
        believed.allocations,
        lower_bound=lower_bound(problem),
        termination=believed.termination,
        displaced_units=believed.displaced_units,
    )


def believed_cost(problem: Problem, plan: Plan, settings: Settings) -> float:
    """Return what an expected-value plan would cost if demand were its rounded mean (EV)."""
    mean_problem = _mean_problem(problem, settings)
    return evaluate(mean_problem, plan.allocations).total


def random_plan(problem: Problem, settings: Settings) -> Plan:
    """Reserve a random amount on a random route, as far as first-fit finds wavelengths.

    The amount is uniform on 0 .. K, K the largest demand of all, in as many wavelengths as it takes; the
    route is uniform among the three cheapest.  What is missing is bought as by every other policy.
    """
    instance = Instance(problem)
    rng = np.random.default_rng(settings.seed)
    amounts = rng.integers(0, instance.most_units, size=len(problem.requests), endpoint=True)
    routes = _random_routes(instance, rng)
    choices = {
        r: (route, -(-int(amounts[r]) // route.units_per_wavelength))
        for r, route in routes.items()
        if amounts[r] > 0
    }
    assignment = WavelengthAssignment(instance)
    first_fit(assignment, choices)
    wanted = sum(count * route.units_per_wavelength for route, count in choices.values())
    return make_plan(
        problem,
        Policy.RANDOM,
        assignment.allocations(),
        lower_bound=lower_bound(problem),
        termination=Termination.NOT_OPTIMIZED,
        displaced_units=wanted - assignment.units,
    )


def deterministic_plan(problem: Problem, settings: Settings, watch: Watch) -> Plan:
    """Plan every future with perfect information: `objective = sum_s p_s * optimum knowing s`.

    A future is a scenario, demand known and the sky still open, or a joint future if those were drawn.
    No single reservation has this cost, so it is a yardstick and not a plan to carry out: the
    allocations are those of the most probable future, the costs are means over futures (the first
    stage's rounded down to a whole number, the rest in the recourse).
    Raises InvalidProblemError if requests have demands of their own and no joint futures.
    """
    futures = list(_known(problem))
    known = _progress_only(watch)
    plans = [
        optimize(future, settings.gap, known, _LIGHT, settings.formulation) for future, _ in futures
    ]
    weights = [probability for _, probability in futures]
    total = _mean(weights, [plan.objective for plan in plans])
    bound = _mean(weights, [plan.lower_bound for plan in plans])
    first = floor(_mean(weights, [plan.first_stage_cost for plan in plans]))
    likeliest = plans[max(range(len(futures)), key=weights.__getitem__)]
    return replace(
        likeliest,
        policy=Policy.DETERMINISTIC,
        termination=_worst(plan.termination for plan in plans),
        objective=total,
        lower_bound=bound,
        gap=relative_gap(total, bound),
        first_stage_cost=first,
        expected_recourse_cost=total - first,
        expected_shortfall_units=_mean(weights, [p.expected_shortfall_units for p in plans]),
    )


def _mean_problem(problem: Problem, settings: Settings) -> Problem:
    """Return the problem as if every demand were its mean; skies stay what they are."""

    def mean(scenarios: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
        return (Scenario(rounded_mean(scenarios, settings.rounding), 1.0),)

    requests = (
        item if item.scenarios is None else replace(item, scenarios=mean(item.scenarios))
        for item in without_balls(problem).requests
    )
    believed = replace(
        problem, scenarios=mean(problem.scenarios), requests=tuple(requests), risk=None
    )
    if problem.risk is not None:
        return replace(believed, futures=())
    units = tuple(believed.demand_of(request)[0].units for request in believed.requests)
    futures = tuple(replace(future, units=units) for future in problem.futures)
    return replace(believed, futures=futures)


def _known(problem: Problem) -> Iterator[tuple[Problem, float]]:
    """Yield the problem as it is in every future, and that future's probability."""
    if has_pools(problem) and problem.futures:
        for future in problem.futures:
            yield replace(problem, futures=(replace(future, probability=1.0),)), future.probability
        return
    if problem.risk is not None or problem.is_robust:
        raise InvalidProblemError("policy deterministic", "weighs no risk")
    if problem.has_own_demands:
        raise InvalidProblemError("policy deterministic", "requests differ in their demand")
    for scenario in problem.scenarios:
        if scenario.probability > 0:
            yield replace(problem, scenarios=(Scenario(scenario.units, 1.0),)), scenario.probability


def _progress_only(watch: Watch) -> Watch:
    """Pass progress on, but not plans: those of a subproblem are priced under another demand."""
    return Watch(progress=watch.progress)


def _random_routes(instance: Instance, rng: np.random.Generator) -> dict[int, Route]:
    routes: dict[int, Route] = {}
    for group in instance.groups:
        paths = k_cheapest_paths(instance.graph, group.source, group.target, _RANDOM_ROUTES)
        for member in group.members if paths else ():
            routes[member] = route_of(instance, paths[int(rng.integers(len(paths)))])
    return routes


def _mean(weights: Sequence[float], values: Sequence[float]) -> float:
    return fsum(w * v for w, v in zip(weights, values, strict=True))


def _worst(terminations: Iterable[Termination]) -> Termination:
    order = (Termination.OPTIMAL, Termination.GAP_LIMIT, Termination.WORK_LIMIT)
    return max(terminations, key=order.index)


def _row(policy: Policy | OwnPolicy, plans: Sequence[Plan]) -> PolicyCost:
    first = fmean(plan.first_stage_cost for plan in plans)
    recourse = fmean(plan.expected_recourse_cost for plan in plans)
    tails = [plan.cvar for plan in plans if plan.cvar is not None]
    worst = [plan.worst_case_cost for plan in plans if plan.worst_case_cost is not None]
    return PolicyCost(
        policy,
        first,
        recourse,
        first + recourse,
        cvar=fmean(tails) if tails else None,
        objective=fmean(plan.objective for plan in plans) if tails or worst else None,
        worst_case_cost=fmean(worst) if worst else None,
    )
