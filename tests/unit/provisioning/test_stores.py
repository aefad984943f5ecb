"""What a reservation misses when its store bridges periods, against the store itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from global_manager.provisioning.ages import TooManyAgesError
from global_manager.provisioning.check import InvalidPlanError
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import (
    Allocation,
    Fiber,
    Formulation,
    OnDemand,
    Policy,
    Problem,
    Request,
    Scenario,
)
from global_manager.provisioning.recourse import expected_missing_units
from global_manager.provisioning.stochastic_plan import optimize, plan_made_elsewhere
from global_manager.provisioning.stores import (
    Law,
    Store,
    bridged,
    follow_ages,
    mean_missing_units,
    seen_through,
    store_means,
)

LAW = (Scenario(0, 0.3), Scenario(1, 0.3), Scenario(3, 0.3), Scenario(6, 0.1))


@st.composite
def laws(draw: st.DrawFn) -> Law:
    units = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True))
    weights = [draw(st.integers(1, 9)) for _ in units]
    return tuple(
        Scenario(n, weight / sum(weights)) for n, weight in zip(units, weights, strict=True)
    )


def _missed(demands: tuple[int, ...], reserved: int, beyond: int) -> int:
    """Follow one store through one run."""
    level, missed = reserved, 0
    for units in demands:
        served = min(level, units)
        missed += units - served
        level = min(reserved + beyond, level - served + reserved)
    return missed


@given(st.lists(laws(), min_size=1, max_size=4), st.integers(0, 7))
def test_what_is_missed_is_that_of_every_run_times_its_chance(
    periods: list[Law], beyond: int
) -> None:
    found = mean_missing_units(periods, beyond)
    most = max(item.units for law in periods for item in law)
    assert found.shape == (most + 1,)
    for reserved in range(most + 1):
        wanted = sum(
            prod(item.probability for item in run)
            * _missed(tuple(item.units for item in run), reserved, beyond)
            for run in product(*periods)
        )
        assert found[reserved] == pytest.approx(wanted / len(periods), abs=1e-12)


@given(st.lists(laws(), min_size=1, max_size=12), st.integers(0, 20))
def test_it_is_convex_and_a_law_misses_as_much_without_a_store(
    periods: list[Law], beyond: int
) -> None:
    missed = mean_missing_units(periods, beyond)
    assert np.all(np.diff(missed, 2) >= -1e-12)
    assert missed[-1] == pytest.approx(0, abs=1e-12)
    law = bridged(periods, beyond)
    assert sum(item.probability for item in law) == pytest.approx(1)
    assert all(item.probability > 0 for item in law)
    alone = expected_missing_units(law)
    assert alone == pytest.approx(missed[: len(alone)], abs=1e-11)
    assert mean_units(law) == pytest.approx(np.mean([mean_units(own) for own in periods]))


@given(st.lists(laws(), min_size=1, max_size=5))
def test_a_store_of_one_period_changes_nothing(periods: list[Law]) -> None:
    alone = sum(np.pad(m := expected_missing_units(law), (0, 7 - len(m))) for law in periods)
    found = mean_missing_units(periods, 0)
    assert found == pytest.approx(alone[: len(found)] / len(periods), abs=1e-12)


def test_a_larger_store_never_misses_more_and_a_long_run_needs_no_longer_look() -> None:
    found = [mean_missing_units([LAW] * 5_000, beyond) for beyond in (0, 1, 2, 5, 20)]
    for less, more in zip(found[1:], found, strict=False):
        assert np.all(less <= more + 1e-12)
    assert found[2][2] == pytest.approx(mean_missing_units([LAW] * 50_000, 2)[2], abs=1e-3)
    assert found[-1][2] < 0.2 * found[0][2]


# Ages, and the price of keeping.


@dataclass
class _Followed:
    """What becomes of single units in one run: each is known by the period that it was made for."""

    missed: int = 0
    kept: int = 0
    expired: int = 0


def _follow(demands: tuple[int, ...], reserved: int, store: Store) -> _Followed:
    """Follow the units of one store through one run, oldest first."""
    found, there = _Followed(), [0] * reserved
    for period, units in enumerate(demands):
        served, there = there[:units], there[units:]
        found.missed += units - len(served)
        if store.lifetime_periods is not None:
            old = [born for born in there if born + store.lifetime_periods == period + 1]
            found.expired += len(old)
            there = there[len(old) :]
        if period + 1 < len(demands):
            found.kept += len(there)
        room = reserved + store.beyond_units - len(there)
        there += [period + 1] * min(reserved, room)
    return found


stores = st.builds(
    Store, st.integers(0, 6), st.none() | st.integers(1, 4), st.sampled_from([0, 1, 30, 400])
)


@given(st.lists(laws(), min_size=1, max_size=4), stores)
def test_what_is_missed_kept_and_expires_is_that_of_every_run_times_its_chance(
    periods: list[Law], store: Store
) -> None:
    most = max(item.units for law in periods for item in law)
    found = store_means(periods, store, most + 2)
    for reserved in range(most + 3):
        wanted = [0.0, 0.0, 0.0]
        for run in product(*periods):
            chance = prod(item.probability for item in run)
            seen = _follow(tuple(item.units for item in run), reserved, store)
            parts = (seen.missed, seen.kept, seen.expired)
            wanted = [w + chance * part for w, part in zip(wanted, parts, strict=True)]
        means = [found.missed[reserved], found.kept[reserved], found.expired[reserved]]
        assert means == pytest.approx([w / len(periods) for w in wanted], abs=1e-12)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), stores)
def test_a_run_that_is_known_is_followed_as_it_is(demands: list[int], store: Store) -> None:
    found = store_means([(Scenario(units, 1.0),) for units in demands], store, 9)
    for reserved in range(10):
        seen = _follow(tuple(demands), reserved, store)
        sums = (seen.missed, seen.kept, seen.expired)
        means = (found.missed[reserved], found.kept[reserved], found.expired[reserved])
        assert [len(demands) * mean for mean in means] == pytest.approx(sums)


def test_key_that_lives_longer_is_missed_less_and_in_the_end_as_if_it_lived_for_ever() -> None:
    found = [mean_missing_units([LAW] * 300, 5, lifetime) for lifetime in (1, 2, 3, 4, 6)]
    for less, more in zip(found[1:], found, strict=False):
        assert np.all(less <= more + 1e-12)
    assert found[0] == pytest.approx(mean_missing_units([LAW] * 300, 0), abs=1e-12)
    assert found[1][2] > 1.05 * found[-1][2]
    assert found[-1] == pytest.approx(mean_missing_units([LAW] * 300, 5), rel=1e-2)


def _request(scenarios: Law, name: str = "r") -> Request:
    on_demand = OnDemand(100, 90, 0.5, 300)
    return Request(name, "avatar", "A", "B", on_demand, scenarios=scenarios)


@given(st.lists(laws(), min_size=1, max_size=4), stores)
def test_a_plan_pays_for_what_is_missed_and_kept_and_its_bound_is_below_that(
    periods: list[Law], store: Store
) -> None:
    most = max(item.units for law in periods for item in law)
    seen = seen_through(_request(periods[0]), periods, store)
    assert seen.scenarios is not None
    means = store_means(periods, store, most)
    exact = 95 * means.missed + store.keeping_cost * means.kept
    missed = expected_missing_units(seen.scenarios)
    for reserved in range(most + 1):
        on_demand = 95 * (missed[reserved] if reserved < len(missed) else 0.0)
        priced = on_demand + seen.beside_cost(reserved)
        assert priced == pytest.approx(exact[reserved], abs=1e-7)
        assert on_demand + seen.least_beside <= exact[reserved] + 1e-7


@given(st.lists(laws(), min_size=1, max_size=3), stores, st.integers(0, 60), st.booleans())
@settings(max_examples=40, deadline=None)
def test_both_formulations_find_what_is_best_of_all_reservations_or_say_how_far_they_are(
    periods: list[Law], store: Store, fiber_cost: int, small: bool
) -> None:
    most = max(item.units for law in periods for item in law)
    seen = seen_through(_request(periods[0]), periods, store)
    problem = Problem(("A", "B"), (Fiber("A", "B", fiber_cost, 12),), (seen,), LAW)
    means = store_means(periods, store, most)
    exact = fiber_cost * np.arange(most + 1) + 95 * means.missed + store.keeping_cost * means.kept
    form = Formulation.ARCS if small else Formulation.COLUMNS
    plan = optimize(problem, 1e-6, formulation=form)
    assert plan.objective == pytest.approx(exact[plan.allocations[0].units])
    assert plan.lower_bound <= exact.min() + 1e-4
    assert plan.objective <= exact.min() * (1 + 1e-6) + 1e-4 or plan.gap > 1e-6


def test_more_units_than_have_a_known_cost_are_refused() -> None:
    seen = seen_through(_request(LAW), [LAW] * 9, Store(2, None, 10))
    problem = Problem(("A", "B"), (Fiber("A", "B", 1, 40),), (seen,), LAW)
    held = Allocation("r", "A", "B", ("A", "B"), tuple(range(13)))
    with pytest.raises(InvalidPlanError, match=r"has 13 units reserved; .* known up to 12"):
        plan_made_elsewhere(problem, Policy.STOCHASTIC, (held,))
    shorter = replace(held, wavelengths=tuple(range(12)))
    assert plan_made_elsewhere(problem, Policy.STOCHASTIC, (shorter,)).objective > 12


def test_too_many_ways_to_be_filled_are_refused() -> None:
    with pytest.raises(TooManyAgesError, match="takes more than 2,000,000 steps"):
        follow_ages(Store(40, 9), 20)
    follow_ages(Store(40, 2), 20)
