"""UAV links: beams and fog as tabulated, error rates against experiments, and exact limits."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.input_checks import ParameterError
from emulator.physics import bb84, drone
from emulator.physics.channel import plob_bits_per_use
from emulator.physics.devices import T12
from emulator.physics.drone import HopSetup

LIU = drone.LIU_2020.setup


def qber_from_chsh(chsh):
    """The error rate of a Werner state with the CHSH value S: E = (1 - S / 2 sqrt 2) / 2."""
    return (1 - chsh / (2 * math.sqrt(2))) / 2


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


def test_a_trembling_beam_of_one_spot_radius_loses_four_fifths():
    assert drone.pointed(0.02, 0.02 / 1_000, 1.0) == pytest.approx(1 / 5)
    assert drone.pointed(0.02, 0.0, 1.0) == 1


def test_error_rate_of_the_drones_of_2020_at_night():
    """S = 2.49 over 200 m; the source is known from another aircraft: 4.4 % for the seen 6.0 %."""
    seen = drone.chain_rate(LIU, 0.2)

    assert seen.qber == pytest.approx(qber_from_chsh(2.49), abs=0.02)
    assert seen.secret_bits > 0


def test_error_rate_of_the_drones_of_2020_by_day_is_too_low():
    """S = 2.41 +- 0.14, an error of 7.4 +- 2.5 %: sky light explains 0.1 points, we miss 2.9."""
    night, day = drone.chain_rate(LIU, 0.2), drone.chain_rate(drone.in_daylight(LIU), 0.2)
    one_sigma = qber_from_chsh(2.41 - 0.14) - qber_from_chsh(2.41)

    assert night.qber < day.qber < qber_from_chsh(2.41)
    assert day.qber == pytest.approx(qber_from_chsh(2.41), abs=1.2 * one_sigma)
    assert day.secret_bits > 0


def test_decoy_bb84_over_200_m_between_drones_and_ground():
    """Tian et al. 2024: an error of 2.28 % at night; optics and detectors are those of another system."""
    setup = replace(T12.setup, afterpulse_probability=0.0)
    seen = bb84.vacuum_weak_rate(setup, drone.hop_transmittance(HopSetup(), 0.2))

    assert seen.qber == pytest.approx(0.0228, abs=0.02)
    assert seen.bits_per_pulse > 0


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
    setup = replace(LIU, hop=replace(LIU.hop, visibility_km=visibility_km))
    eta = chain_transmittance(setup.hop, distance_km, uavs)

    per_use = drone.chain_rate(setup, distance_km, uavs).secret_bits / setup.pairs.clock_hz
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
