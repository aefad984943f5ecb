"""Demand: laws and their cut, histories and their fit, fewer scenarios and what that costs at most."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, combinations, pairwise
from math import erfc, exp, factorial, gamma, log, pi, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from global_manager.provisioning.demand import (
    DemandError,
    DemandParameterError,
    HistoryError,
    Law,
    NotOverdispersedError,
    empirical_scenarios,
    fit,
    mean_units,
    negative_binomial_scenarios,
    poisson_scenarios,
    stretched_scenarios,
    tail_mass,
    truncated_scenarios,
)
from global_manager.provisioning.model import Scenario
from global_manager.provisioning.scenario_reduction import reduced_scenarios, wasserstein_units

means = st.floats(0.01, 200.0)
histories = st.lists(st.integers(0, 30), min_size=1, max_size=40)


@st.composite
def distributions(draw: st.DrawFn, most: int = 8) -> tuple[Scenario, ...]:
    units = draw(st.lists(st.integers(0, 40), min_size=1, max_size=most))
    weights = draw(st.lists(st.integers(1, 100), min_size=len(units), max_size=len(units)))
    return tuple(Scenario(u, w / sum(weights)) for u, w in zip(units, weights, strict=True))


def variance_units2(scenarios: Sequence[Scenario]) -> float:
    mean = mean_units(scenarios)
    return sum(item.probability * (item.units - mean) ** 2 for item in scenarios)


def chances(scenarios: Sequence[Scenario]) -> dict[int, float]:
    return {item.units: item.probability for item in scenarios}


# laws


def test_the_papers_demand_is_the_formula_renormalised() -> None:
    weights = [exp(-10 / 3) * (10 / 3) ** i / factorial(i) for i in range(10)]

    for item in poisson_scenarios(10 / 3, 10):
        assert item.probability == pytest.approx(weights[item.units] / sum(weights), rel=1e-14)
    assert tail_mass(10 / 3, 10 / 3, 10) == pytest.approx(1 - sum(weights), abs=1e-15)


def test_a_negative_binomial_law_is_the_one_of_the_textbook() -> None:
    r, p = 2.5, 0.4  # mean 3.75, variance 9.375
    weights = [gamma(d + r) / factorial(d) / gamma(r) * p**r * (1 - p) ** d for d in range(20)]

    for item in negative_binomial_scenarios(3.75, 9.375, 20):
        assert item.probability == pytest.approx(weights[item.units] / sum(weights), rel=1e-12)
    assert tail_mass(3.75, 9.375, 20) == pytest.approx(1 - sum(weights), abs=1e-14)


@given(means, st.floats(1.001, 5.0), st.integers(1, 300))
def test_probabilities_sum_to_one_wherever_the_law_is_cut(
    mean: float, ratio: float, count: int
) -> None:
    for scenarios in (
        poisson_scenarios(mean, count),
        negative_binomial_scenarios(mean, mean * ratio, count),
    ):
        assert [item.units for item in scenarios] == list(range(count))
        assert sum(item.probability for item in scenarios) == pytest.approx(1, abs=1e-12)


@given(st.floats(0.01, 20.0), st.floats(1.001, 4.0))
def test_moments_are_the_parameters_when_next_to_nothing_is_cut(mean: float, ratio: float) -> None:
    count = 1000
    assert tail_mass(mean, mean * ratio, count) < 1e-12
    scenarios = negative_binomial_scenarios(mean, mean * ratio, count)
    assert mean_units(scenarios) == pytest.approx(mean, rel=1e-9)
    assert variance_units2(scenarios) == pytest.approx(mean * ratio, rel=1e-9)
    assert variance_units2(poisson_scenarios(mean, count)) == pytest.approx(mean, rel=1e-9)


@given(means, st.integers(1, 50))
def test_what_is_cut_is_what_a_longer_list_has_beyond(mean: float, count: int) -> None:
    beyond = sum(item.probability for item in poisson_scenarios(mean, 1000)[count:])
    assert tail_mass(mean, mean, count) == pytest.approx(beyond, abs=1e-10)


def test_a_hardly_dispersed_negative_binomial_law_is_poisson() -> None:
    for excess in (1e-6, 1e-9, 1e-12):
        law = negative_binomial_scenarios(3.0, 3.0 * (1 + excess), 20)
        assert wasserstein_units(law, poisson_scenarios(3.0, 20)) < 10 * excess + 1e-14


def test_large_means_and_many_scenarios_neither_overflow_nor_vanish() -> None:
    assert mean_units(poisson_scenarios(5_000.0, 8_000)) == pytest.approx(5_000)
    assert poisson_scenarios(1e300, 10)[-1].probability == pytest.approx(1)
    assert poisson_scenarios(1e-300, 10)[0].probability == 1
    assert tail_mass(1e300, 1e300, 10) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: poisson_scenarios(0, 5), "mean_units must be positive, not 0"),
        (lambda: poisson_scenarios(float("nan"), 5), "mean_units must be positive, not nan"),
        (lambda: poisson_scenarios(1, 0), "scenarios must be at least 1, not 0"),
        (lambda: negative_binomial_scenarios(3, 3, 5), "variance_units2 must be greater than the mean, 3"),
        (lambda: negative_binomial_scenarios(3, float("inf"), 5), "variance_units2 must be"),
        (lambda: tail_mass(3, 2, 5), "variance_units2 must be at least the mean"),
        (lambda: truncated_scenarios([Scenario(7, 1.0)], 7), "scenarios must be greater than 7"),
        (lambda: stretched_scenarios([Scenario(7, 1.0)], 0.0, 9), "mean_units must be positive"),
        (lambda: stretched_scenarios([Scenario(0, 1.0)], 2.0, 9), "no demand at all"),
        (lambda: reduced_scenarios([Scenario(7, 1.0)], 0), "n must be at least 1"),
        (lambda: empirical_scenarios([]), "the history is empty"),
        (lambda: empirical_scenarios([3, -1]), "at least 0, not -1"),
        (lambda: empirical_scenarios([3, 1.5]), "at least 0, not 1.5"),
        (lambda: empirical_scenarios({3: -1}), "cannot have -1 periods of 3 units"),
        (lambda: fit([4]), "has only one period"),
        (lambda: fit([0, 0, 0]), "has no demand at all"),
        (lambda: fit([3, 3, 4], Law.NEGATIVE_BINOMIAL), "does not clearly exceed its mean, 3.33"),
    ],
)  # fmt: skip
def test_nonsense_is_named_and_the_error_survives_pickling(call, words) -> None:
    with pytest.raises(DemandError) as caught:
        call()
    assert words in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))
    assert isinstance(again, DemandParameterError | HistoryError | NotOverdispersedError)


# histories


@given(histories)
def test_empirical_demand_is_the_frequencies_of_the_history(history: list[int]) -> None:
    expected = {units: n / len(history) for units, n in sorted(Counter(history).items())}

    assert chances(empirical_scenarios(history)) == expected
    assert chances(empirical_scenarios(Counter(history))) == expected


@given(histories, st.integers(1, 40))
def test_a_cut_history_keeps_its_proportions(history: list[int], count: int) -> None:
    kept = [units for units in history if units < count]
    if kept:
        cut = truncated_scenarios(empirical_scenarios(history), count)
        assert chances(cut) == pytest.approx(chances(empirical_scenarios(kept)))


def draws(scenarios: Sequence[Scenario], n: int, seed: int) -> list[int]:
    units, weights = zip(*[(item.units, item.probability) for item in scenarios], strict=True)
    return random.Random(seed).choices(units, weights, k=n)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mean", [0.3, 10 / 3, 40.0])
def test_a_long_poisson_history_gives_its_mean_back_and_fits(mean: float, seed: int) -> None:
    fitted = fit(draws(poisson_scenarios(mean, 200), 4_000, seed), Law.POISSON)

    assert fitted.mean_units == pytest.approx(mean, abs=4 * sqrt(mean / 4_000))
    assert fitted.variance_units2 == fitted.mean_units
    assert fitted.dispersion_index == pytest.approx(1, abs=4 * sqrt(2 / 4_000))
    assert fitted.p_value is not None
    assert fitted.p_value > 1e-3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("mean", "variance"), [(3.0, 6.0), (10.0, 14.0), (2.0, 20.0)])
def test_a_long_overdispersed_history_gives_its_law_back(
    mean: float, variance: float, seed: int
) -> None:
    n = 4_000
    fitted = fit(draws(negative_binomial_scenarios(mean, variance, 400), n, seed))

    assert fitted.law is Law.NEGATIVE_BINOMIAL
    assert fitted.mean_units == pytest.approx(mean, abs=4 * sqrt(variance / n))
    assert fitted.variance_units2 == pytest.approx(variance, rel=0.2)
    assert fitted.p_value is not None
    assert fitted.p_value > 1e-3


def test_a_poisson_law_forced_on_an_overdispersed_history_is_seen_to_fit_badly() -> None:
    history = draws(negative_binomial_scenarios(3.0, 6.0, 200), 1_000, 1)

    forced, best = fit(history, Law.POISSON), fit(history)

    assert forced.p_value is not None
    assert forced.p_value < 1e-6
    assert forced.dispersion_index == best.dispersion_index > 1.7
    assert best.aic < forced.aic
    assert best.log_likelihood > forced.log_likelihood


@pytest.mark.parametrize(
    ("counts", "cells", "tail"),
    [
        ([20, 12, 5, 3], 3, lambda half: erfc(sqrt(half))),
        ([20, 16, 12, 6, 4, 2], 4, lambda half: exp(-half)),
        ([6, 9, 13, 6, 4, 2], 5, lambda half: erfc(sqrt(half)) + 2 * sqrt(half / pi) * exp(-half)),
    ],
)
def test_chi_square_by_hand(counts: list[int], cells: int, tail: Callable[[float], float]) -> None:
    n = sum(counts)
    mean = sum(units * periods for units, periods in enumerate(counts)) / n
    due = [n * exp(-mean) * mean**units / factorial(units) for units in range(cells - 1)]
    due.append(n - sum(due))  # the last cell is open; one more cell would expect less than five
    seen = [*counts[: cells - 1], sum(counts[cells - 1 :])]
    chi_square = sum((one - other) ** 2 / other for one, other in zip(seen, due, strict=True))

    fitted = fit(dict(enumerate(counts)), Law.POISSON)

    assert fitted.degrees_of_freedom == cells - 2
    assert fitted.chi_square == pytest.approx(chi_square)
    assert fitted.p_value == pytest.approx(tail(chi_square / 2))


def test_five_in_a_hundred_true_laws_are_called_poor_at_five_per_cent() -> None:
    scenarios = poisson_scenarios(10 / 3, 30)
    values = [fit(draws(scenarios, 300, seed), Law.POISSON).p_value for seed in range(400)]

    poor = sum(value < 0.05 for value in values if value is not None)
    assert poor / 400 == pytest.approx(0.05, abs=3 * sqrt(0.05 * 0.95 / 400))


@settings(max_examples=20)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=40).filter(any))
def test_no_other_variance_is_likelier_and_no_other_law_has_a_lower_aic(history: list[int]) -> None:
    def log_likelihood(variance: float) -> float:
        law = chances(negative_binomial_scenarios(spread.mean_units, variance, 3_000))
        return sum(log(law[units]) for units in history)

    poisson, best = fit(history, Law.POISSON), fit(history)
    assert poisson.mean_units == sum(history) / len(history)
    try:
        spread = fit(history, Law.NEGATIVE_BINOMIAL)
    except NotOverdispersedError:
        assert best == poisson
        return
    assert best == min(poisson, spread, key=lambda fitted: fitted.aic)
    assert spread.mean_units == poisson.mean_units
    mean, variance = spread.mean_units, spread.variance_units2
    assert spread.log_likelihood == pytest.approx(log_likelihood(variance), abs=1e-6)
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert log_likelihood(mean + (variance - mean) * factor) <= spread.log_likelihood + 1e-9


# another mean


@given(distributions(), st.floats(0.01, 100))
def test_stretched_demand_has_its_mean_in_whole_units(
    scenarios: tuple[Scenario, ...], factor: float
) -> None:
    before = mean_units(scenarios)
    assume(before > 0)
    stretched = stretched_scenarios(scenarios, factor * before, 10_000)

    assert mean_units(stretched) == pytest.approx(factor * before)
    assert sum(item.probability for item in stretched) == pytest.approx(1)
    assert [item.units for item in stretched] == sorted({item.units for item in stretched})


def test_demand_that_is_doubled_is_what_it_was_twice_as_large() -> None:
    either = Scenario(1, 0.5), Scenario(3, 0.5)

    assert stretched_scenarios(either, 4.0, 9) == (Scenario(2, 0.5), Scenario(6, 0.5))
    assert stretched_scenarios(either, 4.0, 5) == (Scenario(2, 0.5), Scenario(5, 0.5))


# fewer scenarios


def nearest_by_trying_all(scenarios: Sequence[Scenario], n: int) -> float:
    """Return the least mean distance to `n` of the demands, over every choice of them."""
    units = sorted(chances(scenarios))
    return min(
        sum(item.probability * min(abs(item.units - one) for one in kept) for item in scenarios)
        for kept in combinations(units, min(n, len(units)))
    )


@given(distributions(), st.integers(1, 8))
def test_no_choice_of_so_few_scenarios_is_nearer(scenarios: tuple[Scenario, ...], n: int) -> None:
    reduced = reduced_scenarios(scenarios, n)

    assert len(reduced.scenarios) <= n
    assert sum(item.probability for item in reduced.scenarios) == pytest.approx(1)
    assert reduced.wasserstein_units == pytest.approx(nearest_by_trying_all(scenarios, n), abs=1e-9)
    distance = wasserstein_units(scenarios, reduced.scenarios)
    assert reduced.wasserstein_units == pytest.approx(distance, abs=1e-12)


@given(distributions(), st.integers(8, 20))
def test_nothing_is_lost_when_nothing_is_reduced(scenarios: tuple[Scenario, ...], n: int) -> None:
    reduced = reduced_scenarios(scenarios, n)

    assert reduced.wasserstein_units == 0
    assert chances(reduced.scenarios).keys() == chances(scenarios).keys()
    assert [item.units for item in reduced.scenarios] == sorted(chances(scenarios))


@given(distributions(most=20))
def test_one_scenario_more_is_never_further_away(scenarios: tuple[Scenario, ...]) -> None:
    distances = [reduced_scenarios(scenarios, n).wasserstein_units for n in range(1, 21)]

    assert all(more <= fewer + 1e-12 for fewer, more in pairwise(distances))


def test_two_of_three_demands_by_hand() -> None:
    scenarios = (Scenario(0, 0.5), Scenario(2, 0.2), Scenario(3, 0.3))

    reduced = reduced_scenarios(scenarios, 2)

    assert reduced.scenarios == (Scenario(0, 0.5), Scenario(3, 0.5))
    assert reduced.wasserstein_units == pytest.approx(0.2)


@given(distributions(), distributions())
def test_the_distance_is_that_of_moving_equal_shares_in_order(
    one: tuple[Scenario, ...], other: tuple[Scenario, ...]
) -> None:
    def quantile(scenarios: Sequence[Scenario], share: float) -> int:
        total = 0.0
        for item in sorted(scenarios, key=lambda item: item.units):
            total += item.probability
            if share < total:
                return item.units
        return max(item.units for item in scenarios)

    n = 2_000
    shares = [(place + 0.5) / n for place in range(n)]
    moved = sum(abs(quantile(one, at) - quantile(other, at)) for at in shares) / n
    assert wasserstein_units(one, other) == pytest.approx(moved, abs=16 * 40 / n)
    assert wasserstein_units(one, other) == wasserstein_units(other, one)


def expected_recourse(table: Sequence[float], scenarios: Sequence[Scenario]) -> float:
    return sum(item.probability * table[item.units] for item in scenarios)


@given(
    distributions(),
    st.integers(1, 6),
    st.floats(0, 40_000),
    st.lists(st.floats(-1, 1), min_size=41, max_size=41),
)
def test_any_recourse_that_rises_by_the_unit_cost_at_most_is_wrong_by_cost_times_distance(
    scenarios: tuple[Scenario, ...], n: int, unit_cost: float, rises: list[float]
) -> None:
    table = list(accumulate(unit_cost * rise for rise in rises))
    reduced = reduced_scenarios(scenarios, n)

    error = abs(expected_recourse(table, scenarios) - expected_recourse(table, reduced.scenarios))
    assert error <= unit_cost * reduced.wasserstein_units + 1e-7


@given(distributions(), st.integers(1, 6), st.integers(0, 40_000), st.integers(0, 40_000))
def test_a_plan_for_fewer_scenarios_is_worse_by_twice_cost_times_distance_at_most(
    scenarios: tuple[Scenario, ...], n: int, path_cost: int, unit_cost: int
) -> None:
    def cost(reserved: int, futures: Sequence[Scenario]) -> float:
        table = [float(unit_cost * max(0, units - reserved)) for units in range(41)]
        return path_cost * reserved + expected_recourse(table, futures)

    reduced = reduced_scenarios(scenarios, n)
    best = min(range(41), key=lambda reserved: cost(reserved, scenarios))
    chosen = min(range(41), key=lambda reserved: cost(reserved, reduced.scenarios))

    loss = cost(chosen, scenarios) - cost(best, scenarios)
    assert loss <= 2 * unit_cost * reduced.wasserstein_units + 1e-6


def test_a_thousand_scenarios_are_reduced_at_once() -> None:
    scenarios = negative_binomial_scenarios(200.0, 8_000.0, 1_000)

    reduced = reduced_scenarios(scenarios, 10)

    assert len(reduced.scenarios) == 10
    assert 0 < reduced.wasserstein_units < sqrt(8_000) / 5
