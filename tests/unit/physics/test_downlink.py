"""Downlinks from satellites: the presets' own sources, textbook limits, and laws of loss."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.input_checks import ParameterError
from emulator.physics import bb84
from emulator.physics.channel import plob_bits_per_use, transmittance_from_db
from emulator.physics.downlink import (
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
from emulator.physics.parameters import parameters, with_parameters
from emulator.physics.pass_keys import (
    DECOY_DOWNLINK_DEVICES,
    MICIUS_2017,
    MICIUS_2020,
    UNUSED,
    PairCounts,
    decoy_block,
    decoy_pass_bits,
    decoy_setup,
    pair_pass_bits,
    pair_rate,
    pair_setup,
)
from emulator.physics.published.free_space import loss_db
from emulator.physics.sky_light import FULL_MOON_SKY, NEW_MOON_SKY
from emulator.world.published import modelled_night, night_over_xinglong

STATION, LINK = MICIUS_2017.setup, MICIUS_2017.setup.link
PAIRS = MICIUS_2020.setup


# What the presets of Micius take from their sources, and what a pass is worth


def test_micius_air_and_turbulence():
    """Published: 3 to 8 dB; here where the pass was highest, and where it began to make key."""
    _, elevations_deg = night_over_xinglong()

    highest, first = (
        loss_db(atmospheric_transmittance(LINK.zenith_transmittance, each))
        for each in (max(elevations_deg), 15.0)
    )
    assert highest == pytest.approx(3, abs=0.5)
    assert first == pytest.approx(8, abs=0.5)


def test_the_error_of_the_preset_of_2017_is_the_measured_one():
    """Published: 1.1 %, most of which is neither background nor the contrast of 280:1."""
    block = decoy_block(decoy_setup(STATION), modelled_night(), 1.0)

    assert block.key.errors[0] / block.key.clicks[0] == pytest.approx(0.011, abs=0.0002)


def test_noise_and_error_of_the_preset_of_2020_are_the_measured_ones():
    """Published: a signal-to-noise ratio of 15:1 and a QBER of 4.5 %; here at the loss of a contact."""
    setup = pair_setup(PAIRS)
    arm = transmittance_from_db(33.9) / setup.efficiency_a  # 33.9 dB with detectors
    rate = pair_rate(setup, arm, arm)
    true = setup.pair_rate_hz * (arm * setup.efficiency_a) ** 2

    assert true / (rate.coincidences - true) == pytest.approx(15, rel=0.1)
    assert rate.qber == pytest.approx(0.045, abs=0.002)


def test_a_contact_of_few_pairs_makes_no_key():
    assert pair_pass_bits(PairCounts(300, 0.0451 * 300), 1.19, 1e-10, 1e-10) == 0
    assert pair_pass_bits(PairCounts(0, 0), 1.19, 1e-10, 1e-10) == 0


def test_eagle_1_makes_megabits_on_a_good_pass_and_none_by_full_moon_without_its_filter():
    station = DECOY_DOWNLINK_DEVICES["eagle-1"].setup
    good = [transmittance(station.link, 700.0, 60.0)] * 200
    key = decoy_pass_bits(station, decoy_block(decoy_setup(station), good, 1.0))

    assert 1e6 < key < plob_bits_per_use(good[0]) * station.bb84.clock_hz * 200
    assert decoy_setup(station, FULL_MOON_SKY).background_yield < 1e-7


@pytest.mark.parametrize(
    ("device", "values"),
    [
        ("micius-2017", {"clock_hz": 2e8}),
        ("micius-2017", {"telescope_m": 1.2}),
        ("micius-2017", {"misalignment": 0.005}),
        ("micius-2017", {"pointing_jitter_rad": 0.0}),
        ("micius-2017", {"half_divergence_rad": 8e-6}),
        ("eagle-1", {"receiver_efficiency": 0.9}),
        ("eagle-1", {"optics_efficiency": 0.2}),
        ("micius-2020", {"telescope_m_a": 1.5}),
        ("micius-2020", {"efficiency_b": 0.7}),
        ("micius-2020", {"pair_rate_hz": 1e7}),
    ],
)
def test_better_devices_make_more_key(device, values):
    if device == "micius-2020":
        setups = [PAIRS, with_parameters(PAIRS, values, UNUSED)]
        arms = [
            [transmittance(link, 900.0, 40.0) for link in (each.link_a, each.link_b)]
            for each in setups
        ]
        pairs = zip(setups, arms, strict=True)
        keys = [pair_rate(pair_setup(each), *arm).secret_bits for each, arm in pairs]
    else:
        usual = DECOY_DOWNLINK_DEVICES[device].setup
        setups = [usual, with_parameters(usual, values, UNUSED)]
        keys = [
            decoy_pass_bits(
                each,
                decoy_block(decoy_setup(each), [transmittance(each.link, 900.0, 40.0)] * 200, 1.0),
            )
            for each in setups
        ]

    assert 0 < keys[0] < keys[1]


def test_a_parameter_that_is_none_is_refused_with_all_that_are():
    with pytest.raises(ParameterError, match=r"colour.*known are .*clock_hz.*telescope_m,"):
        with_parameters(STATION, {"colour": 1.0}, UNUSED)
    with pytest.raises(ParameterError, match="insertion_loss_db"):
        with_parameters(STATION, {"insertion_loss_db": 1.0}, UNUSED)
    with pytest.raises(ParameterError, match=r"both_bases_make_key.*whole"):
        with_parameters(STATION, {"both_bases_make_key": 0.5}, UNUSED)
    assert not with_parameters(STATION, {"both_bases_make_key": 0}, UNUSED).both_bases_make_key
    faint = with_parameters(STATION, {"signal_photons": 0.09, "decoy_photons": 0.02}, UNUSED)
    assert faint.bb84.signal_photons == 0.09, "all numbers are replaced together"
    assert with_parameters(PAIRS, parameters(PAIRS, UNUSED), UNUSED) == PAIRS


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


# Limits that need no satellite


def test_a_full_angle_taken_for_half_costs_six_db():
    half, full = (
        geometric_transmittance(beam_radius_m(angle, 850e-9, 1_200), 1.0, 0.0)
        for angle in (5e-6, 10e-6)
    )

    assert loss_db(half) == pytest.approx(18.6, abs=0.1)
    assert loss_db(full) == pytest.approx(24.6, abs=0.1)


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


def test_a_full_moon_costs_key_but_not_all_of_it():
    assert sky_photons_hz(LINK, FULL_MOON_SKY) == pytest.approx(
        7 * sky_photons_hz(LINK, NEW_MOON_SKY)
    )
    keys = [
        decoy_pass_bits(STATION, decoy_block(decoy_setup(STATION, sky), modelled_night(), 1.0))
        for sky in (0.0, NEW_MOON_SKY, FULL_MOON_SKY)
    ]
    assert keys[0] > keys[1] > 0.85 * keys[0]
    assert 0.05 * keys[0] < keys[2] < 0.6 * keys[0]


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
    pairs = pair_rate(pair_setup(PAIRS, radiance), eta, eta)

    for device in DECOY_DOWNLINK_DEVICES.values():
        rate = bb84.infinite_decoy_rate(decoy_setup(device.setup, radiance), eta)
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
