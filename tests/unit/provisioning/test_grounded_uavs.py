"""UAVs that do not always fly, and skies that go with demand: hand-solved cases, and plain oracles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pulp
import pytest
from provisioning_oracles import first_stage, highs, optimum, pooled_second_stage
from random_instances import random_instance

from global_manager.provisioning import check_problem, solve
from global_manager.provisioning.check import InvalidProblemError, evaluate
from global_manager.provisioning.model import (
    Fiber,
    Formulation,
    OnDemand,
    Policy,
    Pools,
    Problem,
    Request,
    Scenario,
    Sky,
)
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.second_stage import joint_futures

OWN, POOLED = 1, 5  # kinds of random instances: own demands, and drawn futures


def alone(law: tuple[Scenario, ...], on_demand: OnDemand, *, unit_cost: int = 30) -> Problem:
    request = Request("r", "any", "a", "b", on_demand, law)
    return Problem(("a", "b"), (Fiber("a", "b", unit_cost, 8),), (request,), law)


def test_a_missing_unit_costs_what_the_media_that_can_serve_it_cost():
    sky = Sky(0.5, (0.2, 0.4))
    law = (Scenario(1, 1.0),)
    problem = alone(law, OnDemand(40, 20, 0.5, 100, grounded=sky.grounded))
    # with a satellite 20 in any air; without one 40, or with UAVs grounded the loss of 100
    assert evaluate(problem, []).total == pytest.approx(0.5 * 20 + 0.5 * (0.6 * 40 + 0.4 * 100))


def test_demand_under_a_bad_sky_is_worth_more_reserved_units():
    fine, bad = Sky(1.0), Sky(0.0, (0.0, 1.0))
    usual = OnDemand(40, 20, 0.5, 100, grounded=(0.0, 1.0))
    apart = alone((Scenario(1, 0.5), Scenario(3, 0.5)), usual, unit_cost=25)
    together = alone((Scenario(1, 0.5, fine), Scenario(3, 0.5, bad)), usual, unit_cost=25)
    plans = [solve(problem, gap=0) for problem in (apart, together)]
    assert [plan.allocations[0].units for plan in plans] == [3, 3]
    assert evaluate(apart, []).total == pytest.approx(2 * 60)
    assert evaluate(together, []).total == pytest.approx(0.5 * 20 + 0.5 * 3 * 100)


def grounded(seed: int) -> Problem:
    """Return a small problem without pools whose requests have skies of their own, some by demand."""
    rng = np.random.default_rng([29, seed])
    problem = random_instance(6 * seed + OWN)

    def sky() -> Sky:
        first, second, third = (float(rng.choice([0.0, 0.25, 1.0])) for _ in range(3))
        return Sky(first, (second, third))

    def in_the_air(request: Request) -> Request:
        own = request.scenarios
        if own is not None:
            own = tuple(replace(item, sky=sky() if rng.random() < 0.7 else None) for item in own)
        usual = sky()
        on_demand = replace(
            request.on_demand, satellite_probability=usual.satellite, grounded=usual.grounded
        )
        return replace(request, scenarios=own, on_demand=on_demand)

    return replace(problem, requests=tuple(map(in_the_air, problem.requests)))


def with_flights(seed: int) -> Problem:
    """Return a small problem with drawn futures, some requests' UAVs grounded, some of them a fleet's."""
    rng = np.random.default_rng([31, seed])
    problem = random_instance(6 * seed + POOLED)
    size = len(problem.requests)
    futures = tuple(
        replace(future, flies=tuple(bool(n) for n in rng.random(size) < 0.6))
        for future in problem.futures
    )
    pools = replace(problem.pools, uavs=int(rng.integers(0, 4))) if seed % 2 else problem.pools
    return replace(problem, futures=futures, pools=pools)


def outcomes(problem: Problem, request: Request) -> Iterator[tuple[float, int, bool, bool]]:
    for scenario in request.scenarios or problem.scenarios:
        sky = scenario.sky or Sky(
            request.on_demand.satellite_probability, request.on_demand.grounded
        )
        for usable, flies in product((True, False), (True, False)):
            chance = sky.satellite if usable else 1 - sky.satellite
            down = sky.grounded[0 if usable else 1]
            yield (
                scenario.probability * chance * (1 - down if flies else down),
                scenario.units,
                usable,
                flies,
            )


def second_stage(model, problem: Problem, reserved):
    cost = []
    for r, request in enumerate(problem.requests):
        for o, (chance, units, usable, flies) in enumerate(outcomes(problem, request)):
            s, u, v = (model.add_variable(f"{m}_{r}_{o}", 0) for m in "suv")
            model += reserved[r] + s + u + v >= units
            model += s <= (units if usable else 0)
            model += u <= (units if flies else 0)
            costs = request.on_demand
            each = costs.satellite_cost * s + costs.uav_cost * u + costs.shortfall_cost * v
            cost.append(chance * each)
    return cost


def pooled(model, problem: Problem, reserved):
    cost = pooled_second_stage(model, problem, reserved)
    variables = {x.name: x for x in model.variables()}
    for w, future in enumerate(problem.futures):
        for r, flies in enumerate(future.flies):
            if not flies:
                model += variables[f"u_{r}_{w}"] <= 0
    return cost


def best(problem: Problem, recourse) -> float:
    """Paths, units and every outcome spelled out; colours relaxed."""
    model = pulp.LpProblem("grounded", pulp.LpMinimize)
    most = max(s.units for r in problem.requests for s in r.scenarios or problem.scenarios)
    cost, reserved = first_stage(model, problem, most)
    cost += recourse(model, problem, reserved)
    model.setObjective(pulp.lpSum(cost))
    return optimum(model, highs())


@pytest.mark.parametrize("seed", range(12))
def test_bound_and_extensive_form_agree_where_skies_go_with_demand(seed):
    problem = grounded(seed)
    least = best(problem, second_stage)
    arcs, columns = (solve(problem, gap=0, formulation=form) for form in Formulation)
    assert relax(problem).lower_bound <= least * (1 + 1e-6) + 1e-6
    for plan in (arcs, columns):
        assert plan.objective >= least * (1 - 1e-6) - 1e-6
        assert plan.lower_bound <= arcs.objective * (1 + 1e-6)
    assert arcs.objective <= columns.objective * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_bound_and_extensive_form_agree_where_uavs_are_grounded_in_some_futures(seed):
    problem = with_flights(seed)
    least = best(problem, pooled)
    plans = [solve(problem, policy, gap=0) for policy in Policy]
    plans += [solve(problem, gap=0, formulation=form) for form in Formulation]
    assert relax(problem).lower_bound <= least * (1 + 1e-6) + 1e-6
    for plan in plans:
        assert plan.lower_bound <= plan.objective
        if plan.policy is not Policy.DETERMINISTIC:
            assert plan.objective >= least * (1 - 1e-6) - 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_joint_futures_have_the_same_expectation_as_requests_apart(seed):
    problem = grounded(seed)
    futures = joint_futures(problem)
    assert sum(future.probability for future in futures) == pytest.approx(1)
    together = replace(problem, futures=futures, pools=Pools(10**6, None))
    assert evaluate(together, []).total == pytest.approx(evaluate(problem, []).total)


def test_what_is_no_sky_is_refused():
    law = (Scenario(1, 1.0, Sky(0.5, (0.0, 1.5))),)
    with pytest.raises(InvalidProblemError, match=r"probability 1\.5 that no UAV flies"):
        check_problem(alone(law, OnDemand(40, 20, 0.5, 100)))
    listed = replace(
        alone((Scenario(1, 1.0),), OnDemand(40, 20, 0.5, 100, grounded=(0.1, 0.1))),
        pools=Pools(1, 1),
    )
    listed = replace(listed, requests=(replace(listed.requests[0], scenarios=None),))
    with pytest.raises(InvalidProblemError, match="UAVs may be grounded"):
        check_problem(listed)
