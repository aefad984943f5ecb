"""BBM92: the formula as printed, and exact limits."""

from dataclasses import replace

import pytest

from emulator.physics import bbm92
from emulator.physics.devices import BBM92_CONTINUOUS_DEVICES, BBM92_DEVICES

MFL = BBM92_DEVICES["ma-fung-lo"].setup
CONTINUOUS = BBM92_CONTINUOUS_DEVICES["telecom-pairs"].setup


def best_secret_bits(loss_db, setup=MFL):
    eta = 0.145 * 10 ** (-loss_db / 20)
    trials = [replace(setup, mean_pairs=n / 100) for n in range(1, 40)]
    return max(bbm92.pulsed_rate(trial, eta, eta).secret_bits for trial in trials)


def test_rate_falls_as_the_total_loss():
    """The slope in a log-log plot is one, far from where dark counts matter."""
    from math import log10

    slope = log10(best_secret_bits(10) / best_secret_bits(20))

    assert slope == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("eta_a", "eta_b"), [(0.1, 0.1), (0.9, 0.3), (1e-3, 1e-2)])
def test_stable_coincidences_agree_with_the_formula_as_printed(eta_a, eta_b):
    lam, dark = MFL.mean_pairs / 2, 6.02e-6
    both = 1 + eta_a * lam + eta_b * lam - eta_a * eta_b * lam
    printed = (
        1
        - (1 - dark) / (1 + eta_a * lam) ** 2
        - (1 - dark) / (1 + eta_b * lam) ** 2
        + (1 - dark) ** 2 / both**2
    )
    seen = bbm92.pulsed_rate(MFL, eta_a, eta_b)

    assert seen.coincidences == pytest.approx(printed, rel=1e-6)


def test_rare_pairs_without_noise_are_as_good_as_the_optics():
    clean = replace(MFL, mean_pairs=1e-6, background_yield_a=0.0, background_yield_b=0.0)

    assert bbm92.pulsed_rate(clean, 0.1, 0.2).qber == pytest.approx(clean.misalignment, abs=1e-5)


def test_without_pairs_all_coincidences_are_chance():
    seen = bbm92.pulsed_rate(MFL, 0.0, 0.0)

    assert seen.coincidences == pytest.approx(6.02e-6**2)
    assert (seen.qber, seen.secret_bits) == (0.5, 0.0)


def test_accidentals_of_a_continuous_source_grow_with_the_window():
    narrow, wide = (replace(CONTINUOUS, coincidence_window_s=t) for t in (1e-10, 1e-8))

    assert bbm92.continuous_rate(narrow, 0.01, 0.01).qber < 0.02
    assert bbm92.continuous_rate(wide, 0.01, 0.01).qber > 0.04


def test_the_continuous_source_counts_what_it_sends():
    lossless = replace(
        CONTINUOUS, coincidence_window_s=1e-15, window_efficiency=1.0, misalignment=0.0
    )
    seen = bbm92.continuous_rate(lossless, 0.1, 0.2)

    assert seen.coincidences == pytest.approx(lossless.pair_rate_hz * 0.02, rel=1e-3)
    assert seen.qber == pytest.approx(0, abs=1e-6)
