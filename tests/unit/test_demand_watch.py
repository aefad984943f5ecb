"""The manager's watch over demand: what it takes for a drift, what not, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from global_manager.monitoring import DemandSeries, DemandWatch
from global_manager.provisioning.demand import (
    empirical_scenarios,
    mean_units,
    poisson_scenarios,
    stretched_scenarios,
)
from global_manager.provisioning.model import Scenario


def _watched(units: list[int], law: tuple[Scenario, ...], every: int) -> list[tuple[int, float]]:
    """Return when demand was found to have drifted, and to what mean; the watch takes it up."""
    watch, found, total = DemandWatch(law, sigmas=3.0), [], 0
    for period, need in enumerate(units, start=1):
        total += need
        mean = watch.look({0: total}, period) if period % every == 0 else None
        if mean is not None:
            found.append((period, mean))
            back = mean == watch.first_mean
            watch.scenarios = law if back else stretched_scenarios(law, mean, 10_000)
    return found


def test_one_odd_window_is_no_drift() -> None:
    steady = [1, 4] * 50
    assert _watched([*steady, *[40] * 5, *steady], (Scenario(1, 0.5), Scenario(4, 0.5)), 5) == []


@pytest.mark.parametrize("every", [5, 10, 20])
def test_steady_demand_is_rarely_taken_for_a_drift_even_with_heavy_tails(every: int) -> None:
    stream = np.random.default_rng(11)
    heavy = stream.poisson(4.0 * stream.pareto(2.2, 20_000))
    law = empirical_scenarios(stream.poisson(4.0 * stream.pareto(2.2, 5_000)).tolist())
    looks = len(heavy) // every
    assert len(_watched(heavy.tolist(), law, every)) <= 0.01 * looks
    poisson = stream.poisson(3.0, 20_000).tolist()
    assert len(_watched(poisson, poisson_scenarios(3.0, 30), every)) <= 0.01 * looks


def test_demand_that_comes_back_is_given_its_first_law_again() -> None:
    stream = np.random.default_rng(3)
    needs = np.concatenate([stream.poisson(mean, 200) for mean in (3.0, 9.0, 3.0)]).tolist()
    law = poisson_scenarios(3.0, 40)
    (gone, high), *rest = _watched(needs, law, 10)
    assert 200 < gone <= 230
    assert high > 6
    assert 400 < rest[0][0] <= 430
    assert rest[0][1] < 4.5
    assert rest[-1][1] == mean_units(law)


def test_seasons_are_not_taken_for_drifts() -> None:
    stream = np.random.default_rng(4)
    intensity = 3.0 * (1 + 0.9 * np.sin(2 * np.pi * np.arange(4000) / 24))
    found = _watched(stream.poisson(intensity).tolist(), poisson_scenarios(3.0, 30), 10)
    assert len(found) <= 4


def test_a_series_has_a_mean_for_every_period_and_spreads_what_was_missed() -> None:
    series = DemandSeries()
    series.look({0: 4, 1: 2}, 1)
    series.look({0: 10, 1: 10}, 3)
    series.look({0: 10, 1: 10}, 3)
    assert series.means == [3.0, 3.5, 3.5]
