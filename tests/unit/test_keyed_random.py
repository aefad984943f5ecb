"""Binomial numbers by inversion: exact where it matters, and right in bulk."""

from __future__ import annotations

from math import comb, lgamma, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.world.keyed_random import binomial_quantile, in_letters


def _at_most(successes: int, trials: int, chance: float) -> float:
    """P(X <= successes), term by term in logarithms."""
    total = 0.0
    for k in range(successes + 1):
        ways = lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
        total += 2.718281828459045 ** (ways + k * log(chance) + (trials - k) * log(1 - chance))
    return total


@pytest.mark.parametrize(("trials", "chance"), [(1, 0.5), (10, 0.03), (300, 0.25), (40, 0.97)])
def test_few_trials_are_inverted_exactly(trials: int, chance: float) -> None:
    before = 0.0
    for successes in range(trials + 1):
        odds = comb(trials, successes) * chance**successes * (1 - chance) ** (trials - successes)
        if odds > 1e-9:
            assert binomial_quantile(trials, chance, before + odds / 2) == successes
        before += odds


@pytest.mark.parametrize(("trials", "chance"), [(4_000, 0.03), (20_000, 0.11), (2_000, 0.6)])
@pytest.mark.parametrize("uniform", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_many_trials_are_inverted_to_within_one(trials: int, chance: float, uniform: float) -> None:
    found = binomial_quantile(trials, chance, uniform)
    assert _at_most(found - 2, trials, chance) <= uniform < _at_most(found + 1, trials, chance)


@given(st.integers(0, 10**7), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_the_answer_is_a_number_of_trials(trials: int, chance: float, uniform: float) -> None:
    assert 0 <= binomial_quantile(trials, chance, uniform) <= trials


@pytest.mark.parametrize(("trials", "chance"), [(500, 0.03), (50_000, 0.03)])
def test_mean_and_variance_are_those_of_the_law(trials: int, chance: float) -> None:
    grid = [binomial_quantile(trials, chance, (n + 0.5) / 2_000) for n in range(2_000)]
    mean = sum(grid) / len(grid)
    variance = sum((value - mean) ** 2 for value in grid) / len(grid)
    assert mean == pytest.approx(trials * chance, abs=0.05 * sqrt(variance))
    assert variance == pytest.approx(trials * chance * (1 - chance), rel=0.02)


def test_numbers_in_letters_are_all_different_and_go_on_after_z() -> None:
    assert [in_letters(n) for n in (1, 2, 26, 27, 52, 53, 702, 703)] == (
        ["A", "B", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    )
    assert len({in_letters(n) for n in range(1, 2000)}) == 1999
