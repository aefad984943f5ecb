"""The final check of a plan: is it feasible, and what does it cost?  Neither asks a solver.

Costs are recomputed from paths and units alone, reservations in whole numbers.  Solvers have
returned `Optimal` answers outside their own bounds; nothing that fails here is ever returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import fsum, inf, isclose

from global_manager.provisioning.model import (
    Allocation,
    Ball,
    Fiber,
    OnDemand,
    OwnPolicy,
    Plan,
    Policy,
    Pools,
    Problem,
    Request,
    Risk,
    Scenario,
    Sky,
    Termination,
)
from global_manager.provisioning.recourse import expected_unit_cost, has_skies
from global_manager.provisioning.risk import JointStage, cvar
from global_manager.provisioning.robust import planned_demand
from global_manager.provisioning.service import lacking, level_price
from global_manager.provisioning.shared_recourse import SecondStage, has_pools
from global_manager.provisioning.stores import unpriced

_ROUNDING = 1e-9  # relative error that adding a few thousand floats may leave


class InvalidProblemError(Exception):
    """A problem that no plan can answer, or that contradicts itself."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class InvalidPlanError(Exception):
    """An allocation that breaks a constraint."""

    def __init__(self, request: str, reason: str) -> None:
        super().__init__(request, reason)
        self.request, self.reason = request, reason

    def __str__(self) -> str:
        return f"request {self.request}: {self.reason}"


class BoundError(Exception):
    """A plan that costs less than what was proven to be the least: one of them is wrong."""

    def __init__(self, objective: float, lower_bound: float) -> None:
        super().__init__(objective, lower_bound)
        self.objective, self.lower_bound = objective, lower_bound

    def __str__(self) -> str:
        return f"objective {self.objective} is below its lower bound {self.lower_bound}"


@dataclass(frozen=True)
class Cost:
    """What a plan costs per period: reserved for sure, bought on demand in expectation."""

    first_stage: int
    expected_recourse: float
    expected_shortfall_units: float = 0.0
    cvar: float | None = None
    risk: Risk | None = None
    worst_recourse: float | None = None
    lacking_units: int = 0
    lacking_cost: int = 0

    @property
    def total(self) -> float:
        """Both stages."""
        return self.first_stage + self.expected_recourse

    @property
    def worst_case(self) -> float | None:
        """Both stages under the worst laws; None where laws are certain."""
        return None if self.worst_recourse is None else self.first_stage + self.worst_recourse

    @property
    def objective(self) -> float:
        """What is minimised: the total, weighed with its CVaR if there is a risk, or the worst case.

        Units that are lacking to service levels have their price in it.
        """
        if self.worst_case is not None:
            return self.worst_case + self.lacking_cost
        if self.risk is None or self.cvar is None:
            return self.total + self.lacking_cost
        return self.risk.weighed(self.total, self.cvar)


def evaluate(problem: Problem, allocations: Iterable[Allocation]) -> Cost:
    """Price allocations exactly: every reserved wavelength on its path, every missing unit expected.

    A missing unit is bought from the cheaper usable medium; where pools are limited, all missing
    units of a future are bought together at the least total cost.  Where laws are known only nearly, the
    worst case is priced beside the mean.
    """
    fiber_cost = {frozenset((f.a, f.b)): f.unit_cost for f in problem.fibers}
    units = {a.request: a.units for a in allocations}
    first = sum(len(a.wavelengths) * _path_cost(fiber_cost, a.path) for a in allocations)
    if has_pools(problem):
        reserved = [units.get(r.id, 0) for r in problem.requests]
        expected = SecondStage(problem).expected(reserved)
        return Cost(first, expected.cost, expected.lost_units)
    if problem.risk is not None:
        return _at_risk(problem, problem.risk, first, units)
    mean = _separate(problem, units, problem.demand_of)
    lacks = sum(takes - has for _, has, takes in lacking(problem, units))
    priced = Cost(
        first, mean, lacking_units=lacks, lacking_cost=lacks and lacks * level_price(problem)
    )
    if not problem.is_robust:
        return priced
    worst = _separate(problem, units, partial(planned_demand, problem))
    return replace(priced, worst_recourse=worst)


def verify(problem: Problem, allocations: Iterable[Allocation]) -> None:
    """Raise InvalidPlanError on the first allocation that breaks a constraint."""
    for violation in violations(problem, allocations):
        raise violation


