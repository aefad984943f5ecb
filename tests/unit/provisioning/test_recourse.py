"""The collapsed second stage against the scenario-by-scenario sum it replaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provisioning_cases import poisson_scenarios

from global_manager.provisioning import OnDemand, Scenario
from global_manager.provisioning.recourse import (
    expected_missing_units,
    expected_unit_cost,
    newsvendor_units,
    rounded_mean,
)


@st.composite
def demands(draw):
    units = draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))
    weights = draw(st.lists(st.floats(0.01, 1.0), min_size=len(units), max_size=len(units)))
    return tuple(Scenario(u, w / sum(weights)) for u, w in zip(units, weights, strict=True))


@given(demands())
def test_the_table_holds_the_expected_shortfall_of_every_reservation(scenarios):
    missing = expected_missing_units(scenarios)

    for k, value in enumerate(missing):
        assert value == pytest.approx(
            sum(s.probability * max(0, s.units - k) for s in scenarios), abs=1e-9
        )
    assert missing[-1] == 0


@given(demands(), st.integers(0, 100), st.integers(0, 100))
def test_the_newsvendor_quantile_is_the_cheapest_reservation(scenarios, fiber_cost, on_demand_cost):
    missing = expected_missing_units(scenarios)
    costs = [fiber_cost * k + on_demand_cost * float(m) for k, m in enumerate(missing)]

    k = newsvendor_units(fiber_cost, on_demand_cost, missing)

    assert costs[k] == pytest.approx(min(costs), abs=1e-6)


def test_the_papers_prices_ask_for_four_units():
    missing = expected_missing_units(poisson_scenarios(10 / 3, 10))

    assert newsvendor_units(5480, 18_520, missing) == 4


def test_a_missing_unit_is_bought_from_the_cheaper_medium_that_can_be_used():
    assert expected_unit_cost(OnDemand(100, 60, 0.25, 1000)) == 0.25 * 60 + 0.75 * 100
    assert expected_unit_cost(OnDemand(60, 100, 1.0, 1000)) == 60


def test_a_mean_becomes_whole_as_asked():
    scenarios = (Scenario(2, 0.5), Scenario(3, 0.5))

    assert [rounded_mean(scenarios, how) for how in ("floor", "nearest", "up")] == [2, 3, 3]
    assert rounded_mean((Scenario(3, 1 / 3), Scenario(3, 2 / 3)), "floor") == 3
    with pytest.raises(ValueError, match="sideways"):
        rounded_mean(scenarios, "sideways")
