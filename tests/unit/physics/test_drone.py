"""UAV links: beams and fog as tabulated, exact limits, and what trembling, turbulence and day cost."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.input_checks import ParameterError
from emulator.physics import drone
from emulator.physics.channel import plob_bits_per_use
from emulator.physics.drone import HopSetup

LIU = drone.LIU_2020.setup


def chain_transmittance(hop, distance_km, relays):
    return drone.hop_transmittance(hop, distance_km / (relays + 1)) ** (relays + 1)


@pytest.mark.parametrize(("wavelength_m", "waist_mm", "length_m"), [
    (810e-9, 10, 388), (810e-9, 13.2, 676), (810e-9, 20, 1_551), (810e-9, 30, 3_491),
    (1550e-9, 10, 203), (1550e-9, 13.2, 353), (1550e-9, 20, 811), (1550e-9, 30, 1_824),
])  # fmt: skip
def test_rayleigh_lengths(wavelength_m, waist_mm, length_m):
    length_km = drone.rayleigh_length_km(waist_mm / 1000, wavelength_m)

    assert length_km * 1000 == pytest.approx(length_m, abs=1)


def test_at_the_rayleigh_length_a_beam_is_wider_by_root_two():
    length_km = drone.rayleigh_length_km(0.02, 810e-9)

    assert drone.spot_radius_m(0.02, 810e-9, length_km) == pytest.approx(0.02 * 2**0.5)
    assert drone.spot_radius_m(0.02, 810e-9, 0.0) == 0.02


@pytest.mark.parametrize(("wavelength_m", "waist_m", "low_db", "high_db"), [
    (810e-9, 0.0132, 0.35, 0.45), (810e-9, 0.020, 0.35, 0.45),
    (1550e-9, 0.0132, 2.25, 2.35), (1550e-9, 0.020, 1.2, 1.35),
])  # fmt: skip
def test_loss_between_lenses_1_km_apart(wavelength_m, waist_m, low_db, high_db):
    spot_m = drone.spot_radius_m(waist_m, wavelength_m, 1.0)
    loss_db = -10 * math.log10(drone.collected(0.0528, spot_m))

    assert low_db < loss_db < high_db


@pytest.mark.parametrize(("visibility_km", "loss_db"), [(23, 0.45), (1, 14.0), (0.2, 85.0)])
def test_haze_and_fog_over_1_km(visibility_km, loss_db):
    assert drone.extinction_db_per_km(visibility_km) == pytest.approx(loss_db, rel=0.01)


@given(st.floats(0.05, 100), st.floats(1.001, 2))
def test_thinner_air_never_costs_more(visibility_km, factor):
    """But for the step of the published exponent at 50 km, which is downwards too."""
    better = drone.extinction_db_per_km(visibility_km * factor)

    assert better < drone.extinction_db_per_km(visibility_km)


def test_fog_ends_a_link_that_cloud_does_not_touch():
    fog = replace(LIU, hop=replace(LIU.hop, visibility_km=0.2))

    assert drone.chain_rate(LIU, 1.0).secret_bits > 1_000
    assert drone.chain_rate(fog, 1.0).secret_bits == 0


def test_a_trembling_beam_of_one_spot_radius_loses_four_fifths_in_a_small_aperture():
    still = HopSetup(waist_m=0.02, aperture_m=1e-4)
    spot_m = drone.spot_radius_m(0.02, still.wavelength_m, 1.0)
    trembling = replace(still, jitter_rad=spot_m / 1_000)

    assert drone.mean_radius_m(still, 1.0) == spot_m
    shares = [drone.collected(1e-4, drone.mean_radius_m(hop, 1.0)) for hop in (trembling, still)]
    assert shares[0] / shares[1] == pytest.approx(1 / 5, rel=1e-5)


def test_the_mean_of_a_trembling_beam_is_exact_for_an_aperture_of_any_size():
    hop, draw = HopSetup(jitter_rad=2e-5), random.Random(3)
    spot_m, strays_m = drone.spot_radius_m(hop.waist_m, hop.wavelength_m, 1.0), 0.02
    inside, count = 0, 40_000
    for _ in range(count):
        x, y = (draw.gauss(0, strays_m) + draw.gauss(0, spot_m / 2) for _ in range(2))
        inside += math.hypot(x, y) < hop.aperture_m / 2

    mean = drone.collected(hop.aperture_m, drone.mean_radius_m(hop, 1.0))
    assert mean == pytest.approx(inside / count, abs=0.01)


@pytest.mark.parametrize(("cn2_m23", "loss_db"), [(1e-14, 0.1), (1e-13, 2.0)])
def test_turbulence_widens_a_beam_over_1_km(cn2_m23, loss_db):
    """By hand, 2 L / (k rho_0): 8 mm at 1e-14, 33 mm at 1e-13, with a spot of 24 mm."""
    radii_m = (drone.mean_radius_m(HopSetup(cn2_m23=each), 1.0) for each in (0.0, cn2_m23))
    calm, stirred = (drone.collected(0.0528, radius_m) for radius_m in radii_m)

    assert 10 * math.log10(calm / stirred) == pytest.approx(loss_db, rel=0.4)


def test_turbulence_spoils_the_coupling_into_a_fiber():
    assert drone.steadiness(HopSetup(), 1.0) == 1
    shares = [drone.steadiness(HopSetup(cn2_m23=cn2), 1.0) for cn2 in (1e-15, 1e-14, 1e-13)]

    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.8
    assert 0.05 < shares[-1] < 0.15


@pytest.mark.parametrize("device", list(drone.UAV_DEVICES.values()), ids=lambda each: each.name)
def test_a_hop_of_1200_m_is_far_from_lossless_and_worse_by_day(device):
    night, day = device.setup, drone.in_daylight(device.setup)
    night_db, day_db = (
        -10 * math.log10(drone.hop_transmittance(setup.hop, 1.2)) for setup in (night, day)
    )

    assert 8 < night_db < 15 < day_db
    rates = [drone.relayed_rate(setup, 1.2, 1) for setup in (night, day)]
    assert rates[0].secret_bits > rates[1].secret_bits > 0
    assert rates[0].qber < rates[1].qber


def test_a_narrow_filter_keeps_the_sky_out():
    wide, narrow = (
        drone.in_daylight(replace(LIU, hop=replace(LIU.hop, filter_um=um))) for um in (0.01, 1e-4)
    )

    assert drone.chain_rate(narrow, 2.0).secret_bits > drone.chain_rate(wide, 2.0).secret_bits


def test_states_prepared_in_the_middle_reach_both_ends_at_the_rate_of_the_longer_side():
    setup = drone.DECOY_UAV.setup
    step = drone.hop_transmittance(setup.hop, 0.75)

    assert drone.chain_rate(setup, 3.0, 3) == drone.prepared_rate(setup, step**2)
    assert drone.relayed_rate(setup, 3.0, 3) == drone.prepared_rate(setup, step)


def test_relays_without_loss_beat_one_long_hop():
    hop = HopSetup(visibility_km=1e6)

    assert chain_transmittance(hop, 5.0, 4) > 2 * chain_transmittance(hop, 5.0, 0)


def test_error_rate_grows_along_a_chain_because_the_signal_falls():
    rates = [drone.chain_rate(LIU, float(km)) for km in range(1, 12)]

    assert [r.qber for r in rates] == sorted(r.qber for r in rates)
    assert [r.secret_bits for r in rates] == sorted((r.secret_bits for r in rates), reverse=True)
    assert drone.chain_rate(LIU, 80.0).secret_bits == 0  # no city is reached over 80 relays


@given(st.floats(0.01, 20), st.integers(1, 20), st.floats(0.2, 50))
def test_no_chain_passes_the_capacity_of_its_channel(distance_km, uavs, visibility_km):
    for device in (LIU, drone.in_daylight(LIU)):
        setup = replace(device, hop=replace(device.hop, visibility_km=visibility_km))
        eta = chain_transmittance(setup.hop, distance_km, uavs)

        per_use = drone.chain_rate(setup, distance_km, uavs).secret_bits / setup.pairs.clock_hz
        assert 0 <= per_use <= plob_bits_per_use(eta)


@given(
    st.floats(0.01, 20),
    st.tuples(st.floats(0.3, 3), st.floats(0.001, 0.19), st.floats(0, 1)),
    st.tuples(st.floats(0, 1e-4), st.floats(0, 1e-11)),
    st.floats(0, 150),
)
def test_no_prepared_states_pass_the_capacity_of_their_hop(distance_km, states, air, radiance):
    (signal, decoy, efficiency), (jitter_rad, cn2_m23) = states, air
    usual = drone.DECOY_UAV.setup
    hop = replace(usual.hop, jitter_rad=jitter_rad, cn2_m23=cn2_m23, coupling=1.0)
    device = replace(
        usual.bb84,
        signal_photons=signal,
        decoy_photons=decoy,
        receiver_efficiency=efficiency,
        misalignment=0.0,
    )
    setup = drone.under_sky(replace(usual, hop=hop, bb84=device), radiance)
    eta = drone.hop_transmittance(setup.hop, distance_km)

    per_use = drone.prepared_rate(setup, eta).secret_bits / setup.bb84.clock_hz
    assert 0 <= per_use <= plob_bits_per_use(eta)


def test_sky_light_in_one_mode():
    """By hand: 15 W/(m2 sr um) * 0.01 um * (0.81 um)^2 / 2.452e-19 J."""
    assert drone.sky_light_hz(15.0, 0.01) == pytest.approx(4.01e5, rel=0.01)


@pytest.mark.parametrize("wrong", [
    lambda: HopSetup(waist_m=0.0),
    lambda: HopSetup(coupling=1.1),
    lambda: HopSetup(visibility_km=-1.0),
    lambda: drone.UavSetup(LIU.hop, LIU.pairs, hop_km=0.0),
    lambda: drone.extinction_db_per_km(0.0),
    lambda: drone.chain_rate(LIU, 1.0, 0),
])  # fmt: skip
def test_nonsense_is_refused(wrong):
    with pytest.raises(ParameterError):
        wrong()
