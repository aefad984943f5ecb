"""The light of the sky: where the Moon is, how bright it is, and what that does to plan and run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.assembly import assemble
from emulator.build.environment import light_of, timeline_of
from emulator.build.free_space import flown_of, foreseen_satellites_of, satellites_of
from emulator.build.loading import ExperimentError, read
from emulator.build.problem import problem_of
from emulator.physics.pass_keys import MICIUS_2017
from emulator.physics.sky_light import daylight, moonlight
from emulator.world.contacts import Beams, ContactRules, Trusted, contacts
from emulator.world.orbits import walker
from emulator.world.sky_light import SkyLight, moon_altitude_deg, moon_direction, moon_phase_deg
from emulator.world.visibility import Site
from protos.syntax import MediumCode

Write = Callable[..., Path]
NOW_S = np.array([0.0])
FULL_MOON = datetime(2026, 1, 3, 5, tzinfo=UTC)  # five hours before it is full
DENVER = Site("Denver", 39.74, -104.99)
DAY_S = 86_400.0


def light(**changes: Any) -> SkyLight:
    usual = SkyLight((DENVER,), FULL_MOON, glow=1e-5, full_moon=7e-5, day=15.0)
    return replace(usual, **changes)


def test_the_moon_is_where_a_textbook_has_it() -> None:
    """Meeus, Astronomical Algorithms, example 47.a: right ascension 134.688, declination 13.768."""
    x, y, z = moon_direction(datetime(1992, 4, 12, tzinfo=UTC), NOW_S)[0]

    assert np.degrees(np.arctan2(y, x)) == pytest.approx(134.688, abs=0.3)
    assert np.degrees(np.arcsin(z)) == pytest.approx(13.768, abs=0.3)


@pytest.mark.parametrize(
    ("at", "phase_deg", "within_deg"),
    [
        (datetime(2024, 4, 8, 18, 18, tzinfo=UTC), 180, 1.0),  # eclipse of the Sun
        (datetime(2025, 3, 14, 6, 59, tzinfo=UTC), 0, 1.0),  # eclipse of the Moon
        (datetime(2026, 1, 3, 10, 3, tzinfo=UTC), 0, 5.2),  # full, but off the ecliptic
        (datetime(2026, 1, 10, 15, 48, tzinfo=UTC), 90, 0.5),  # last quarter
        (datetime(2026, 1, 18, 19, 52, tzinfo=UTC), 180, 5.2),  # new
    ],
)
def test_the_moon_has_its_phases_when_almanacs_say_so(
    at: datetime, phase_deg: float, within_deg: float
) -> None:
    assert moon_phase_deg(at, NOW_S)[0] == pytest.approx(phase_deg, abs=within_deg)


def test_a_full_moon_stands_high_at_midnight_in_winter_and_is_down_at_noon() -> None:
    midnight, noon = moon_altitude_deg([DENVER], FULL_MOON, np.array([2 * 3600.0, 14 * 3600.0]))[0]

    assert midnight > 60
    assert noon < -20


@given(st.floats(0.1, 90), st.floats(0, 179), st.floats(0.1, 1))
def test_a_fuller_moon_is_brighter_and_one_below_the_horizon_dark(
    altitude_deg: float, phase_deg: float, more_deg: float
) -> None:
    assert moonlight(altitude_deg, phase_deg) > moonlight(altitude_deg, phase_deg + more_deg) > 0
    assert moonlight(-altitude_deg, phase_deg) == 0


@given(st.floats(1, 89), st.floats(0.1, 1))
def test_a_higher_moon_is_brighter(altitude_deg: float, more_deg: float) -> None:
    assert moonlight(altitude_deg, 0) < moonlight(altitude_deg + more_deg, 0)
    assert moonlight(45, 0) == 1


@given(st.floats(-17.5, 10), st.floats(0, 0.1))
def test_the_sky_brightens_steadily_as_the_sun_comes_up(
    altitude_deg: float, more_deg: float
) -> None:
    before, after = daylight(altitude_deg), daylight(altitude_deg + more_deg)

    assert 0.97 * before < after < 1.2 * before + 1e-12  # pieces of the formula differ by 2 %
    assert after <= 1 == daylight(90)


def test_twilight_has_the_illuminance_that_tables_give() -> None:
    """3.40 lux at the end of civil twilight, 0.00831 of nautical, of 732 at sunset (geometric)."""
    assert daylight(-6) / daylight(0) == pytest.approx(3.40 / 732, rel=0.1)
    assert daylight(-12) / daylight(0) == pytest.approx(0.00831 / 732, rel=0.1)
    assert daylight(-18.1) == 0


def test_a_site_has_a_glow_of_its_own_and_a_pickle_sees_the_same() -> None:
    city, country = light(site_glow={"Denver": 3e-4}), light()
    moonless = light(epoch=FULL_MOON + timedelta(days=15))

    assert moonless.radiance("Denver", 3600.0) == pytest.approx(1e-5, rel=1e-3)
    extra = city.radiance("Denver", 3600.0) - country.radiance("Denver", 3600.0)
    assert extra == pytest.approx(2.9e-4)
    assert pickle.loads(pickle.dumps(city)).radiance("Denver", 7.0) == city.radiance("Denver", 7.0)
    with pytest.raises(KeyError):
        country.radiance("Nowhere", 0.0)


def key_bits(
    sky: SkyLight,
    *,
    sun_deg: float = -12.0,
    between_s: tuple[float, float] = (0.0, DAY_S),
    **link: float,
) -> int:
    """Return what a small constellation brings Denver in a day, or in hours of it."""
    constellation = walker(
        sky.epoch, satellites=24, planes=6, phasing=1, inclination_deg=53, altitude_km=550
    )
    station = replace(MICIUS_2017.setup, link=replace(MICIUS_2017.setup.link, **link))
    beams = Beams(constellation, (DENVER,), DAY_S, 20.0, sun_deg)
    found = contacts(Trusted(beams, station, sky), ContactRules())
    return sum(each.bits for each in found if between_s[0] <= each.start_s < between_s[1])


def test_a_night_of_full_moon_costs_key_and_not_everything() -> None:
    dark, lit = key_bits(light(full_moon=0.0)), key_bits(light())
    waning = key_bits(light(epoch=FULL_MOON + timedelta(days=9)))

    assert 0.2 * dark < lit < 0.9 * dark
    assert waning > lit
    assert key_bits(light(site_glow={"Denver": 1e-4})) < lit


def test_by_day_a_satellite_needs_a_narrow_filter_and_a_small_field_of_view() -> None:
    narrow = {"filter_um": 2e-5, "field_of_view_rad": 5e-6}
    around_noon = {
        names: key_bits(
            light(),
            sun_deg=90.0,
            between_s=(11 * 3600.0, 17 * 3600.0),
            **{name: narrow[name] for name in names},
        )
        for names in ((), ("filter_um",), ("field_of_view_rad",), tuple(narrow))
    }
    in_space = MICIUS_2017.setup.link
    assert (in_space.filter_um, in_space.field_of_view_rad) == (0.01, 1e-4)
    assert [bits > 0 for bits in around_noon.values()] == [False, False, False, True]
    assert around_noon[tuple(narrow)] < key_bits(light(day=0.0), sun_deg=90.0, **narrow)


@pytest.fixture
def written(write_experiment: Write) -> Write:
    """Write a day over a network with coordinates."""

    def write(**changes: Any) -> Path:
        usual: dict[str, Any] = {
            "network__topology": "nobel-us",
            "demand__requests": {"avatar": 3},
            "demand__period_s": 900,
            "demand__periods": 96,
        }
        return write_experiment(**(usual | changes))

    return write


def test_plan_and_run_are_under_the_same_moon(written: Write) -> None:
    def bits(light: dict[str, float]) -> int:
        orbits = {"epoch": FULL_MOON.isoformat(), "clouds": False}
        setup = read(str(written(satellite__orbits=orbits, weather__light=light)))
        planned, made = foreseen_satellites_of(setup), satellites_of(setup)
        assert planned is not None
        assert made is not None
        assert planned.contacts == made.contacts
        return sum(each.bits for each in made.contacts)

    moonless, moonlit = bits({"full_moon": 0}), bits({})
    assert 0 < moonlit < moonless
    assert bits({"glow": 1e-2}) == 0


def test_a_plan_counts_on_uavs_as_often_as_the_light_lets_them_serve(written: Write) -> None:
    uav = {
        "rate": "computed",
        "chain": {
            "device": "decoy-bb84",
            "relays": "trusted",
            "hop_km": 2,
            "parameters": {"filter_um": 0.1},
        },
    }
    setup = read(str(written(uav=uav)))
    world, timeline, flies = assemble(setup).world, timeline_of(setup), flown_of(setup)
    assert flies is not None
    for request in problem_of(setup).requests:
        ends = request.source, request.target
        times_s = list(map(timeline.begins_s, range(timeline.periods)))
        served = [
            all(
                world.sample(MediumCode.UAV, *ends, moment_s).skr_bps > 0
                for moment_s in (at_s, at_s + setup.experiment.uav.setup_s)
            )
            for at_s in times_s
        ]
        assert [flies(*ends, period) for period in range(timeline.periods)] == served
        assert 0.2 < sum(served) / len(served) < 0.8, "only by night"


def test_a_glow_of_a_site_that_is_none_is_refused(written: Write) -> None:
    with pytest.raises(ExperimentError, match=r"weather\.light\.site_glow\.Atlantis"):
        read(str(written(weather__light={"site_glow": {"Atlantis": 1e-4}})))
    with pytest.raises(ExperimentError, match=r"weather\.light\.glow"):
        read(str(written(weather__light={"glow": -1})))
    assert light_of(read(str(written()))).glow == 1e-5
