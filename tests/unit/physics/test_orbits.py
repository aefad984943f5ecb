"""Orbits, sights and passes: published passes, SGP4's own cases, skyfield, and geometry."""

import csv
import pickle
import warnings
from datetime import UTC, datetime, timedelta
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.world.orbit_files import from_tle
from emulator.world.orbits import (
    CircularOrbit,
    Constellation,
    OrbitError,
    TleOrbit,
    walker,
)
from emulator.world.passes import passes_over
from emulator.world.visibility import Site, sun_altitude_deg, views

DAY_S = 86_400.0
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
EARTH_KM = 6378.135

# QSS (Micius), NORAD 41731
LINE1 = "1 41731U 16051A   16353.90152003  .00000364  00000-0  17957-4 0  9993"
LINE2 = "2 41731  97.3699 267.4500 0013200 178.5836 246.0824 15.23915303 19063"
EVENING = datetime(2016, 12, 19, 12, tzinfo=UTC)
XINGLONG = Site("xinglong", 40.39587, 117.57746, 890.0)


def design(**changes):
    pattern = {"satellites": 24, "planes": 6, "phasing": 1}
    pattern |= {"inclination_deg": 53.0, "altitude_km": 550.0}
    return walker(NEW_YEAR, **(pattern | changes))


def usnet_sites():
    text = resources.files("emulator.config.topologies").joinpath("usnet.nodes.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [Site(row["city"], float(row["lat"]), float(row["lon"])) for row in rows]


def refused(line1=LINE1, line2=LINE2, **_):
    with pytest.raises(OrbitError) as caught:
        TleOrbit("qss", line1, line2)
    return str(caught.value)


def resummed(line):
    """The same line with the checksum it should have."""
    total = sum(int(c) if c.isdigit() else c == "-" for c in line[:68])
    return line[:68] + str(total % 10)


# Published passes and days


def test_micius_over_xinglong_on_19_december_2016():
    """Closest 645 km (Liao et al. 2017); 16:52:14 UTC and 47.8 degrees from a calculation apart."""
    micius = from_tle(f"{LINE1}\n{LINE2}", EVENING)

    night = passes_over(micius, [XINGLONG], 0, DAY_S / 2, 10.0)

    assert len(night) == 1
    closest = EVENING + timedelta(seconds=night[0].culmination_s)
    assert night[0].min_range_km == pytest.approx(645.4, abs=3)
    assert abs(closest - datetime(2016, 12, 19, 16, 52, 14, tzinfo=UTC)) < timedelta(seconds=5)
    assert night[0].max_elevation_deg == pytest.approx(47.8, abs=0.1)
    # key was made from 15 degrees up to 10 degrees down, over 273 s; between masks of 15 there is
    above_15 = passes_over(micius, [XINGLONG], 0, DAY_S / 2, 15.0)[0]
    assert above_15.set_s - above_15.rise_s < night[0].set_s - night[0].rise_s
    assert above_15.set_s - above_15.rise_s > 273


@pytest.mark.parametrize(
    ("city", "fraction"),
    [("Seattle", 0.216), ("Denver", 0.137), ("Miami", 0.093), ("Boston", 0.167)],
)
def test_how_much_of_a_winter_day_a_city_can_use(city, fraction):
    """A satellite above 20 degrees in the dark, on the reference day.

    0.002 is three minutes: room for what the calculation apart may hold differently, which are the
    Earth's radius behind "550 km" (7 km: 0.0005) and the length of its steps.
    """
    site = next(each for each in usnet_sites() if each.name == city)
    times_s = np.arange(0, DAY_S, 10.0)
    above = np.any(views(design(), [site], times_s).elevation_deg[:, 0] > 20, axis=0)
    dark = sun_altitude_deg([site], NEW_YEAR, times_s)[0] < -12

    assert np.mean(above & dark) == pytest.approx(fraction, abs=0.002)


# SGP4's own verification set


def verification_cases():
    """Element sets that pass our checks, each with its published positions."""
    files = resources.files("sgp4")
    lines = [x for x in files.joinpath("SGP4-VER.TLE").read_text().splitlines() if x[:1] in "12"]
    rows, name = {}, ""
    for line in files.joinpath("tcppver.out").read_text().splitlines():
        words = line.split()
        if words[-1] == "xx":
            name = words[0]
            rows.setdefault(name, [])
        else:
            rows[name].append([float(word) for word in words[:4]])
    for first, second in zip(lines[::2], lines[1::2], strict=True):
        try:
            orbit = TleOrbit(first[2:7].strip(), first[:69], second[:69])
        except OrbitError:
            continue
        yield orbit, np.array(rows[str(int(first[2:7]))])


def test_sgp4_agrees_with_its_verification_set():
    agreed = 0
    for orbit, rows in verification_cases():
        constellation = Constellation((orbit,), orbit.elements_at)
        try:
            found_km = constellation.teme_km(rows[:, 0] * 60)[0]
        except OrbitError:  # some of the set are there to fail
            continue
        assert np.allclose(found_km, rows[:, 1:], rtol=0, atol=1e-7)  # the digits published: 1e-8
        agreed += 1

    assert agreed >= 20


def test_a_satellite_that_has_come_down_has_no_position():
    feather = resummed(LINE1.replace(" 17957-4", " 99999+0"))  # QSS, with drag as no satellite has
    falling = from_tle(f"{feather}\n{LINE2}", EVENING)
    with pytest.raises(OrbitError, match="decayed"):
        falling.teme_km(np.arange(0, 20 * DAY_S, DAY_S))


# Element sets that are refused


def test_a_wrong_digit_is_caught_by_the_checksum():
    assert "adds up to" in refused(line2=LINE2.replace("15.239", "15.238"))
    assert "adds up to" in refused(line1=LINE1[:-1] + "4")


def test_an_element_set_invented_with_a_valid_checksum_is_still_looked_at():
    assert "is not line 2" in refused(line2=resummed(LINE2.replace(" 97.3699", "97.36990")))
    assert "is not line 1" in refused(line1=LINE1[:-1] + "x")
    assert "is not line 1" in refused(line1=LINE2)
    assert "different satellites" in refused(line2=resummed(LINE2.replace("41731", "41732")))
    assert "inclination" in refused(line2=resummed(LINE2.replace(" 97.3699", "197.3699")))
    assert "raan" in refused(line2=resummed(LINE2.replace("267.4500", "467.4500")))
    assert "turns a day" in refused(line2=resummed(LINE2.replace("15.2391", "19.2391")))
    assert "come down" in refused(line2=resummed(LINE2.replace("0013200", "0613200")))
    assert "day of year" in refused(line1=resummed(LINE1.replace("16353.", "16000.")))


def test_old_elements_are_not_passed_off_as_current():
    with pytest.raises(OrbitError, match="days from the elements"):
        from_tle(f"{LINE1}\n{LINE2}", NEW_YEAR)


def test_texts_with_and_without_names():
    text = f"0 QSS\n{LINE1}\n{LINE2}\n\n"

    assert from_tle(text, EVENING).names == ("QSS",)
    assert from_tle(f"{LINE1}\n{LINE2}", EVENING).names == ("41731",)
    for broken in ("", "QSS", LINE1, LINE2, f"{LINE2}\n{LINE1}", f"{text}{text}", f"A\nB\n{text}"):
        with pytest.raises(OrbitError):
            from_tle(broken, EVENING)


def test_epochs_must_say_that_they_are_utc():
    with pytest.raises(OrbitError, match="UTC"):
        from_tle(f"{LINE1}\n{LINE2}", EVENING.replace(tzinfo=None))
    with pytest.raises(OrbitError, match="UTC"):
        sun_altitude_deg([XINGLONG], NEW_YEAR.replace(tzinfo=None), np.array([0.0]))


def test_errors_and_constellations_survive_pickling():
    error = pickle.loads(pickle.dumps(OrbitError("epoch", "is wrong")))
    fleet = pickle.loads(pickle.dumps(design()))

    assert (error.field, error.problem, str(error)) == ("epoch", "is wrong", "epoch: is wrong")
    assert np.array_equal(fleet.teme_km(np.array([7.0])), design().teme_km(np.array([7.0])))


# Walker patterns


def nodes_and_latitudes_deg(constellation):
    """Ascending node and argument of latitude of each satellite at the epoch, from geometry."""
    times_s = np.array([0.0, 1.0])
    positions = constellation.teme_km(times_s)
    here, normal = positions[:, 0], np.cross(positions[:, 0], positions[:, 1])
    node = np.stack([-normal[:, 1], normal[:, 0], 0 * normal[:, 0]], axis=-1)
    node /= np.linalg.norm(node, axis=1, keepdims=True)
    ahead = np.cross(normal / np.linalg.norm(normal, axis=1, keepdims=True), node)
    along = np.arctan2(np.sum(here * ahead, axis=1), np.sum(here * node, axis=1))
    return np.degrees(np.arctan2(node[:, 1], node[:, 0])) % 360, np.degrees(along) % 360


def apart_deg(found, wanted):
    return np.abs((np.asarray(found) - np.asarray(wanted) + 180) % 360 - 180)


@pytest.mark.parametrize(("star", "spread"), [(False, 360), (True, 180)])
def test_planes_and_phases_of_a_walker_pattern(star, spread):
    fleet = design(star=star, phasing=2)
    nodes, along = nodes_and_latitudes_deg(fleet)
    plane, slot = np.divmod(np.arange(24), 4)

    # short-period terms of SGP4 move a satellite by up to 0.1 degrees
    assert np.all(apart_deg(nodes, spread * plane / 6) < 0.1)
    assert np.all(apart_deg(along, 90 * slot + 360 * 2 * plane / 24) < 0.15)


def test_a_walker_pattern_keeps_its_height_inclination_and_period():
    times_s = np.arange(0, 6_000, 10.0)
    positions = design().teme_km(times_s)
    heights_km = np.linalg.norm(positions, axis=-1) - EARTH_KM
    highest_deg = np.degrees(np.max(np.arcsin(positions[..., 2] / (heights_km + EARTH_KM))))

    assert np.all(np.abs(heights_km - 550) < 20)  # the flat Earth makes it breathe
    assert highest_deg == pytest.approx(53.0, abs=0.1)
    start = positions[0, 0]
    back_s = times_s[300 + np.argmin(np.linalg.norm(positions[0, 300:] - start, axis=-1))]
    assert back_s == pytest.approx(5_737, abs=15)  # 2 pi sqrt(a^3 / mu) = 5736.9 s


@pytest.mark.parametrize(
    "wrong",
    [{"planes": 5}, {"planes": 0}, {"phasing": 6}, {"phasing": -1}, {"altitude_km": 100.0},
     {"inclination_deg": 190.0}, {"satellites": 0}, {"altitude_km": float("nan")}],
)  # fmt: skip
def test_walker_patterns_that_do_not_exist(wrong):
    with pytest.raises(OrbitError):
        design(**wrong)


# Against skyfield


def test_passes_agree_with_skyfield():
    skyfield = pytest.importorskip("skyfield.api")
    scale = skyfield.load.timescale(builtin=True)
    micius = from_tle(f"{LINE1}\n{LINE2}", EVENING)
    peer = skyfield.EarthSatellite(LINE1, LINE2, "qss", scale)
    ground = skyfield.wgs84.latlon(XINGLONG.lat_deg, XINGLONG.lon_deg, XINGLONG.altitude_m)
    start, end = (scale.from_datetime(EVENING + timedelta(days=day)) for day in (0, 5))

    instants, kinds = peer.find_events(ground, start, end, altitude_degrees=15.0)
    seconds = [(t.utc_datetime() - EVENING).total_seconds() for t in instants]
    ours = passes_over(micius, [XINGLONG], 0, 5 * DAY_S, 15.0)

    assert list(kinds) == [0, 1, 2] * len(ours)
    found = [t for each in ours for t in (each.rise_s, each.culmination_s, each.set_s)]
    assert found == pytest.approx(seconds, abs=0.5)
    tops = [(peer - ground).at(instant).altaz() for instant in list(instants)[1::3]]
    assert [each.max_elevation_deg for each in ours] == pytest.approx(
        [altitude.degrees for altitude, _, _ in tops], abs=0.05
    )
    nearest_km = [distance.km for _, _, distance in tops]
    assert [each.min_range_km for each in ours] == pytest.approx(nearest_km, abs=0.5)


def test_views_agree_with_skyfield():
    skyfield = pytest.importorskip("skyfield.api")
    scale = skyfield.load.timescale(builtin=True)
    peer = skyfield.EarthSatellite(LINE1, LINE2, "qss", scale)
    times_s = np.arange(0, DAY_S, 600.0)
    instants = scale.from_datetimes([EVENING + timedelta(seconds=float(t)) for t in times_s])
    for site in (XINGLONG, Site("quito", -0.18, -78.47, 2_850.0), Site("alert", 82.5, -62.3)):
        ground = skyfield.wgs84.latlon(site.lat_deg, site.lon_deg, site.altitude_m)
        altitude, _, distance = (peer - ground).at(instants).altaz()
        seen = views(from_tle(f"{LINE1}\n{LINE2}", EVENING), [site], times_s)

        assert seen.elevation_deg[0, 0] == pytest.approx(altitude.degrees, abs=0.02)
        assert seen.range_km[0, 0] == pytest.approx(distance.km, abs=0.5)


@pytest.fixture(scope="module")
def ephemeris():
    skyfield = pytest.importorskip("skyfield.api")
    data = pytest.importorskip("skyfield_data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its table of the Earth's rotation has expired; not used
        kernel = skyfield.Loader(data.get_skyfield_data_path(), expire=False)("de421.bsp")
    yield kernel
    kernel.close()


def test_the_sun_agrees_with_skyfield(ephemeris):
    from skyfield.api import load, wgs84

    scale = load.timescale(builtin=True)
    times_s = np.arange(0, 366 * DAY_S, 7 * 3600.0)
    instants = scale.from_datetimes([NEW_YEAR + timedelta(seconds=float(t)) for t in times_s])
    for site in (Site("Miami", 25.76, -80.19), Site("Tromsoe", 69.65, 18.96)):
        ground = ephemeris["earth"] + wgs84.latlon(site.lat_deg, site.lon_deg)
        altitude, _, _ = ground.at(instants).observe(ephemeris["sun"]).apparent().altaz()

        ours = sun_altitude_deg([site], NEW_YEAR, times_s)[0]
        assert ours == pytest.approx(altitude.degrees, abs=0.05)


# Laws

SITES = st.builds(
    Site, st.just("site"), st.floats(-89, 89), st.floats(-180, 180), st.floats(0, 4_000)
)
TIMES = st.floats(0, DAY_S).map(lambda t: np.array([t]))


@given(SITES, TIMES)
def test_a_satellite_is_never_nearer_than_its_height(site, time_s):
    fleet = design()
    seen = views(fleet, [site], time_s)
    radius_km = np.linalg.norm(fleet.positions_km(time_s), axis=-1)
    ground_km = np.linalg.norm(site.position_km)

    assert np.all(seen.range_km[:, 0] >= radius_km - ground_km - 1e-6)
    assert np.all(np.abs(seen.elevation_deg) <= 90)


@given(SITES, TIMES)
def test_higher_is_nearer_for_satellites_at_one_height(site, time_s):
    """Up to how much the orbits breathe and the Earth is flat."""
    seen = views(design(), [site], time_s)
    order = np.argsort(seen.elevation_deg[:, 0, 0])

    assert np.all(np.diff(seen.range_km[order, 0, 0]) < 250)


@given(st.floats(0, 60), st.floats(1, 80))
def test_east_and_west_of_a_meridian_look_the_same(lat_deg, offset_deg):
    """A satellite over the meridian of a site's mirror images is as high for both."""
    orbit = CircularOrbit("polar", NEW_YEAR, 600.0, 90.0, 0.0, 30.0)
    fleet, now_s = Constellation((orbit,), NEW_YEAR), np.array([0.0])
    x, y, _ = fleet.positions_km(now_s)[0, 0]
    below_deg = np.degrees(np.arctan2(y, x))
    sides = [Site(str(s), lat_deg, (below_deg + s * offset_deg + 180) % 360 - 180) for s in (-1, 1)]
    seen = views(fleet, sides, now_s)

    assert seen.elevation_deg[0, 0, 0] == pytest.approx(seen.elevation_deg[0, 1, 0], abs=1e-6)
    assert seen.range_km[0, 0, 0] == pytest.approx(seen.range_km[0, 1, 0], abs=1e-6)


@given(SITES, st.integers(0, 20), st.floats(5, 40))
def test_passes_are_when_the_satellite_is_above_the_mask(site, hour, mask_deg):
    fleet, start_s = design(satellites=6), hour * 3_600.0
    found = passes_over(fleet, [site], start_s, start_s + 7_200, mask_deg)
    times_s = np.arange(start_s, start_s + 7_200, 5.0)
    elevation_deg = views(fleet, [site], times_s).elevation_deg[:, 0]

    for index, name in enumerate(fleet.names):
        mine = [each for each in found if each.satellite == name]
        inside = np.zeros(len(times_s), dtype=bool)
        for each in mine:
            assert start_s <= each.rise_s <= each.culmination_s <= each.set_s <= start_s + 7_200
            assert each.max_elevation_deg >= mask_deg - 1e-9
            inside |= (times_s >= each.rise_s) & (times_s <= each.set_s)
        differ = inside != (elevation_deg[index] > mask_deg)
        assert np.all(np.abs(elevation_deg[index][differ] - mask_deg) < 0.02)


def test_passes_do_not_depend_on_who_asks_for_what_else():
    sites = usnet_sites()[:3]
    together = passes_over(design(), sites, 0, 20_000, 20.0)
    alone = [each for site in sites for each in passes_over(design(), [site], 0, 20_000, 20.0)]

    assert sorted(together, key=repr) == sorted(alone, key=repr)
    assert together == sorted(together, key=lambda each: each.rise_s)


def test_nonsense_is_refused():
    with pytest.raises(OrbitError, match="lat_deg"):
        Site("nowhere", 91.0, 0.0)
    with pytest.raises(OrbitError, match="after"):
        passes_over(design(), [XINGLONG], 10, 10)
    with pytest.raises(OrbitError, match="min_elevation_deg"):
        passes_over(design(), [XINGLONG], 0, 10, 90)
