"""Finite MDI keys with two decoys: what bounds promise, and their limits."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from emulator.input_checks import ParameterError
from emulator.physics import mdi, mdi_finite
from emulator.physics.channel import (
    fiber_transmittance,
    plob_bits_per_use,
)
from emulator.physics.devices import MDI_FINITE_DEVICES
from emulator.physics.mdi_finite import FiniteMdiSetup
from emulator.physics.published.untrusted import endless_bits

FINITE = MDI_FINITE_DEVICES["lo-curty-qi"].setup
SHARE = FINITE.sifting * FINITE.signal_fraction**2

setups = st.builds(
    replace,
    st.just(FINITE),
    photons_a=st.floats(0.05, 0.9),
    photons_b=st.floats(0.05, 0.9),
    decoy_share=st.floats(0.01, 0.6),
    vacuum_share=st.floats(0, 0.009),
    relay_position=st.floats(0.2, 0.8),
    misalignment=st.floats(0, 0.05),
    dark_probability=st.floats(0, 1e-4),
    bell_states=st.integers(1, 2),
    sifting=st.floats(0.1, 0.9),
    signal_fraction=st.floats(0.1, 0.6),
    block_bits=st.floats(3, 16).map(lambda n: 10.0**n),
)


def finite(setup: FiniteMdiSetup, length_km: float) -> float:
    return mdi_finite.rate(setup, length_km).bits_per_pair


@given(setup=setups, length_km=st.floats(0, 200))
def test_a_finite_key_is_less_than_an_endless_one_with_the_same_decoys_with_all_decoys_and_plob(
    setup, length_km
):
    share = setup.sifting * setup.signal_fraction**2
    two_decoys = endless_bits(setup, length_km)
    all_decoys = mdi.rate(setup, length_km).bits_per_pair
    ceiling = plob_bits_per_use(fiber_transmittance(length_km))
    found = finite(setup, length_km)

    assert 0 <= found <= share * two_decoys * (1 + 1e-9)
    assert two_decoys <= all_decoys * (1 + 1e-6) + 1e-15
    assert all_decoys <= ceiling


@given(setup=setups, length_km=st.floats(0, 200))
def test_decoys_never_promise_more_than_there_is(setup, length_km):
    eta_a, eta_b = mdi.arm_efficiencies(setup, length_km)
    true_yield, true_error = mdi.single_pairs(setup, eta_a, eta_b)
    table = mdi_finite.expected_gains(setup, eta_a, eta_b)
    found = mdi_finite.single_pairs_bounds(setup, table)

    assert found.z_yield <= true_yield * (1 + 1e-6) + 1e-12
    assert found.x_yield <= true_yield * (1 + 1e-6) + 1e-12
    assert found.x_error >= min(0.5, true_error) * (1 - 1e-6)


@pytest.mark.parametrize("length_km", [0, 50, 150])
def test_an_endless_block_has_the_rate_of_its_decoys_on_the_pairs_sent_for_key(length_km):
    endless = mdi_finite.rate(replace(FINITE, block_bits=1e22), length_km)

    assert endless.bits_per_pair == pytest.approx(SHARE * endless_bits(FINITE, length_km), rel=1e-5)
    assert endless.qber == mdi.rate(FINITE, length_km).qber


@pytest.mark.parametrize("length_km", [0, 50, 150])
def test_ever_weaker_decoys_tell_as_much_as_infinitely_many(length_km):
    rates = [
        endless_bits(replace(FINITE, decoy_share=share, vacuum_share=0.0), length_km)
        for share in (0.1, 0.01, 0.001)
    ]

    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(mdi.rate(FINITE, length_km).bits_per_pair, rel=0.01)


def test_longer_blocks_only_help_and_short_ones_give_nothing():
    rates = [finite(replace(FINITE, block_bits=10.0**n), 50) for n in range(3, 15)]

    assert rates == sorted(rates)
    assert rates[0] == 0 < rates[-1]


def test_finite_blocks_reach_less_far():
    def reach_km(block_bits):
        setup = replace(FINITE, block_bits=block_bits)
        return max(km for km in range(0, 240, 2) if finite(setup, km) > 0)

    assert 50 < reach_km(1e8) < reach_km(1e9) < reach_km(1e12)


def test_stricter_secrecy_costs_key():
    strict = finite(replace(FINITE, eps_secrecy=1e-15), 50)

    assert 0 < strict < finite(FINITE, 50)


@pytest.mark.parametrize("mean", [0.5, 20.0, 3000.0])
def test_chernoff_bounds_fail_no_more_often_than_they_may(mean):
    log_inverse = math.log(1 / 1e-3)
    counts = range(int(mean + 20 * math.sqrt(mean) + 40))
    failing = [
        mdi_finite.expectation_bounds(count, log_inverse)[0] > mean
        or mdi_finite.expectation_bounds(count, log_inverse)[1] < mean
        for count in counts
    ]
    chance = sum(poisson.pmf(count, mean) for count in counts if failing[count])

    assert chance <= 2e-3
    assert poisson.cdf(mdi_finite.least_count(mean, log_inverse) - 1e-9, mean) <= 1e-3


def test_nothing_to_test_or_to_see_gives_nothing():
    with pytest.raises(ParameterError, match="sifting"):
        replace(FINITE, sifting=1.0)
    with pytest.raises(ParameterError, match="decoy_fraction"):
        replace(FINITE, decoy_fraction=0.5)
    with pytest.raises(ParameterError, match="vacuum_share"):
        replace(FINITE, vacuum_share=0.3)
    blind = replace(FINITE, detector_efficiency=0.0, dark_probability=0.0)
    assert mdi_finite.rate(blind, 10) == mdi.MdiRate(0.0, 0.5)
    assert math.isfinite(finite(FINITE, 400))
