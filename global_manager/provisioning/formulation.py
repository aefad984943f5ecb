"""The two-stage program as a reader of the paper writes it: the extensive form over arcs, in PuLP.

The paper names its constraints and prints no equations; these are theirs.  Indices: request r, arc a
(one fiber in one direction), node n, wavelength w, outcome o (a demand and a sky, with probability p_o).

    first stage   reserves_r, path_ra, lit_rw, light_raw   all 0 or 1
    recourse      satellite_ro, uav_ro, unserved_ro >= 0   (whole without being told to be)

    minimise  sum_raw c_a light_raw + sum_ro p_o (cs_r satellite_ro + cu_r uav_ro + cl unserved_ro)

    flow_conservation_r_n       out of n less into n of path_ra: reserves_r at the source,
                                -reserves_r at the target, 0 elsewhere
    path_uniqueness_r_n         at most one arc of path_ra leaves n
    path_uniqueness_r_a_w       light_raw <= path_ra: all wavelengths of r are on its one path
    wavelength_continuity_r_n_w out of n less into n of light_raw: lit_rw at the source, -lit_rw at the
                                target, 0 elsewhere: w goes all the way or not at all
    wavelength_capacity_e       at most W_e wavelengths of fiber e are lit
    wavelength_uniqueness_e_w   wavelength w of fiber e is lit for one request at most
    required_wavelengths_r_o    y_0 sum_w lit_rw + sum_jw (y_j - y_j-1) more_rjw
                                + satellite_ro + uav_ro + unserved_ro >= d_ro
    service_level_r             y_0 sum_w lit_rw + .. + lacks_r >= n_r, where a plan must reserve n_r units
    weakest_fiber_r_j_a         good_rj + path_ra <= 1 for every arc on which a wavelength brings less than
                                y_j: r has a path that brings y_j, or good_rj is 0
    path_yield_r_j_w, wavelength_yield_r_j_w    more_rjw <= good_rj and more_rjw <= lit_rw
    satellite_pool_o, uav_pool_o    what all requests buy of a limited medium in a future
    tail_o                      value_at_risk + excess_o >= sum_r (cs_r satellite_ro + cu_r uav_ro + ..)
    uav_flight_r_o              uav_ro <= d_ro uav_flight_ro: only an order that flies brings anything
    uav_fleet_o                 at most F UAVs fly: sum_r m_r uav_flight_ro <= F, m_r in a chain

With a risk of level a and weight v, recourse counts 1 - v times in the objective, and joined to it is
`v (value_at_risk + sum_o p_o excess_o / (1 - a))`, which is v times the CVaR of recourse where it is least
(Rockafellar and Uryasev 2000, Journal of Risk 2); both are >= 0, as recourse is.

`lacks_r` has a price that no unit of a request ever costs (`service`).
`satellite_ro` is there only where a satellite can serve r; `unserved_ro`, and rows of pools, only where
pools are limited; `uav_flight_ro`, 0 or 1, only where UAVs fly from a fleet.  A fiber e is both
directions together, or one of them (`directed_capacity`).

y_0 < y_1 < ... are what a wavelength can bring, each no more than r ever needs.  Where a wavelength brings
the same on every fiber, there is only y_0, and neither `good_rj` nor `more_rjw` (both from 0 to 1).

Wavelengths that no optimum needs are left out: there are never more lightpaths than the largest
demands of all requests together, and each can have the lowest wavelength that is not taken before it.
Names carry numbers in the order of the problem (`names_of` tells whose), padded so that variables of the
first stage come first in the order of names, which is the order in which PuLP hands them over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import pulp

from global_manager.provisioning.model import Allocation, Medium, Problem, Request
from global_manager.provisioning.recourse import largest_demand
from global_manager.provisioning.second_stage import Outcome, outcomes, unit_costs
from global_manager.provisioning.service import level_price, most_useful_units
from global_manager.provisioning.shared_recourse import futures_of, has_pools, pools_of

ARCS_UP_TO = 2_000
"""The number of variables up to which the extensive form is what is solved, unless told otherwise."""

RISKY_FIRST_STAGE, RISKY_UP_TO = 500, 10_000
"""The same with a risk, by variables of the first stage and of all: most of these are not whole numbers."""

ARCS_AT_MOST = 100_000
"""The number of variables beyond which the extensive form is not even built: PuLP holds them one by one."""

Term = tuple[Any, float]
"""A variable and its coefficient."""


@dataclass(frozen=True)
class Arc:
    """One fiber in one direction; `resource` numbers what a wavelength occupies on it."""

    a: str
    b: str
    fiber: int
    resource: int
    unit_cost: int


def arcs_of(problem: Problem) -> tuple[Arc, ...]:
    """Return the arcs, two per fiber in the order of the fibers."""
    ways = 2 if problem.directed_capacity else 1
    return tuple(
        Arc(*ends, i, ways * i + (way if ways == 2 else 0), fiber.unit_cost)
        for i, fiber in enumerate(problem.fibers)
        for way, ends in enumerate(((fiber.a, fiber.b), (fiber.b, fiber.a)))
    )


def wavelengths_of(problem: Problem) -> int:
    """Return how many wavelengths the program has: those of the best fiber, but no more than help."""
    most = sum(
        -(-most_useful_units(problem, request) // yield_steps(problem, request)[0])
        for request in problem.requests
    )
    return min(most, max((fiber.wavelengths for fiber in problem.fibers), default=0))


def yield_steps(problem: Problem, request: Request) -> tuple[int, ...]:
    """Return what a wavelength can bring a request along some path, least first; no more than it needs."""
    most = max(1, most_useful_units(problem, request))
    return tuple(sorted({min(units, most) for units in problem.yields})) or (1,)


def is_small(problem: Problem) -> bool:
    """Say whether the extensive form is small enough to be solved by default."""
    first_stage = _first_stage_size(problem)
    if problem.risk is not None and first_stage <= RISKY_FIRST_STAGE:
        return size_of(problem) <= RISKY_UP_TO
    return first_stage <= ARCS_UP_TO and size_of(problem) <= ARCS_UP_TO


def size_of(problem: Problem) -> int:
    """Return the number of variables of the extensive form, without building it."""
    flies = _flies(problem)
    second = sum(
        len(unit_costs(problem, request, outcome)) + (flies and outcome.flies)
        for request, own in zip(problem.requests, outcomes(problem), strict=True)
        for outcome in own
    )
    tail = 0 if problem.risk is None else 1 + len(futures_of(problem))
    return _first_stage_size(problem) + second + tail


def names_of(problem: Problem) -> dict[str, list[Any]]:
    """Return whom the numbers in names mean: requests, nodes, arcs and fibers, each in order.

    Where directions of a fiber are apart, each is a fiber here.
    """
    arcs = [[arc.a, arc.b] for arc in arcs_of(problem)]
    fibers = [[fiber.a, fiber.b] for fiber in problem.fibers]
    return {
        "requests": [request.id for request in problem.requests],
        "nodes": list(problem.nodes),
        "arcs": arcs,
        "fibers": arcs if problem.directed_capacity else fibers,
    }


class ExtensiveForm:
    """The program of a problem; `model` is PuLP's.

    `weighted` says whether recourse costs are expected ones; without, each outcome costs what it costs,
    as in files that give probabilities apart.  `futures` replaces the outcomes of the problem.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        futures: Sequence[Sequence[Outcome]] | None = None,
        weighted: bool = True,
    ) -> None:
        self.problem = problem
        self.model = pulp.LpProblem("two_stage_provisioning", pulp.LpMinimize)
        self.arcs = arcs_of(problem)
        self._outcomes = outcomes(problem) if futures is None else futures
        self._weighted = weighted
        self._wavelengths = range(wavelengths_of(problem))
        self.name = _Names(problem, len(self._wavelengths), self._outcomes)
        self._cost: list[Term] = []
        self._bought: dict[tuple[str, int], list[Term]] = {}
        self._flying: dict[int, list[Term]] = {}
        self._paid: dict[int, list[Term]] = {}
        self._declare()
        for r, request in enumerate(problem.requests):
            self._choose_path(r, request)
            self._light_wavelengths(r, request)
            self._count_units(r)
            self._keep_level(r, request)
        self._share_fibers()
        for r, request in enumerate(problem.requests):
            self._meet_demand(r, request)
        self._share_pools()
        self._weigh_tail()
        self.model.setObjective(pulp.LpAffineExpression(self._cost))

    def allocations(self, values: Mapping[str, float]) -> tuple[Allocation, ...]:
        """Return what a solution reserves, by request; `values` are by name of variable."""
        return tuple(
            self._allocation(r, request, values) for r, request in enumerate(self.problem.requests)
        )

    def _declare(self) -> None:
        requests = range(len(self.problem.requests))
        name, model = self.name, self.model
        self._reserves = {r: _binary(model, name("reserves", r=r)) for r in requests}
        self._path = {
            (r, i): _binary(model, name("path", r=r, a=i))
            for r, i in product(requests, range(len(self.arcs)))
        }
        self._lit = {
            (r, w): _binary(model, name("lit", r=r, w=w))
            for r, w in product(requests, self._wavelengths)
        }
        self._light = {
            (r, i, w): _binary(model, name("light", r=r, a=i, w=w))
            for r, (i, arc) in product(requests, enumerate(self.arcs))
            for w in self._on(arc)
        }
        self._steps = {r: yield_steps(self.problem, self.problem.requests[r]) for r in requests}
        self._good = {
            (r, j): model.add_variable(name("good", r=r, j=j), 0, 1)
            for r in requests
            for j in range(1, len(self._steps[r]))
        }
        self._more = {
            (r, j, w): model.add_variable(name("more", r=r, j=j, w=w), 0, 1)
            for (r, j), w in product(self._good, self._wavelengths)
        }
        self._cost += [(x, self.arcs[i].unit_cost) for (_, i, _), x in self._light.items()]

    def _on(self, arc: Arc) -> range:
        return self._wavelengths[: self.problem.fibers[arc.fiber].wavelengths]

    def _choose_path(self, r: int, request: Request) -> None:
        chosen = {i: self._path[r, i] for i in range(len(self.arcs))}
        for n, node in enumerate(self.problem.nodes):
            leaving = [(chosen[i], 1) for i, arc in enumerate(self.arcs) if arc.a == node]
            flow = self._balance(chosen, node) + _end(request, node, self._reserves[r])
            self._row(flow, "==", 0, "flow_conservation", r=r, n=n)
            self._row(leaving, "<=", 1, "path_uniqueness", r=r, n=n)
        for i, arc in enumerate(self.arcs):
            for w in self._on(arc):
                lights = [(self._light[r, i, w], 1), (chosen[i], -1)]
                self._row(lights, "<=", 0, "path_uniqueness", r=r, a=i, w=w)

    def _light_wavelengths(self, r: int, request: Request) -> None:
        for w in self._wavelengths:
            lights = {
                i: self._light[r, i, w] for i, arc in enumerate(self.arcs) if w in self._on(arc)
            }
            for n, node in enumerate(self.problem.nodes):
                flow = self._balance(lights, node) + _end(request, node, self._lit[r, w])
                self._row(flow, "==", 0, "wavelength_continuity", r=r, n=n, w=w)

    def _count_units(self, r: int) -> None:
        """Let a wavelength bring more than on the worst fiber only where the path has no worse one."""
        for j, step in enumerate(self._steps[r][1:], 1):
            good = self._good[r, j]
            for i, arc in enumerate(self.arcs):
                if self.problem.fibers[arc.fiber].units_per_wavelength < step:
                    weak = [(good, 1), (self._path[r, i], 1)]
                    self._row(weak, "<=", 1, "weakest_fiber", r=r, j=j, a=i)
            for w in self._wavelengths:
                more = self._more[r, j, w]
                lit = [(more, 1), (self._lit[r, w], -1)]
                self._row([(more, 1), (good, -1)], "<=", 0, "path_yield", r=r, j=j, w=w)
                self._row(lit, "<=", 0, "wavelength_yield", r=r, j=j, w=w)

    def _keep_level(self, r: int, request: Request) -> None:
        if request.least_units:
            lacks = self.model.add_variable(self.name("lacks", r=r), 0)
            self._cost.append((lacks, level_price(self.problem)))
            terms = [*self._reserved(r), (lacks, 1)]
            self._row(terms, ">=", request.least_units, "service_level", r=r)

    def _reserved(self, r: int) -> list[Term]:
        """Return the units that a request's wavelengths bring."""
        steps = self._steps[r]
        reserved: list[Term] = [(self._lit[r, w], steps[0]) for w in self._wavelengths]
        for j, (before, step) in enumerate(pairwise(steps), 1):
            reserved += [(self._more[r, j, w], step - before) for w in self._wavelengths]
        return reserved

    def _meet_demand(self, r: int, request: Request) -> None:
        reserved = self._reserved(r)
        for outcome in self._outcomes[r]:
            weight = outcome.probability if self._weighted else 1.0
            terms = list(reserved)
            for medium, cost in unit_costs(self.problem, request, outcome).items():
                x = self.model.add_variable(self.name(medium, r=r, o=outcome.future), 0)
                self._cost.append((x, self._mean_share * weight * cost))
                self._paid.setdefault(outcome.future, []).append((x, cost))
                self._bought.setdefault((medium, outcome.future), []).append((x, 1))
                terms.append((x, 1))
                if medium == Medium.UAV and _flies(self.problem):
                    self._fly(x, r, request, outcome)
            self._row(terms, ">=", outcome.units, "required_wavelengths", r=r, o=outcome.future)

    def _fly(self, brought: Any, r: int, request: Request, outcome: Outcome) -> None:
        """Let UAVs bring anything only if they fly; files of futures apart have other demands."""
        own = outcome.units if self._weighted else largest_demand(self.problem.demand_of(request))
        flight = _binary(self.model, self.name("uav_flight", r=r, o=outcome.future))
        self._flying.setdefault(outcome.future, []).append((flight, request.on_demand.uavs))
        terms = [(brought, 1), (flight, -own)]
        self._row(terms, "<=", 0, "uav_flight", r=r, o=outcome.future)

    def _share_fibers(self) -> None:
        over: dict[int, list[int]] = {}
        for i, arc in enumerate(self.arcs):
            over.setdefault(arc.resource, []).append(i)
        requests = range(len(self.problem.requests))
        for e, arcs in over.items():
            fiber = self.problem.fibers[self.arcs[arcs[0]].fiber]
            used = self._on(self.arcs[arcs[0]])
            by_wavelength = {
                w: [(self._light[r, i, w], 1) for r, i in product(requests, arcs)] for w in used
            }
            everything = [term for terms in by_wavelength.values() for term in terms]
            self._row(everything, "<=", fiber.wavelengths, "wavelength_capacity", e=e)
            for w, terms in by_wavelength.items():
                self._row(terms, "<=", 1, "wavelength_uniqueness", e=e, w=w)

    def _share_pools(self) -> None:
        if not has_pools(self.problem):
            return
        pools = pools_of(self.problem)
        room = {Medium.SATELLITE.value: pools.satellite_units, Medium.UAV.value: pools.uav_units}
        for (medium, o), bought in self._bought.items():
            units = room.get(medium)
            if units is not None:
                self._row(bought, "<=", units, f"{medium}_pool", o=o)
        for o, flying in self._flying.items():
            self._row(flying, "<=", pools.uavs or 0, "uav_fleet", o=o)

    @property
    def _mean_share(self) -> float:
        """What the mean counts in the objective."""
        return 1.0 if self.problem.risk is None else 1 - self.problem.risk.weight

    def _weigh_tail(self) -> None:
        risk = self.problem.risk
        if risk is None:
            return
        at_risk = self.model.add_variable("value_at_risk", 0)
        self._cost.append((at_risk, risk.weight))
        for o, future in enumerate(futures_of(self.problem)):
            excess = self.model.add_variable(self.name("excess", o=o), 0)
            self._cost.append((excess, risk.weight * future.probability / (1 - risk.level)))
            paid = [(x, -cost) for x, cost in self._paid[o]]
            self._row([(at_risk, 1), (excess, 1), *paid], ">=", 0, "tail", o=o)

    def _balance(self, flow: Mapping[int, Any], node: str) -> list[Term]:
        """Return what leaves a node less what enters it."""
        leaves = [(x, 1) for i, x in flow.items() if self.arcs[i].a == node]
        enters = [(x, -1) for i, x in flow.items() if self.arcs[i].b == node]
        return [*leaves, *enters]

    def _row(self, terms: Sequence[Term], sense: str, bound: float, kind: str, **at: int) -> None:
        if terms:
            row = pulp.LpConstraint(
                pulp.LpAffineExpression(terms), _SENSES[sense], self.name(kind, **at), bound
            )
            self.model.addConstraint(row)

    def _allocation(self, r: int, request: Request, values: Mapping[str, float]) -> Allocation:
        lit = tuple(w for w in self._wavelengths if _is_one(values, self._lit[r, w]))
        path = tuple(self._trace(r, request, values)) if lit else ()
        brings = self.problem.units_along(path)
        return Allocation(request.id, request.source, request.target, path, lit, brings)

    def _trace(self, r: int, request: Request, values: Mapping[str, float]) -> Iterator[str]:
        """Yield the nodes of a request's path; loops apart from it, which cost nothing, are left out."""
        after = {
            arc.a: arc.b for i, arc in enumerate(self.arcs) if _is_one(values, self._path[r, i])
        }
        node = request.source
        for _ in self.problem.nodes:
            yield node
            if node == request.target:
                return
            node = after[node]


