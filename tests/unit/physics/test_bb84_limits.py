"""Decoy BB84 where the answer is known exactly."""

import math
from dataclasses import replace

import pytest

from emulator.physics import bb84
from emulator.physics.devices import GYS

IDEAL = replace(
    GYS.setup, background_yield=0.0, misalignment=0.0, receiver_efficiency=1.0, ec_efficiency=1.0
)


def test_a_perfect_system_keeps_every_sifted_single_photon():
    rate = bb84.infinite_decoy_rate(IDEAL, 0.01)

    assert rate.bits_per_pulse == pytest.approx(0.5 * 0.48 * math.exp(-0.48) * 0.01)
    assert rate.qber == 0


def test_without_light_only_background_is_left_and_half_of_it_is_wrong():
    clicks = bb84.clicks(GYS.setup, 0.0, 0.48)

    assert clicks.gain == pytest.approx(1.7e-6)
    assert clicks.qber == pytest.approx(0.5)
    assert bb84.vacuum_weak_rate(GYS.setup, 0.0).bits_per_pulse == 0


def test_a_link_without_background_has_no_error_rate_to_divide_by():
    assert bb84.clicks(IDEAL, 0.0, 0.48).qber == 0.5


@pytest.mark.parametrize("loss_db", [0, 10, 20, 25])
def test_fewer_decoys_never_help(loss_db):
    eta = 10 ** (-loss_db / 10)
    infinite = bb84.infinite_decoy_rate(GYS.setup, eta).bits_per_pulse
    two = bb84.vacuum_weak_rate(GYS.setup, eta).bits_per_pulse
    one = bb84.one_decoy_rate(GYS.setup, eta).bits_per_pulse

    assert infinite > two > one > 0


def test_decoy_bounds_close_in_on_the_truth_as_the_decoy_fades():
    eta = 0.05
    truth = GYS.setup.background_yield + eta * GYS.setup.receiver_efficiency
    faint = replace(GYS.setup, decoy_photons=1e-4)

    assert bb84.two_decoy_bounds(faint, eta).yield_ == pytest.approx(truth, rel=2e-3)
    assert bb84.two_decoy_bounds(GYS.setup, eta).yield_ < truth


def test_a_second_decoy_that_is_not_quite_vacuum_costs_little():
    nearly = replace(GYS.setup, vacuum_photons=1e-4)
    exact_rate = bb84.vacuum_weak_rate(GYS.setup, 0.1).bits_per_pulse
    nearly_rate = bb84.vacuum_weak_rate(nearly, 0.1).bits_per_pulse

    assert 0.97 * exact_rate < nearly_rate < exact_rate


def test_afterpulses_add_up_as_the_geometric_series_they_are():
    noisy = replace(GYS.setup, afterpulse_probability=0.05)
    first = bb84.clicks(GYS.setup, 0.1, 0.48).gain
    series = sum(first * 0.05**n for n in range(50))

    assert bb84.clicks(noisy, 0.1, 0.48).gain == pytest.approx(series)


def test_an_interceptor_of_everything_leaves_a_quarter_of_the_bits_wrong():
    assert bb84.intercepted_qber(0.0, 1.0) == 0.25
    assert bb84.intercepted_qber(0.03, 0.0) == 0.03
    assert bb84.intercepted_qber(0.02, 0.4) == pytest.approx(0.6 * 0.02 + 0.4 * 0.26)


def test_dead_time_caps_the_click_rate():
    dead = replace(GYS.setup, clock_hz=1e9, dead_time_s=1e-6)
    live = bb84.live_fraction(dead, 1.0)
    counted_hz = dead.clock_hz * bb84.clicks(dead, 1.0, 0.48).gain * live

    assert counted_hz < 1 / dead.dead_time_s
    assert bb84.live_fraction(GYS.setup, 1.0) == 1