def violations(problem: Problem, allocations: Iterable[Allocation]) -> Iterator[InvalidPlanError]:
    """Yield an error for every constraint that allocations break."""
    known = tuple(allocations)
    yield from _carried(problem, known)
    units = {a.request: a.units for a in known}
    yield from (InvalidPlanError(*reason) for reason in unpriced(problem, units))
    for name, has, takes in lacking(problem, units):
        why = f"has {has} units reserved, and its service level takes {takes}"
        yield InvalidPlanError(name, why)


def _carried(problem: Problem, allocations: Iterable[Allocation]) -> Iterator[InvalidPlanError]:
    """Yield an error for every constraint of fibers, paths and wavelengths that is broken."""
    fibers = {frozenset((f.a, f.b)): f for f in problem.fibers}
    ends = {r.id: (r.source, r.target) for r in problem.requests}
    seen: set[str] = set()
    lit: dict[tuple[str, str], tuple[bytearray, list[Allocation]]] = {}
    for allocation in allocations:
        faults = (*_request_faults(allocation, ends, seen), *_path_faults(allocation, fibers))
        yield from (InvalidPlanError(allocation.request, fault) for fault in faults)
        for arc in _arcs(allocation.path):
            fiber = fibers.get(frozenset(arc))
            if fiber is not None:
                where = arc if problem.directed_capacity else (fiber.a, fiber.b)
                for fault in _light(allocation, where, fiber.wavelengths, lit):
                    yield InvalidPlanError(allocation.request, fault)


def make_plan(
    problem: Problem,
    policy: Policy | OwnPolicy,
    allocations: tuple[Allocation, ...],
    *,
    lower_bound: float,
    termination: Termination,
    displaced_units: int = 0,
) -> Plan:
    """Verify and price allocations, and state them against a bound; the only way to a `Plan`.

    Units that requests lack to their service levels are counted and have a price; `verify` refuses them.
    """
    for violation in _carried(problem, allocations):
        raise violation
    cost = evaluate(problem, allocations)
    if lower_bound > cost.objective * (1 + _ROUNDING) + _ROUNDING:
        raise BoundError(cost.objective, lower_bound)
    bound = min(lower_bound, cost.objective)
    return Plan(
        policy=policy,
        termination=termination,
        objective=cost.objective,
        lower_bound=bound,
        gap=relative_gap(cost.objective, bound),
        first_stage_cost=cost.first_stage,
        expected_recourse_cost=cost.expected_recourse,
        displaced_units=displaced_units,
        allocations=allocations,
        expected_shortfall_units=cost.expected_shortfall_units,
        cvar=cost.cvar,
        worst_case_cost=cost.worst_case,
        lacking_units=cost.lacking_units,
    )


def against(plan: Plan, lower_bound: float) -> Plan:
    """Return a plan stated against another proven bound."""
    bound = min(lower_bound, plan.objective)
    return replace(plan, lower_bound=bound, gap=relative_gap(plan.objective, bound))


def relative_gap(objective: float, lower_bound: float) -> float:
    """Return by which fraction of the objective the bound lies below it."""
    return (objective - lower_bound) / objective if objective > 0 else 0.0


def check_problem(problem: Problem) -> None:
    """Raise InvalidProblemError on input that makes no sense, naming it."""
    _check_fibers(problem)
    _check_scenarios("scenarios", problem.scenarios)
    nodes, ids = set(problem.nodes), set[str]()
    for request in problem.requests:
        where = f"request {request.id}"
        _require(request.id not in ids, where, "its id is used twice")
        ids.add(request.id)
        for node in (request.source, request.target):
            _require(node in nodes, where, f"unknown node {node}")
        _require(request.source != request.target, where, "source and target are the same")
        _check_on_demand(where, request.on_demand)
        if request.scenarios is not None:
            _check_scenarios(where, request.scenarios)
        if request.least_units:
            _check_level(where, problem, request)
        if request.ball is not None:
            _check_ball(where, problem, request, request.ball)
        if request.beside:
            shares = has_pools(problem) or problem.risk is not None or request.ball is not None
            _require(not shares, where, "stores do not go with limited pools, a risk or a ball")
    if problem.pools is not None:
        _check_pools(problem, problem.pools)
    if problem.risk is not None:
        _check_risk(problem, problem.risk)


def _at_risk(problem: Problem, risk: Risk, first: int, units: Mapping[str, int]) -> Cost:
    stage = JointStage(problem)
    costs = stage.costs([units.get(r.id, 0) for r in problem.requests])
    mean = fsum(stage.probability * costs)
    return Cost(first, mean, cvar=first + cvar(costs, stage.probability, risk.level), risk=risk)


