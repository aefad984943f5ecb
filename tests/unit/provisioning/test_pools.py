"""Shared pools of satellites and UAVs: hand-solved cases, laws, and plain models as oracles."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pulp
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from provisioning_cases import paper_problem
from provisioning_oracles import first_stage, highs, optimum, pooled_second_stage

from global_manager.provisioning import (
    Allocation,
    Fiber,
    Formulation,
    Future,
    InvalidProblemError,
    OnDemand,
    Policy,
    Pools,
    Problem,
    Request,
    Scenario,
    compare,
    evaluate,
    replan,
    solve,
    verify,
)
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.sharing import serve

COIN = (Scenario(0, 0.5), Scenario(2, 0.5))
LOST = 100

in_both_forms = pytest.mark.parametrize("formulation", Formulation)


def one_fiber(
    pools: Pools | None, *, wavelengths: int = 4, requests: int = 2, lost: int = LOST
) -> Problem:
    """Two units at even odds; reserving costs 10, a UAV 16, a satellite 12 under half the skies."""
    return Problem(
        nodes=("a", "b"),
        fibers=(Fiber("a", "b", 10, wavelengths),),
        requests=tuple(
            Request(f"r{i}", "any", "a", "b", OnDemand(16, 12, 0.5, lost)) for i in range(requests)
        ),
        scenarios=COIN,
        pools=pools,
    )


def reserving(problem: Problem, *units: int) -> list[Allocation]:
    return [
        Allocation(r.id, r.source, r.target, ("a", "b"), tuple(range(k)))
        for r, k in zip(problem.requests, units, strict=True)
        if k > 0
    ]


def test_what_the_pools_cannot_bring_is_lost_at_its_price():
    # 4 units wanted half the time.  Clear: 1 by satellite, 2 by UAV, 1 lost; clouds: 2 and 2
    problem = one_fiber(Pools(1, 2))

    cost = evaluate(problem, [])

    assert cost.expected_recourse == 0.25 * (12 + 32 + 100) + 0.25 * (32 + 200)
    assert cost.expected_shortfall_units == 0.25 * 1 + 0.25 * 2


def test_the_satellite_goes_to_those_whom_a_uav_cannot_help_cheaply():
    # by greedy on the cheapest pair the near request takes the satellite (1) and the far one its
    # UAV at 90; the far one by satellite (5) and the near by UAV (2) is better
    both = serve([1, 1], [1, 5], [2, 90], [LOST] * 2, Pools(1, 1))
    cloudy = serve([1, 1], [None, None], [2, 90], [LOST] * 2, Pools(1, 1))

    assert (both.satellite, both.uav, both.lost) == ((0, 1), (1, 0), (0, 0))
    assert (cloudy.satellite, cloudy.uav, cloudy.lost) == ((0, 0), (1, 0), (0, 1))


def test_a_satellite_relieves_a_uav_for_somebody_whom_only_uavs_can_reach():
    service = serve([2, 2], [10, None], [10, 80], [LOST] * 2, Pools(1, 2))

    assert (service.satellite, service.uav, service.lost) == ((1, 0), (1, 1), (0, 1))


def transportation(missing, satellite, uav, lost, pools: Pools) -> float:
    model = pulp.LpProblem("transportation", pulp.LpMinimize)
    price = {"s": satellite, "u": uav, "v": lost}
    usable = [(m, c) for m, costs in price.items() for c, p in enumerate(costs) if p is not None]
    move = {(m, c): model.add_variable(f"{m}_{c}", 0) for m, c in usable}
    model.setObjective(pulp.lpSum(int(price[m][c]) * x for (m, c), x in move.items()))
    for c, units in enumerate(missing):
        model += pulp.lpSum(x for (_, to), x in move.items() if to == c) == int(units)
    for m, units in (("s", pools.satellite_units), ("u", pools.uav_units)):
        if units is not None:
            model += pulp.lpSum(x for (by, _), x in move.items() if by == m) <= units
    return optimum(model, highs())


some_units = st.none() | st.integers(0, 12)
kinds = st.tuples(
    st.integers(0, 6),
    st.none() | st.integers(0, 90),
    st.none() | st.integers(0, 70),
    st.integers(20, 90),
)


@given(st.lists(kinds, min_size=1, max_size=6), some_units, some_units)
@settings(max_examples=200)
def test_service_without_a_solver_is_the_transportation_problem(rows, satellites, uavs):
    missing, by_satellite, by_uav, lost = zip(*rows, strict=True)
    pools = Pools(satellites, uavs)

    service = serve(missing, by_satellite, by_uav, lost, pools)

    cost = sum(n * c for n, c in zip(service.lost, lost, strict=True))
    for units, costs, room in (
        (service.satellite, by_satellite, satellites),
        (service.uav, by_uav, uavs),
    ):
        assert room is None or sum(units) <= room
        assert not [n for n, c in zip(units, costs, strict=True) if n and c is None]
        cost += sum(n * (c or 0) for n, c in zip(units, costs, strict=True))
    together = zip(service.satellite, service.uav, service.lost, strict=True)
    assert [sum(parts) for parts in together] == list(missing)
    assert cost == pytest.approx(
        transportation(missing, by_satellite, by_uav, lost, pools), abs=1e-6
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"pools": Pools(-1, None)}, "satellite"),
        ({"pools": Pools(1, 1), "correlation": 0.0}, "correlated; then joint futures"),
        ({"pools": Pools(1, 1), "futures": (Future(1, (2,), (True,)),)}, "1 demands for 2"),
        ({"pools": Pools(1, 1), "futures": (Future(1, (2, 3), (True, True)),)}, "future 0"),
        (
            {"pools": Pools(1, 1), "futures": (Future(0.5, (2, 2), (True, True)),)},
            "add up to",
        ),
    ],
)
def test_pools_that_make_no_sense_are_named(change, where):
    with pytest.raises(InvalidProblemError, match=where):
        solve(replace(one_fiber(None), **change))


def test_losing_a_unit_never_costs_less_than_a_uav():
    with pytest.raises(InvalidProblemError, match=r"r0: shortfall cost 15 is less .* by UAV, 16"):
        solve(one_fiber(Pools(1, 1), lost=15))


def test_requests_under_different_skies_cannot_share_pools():
    problem = one_fiber(Pools(1, 1))
    other = replace(problem.requests[0], id="x", on_demand=OnDemand(16, 12, 0.25, LOST))

    with pytest.raises(InvalidProblemError, match="satellite probability"):
        solve(replace(problem, requests=(*problem.requests, other)))


def test_a_loss_may_cost_any_whole_number():
    assert evaluate(one_fiber(Pools(0, 0), lost=2**70), []).expected_recourse == 0.5 * 4 * 2**70


def test_who_needs_little_makes_room_for_who_needs_much():
    # in either future one request needs 2 units and the other none: the one UAV is never asked for twice
    futures = tuple(Future(0.5, units, (False, False)) for units in ((2, 0), (0, 2)))
    problem = replace(one_fiber(Pools(0, 1)), correlation=0.0, futures=futures)

    together = evaluate(one_fiber(Pools(0, 1)), reserving(problem, 1, 1))
    apart = evaluate(problem, reserving(problem, 1, 1))

    assert (apart.expected_recourse, apart.expected_shortfall_units) == (16, 0)
    assert (together.expected_recourse, together.expected_shortfall_units) == (0.5 * 116, 0.5)


def test_independent_demand_without_limits_costs_the_same():
    problem = one_fiber(None)

    assert solve(replace(problem, correlation=0.0)) == solve(problem)


@in_both_forms
def test_reserving_pays_once_a_pool_is_scarce(formulation):
    # a UAV at 16 half the time is cheaper than 10 for sure, while there are any: two of the four
    # units wanted come by UAV (clear or not), the other two are reserved rather than lost
    plan = solve(one_fiber(Pools(0, 2)), formulation=formulation)

    assert plan.first_stage_cost == 20
    assert plan.expected_recourse_cost == 0.5 * 32
    assert (plan.objective, plan.gap) == (36, 0)


@in_both_forms
def test_a_plan_weighs_both_pools_and_both_skies(formulation):
    # one satellite and one UAV: two units reserved; under clouds one of the rest is lost at 24
    problem = one_fiber(Pools(1, 1), lost=24)

    plan = solve(problem, formulation=formulation)

    assert plan.objective == 20 + 0.25 * (12 + 16) + 0.25 * (16 + 24)
    assert plan.objective == evaluate(problem, reserving(problem, 1, 1)).total
    assert plan.gap == 0


@in_both_forms
def test_what_is_lost_counts_when_fibers_are_full_too(formulation):
    plan = solve(one_fiber(Pools(0, 1), wavelengths=1), formulation=formulation)

    assert plan.objective == 10 + 0.5 * (16 + 2 * LOST)


def pooled_extensive_form(problem: Problem) -> float:
    """Paths, units, every demand and sky spelled out with pool rows; colours relaxed."""
    model = pulp.LpProblem("pooled", pulp.LpMinimize)
    most = max(s.units for s in problem.scenarios)
    cost, reserved = first_stage(model, problem, most)
    cost += pooled_second_stage(model, problem, reserved)
    model.setObjective(pulp.lpSum(cost))
    return optimum(model, highs())


LINKS = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("a", "c")]


@st.composite
def small_problems(draw):
    """Up to four requests on a ring with a chord; prices apart enough for every choice to occur."""
    clear = draw(st.sampled_from([0.0, 0.3, 1.0]))
    pairs = draw(st.lists(st.sampled_from(list(permutations("abcd", 2))), min_size=1, max_size=4))
    weights = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    wavelengths = draw(st.integers(0, 5))
    costs, losses = st.integers(1, 60), st.integers(60, 200)
    return Problem(
        nodes=tuple("abcd"),
        fibers=tuple(Fiber(a, b, draw(st.integers(1, 20)), wavelengths) for a, b in LINKS),
        requests=tuple(
            Request(f"r{i}", "any", a, b, OnDemand(draw(costs), draw(costs), clear, draw(losses)))
            for i, (a, b) in enumerate(pairs)
        ),
        scenarios=tuple(Scenario(draw(st.integers(0, 5)), w / sum(weights)) for w in weights),
        pools=Pools(draw(few_units), draw(few_units)),
        directed_capacity=draw(st.booleans()),
    )


few_units = st.none() | st.integers(0, 8)


@st.composite
def joint_problems(draw):
    """Small problems whose requests need, and can have, different things in every future."""
    problem = replace(draw(small_problems()), correlation=0.0)
    assume(problem.pools.limited)  # without limits futures are not looked at
    n, most = len(problem.requests), max(s.units for s in problem.scenarios)
    units = st.tuples(*[st.integers(0, most)] * n)
    skies = st.tuples(*[st.booleans()] * n)
    drawn = draw(st.lists(st.tuples(st.integers(1, 5), units, skies), min_size=1, max_size=4))
    total = sum(weight for weight, _, _ in drawn)
    futures = tuple(Future(weight / total, needs, usable) for weight, needs, usable in drawn)
    return replace(problem, futures=futures)


@given(small_problems() | joint_problems())
@settings(max_examples=60)
def test_the_bound_is_below_the_optimum_and_the_optimum_below_every_plan(problem):
    best = pooled_extensive_form(problem)

    plans = [solve(problem, policy, gap=0, formulation=Formulation.COLUMNS) for policy in Policy]
    for plan in (*plans, solve(problem, formulation=Formulation.ARCS)):
        assert plan.lower_bound <= best * (1 + 1e-6) + 1e-6
        if plan.policy is not Policy.DETERMINISTIC:  # a yardstick, not a plan
            assert plan.objective >= best * (1 - 1e-6) - 1e-6


@given(small_problems() | joint_problems())
@settings(max_examples=50)
def test_with_ample_wavelengths_and_time_the_optimum_is_found(problem):
    fibers = tuple(replace(fiber, wavelengths=40) for fiber in problem.fibers)
    problem = replace(problem, fibers=fibers)

    best = pytest.approx(pooled_extensive_form(problem))
    for formulation in Formulation:
        assert solve(problem, gap=0, formulation=formulation).objective == best


@given(small_problems(), st.sampled_from(["satellite_units", "uav_units"]))
@settings(max_examples=40)
def test_a_larger_pool_never_costs_more(problem, pool):
    units = getattr(problem.pools, pool)
    larger = replace(problem.pools, **{pool: None if units is None else units + 1})

    assert evaluate(replace(problem, pools=larger), []).total <= evaluate(problem, []).total
    more, less = (relax(replace(problem, pools=p)).lower_bound for p in (larger, problem.pools))
    assert more <= less * (1 + 1e-5) + 1e-5
    assert pooled_extensive_form(replace(problem, pools=larger)) <= (
        pooled_extensive_form(problem) + 1e-6
    )


@given(small_problems())
@settings(max_examples=40)
def test_pools_that_do_not_bind_change_nothing(problem):
    ample = replace(problem, pools=Pools(1_000, 1_000))
    without = replace(problem, pools=None)

    pooled, plain = (
        solve(known, gap=0, formulation=Formulation.COLUMNS) for known in (ample, without)
    )

    assert pooled.lower_bound == pytest.approx(plain.lower_bound, rel=1e-5)
    assert pooled.objective == pytest.approx(plain.objective, rel=1e-9)


def pooled_paper_problem(wavelengths: int, pools: Pools) -> Problem:
    return replace(paper_problem(wavelengths=wavelengths), pools=pools)


@pytest.mark.parametrize(("wavelengths", "gap"), [(160, 1e-3), (80, 1e-2)])
def test_at_paper_size_a_scarce_uav_fleet_is_planned_for_close_to_a_proven_bound(wavelengths, gap):
    problem = pooled_paper_problem(wavelengths, Pools(0, 200))
    blind = solve(replace(problem, pools=None), gap=gap)

    plan = solve(problem, gap=gap)

    verify(problem, plan.allocations)
    assert plan.gap <= gap
    assert plan.objective == evaluate(problem, plan.allocations).total
    assert plan.objective < 0.9 * evaluate(problem, blind.allocations).total


def test_policies_compare_and_a_lost_fiber_is_planned_around_with_pools():
    problem = pooled_paper_problem(160, Pools(20, 20))
    problem = replace(problem, requests=problem.requests[:40])

    figures = compare(problem)
    plan = solve(problem)
    fiber = next(f for f in problem.fibers if any(f.a in a.path for a in plan.allocations))
    after = replan(problem, plan, [(fiber.a, fiber.b)])

    assert figures.ws <= figures.rp <= figures.eev
    assert solve(problem) == plan
    assert after.lower_bound <= after.objective
    assert after.gap < 0.05
