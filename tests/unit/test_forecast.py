"""Forecasts of clear skies: right at once, climate in the end, and as skilful as they say."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from math import exp, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.ports import Contact
from emulator.world.satellite_links import SatelliteLinks
from emulator.world.visibility import Site
from emulator.world.weather import Forecast, Sky
from emulator.world.weather_events import Event, EventKind, Named

CITIES = (
    Site("Phoenix", 33.45, -111.98),
    Site("Chicago", 41.98, -87.92),
    Site("Miami", 25.82, -80.3),
)
SKY = Sky(5, CITIES, datetime(2026, 1, 1, tzinfo=UTC))
HOUR_S, DAYS = 3600.0, 120
PERFECT = Forecast(1, 1.0, 39_600.0)


def heidke(forecast: Forecast, lead_s: float, issued_s: float = 600.0) -> float:
    """Return the Heidke skill score over hours and cities: 1 if always right, 0 if right by chance only."""
    table: Counter[tuple[bool, bool]] = Counter()
    for hour in range(24 * DAYS):
        for city in CITIES:
            at_s = hour * HOUR_S + issued_s
            said = forecast.expects_clear(SKY, city.name, at_s + lead_s, at_s)
            table[said, SKY.is_clear(city.name, at_s + lead_s)] += 1
    n = table.total()
    right = (table[True, True] + table[False, False]) / n
    said, was = (
        (table[True, True] + table[True, False]) / n,
        (table[True, True] + table[False, True]) / n,
    )
    chance = said * was + (1 - said) * (1 - was)
    return (right - chance) / (1 - chance)


def test_with_full_skill_the_sky_of_the_moment_is_known() -> None:
    assert heidke(PERFECT, lead_s=0.0) == 1.0


@pytest.mark.parametrize("skill", [0.0, 0.5, 0.9])
def test_a_forecast_of_the_moment_is_as_skilful_as_it_says(skill: float) -> None:
    """Cities and hours differ in climate, which is known without skill and gives a score of its own.

    The score of n forecasts has a standard error of about 1 / sqrt(n); four of them are allowed.
    """
    climate = heidke(Forecast(1, 0.0, 39_600.0), lead_s=0.0)
    assert heidke(Forecast(1, skill, 39_600.0), 0.0) == pytest.approx(
        skill + (1 - skill) * climate, abs=4 / sqrt(24 * DAYS * len(CITIES))
    )


def test_the_further_ahead_the_less_it_knows() -> None:
    leads_s = (0.0, HOUR_S, 6 * HOUR_S, 48 * HOUR_S)
    scores = [heidke(PERFECT, lead_s) for lead_s in leads_s]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 0.6
    assert scores[-1] < 0.3


@given(
    city=st.sampled_from([city.name for city in CITIES]),
    issued_s=st.floats(0, 10 * 86_400),
    lead_s=st.floats(0, 5 * 86_400),
    skill=st.floats(0, 1),
)
def test_chances_lie_between_climate_and_the_present_sky(
    city: str, issued_s: float, lead_s: float, skill: float
) -> None:
    forecast = Forecast(1, skill, 39_600.0)
    climate, now = SKY.clear_climate(city, issued_s + lead_s), SKY.is_clear(city, issued_s)
    chance = forecast.clear_chance(SKY, city, issued_s + lead_s, issued_s)
    weight = (chance - climate) / (now - climate)
    assert weight == pytest.approx(skill * exp(-lead_s / 39_600.0), abs=1e-6)
    assert 0 <= chance <= 1


def test_asked_again_it_says_the_same_and_another_seed_says_otherwise() -> None:
    def said(seed: int, hours: list[int]) -> dict[int, bool]:
        forecast = Forecast(seed, 0.5, 39_600.0)
        return {h: forecast.expects_clear(SKY, "Miami", h * HOUR_S, 0.0) for h in hours}

    hours = list(range(100))
    assert said(1, hours) == said(1, hours[::-1])
    assert said(1, hours) != said(2, hours)


def test_a_storm_that_has_not_begun_is_a_surprise() -> None:
    forced = Event(EventKind.CLOUD, Named(frozenset({"Miami"})), 0.0, 9e9, opaque=0.0)
    storm = Event(EventKind.STORM, Named(frozenset({"Miami"})), 1000.0, 2000.0)
    sky = Sky(5, CITIES, events=(forced, storm))
    contact = Contact("sat-1-1", ("Miami",), 1400.0, 1600.0, 100, 0.01)
    links = SatelliteLinks(("Miami",), (contact,), 600.0, sky, Forecast(1, 1.0, 1e9))
    assert links.is_promised(contact, 900.0)
    assert not links.has_made(contact)
    assert not links.is_promised(contact, 1100.0)
