"""What a reservation misses when its store bridges periods, against the store itself."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import Scenario
from global_manager.provisioning.recourse import expected_missing_units
from global_manager.provisioning.stores import Law, bridged, mean_missing_units

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
