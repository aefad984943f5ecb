"""Fronts that travel: what places agree on, against the law, and the same answer in any order."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.world.cloud_fronts import FITTED, FrontClouds
from emulator.world.cloud_process import CloudSettings
from emulator.world.weather import Sky

TRAVELLING = CloudSettings(seasons=True, fronts=True)


@dataclass(frozen=True)
class City:
    name: str
    lat_deg: float
    lon_deg: float


ROW = tuple(City(f"{-lon}", 40.0, lon) for lon in (-100.0, -96.0, -92.0, -84.0))
SPOTS = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=6)
LAWS = st.builds(
    lambda shower, front, *rest: replace(
        FITTED,
        shower_share=shower * (1 - front),
        front_share=front,
        shower_h=rest[0],
        front_h=rest[1],
        spell_h=rest[2],
        scale_km=rest[3],
        speed_km_h=rest[4],
    ),
    st.floats(0, 1),
    st.floats(0, 1),
    *[st.floats(0.5, 200)] * 3,
    st.floats(50, 3_000),
    st.floats(-100, 100),
)


@given(SPOTS, LAWS, st.lists(st.integers(-200, 200), min_size=6, max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_hours_and_places_can_agree_in_a_way_that_cannot_be(spots, law, hours) -> None:
    """Covariance of any instants is positive semidefinite, whatever the numbers of the law."""
    where = np.radians(spots)
    when = np.array(hours[: len(spots)], dtype=float)
    found = law.correlation(where[:, None], where[None], when[:, None] - when[None])

    assert found == pytest.approx(found.T)
    assert np.diag(found) == pytest.approx(1)
    assert np.linalg.eigvalsh(found).min() > -1e-9


@given(SPOTS)
@settings(max_examples=20, deadline=None)
def test_hours_drawn_one_by_one_stay_as_alike_as_the_law_says(spots) -> None:
    """The next hour has the covariance of every hour, with itself and with the last 24."""
    clouds = FrontClouds([City(str(n), *spot) for n, spot in enumerate(spots)])
    weights, news = clouds._prediction
    together = clouds._together
    follows = np.hstack([clouds.correlation(lag) for lag in range(1, 25)])

    assert weights @ together == pytest.approx(follows, abs=1e-6)
    variance = weights @ together @ weights.T + news @ news.T
    assert variance == pytest.approx(clouds.correlation(0), abs=1e-6)


def test_what_is_drawn_agrees_as_the_law_says_with_the_west_more_than_with_the_east() -> None:
    clouds, random = FrontClouds(ROW), np.random.default_rng(7)
    drawn = np.concatenate([clouds.next_day(random) for _ in range(365 * 10)])
    for lag in (0, 6, 12, 24, 36):
        seen = drawn[lag:].T @ drawn[: len(drawn) - lag] / (len(drawn) - lag)
        assert seen == pytest.approx(clouds.correlation(lag), abs=0.08)
    for lag in (6, 12, 24):
        after = clouds.correlation(lag)
        assert np.triu(after.T - after, 1)[np.triu_indices(4, 1)].min() > 0.03
    assert drawn.mean() == pytest.approx(0, abs=0.06)
    assert drawn.std(axis=0) == pytest.approx(1, abs=0.05)


def test_an_air_mass_is_met_again_where_the_flow_has_brought_it() -> None:
    """680 km to the east 20 h later, more than at any time before."""
    west, east = np.radians([[40.0, -100.0], [40.0, -92.0]])
    lags_h = np.arange(-48.0, 49.0)
    along = FITTED.correlation(east[None], west[None], lags_h)

    assert 10 <= lags_h[along.argmax()] <= 20
    assert along.max() > along[48] + 0.03


def test_places_far_apart_disagree_a_little() -> None:
    west, east = np.radians([[40.0, -120.0], [40.0, -90.0]])
    assert -0.05 < FITTED.correlation(east, west, 0.0) < 0


@pytest.mark.parametrize("count", [1, 2, 30, 600])
def test_any_number_of_places_has_a_sky_even_where_places_coincide(count) -> None:
    cities = [City(str(n), 30 + n % 7, -120 + n % 11) for n in range(count)]
    clouds, random = FrontClouds(cities), np.random.default_rng(1)
    drawn = np.concatenate([clouds.next_day(random) for _ in range(4)])

    assert np.isfinite(drawn).all()
    assert 0.2 < drawn.var() < 3
    if count > 100:  # of the same place
        assert drawn[:, 0] == pytest.approx(drawn[:, 77], abs=0.05)


@given(
    questions=st.lists(
        st.tuples(st.sampled_from(ROW), st.floats(0, 20 * 86_400)), min_size=1, max_size=12
    ),
    data=st.data(),
)
@settings(max_examples=12, deadline=None)
def test_the_order_of_questions_and_another_process_change_no_answer(questions, data) -> None:
    shuffled = data.draw(st.permutations(questions))
    one, other = Sky(7, ROW, clouds=TRAVELLING), Sky(7, ROW, clouds=TRAVELLING)
    travelled = pickle.loads(pickle.dumps(one))

    answers = {(city.name, at_s): one.opaque(city.name, at_s) for city, at_s in questions}
    assert all(other.opaque(c.name, at_s) == answers[c.name, at_s] for c, at_s in shuffled)
    assert all(travelled.opaque(c.name, at_s) == answers[c.name, at_s] for c, at_s in shuffled)