def _flies(problem: Problem) -> bool:
    return problem.pools is not None and problem.pools.uavs is not None


def _first_stage_size(problem: Problem) -> int:
    wavelengths = wavelengths_of(problem)
    lights = sum(2 * min(fiber.wavelengths, wavelengths) for fiber in problem.fibers)
    more = sum(len(yield_steps(problem, request)) - 1 for request in problem.requests)
    own = lights + 2 * len(problem.fibers) + wavelengths + 1
    levels = sum(1 for request in problem.requests if request.least_units)
    return levels + len(problem.requests) * own + more * (1 + wavelengths)


class _Names:
    """Names of variables and rows: a kind and numbers, padded to equal length."""

    def __init__(
        self, problem: Problem, wavelengths: int, outcomes_: Iterable[Sequence[Outcome]]
    ) -> None:
        most = {
            "r": len(problem.requests),
            "a": 2 * len(problem.fibers),
            "e": 2 * len(problem.fibers),
            "n": len(problem.nodes),
            "w": wavelengths,
            "j": 1 + len({fiber.units_per_wavelength for fiber in problem.fibers}),
            "o": 1 + max((item.future for own in outcomes_ for item in own), default=0),
        }
        self._digits = {key: len(str(max(0, n - 1))) for key, n in most.items()}

    def __call__(self, kind: str, **at: int) -> str:
        numbers = (f"{key}{number:0{self._digits[key]}d}" for key, number in at.items())
        return "_".join((kind, *numbers))


_SENSES = {"<=": pulp.LpConstraintLE, "==": pulp.LpConstraintEQ, ">=": pulp.LpConstraintGE}


def _binary(model: Any, name: str) -> Any:
    return model.add_variable(name, 0, 1, pulp.LpBinary)


def _end(request: Request, node: str, flow: Any) -> list[Term]:
    """Return what an end of a request puts into, or takes out of, the balance of a node."""
    if node == request.source:
        return [(flow, -1)]
    return [(flow, 1)] if node == request.target else []


def _is_one(values: Mapping[str, float], variable: Any) -> bool:
    return values.get(variable.name, 0.0) > 0.5