def _separate(
    problem: Problem, units: Mapping[str, int], law_of: Callable[[Request], tuple[Scenario, ...]]
) -> float:
    """Return the expected recourse of requests that share nothing, under a law for each."""
    alike: dict[tuple[OnDemand, int, object, object, object], list[Request]] = {}
    for r in problem.requests:
        key = (r.on_demand, units.get(r.id, 0), r.scenarios, r.ball, r.beside)
        alike.setdefault(key, []).append(r)
    return fsum(
        len(same) * (_expected_recourse(costs, held, law_of(same[0])) + same[0].beside_cost(held))
        for (costs, held, *_), same in alike.items()
    )


def _path_cost(fiber_cost: dict[frozenset[str], int], path: Sequence[str]) -> int:
    return sum(fiber_cost[frozenset(arc)] for arc in _arcs(path))


def _expected_recourse(on_demand: OnDemand, reserved: int, scenarios: Iterable[Scenario]) -> float:
    usual = expected_unit_cost(on_demand)
    return fsum(
        s.probability
        * max(0, s.units - reserved)
        * (expected_unit_cost(on_demand, s.sky) if s.sky else usual)
        for s in scenarios
    )


def _arcs(path: Sequence[str]) -> Iterable[tuple[str, str]]:
    return pairwise(path)


def _request_faults(
    allocation: Allocation, ends: dict[str, tuple[str, str]], seen: set[str]
) -> Iterator[str]:
    request = allocation.request
    if request in seen:
        yield "is allocated twice"
    seen.add(request)
    if ends.get(request) != (allocation.source, allocation.target):
        yield "is not a request between these nodes"


def _path_faults(allocation: Allocation, fibers: dict[frozenset[str], Fiber]) -> Iterator[str]:
    path, wavelengths = allocation.path, allocation.wavelengths
    if bool(path) != bool(wavelengths):
        yield "has a path without wavelengths, or wavelengths without a path"
    if len(set(wavelengths)) != len(wavelengths):
        yield "a wavelength is lit twice"
    if not path:
        return
    if (path[0], path[-1]) != (allocation.source, allocation.target):
        yield "its path does not join its ends"
    if len(set(path)) != len(path):
        yield "its path visits a node twice"
    for arc in _arcs(path):
        if frozenset(arc) not in fibers:
            yield f"no fiber {arc[0]}-{arc[1]}"
    hops = (fibers.get(frozenset(arc)) for arc in _arcs(path))
    brought = min((fiber.units_per_wavelength for fiber in hops if fiber), default=1)
    if allocation.units_per_wavelength != brought:
        counted = allocation.units_per_wavelength
        yield f"a wavelength is counted for {counted} units, but brings {brought} on this path"


def _light(
    allocation: Allocation,
    where: tuple[str, str],
    wavelengths: int,
    lit: dict[tuple[str, str], tuple[bytearray, list[Allocation]]],
) -> Iterator[str]:
    """Light the allocation's wavelengths on one fiber; yield what is wrong with any.

    Distinct ones in range imply capacity.
    """
    if where not in lit:
        lit[where] = bytearray(wavelengths), []
    is_lit, holders = lit[where]
    for wavelength in dict.fromkeys(allocation.wavelengths):
        if not 0 <= wavelength < wavelengths:
            yield f"wavelength {wavelength} is not on fiber {where[0]}-{where[1]}"
        elif is_lit[wavelength]:
            other = next((a.request for a in holders if wavelength in a.wavelengths), "itself")
            yield f"wavelength {wavelength} of {where[0]}-{where[1]} is lit for {other} already"
        else:
            is_lit[wavelength] = 1
    holders.append(allocation)


def _require(fine: bool, where: str, reason: str) -> None:
    if not fine:
        raise InvalidProblemError(where, reason)


def _check_fibers(problem: Problem) -> None:
    nodes, pairs = set(problem.nodes), set()
    for fiber in problem.fibers:
        where = f"fiber {fiber.a}-{fiber.b}"
        pair = frozenset((fiber.a, fiber.b))
        _require(len(pair) == 2, where, "joins a node to itself")
        _require(pair <= nodes, where, "has an unknown node")
        _require(pair not in pairs, where, "is there twice")
        _require(fiber.unit_cost >= 0, where, f"negative cost {fiber.unit_cost}")
        _require(fiber.wavelengths >= 0, where, f"{fiber.wavelengths} wavelengths")
        brings = fiber.units_per_wavelength
        _require(brings >= 1, where, f"a wavelength of {brings} units; leave such a fiber out")
        pairs.add(pair)


