"""Downlinks from satellites: Micius as published, textbook limits, and laws of loss."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.input_checks import ParameterError
from emulator.physics import bb84
from emulator.physics.channel import plob_bits_per_use, transmittance_from_db
from emulator.physics.downlink import (
    FULL_MOON_SKY,
    NEW_MOON_SKY,
    Downlink,
    air_mass,
    atmospheric_transmittance,
    beam_radius_m,
    geometric_transmittance,
    half_divergence_rad,
    pointing_transmittance,
    sky_photons_hz,
    transmittance,
)
from emulator.physics.pass_keys import (
    MICIUS_2017,
    MICIUS_2020,
    PairCounts,
    decoy_block,
    decoy_pass_bits,
    decoy_setup,
    pair_counts,
    pair_pass_bits,
    pair_rate,
    pair_setup,
)
from emulator.world.orbit_files import from_tle
from emulator.world.passes import passes_over
from emulator.world.visibility import Site, views

STATION, LINK = MICIUS_2017.setup, MICIUS_2017.setup.link
PAIRS = MICIUS_2020.setup


@cache
def night_over_xinglong():
    """Ranges and elevations by second of 19 December 2016, as far as 1200 km: the published pass."""
    lines = (
        "1 41731U 16051A   16353.90152003  .00000364  00000-0  17957-4 0  9993\n"
        "2 41731  97.3699 267.4500 0013200 178.5836 246.0824 15.23915303 19063"
    )
    micius = from_tle(lines, datetime(2016, 12, 19, 16, tzinfo=UTC))
    xinglong = Site("xinglong", 40.39587, 117.57746, 890.0)
    seen = views(micius, [xinglong], np.arange(0, 7_200, 1.0))
    near = seen.range_km[0, 0] <= 1_200
    return seen.range_km[0, 0][near], seen.elevation_deg[0, 0][near]


def loss_db_of(transmittance_):
    return -10 * math.log10(transmittance_)


def modelled_night():
    ranges_km, elevations_deg = night_over_xinglong()
    return [transmittance(LINK, d, e) for d, e in zip(ranges_km, elevations_deg, strict=True)]


def published_night():
    """The published loss against range, extended beyond 1000 km as it goes before."""
    loss_db = np.interp(
        night_over_xinglong()[0], [645, 800, 1_000, 1_200], [29.8, 30.9, 34.4, 37.9]
    )
    return [transmittance_from_db(each) for each in loss_db]


def sifted_signal(block):
    """What Liao et al. call sifted: signals in either basis."""
    return block.key.clicks[0] + block.test.clicks[0]


# Micius 2017, Nature 549, 43


def test_the_published_pass_is_as_long_as_its_ranges_say():
    """273 s of key between ranges of 1200 km."""
    assert len(night_over_xinglong()[0]) == pytest.approx(273, abs=3)


@pytest.mark.parametrize(("range_km", "loss_db"), [(645.5, 29.8), (800, 30.9), (1_000, 34.4)])
def test_micius_loss_at_three_ranges(range_km, loss_db):
    ranges_km, elevations_deg = night_over_xinglong()
    at = int(np.argmin(np.abs(ranges_km - range_km)))
    eta = transmittance(LINK, ranges_km[at], elevations_deg[at])

    assert loss_db_of(eta) == pytest.approx(loss_db, abs=2.5)


def test_micius_budget_at_1200_km():
    """Published: diffraction 22 dB, pointing below 3 dB, air and turbulence 3 to 8 dB."""
    radius_m = beam_radius_m(LINK.half_divergence_rad, LINK.wavelength_m, 1_200)

    diffraction = geometric_transmittance(radius_m, 1.0, 0.0)
    assert loss_db_of(diffraction) == pytest.approx(22, abs=1.5)
    pointing = pointing_transmittance(radius_m, LINK.pointing_jitter_rad, 1_200)
    assert 0 < loss_db_of(pointing) < 3


def test_micius_air_and_turbulence():
    """Published: 3 to 8 dB; here where the pass was highest, and where it began to make key."""
    _, elevations_deg = night_over_xinglong()

    highest, first = (
        loss_db_of(atmospheric_transmittance(LINK.zenith_transmittance, each))
        for each in (max(elevations_deg), 15.0)
    )
    assert highest == pytest.approx(3, abs=0.5)
    assert first == pytest.approx(8, abs=0.5)


def test_micius_counts_from_the_published_loss():
    """Published: 1 671 072 sifted bits, 0.4706 of all detections, about 12 kb/s at the closest."""
    setup = decoy_setup(STATION)
    block = decoy_block(setup, published_night(), 1.0)

    assert sifted_signal(block) == pytest.approx(1_671_072, rel=0.25)
    detections = 2 * (sum(block.key.clicks) + sum(block.test.clicks))
    assert sifted_signal(block) / detections == pytest.approx(0.4706, abs=0.003)
    closest = bb84.clicks(setup, transmittance_from_db(29.8), setup.signal_photons)
    assert setup.clock_hz * 0.5 * 0.5 * closest.gain == pytest.approx(12_000, rel=0.25)


def test_micius_counts_from_the_modelled_loss():
    """Published: 1 671 072 sifted bits, which nothing was fitted to; the model has 8 % more."""
    block = decoy_block(decoy_setup(STATION), modelled_night(), 1.0)

    assert sifted_signal(block) == pytest.approx(1_671_072, rel=0.25)
    qber = block.key.errors[0] / block.key.clicks[0]
    assert qber == pytest.approx(0.011, abs=0.02)


def test_micius_final_key_from_published_counts_and_errors():
    """300 939 bits at a failure probability of 1e-9, from 1 671 072 at a QBER of 1.1 %.

    The efficiency of their error correction (a Hamming code) is not published; f is 1.16 here.
    """
    raw = decoy_block(decoy_setup(STATION), published_night(), 1.0)
    dimmer = 1_671_072 / sifted_signal(raw)
    noisy = replace(STATION.bb84, misalignment=0.0102)
    block = decoy_block(
        decoy_setup(replace(STATION, bb84=noisy)), [dimmer * eta for eta in published_night()], 1.0
    )

    assert sifted_signal(block) == pytest.approx(1_671_072, rel=0.01)
    assert block.key.errors[0] / block.key.clicks[0] == pytest.approx(0.011, abs=0.001)
    assert decoy_pass_bits(STATION, block) == pytest.approx(300_939, rel=0.3)


def test_one_block_of_a_pass_is_worth_more_than_many_of_seconds():
    setup = decoy_setup(STATION)
    whole = decoy_pass_bits(STATION, decoy_block(setup, modelled_night(), 1.0))
    seconds = [decoy_pass_bits(STATION, decoy_block(setup, [x], 1.0)) for x in modelled_night()]
    asymptotic = [bb84.vacuum_weak_rate(setup, x).bits_per_pulse for x in modelled_night()]

    assert sum(seconds) < 0.5 * whole
    # a key from both bases has twice the sifting of one: (1/2)^2 + (1/2)^2
    assert whole < 2 * sum(asymptotic) * setup.clock_hz


def test_a_short_pass_gives_no_key_rather_than_less_than_none():
    block = decoy_block(decoy_setup(STATION), [1e-5] * 5, 1.0)

    assert decoy_pass_bits(STATION, block) == 0
    assert decoy_pass_bits(STATION, decoy_block(decoy_setup(STATION), [], 1.0)) == 0


def test_both_bases_make_about_twice_the_key_of_one():
    block = decoy_block(decoy_setup(STATION), modelled_night(), 1.0)
    one = decoy_pass_bits(replace(STATION, both_bases_make_key=False), block)

    assert decoy_pass_bits(STATION, block) == pytest.approx(2 * one, rel=0.02)


# Micius 2020, Nature 582, 501


def test_micius_2020_coincidences_at_its_mean_loss():
    """2.2 a second of 5.9 million pairs are 64.3 dB, detectors included; 0.43 b/s of key."""
    arm = transmittance_from_db((64.3 - 20 * math.log10(2)) / 2)
    rate = pair_rate(pair_setup(PAIRS), arm, arm)

    assert rate.coincidences == pytest.approx(2.2, rel=0.05)
    assert rate.qber == pytest.approx(0.045, abs=0.02)
    assert rate.secret_bits == pytest.approx(0.43, rel=0.3)


def test_micius_2020_finite_key():
    """0.12 b/s of 1.1 sifted: 372 of some 3100 bits at 4.5 % (Nature 582, 501), at 1e-10."""
    counts = PairCounts(3_100, 0.0451 * 3_100)

    assert pair_pass_bits(counts, 1.19, 1e-10, 1e-10) == pytest.approx(372, rel=0.2)
    assert pair_pass_bits(PairCounts(300, 0.0451 * 300), 1.19, 1e-10, 1e-10) == 0
    assert pair_pass_bits(PairCounts(0, 0), 1.19, 1e-10, 1e-10) == 0


def test_micius_2020_from_geometry():
    """Contacts of Delingha and Nanshan: 2.2 coincidences a second and 4.5 % were measured.

    Optics and detectors of the two stations are assumed, hence a factor of three.
    """
    lines = (
        "1 41731U 16051A   21117.42314584  .00000696  00000-0  30260-4 0  9998\n"
        "2 41731  97.3499  30.8507 0012844 347.0485 124.2616 15.25507799261429"
    )
    micius = from_tle(lines, datetime(2021, 4, 27, tzinfo=UTC))
    delingha = Site("delingha", 37.37901, 97.72695, 3_153.0)
    nanshan = Site("nanshan", 43.47546, 87.17669, 2_028.0)
    passes = passes_over(micius, [delingha, nanshan], 0, 2 * 86_400.0, 10.0)
    start_s, end_s = max(
        (
            (max(a.rise_s, b.rise_s), min(a.set_s, b.set_s))
            for a, b in product(passes, passes)
            if (a.site, b.site) == ("delingha", "nanshan")
        ),
        key=lambda common: common[1] - common[0],
    )
    seen = views(micius, [delingha, nanshan], np.arange(start_s, end_s, 2.0))
    steps = [
        tuple(
            transmittance(link, seen.range_km[0, site, step], seen.elevation_deg[0, site, step])
            for site, link in enumerate((PAIRS.link_a, PAIRS.link_b))
        )
        for step in range(seen.range_km.shape[-1])
    ]
    counts = pair_counts(pair_setup(PAIRS), steps, 2.0)
    coincidences_hz = counts.sifted / PAIRS.bbm92.sifting / (end_s - start_s)

    assert 2.2 / 3 < coincidences_hz < 2.2 * 3
    assert counts.wrong / counts.sifted == pytest.approx(0.045, abs=0.02)


# Limits that need no satellite


def test_a_full_angle_taken_for_half_costs_six_db():
    half, full = (
        geometric_transmittance(beam_radius_m(angle, 850e-9, 1_200), 1.0, 0.0)
        for angle in (5e-6, 10e-6)
    )

    assert loss_db_of(half) == pytest.approx(18.6, abs=0.1)
    assert loss_db_of(full) == pytest.approx(24.6, abs=0.1)


def test_a_beam_is_half_as_bright_at_half_its_full_width():
    angle = half_divergence_rad(10e-6)

    assert math.exp(-2 * (5e-6 / angle) ** 2) == pytest.approx(0.5)


def test_a_beam_spreads_as_diffraction_wants():
    waist_m, wavelength_m = 0.05, 850e-9
    rayleigh_km = math.pi * waist_m**2 / wavelength_m / 1_000
    divergence = wavelength_m / (math.pi * waist_m)

    assert beam_radius_m(divergence, wavelength_m, 0) == pytest.approx(waist_m)
    assert beam_radius_m(divergence, wavelength_m, rayleigh_km) == pytest.approx(waist_m * 2**0.5)


def test_apertures_that_catch_all_half_or_none():
    assert geometric_transmittance(1.0, 10.0, 0.0) == pytest.approx(1.0)
    assert geometric_transmittance(1.0, math.sqrt(2 * math.log(2)), 0.0) == pytest.approx(0.5)
    assert geometric_transmittance(1.0, 0.5, 0.5) == 0
    whole, ring = (geometric_transmittance(5.0, 1.0, shade) for shade in (0.0, 0.3))
    assert ring == pytest.approx(whole - geometric_transmittance(5.0, 0.3, 0.0))


def test_pointing_loss_is_the_mean_over_a_straying_beam():
    rng = np.random.default_rng(7)
    strays_m = rng.normal(0, 1.2, (200_000, 2))
    sampled = np.mean(np.exp(-2 * np.sum(strays_m**2, axis=1) / 5.0**2))

    assert pointing_transmittance(5.0, 1.2e-6, 1_000) == pytest.approx(sampled, rel=2e-3)


@pytest.mark.parametrize(("elevation_deg", "mass"), [(90, 1.0), (30, 1.994), (10, 5.6), (0, 38)])
def test_air_mass_from_zenith_to_horizon(elevation_deg, mass):
    """A flat atmosphere would have 2 at 30 degrees, 5.76 at 10, and no end at the horizon."""
    assert air_mass(elevation_deg) == pytest.approx(mass, rel=0.005)


def test_no_light_comes_from_below_the_horizon():
    assert transmittance(LINK, 2_600, -0.1) == 0


def test_the_moon_spoils_a_key_and_a_dark_night_does_not():
    assert sky_photons_hz(LINK, FULL_MOON_SKY) == pytest.approx(
        150 * sky_photons_hz(LINK, NEW_MOON_SKY)
    )
    keys = [
        decoy_pass_bits(STATION, decoy_block(decoy_setup(STATION, sky), modelled_night(), 1.0))
        for sky in (0.0, NEW_MOON_SKY, FULL_MOON_SKY)
    ]
    assert keys[0] > keys[1] > 0.9 * keys[0]
    assert keys[2] < 0.5 * keys[0]


def test_a_photon_of_the_sky_by_hand():
    """1 W / (m^2 sr um) through 1 m^2, 1 sr and 1 um at 1 um wavelength: 1 W of 1.986e-19 J."""
    link = Downlink(
        1e-6, 1e-5, 0.0, telescope_m=2 / math.sqrt(math.pi), optics_efficiency=1.0,
        zenith_transmittance=1.0, field_of_view_rad=2 / math.sqrt(math.pi), filter_um=1.0,
    )  # fmt: skip

    assert sky_photons_hz(link, 1.0) == pytest.approx(1 / 1.98645e-19, rel=1e-5)


# Laws


@given(st.floats(300, 3_000), st.floats(1, 500), st.floats(5, 85))
def test_farther_is_dimmer(range_km, more_km, elevation_deg):
    near, far = (transmittance(LINK, d, elevation_deg) for d in (range_km, range_km + more_km))

    assert 0 < far < near < 1


@given(st.floats(300, 3_000), st.floats(0, 84), st.floats(0.1, 5))
def test_higher_is_brighter(range_km, elevation_deg, more_deg):
    low, high = (
        transmittance(LINK, range_km, e) for e in (elevation_deg, elevation_deg + more_deg)
    )

    assert low < high


@given(st.floats(1e-8, 0.5), st.floats(0, 1e-3))
def test_a_downlink_never_beats_the_plob_bound(eta, radiance):
    rate = bb84.infinite_decoy_rate(decoy_setup(STATION, radiance), eta)
    pairs = pair_rate(pair_setup(PAIRS, radiance), eta, eta)

    assert rate.bits_per_pulse <= plob_bits_per_use(eta)
    assert pairs.secret_bits / PAIRS.bbm92.clock_hz <= plob_bits_per_use(eta)


@given(st.floats(10, 1e6), st.floats(0, 0.2), st.floats(1.01, 5))
def test_more_pairs_never_make_less_key(sifted, qber, factor):
    few, many = (
        pair_pass_bits(PairCounts(n, qber * n), 1.19, 1e-9, 1e-12)
        for n in (sifted, factor * sifted)
    )

    assert 0 <= few <= many
    assert many <= factor * sifted


@pytest.mark.parametrize(
    ("field", "value"),
    [("telescope_m", 0.0), ("obscuration_m", 1.0), ("optics_efficiency", 1.1),
     ("zenith_transmittance", -0.1), ("half_divergence_rad", math.nan)],
)  # fmt: skip
def test_links_that_cannot_be(field, value):
    with pytest.raises(ParameterError) as caught:
        replace(LINK, **{field: value})
    assert caught.value.field == field
