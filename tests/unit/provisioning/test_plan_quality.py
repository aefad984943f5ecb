"""What is said of a plan besides its cost: its true gap, and what more of a scarce thing is worth."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
from provisioning_cases import poisson_scenarios, problem_on

from global_manager.provisioning import Problem, Scenario, evaluate, solve
from global_manager.provisioning.model import Policy, Pools
from global_manager.provisioning.replications import replicated_gaps
from global_manager.provisioning.scenario_sampling import (
    Moment,
    Moments,
    Stream,
    with_futures_drawn,
)
from global_manager.provisioning.sensitivities import sensitivities
from global_manager.provisioning.stochastic_plan import lower_bound

SQUARE = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
PAIRS = [("a", "b"), ("a", "c"), ("b", "d"), ("b", "c"), ("c", "d")]


def square(wavelengths: int, uavs: int | None = None) -> Problem:
    demand = poisson_scenarios(2.0, 8)
    problem = problem_on(SQUARE, PAIRS, wavelengths=wavelengths, scenarios=demand)
    return replace(problem, correlation=0.0, pools=Pools(None, uavs))


def always(requests: int) -> Moments:
    """Return moments in which nobody can be served by satellite."""

    def draw(_stream: Stream, n: int) -> list[Moment]:
        return [Moment((False,) * requests)] * n

    return draw


@pytest.mark.parametrize("policy", [Policy.STOCHASTIC, Policy.NONE])
def test_the_gap_over_replications_bounds_that_for_all_futures(policy: Policy) -> None:
    problem, skies = square(wavelengths=8, uavs=3), always(len(PAIRS))
    all_futures = with_futures_drawn(problem, skies, 3_000, seed=99)
    plan = solve(with_futures_drawn(problem, skies, 40, seed=1), policy)
    true_gap = evaluate(all_futures, plan.allocations).total - lower_bound(all_futures)

    few, many = (
        fmean(replicated_gaps(with_futures_drawn(problem, skies, n, 1), plan, skies, 10, 1))
        for n in (40, 400)
    )

    chance = 0.01 * evaluate(all_futures, plan.allocations).total
    assert true_gap <= many + chance
    assert many <= few + chance  # samples promise too little cost, the more the smaller they are
    assert many == pytest.approx(true_gap, abs=2 * chance)


def test_another_seed_draws_other_samples_and_the_same_seed_the_same() -> None:
    problem, skies = square(wavelengths=8, uavs=3), always(len(PAIRS))
    sampled = with_futures_drawn(problem, skies, 20, seed=1)
    plan = solve(sampled)

    first, again, other = (replicated_gaps(sampled, plan, skies, 3, seed) for seed in (1, 1, 7))

    assert first == again != other


def test_a_wavelength_is_worth_what_the_bound_falls_by() -> None:
    problem = square(wavelengths=3)

    values = {(a, b): value for a, b, value in sensitivities(problem).wavelengths}

    assert len(values) == 4
    for fiber in problem.fibers:
        more = replace(fiber, wavelengths=4)
        fibers = tuple(more if item == fiber else item for item in problem.fibers)
        fall = lower_bound(problem) - lower_bound(replace(problem, fibers=fibers))
        assert 0 < fall <= values[fiber.a, fiber.b] + 1e-6  # a bound is convex in what there is


def test_nothing_is_worth_more_of_where_nothing_is_scarce() -> None:
    values = sensitivities(square(wavelengths=40))

    assert (values.wavelengths, values.pools) == ((), {})


def test_a_uav_is_worth_what_the_bound_falls_by() -> None:
    problem = with_futures_drawn(square(wavelengths=3, uavs=1), always(len(PAIRS)), 50, seed=1)

    values = sensitivities(problem).pools

    larger = replace(problem, pools=Pools(None, 2))
    assert values == {"uav_units": pytest.approx(lower_bound(problem) - lower_bound(larger))}
    assert values["uav_units"] > 0


def test_without_demand_nothing_is_worth_anything() -> None:
    problem = replace(square(wavelengths=3), scenarios=(Scenario(0, 1.0),))

    assert sensitivities(problem).wavelengths == ()
