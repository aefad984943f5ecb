"""Finite decoy keys: the published behaviour of the bounds, and their limits."""

import math
from dataclasses import replace

import pytest

from emulator.input_checks import ParameterError
from emulator.physics import bb84, bb84_finite
from emulator.physics.bb84_finite import BasisCounts, FiniteBlock, FiniteSetup, key_bits
from emulator.physics.devices import BB84_FINITE_DEVICES, BOARON

GYS = BB84_FINITE_DEVICES["gys"].setup


# -- Lim et al. 2014, section IV: their detectors, their channel, operating point optimized ------


def lim_block(length_km, sifted, point):
    """The block and number of pulses that the paper's channel model expects."""
    key_choice, p1, p2, mu1, mu2 = point
    photons, fractions = (mu1, mu2, 2e-4), (p1, p2, 1 - p1 - p2)
    eta_channel = 10 ** (-0.02 * length_km)
    clicks = [1 - (1 - 2 * 6e-7) * math.exp(-0.1 * eta_channel * mu) for mu in photons]
    errors = [
        6e-7 + 5e-3 * (1 - math.exp(-eta_channel * 0.1 * mu)) + 0.04 * click / 2
        for mu, click in zip(photons, clicks, strict=True)
    ]
    gains = [1.04 * click for click in clicks]
    pulses = sifted / (key_choice**2 * sum(p * q for p, q in zip(fractions, gains, strict=True)))

    def counts(choice, rates):
        pairs = zip(fractions, rates, strict=True)
        return tuple(pulses * choice**2 * p * rate for p, rate in pairs)

    bases = [
        BasisCounts(counts(choice, gains), counts(choice, errors))
        for choice in (key_choice, 1 - key_choice)
    ]
    return FiniteBlock(photons, fractions, *bases), pulses


def lim_rate(length_km, sifted, point):
    key_choice, p1, p2, mu1, mu2 = point
    if not (0 < key_choice < 1 and p1 > 0 < p2 and p1 + p2 < 1 and 2e-4 < mu2 < mu1 - 2e-4 < 1.5):
        return 0.0
    block, pulses = lim_block(length_km, sifted, point)
    bits = sifted  # secrecy 1e-15 a delivered bit, so solve for the length
    for _ in range(4):
        bits = key_bits(block, 1.16, 1e-15 * max(bits, 1), 1e-15)
    return bits / pulses


def lim_best(length_km, sifted, point=(0.8, 0.4, 0.4, 0.6, 0.2)):
    """Climb from an operating point, one parameter at a time; return the rate and the best point."""
    best, step = lim_rate(length_km, sifted, point), 0.2
    while step > 0.005:
        trials = [
            [value * (1 + sign * step) if i == j else value for j, value in enumerate(point)]
            for i in range(5)
            for sign in (1, -1)
        ]
        score, trial = max((lim_rate(length_km, sifted, trial), trial) for trial in trials)
        if score > best:
            best, point = score, trial
        else:
            step /= 2
    return best, point


def test_at_100_km_a_block_of_1e9_gives_1_75_times_the_rate_of_1e7():
    assert lim_best(100, 1e9)[0] / lim_best(100, 1e7)[0] == pytest.approx(1.75, rel=0.1)


def test_blocks_of_only_1e4_bits_reach_135_km_within_5_percent():
    """The paper says 135 km; its bounds, computed here, end at 130 km."""
    near_the_end = (0.033, 0.050, 0.547, 0.492, 0.105)

    assert lim_best(135 * 0.95, 1e4, near_the_end)[0] > 0
    assert lim_best(135 * 1.05, 1e4, near_the_end)[0] == 0


# -- Boaron et al. 2018, Table I ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss_db", "photons", "sifted", "qber", "skr_bps"),
    [(42.7, (0.49, 0.18), 8.2e6, 0.005, 4_900), (60.6, (0.35, 0.15), 6.2e6, 0.007, 62)],
)
def test_boaron_measured_with_one_decoy(loss_db, photons, sifted, qber, skr_bps):
    """Detector efficiency, signal share and basis choice are not published but assumed."""
    mu, nu = photons
    published = replace(
        BOARON.setup, signal_photons=mu, decoy_photons=nu, misalignment=qber, background_yield=0.0
    )
    setup = FiniteSetup(**vars(published), block_bits=sifted)
    eta = 10 ** (-loss_db / 10)
    asymptotic = bb84.one_decoy_rate(replace(published, signal_fraction=1, decoy_fraction=0), eta)

    assert 1 <= setup.clock_hz * asymptotic.bits_per_pulse / skr_bps <= 4
    finite_bps = setup.clock_hz * bb84_finite.one_decoy_rate(setup, eta).bits_per_pulse
    assert finite_bps == pytest.approx(skr_bps, rel=0.6)


# -- limits ------------------------------------------------------------------------------------


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
