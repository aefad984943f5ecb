"""Finite decoy keys and their limits."""

from dataclasses import replace

import pytest

from emulator.input_checks import ParameterError
from emulator.physics import bb84, bb84_finite
from emulator.physics.bb84_finite import BasisCounts, FiniteBlock, key_bits
from emulator.physics.devices import BB84_FINITE_DEVICES

GYS = BB84_FINITE_DEVICES["gys"].setup


@pytest.mark.parametrize("rate", [bb84_finite.two_decoy_rate, bb84_finite.one_decoy_rate])
def test_longer_blocks_only_help(rate):
    rates = [rate(replace(GYS, block_bits=10.0**n), 0.1).bits_per_pulse for n in range(3, 13)]

    assert rates == sorted(rates)
    assert rates[0] == 0 < rates[-1]


def test_an_endless_block_gives_the_asymptotic_bound_on_every_intensity():
    """Finite keys use all intensities, so compare the single-photon bounds, not the rate."""
    setup, eta = replace(GYS, block_bits=1e18), 0.1
    photons = (setup.signal_photons, setup.decoy_photons, setup.vacuum_photons)
    fractions = (0.4, 0.4, 0.2)
    block = bb84_finite.expected_block(setup, eta, photons, fractions)
    pulses = block.key.clicks[0] / (0.4 * bb84.clicks(setup, eta, photons[0]).gain)
    single = bb84.two_decoy_bounds(setup, eta)
    expected = pulses * block.photon_fraction(1) * single.yield_
    vacuum = pulses * block.photon_fraction(0) * setup.background_yield
    qber = sum(block.key.errors) / sum(block.key.clicks)
    leaked = 1.22 * sum(block.key.clicks) * bb84.binary_entropy(qber)
    secret = vacuum + expected * (1 - bb84.binary_entropy(single.error)) - leaked

    assert key_bits(block, 1.22, 1e-9, 1e-15) == pytest.approx(secret, rel=1e-4)


def test_stricter_secrecy_costs_key():
    strict, lax = (replace(GYS, eps_secrecy=eps) for eps in (1e-15, 1e-6))

    assert (
        bb84_finite.two_decoy_rate(strict, 0.1).bits_per_pulse
        < bb84_finite.two_decoy_rate(lax, 0.1).bits_per_pulse
    )


def test_a_block_without_errors_and_one_without_test_clicks():
    counts = BasisCounts((9e5, 1e5), (0.0, 0.0))
    block = FiniteBlock((0.5, 0.1), (0.5, 0.5), counts, BasisCounts((0.0, 0.0), (0.0, 0.0)))

    assert key_bits(block, 1.16, 1e-9, 1e-15) == 0


def test_no_light_gives_no_key():
    assert bb84_finite.two_decoy_rate(GYS, 0.0).bits_per_pulse == 0
    dark = replace(GYS, background_yield=0.0)
    assert bb84_finite.one_decoy_rate(dark, 0.0).bits_per_pulse == 0


def test_all_pulses_being_signals_leaves_nothing_to_estimate_from():
    with pytest.raises(ParameterError, match="signal_fraction"):
        replace(GYS, signal_fraction=1.0, decoy_fraction=0.0)
    with pytest.raises(ParameterError, match="decoy_fraction"):
        bb84_finite.two_decoy_rate(replace(GYS, decoy_fraction=0.6), 0.1)