def _check_scenarios(where: str, scenarios: Sequence[Scenario]) -> None:
    _require(bool(scenarios), where, "there are no scenarios")
    for scenario in scenarios:
        _require(scenario.units >= 0, where, f"demand of {scenario.units} units")
        _require(scenario.probability >= 0, where, f"probability {scenario.probability}")
        if scenario.sky is not None:
            _check_sky(where, scenario.sky)
    total = fsum(s.probability for s in scenarios)
    _require(isclose(total, 1.0, abs_tol=1e-6), where, f"probabilities add up to {total}")


def _check_on_demand(where: str, on_demand: OnDemand) -> None:
    fine = on_demand.uav_cost >= 0 and on_demand.satellite_cost >= 0
    _require(fine, where, "negative on-demand cost")
    least, lost = on_demand.uav_cost, on_demand.shortfall_cost
    _require(lost >= least, where, f"shortfall cost {lost} is less than a unit by UAV, {least}")
    _require(on_demand.uavs >= 1, where, f"a chain of {on_demand.uavs} UAVs")
    _check_sky(where, on_demand.sky)


def _check_sky(where: str, sky: Sky) -> None:
    p = sky.satellite
    _require(0 <= p <= 1, where, f"satellite probability {p}")
    for grounded in sky.grounded:
        _require(0 <= grounded <= 1, where, f"probability {grounded} that no UAV flies")


def _check_pools(problem: Problem, pools: Pools) -> None:
    rooms = {
        "satellite units": pools.satellite_units,
        "UAV units": pools.uav_units,
        "UAVs": pools.uavs,
    }
    for name, room in rooms.items():
        _require(room is None or room >= 0, "pools", f"{room} {name}")
    on_demand = [request.on_demand for request in problem.requests]
    if pools.limited and problem.futures:
        _check_futures(problem)
    elif pools.limited:
        why = "then joint futures of demand and sky must be given"
        _require(problem.correlated, "pools", f"demand is not correlated; {why}")
        same_sky = len({o.satellite_probability for o in on_demand}) <= 1
        _require(same_sky, "pools", f"requests differ in their satellite probability; {why}")
        flies = all(o.grounded == (0.0, 0.0) for o in on_demand)
        _require(flies, "pools", f"UAVs may be grounded; {why}")
        same_demand = not problem.has_own_demands
        _require(same_demand, "pools", f"requests differ in their demand; {why}")


def _check_level(where: str, problem: Problem, request: Request) -> None:
    _require(request.least_units > 0, where, f"at least {request.least_units} units reserved")
    shares = has_pools(problem) or problem.risk is not None
    _require(not shares, where, "a service level does not go with limited pools, or CVaR")


def _check_ball(where: str, problem: Problem, request: Request, ball: Ball) -> None:
    _require(0 <= ball.radius_units < inf, where, f"radius of {ball.radius_units} units")
    _require(ball.most_units >= 0, where, f"at most {ball.most_units} units in a ball")
    shares = has_pools(problem) or problem.risk is not None
    _require(not shares, where, "a ball of laws does not go with limited pools, or CVaR")
    varies = has_skies(problem.demand_of(request))
    _require(not varies, where, "a ball of laws does not go with skies that depend on demand")


def _check_risk(problem: Problem, risk: Risk) -> None:
    _require(not has_pools(problem), "risk", "does not go with limited pools")
    _require(bool(problem.futures), "risk", "joint futures of demand and sky must be given")
    _require(0 <= risk.level < 1, "risk", f"level {risk.level}")
    _require(0 < risk.weight <= 1, "risk", f"weight {risk.weight}")
    _check_futures(problem)


def _check_futures(problem: Problem) -> None:
    most = [max(s.units for s in problem.demand_of(request)) for request in problem.requests]
    for number, future in enumerate(problem.futures):
        where = f"future {number}"
        for name, values in (
            ("demands", future.units),
            ("skies", future.usable),
            ("flights", future.flies or future.usable),
        ):
            reason = f"{len(values)} {name} for {len(problem.requests)} requests"
            _require(len(values) == len(problem.requests), where, reason)
        _require(future.probability >= 0, where, f"probability {future.probability}")
        fits = all(0 <= units <= top for units, top in zip(future.units, most, strict=True))
        _require(fits, where, "a request needs more than any of its scenarios says, or less than 0")
    total = fsum(future.probability for future in problem.futures)
    _require(isclose(total, 1.0, abs_tol=1e-6), "futures", f"probabilities add up to {total}")
