"""Finite MDI keys: what a block costs, and its limits."""

import math
from dataclasses import replace

import pytest

from emulator.physics import mdi, mdi_finite
from emulator.physics.devices import MDI_DEVICES, MDI_FINITE_DEVICES
from emulator.physics.parameters import ParameterError

FINITE = MDI_FINITE_DEVICES["lo-curty-qi"].setup
ENDLESS = MDI_DEVICES["lo-curty-qi"].setup


def test_longer_blocks_only_help_and_short_ones_give_nothing():
    rates = [
        mdi_finite.rate(replace(FINITE, block_bits=10.0**n), 50).bits_per_pair for n in range(3, 15)
    ]

    assert rates == sorted(rates)
    assert rates[0] == 0 < rates[-1]


@pytest.mark.parametrize("length_km", [0, 50, 150])
def test_an_endless_block_has_the_asymptotic_rate_on_the_pairs_sent_for_key(length_km):
    endless = mdi_finite.rate(replace(FINITE, block_bits=1e20), length_km)
    asymptotic = mdi.rate(ENDLESS, length_km)

    assert endless.bits_per_pair == pytest.approx(0.64 * asymptotic.bits_per_pair, rel=1e-5)
    assert endless.qber == asymptotic.qber


@pytest.mark.parametrize("length_km", [10, 100, 180])
def test_a_finite_block_never_beats_the_endless_one(length_km):
    finite = mdi_finite.rate(FINITE, length_km).bits_per_pair

    assert 0 < finite < 0.64 * mdi.rate(ENDLESS, length_km).bits_per_pair


def test_finite_blocks_reach_less_far():
    def reach_km(block_bits):
        setup = replace(FINITE, block_bits=block_bits)
        return max(km for km in range(0, 240, 2) if mdi_finite.rate(setup, km).bits_per_pair > 0)

    assert reach_km(1e5) < reach_km(1e6) < reach_km(1e10)


def test_stricter_secrecy_costs_key():
    strict = mdi_finite.rate(replace(FINITE, eps_secrecy=1e-15), 100)

    assert strict.bits_per_pair < mdi_finite.rate(FINITE, 100).bits_per_pair


def test_nothing_to_test_or_to_see_gives_nothing():
    with pytest.raises(ParameterError, match="sifting"):
        replace(FINITE, sifting=1.0)
    blind = replace(FINITE, detector_efficiency=0.0, dark_probability=0.0)
    assert mdi_finite.rate(blind, 10) == mdi.MdiRate(0.0, 0.5)
    assert math.isfinite(mdi_finite.rate(FINITE, 400).bits_per_pair)
