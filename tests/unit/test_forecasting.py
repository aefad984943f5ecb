"""Forecasters of demand: what they learn, what they draw, and how they are chosen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config.demand_forecast import Method
from global_manager.forecasting import (
    Forecaster,
    ForecastError,
    History,
    MissingExtraError,
    backtest,
    candidates,
    choose,
    named,
)
from global_manager.forecasting.foresight import Foresight, worth
from global_manager.forecasting.rolling_origin import METHODS
from global_manager.forecasting.scoring import crps, pinball, pit, pit_histogram
from global_manager.forecasting.series import law_of, quantile
from global_manager.forecasting.static import FixedLaw

LEVEL = 0.7
DAY = 8


def history(intensity: Sequence[float] | np.ndarray, seed: int = 1) -> History:
    drawn = np.random.default_rng(seed).poisson(np.asarray(intensity))
    return History(tuple(int(item) for item in drawn))


def seasonal_intensity(periods: int) -> np.ndarray:
    return 4.0 * (1 + 0.9 * np.sin(2 * np.pi * np.arange(periods) / DAY))


def switching_intensity(periods: int, seed: int = 3) -> np.ndarray:
    stream, state, found = np.random.default_rng(seed), 0, []
    for _ in range(periods):
        state = state if stream.random() < 0.95 else 1 - state
        found.append((1.0, 9.0)[state])
    return np.array(found)


def mean(law: np.ndarray) -> float:
    return float(np.arange(len(law)) @ law)


ALL = [*candidates((DAY,)), named("seasonal", (DAY, 2 * DAY))]


@pytest.mark.parametrize("forecaster", ALL, ids=lambda item: item.name)
def test_laws_are_laws_and_paths_are_drawn_from_them(forecaster: Forecaster) -> None:
    forecast = forecaster.fit(history(seasonal_intensity(400)))

    paths = forecast.paths(4000, 3, seed=5)

    assert paths.shape == (4000, 3)
    assert (paths == forecast.paths(4000, 3, seed=5)).all()
    assert (paths != forecast.paths(4000, 3, seed=6)).any()
    for ahead in (1, 2, 3):
        law = forecast.law(ahead)
        assert law.min() >= 0
        assert law.sum() == pytest.approx(1.0)
        spread = np.sqrt((np.arange(len(law)) ** 2) @ law - mean(law) ** 2)
        assert abs(paths[:, ahead - 1].mean() - mean(law)) < 5 * spread / np.sqrt(4000)


@pytest.mark.parametrize("forecaster", ALL, ids=lambda item: item.name)
def test_a_forecast_depends_on_what_was_seen_and_observing_changes_no_other(
    forecaster: Forecaster,
) -> None:
    forecast = forecaster.fit(history(switching_intensity(400)))
    before = forecast.law().copy()

    high = low = forecast
    for _ in range(5):
        high, low = high.observe(15), low.observe(0)

    assert (forecast.law() == before).all()
    learns = not forecaster.name.startswith(("static", "seasonal"))
    assert (mean(high.law()) > mean(low.law()) + 1) is learns


def test_correlation_in_time_survives_into_paths() -> None:
    forecast = named("regimes").fit(history(switching_intensity(1000)))
    assert np.corrcoef(forecast.paths(4000, 40, seed=1)[:, -2:].T)[0, 1] > 0.5
    fixed = named("static").fit(history(switching_intensity(1000)))
    assert abs(np.corrcoef(fixed.paths(4000, 2, seed=1).T)[0, 1]) < 0.06


def test_a_season_is_found_in_its_phase() -> None:
    intensity = seasonal_intensity(801)
    forecast = named("seasonal", (DAY,)).fit(history(intensity[:800]))
    for ahead in range(1, DAY + 1):
        expected = 4.0 * (1 + 0.9 * np.sin(2 * np.pi * (799 + ahead) / DAY))
        assert mean(forecast.law(ahead)) == pytest.approx(expected, abs=0.9)


def test_a_season_that_is_not_there_vanishes() -> None:
    laws = named("seasonal", (DAY,)).fit(history(np.full(800, 4.0)))
    means = [mean(laws.law(ahead)) for ahead in range(1, DAY + 1)]
    assert max(means) - min(means) < 0.5


def test_many_draws_tell_more_than_one() -> None:
    forecast = named("autoregressive").fit(history(switching_intensity(600)))
    one, many = forecast.observe(12.0), forecast.observe(12.0, 50.0)
    assert abs(mean(many.law()) - 12) < abs(mean(one.law()) - 12) - 0.2


@pytest.mark.parametrize(
    ("intensity", "preferred"),
    [
        (seasonal_intensity(800), {f"seasonal-{DAY}", f"autoregressive-{DAY}"}),
        (switching_intensity(800), {"regimes-2", "regimes-3"}),
        (np.linspace(1.0, 9.0, 800), {"level"}),
    ],
    ids=["season", "regimes", "trend"],
)
def test_the_kind_of_series_is_told_by_a_rolling_origin(
    intensity: np.ndarray, preferred: set[str]
) -> None:
    seen = history(intensity)
    found, forecast = choose(seen, candidates((DAY,)), LEVEL)
    assert found.name in preferred
    fixed = next(
        s for s in backtest(seen, candidates((DAY,)), LEVEL).scores if s.forecaster == "static"
    )
    chosen = next(s for s in backtest(seen, [found], LEVEL).scores)
    assert chosen.cost < 0.9 * fixed.cost
    assert (forecast.law() == found.fit(seen).law()).all()


def test_independent_demand_is_given_its_law() -> None:
    seen = history(np.full(600, 4.0), seed=2)
    _, forecast = choose(seen, candidates((DAY,)), LEVEL)
    assert quantile(forecast.law(), LEVEL) == quantile(law_of(4.0, inf, 40), LEVEL)


def test_what_is_scored_was_never_fitted() -> None:
    class Memory:
        """Knows by heart what it was fitted to; so nothing of that may be asked."""

        name = "memory"
        fitted: list[int] = []  # noqa: RUF012

        def fit(self, past: History) -> FixedLaw:
            self.fitted.append(len(past.units))
            return FixedLaw(np.bincount([past.units[-1]], minlength=1).astype(float))

    seen = History(tuple(range(100)))
    score = backtest(seen, [Memory()], LEVEL, fits=4).scores[0]
    assert Memory.fitted == [50, 62, 75, 87]
    assert score.seen == tuple(range(50, 100))
    assert all(held < came for held, came in zip(score.held, score.seen, strict=True))


def test_further_ahead_what_comes_in_between_is_not_known() -> None:
    class Last:
        """Says that what came last comes again."""

        name = "last"

        def fit(self, past: History) -> Last:
            self.units = past.units[-1]
            return self

        def observe(self, units: float, draws: float = 1.0) -> Last:
            return Last().fit(History((int(units),)))

        def law(self, ahead: int = 1) -> np.ndarray:
            return np.bincount([self.units]).astype(float)

        def paths(self, number: int, periods: int, seed: int) -> np.ndarray:
            return np.full((number, periods), self.units)

    score = backtest(History(tuple(range(100))), [Last()], LEVEL, ahead=3).scores[0]
    assert all(came - held == 3 for held, came in zip(score.held, score.seen, strict=True))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 12))
def test_the_ranked_score_is_the_pinball_loss_over_all_levels(units: list[int], came: int) -> None:
    law = np.bincount(units).astype(float) / len(units)
    levels = (np.arange(20_000) + 0.5) / 20_000
    held = np.searchsorted(np.cumsum(law), levels - 1e-12)
    losses = [pinball(level, k, came) for level, k in zip(levels, held, strict=True)]
    assert crps(law, came) == pytest.approx(2 * np.mean(losses), abs=2e-3)


def test_the_transform_of_the_right_law_is_flat_and_of_a_wrong_one_is_not() -> None:
    law, wrong = law_of(4.0, inf, 40), law_of(6.0, inf, 40)
    seen = np.random.default_rng(1).poisson(4.0, 4000)
    assert abs(pit_histogram([pit(law, y) for y in seen]) - 0.1).max() < 0.015
    assert pit_histogram([pit(wrong, y) for y in seen])[0] > 0.2


@pytest.mark.parametrize("forecaster", ALL, ids=lambda item: item.name)
def test_a_history_that_is_too_short_is_refused_in_one_line(forecaster: Forecaster) -> None:
    with pytest.raises(ForecastError, match=r"needs \d+ periods, and there are 1"):
        forecaster.fit(History((3,)))


def test_without_scikit_learn_boosting_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtraError) as told:
        named("boosted").fit(history(np.full(200, 3.0)))
    assert str(told.value) == (
        "boosted: needs scikit-learn, which is not installed; install the extra `learn`"
    )


def test_boosted_quantiles_follow_a_season_and_draw_paths() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is the optional extra `learn`")
    forecast = named("boosted", (DAY,)).fit(history(seasonal_intensity(600)))
    means = [mean(forecast.law(ahead)) for ahead in (3, 7)]
    assert means[0] > means[1] + 3
    assert (forecast.paths(50, 4, 1) == forecast.paths(50, 4, 1)).all()


def test_an_experiment_can_name_every_method() -> None:
    assert {item.value for item in Method} - {"best"} == set(METHODS)


def test_a_plan_sees_the_mean_of_the_laws_of_its_look_ahead_and_more_counts_as_the_most() -> None:
    forecast = named("seasonal", (DAY,)).fit(history(seasonal_intensity(400)))
    foresight = Foresight("seasonal", forecast, 1.0, periods=3, scenarios=6, least_saving=0.0)

    scenarios = {item.units: item.probability for item in foresight.scenarios_of(forecast)}

    laws = [forecast.law(ahead) for ahead in (1, 2, 3)]
    for units in range(5):
        assert scenarios[units] == pytest.approx(np.mean([law[units] for law in laws]))
    assert scenarios[5] == pytest.approx(np.mean([law[5:].sum() for law in laws]))


@pytest.mark.parametrize(("correlation", "draws"), [(1.0, 1.0), (0.0, 10.0), (0.5, 10 / 5.5)])
def test_requests_are_worth_as_many_draws_as_they_are_independent(
    correlation: float, draws: float
) -> None:
    assert worth(10, correlation) == pytest.approx(draws)
