"""GG02: two experiments computed again from their own tables, and exact limits."""

from dataclasses import replace

import pytest

from emulator.physics import gg02
from emulator.physics.channel import plob_bits_per_use
from emulator.physics.devices import GG02_FINITE_DEVICES, LODEWYCK
from emulator.physics.gg02 import FiniteGg02Setup, Gg02Setup
from emulator.physics.skr import secret_key_rate

IDEAL = Gg02Setup(1.0, 1e7, 0.0, 1.0, 0.0, 1.0)


def test_lodewyck_at_25_km():
    setup, bits_to_kbps = LODEWYCK.setup, 350

    assert gg02.mutual_information(setup, 0.302) * bits_to_kbps == pytest.approx(365.28, rel=1e-4)
    assert gg02.holevo_information(setup, 0.302) * bits_to_kbps == pytest.approx(315.72, rel=1e-4)
    assert gg02.rate(setup, 0.302) * bits_to_kbps == pytest.approx(12.3, rel=0.003)
    assert secret_key_rate("gg02", 25).skr_bps == pytest.approx(12_300, rel=0.003)


def zhang(variance, excess, electronic, efficiency, frame_errors):
    return Gg02Setup(5e6, variance, excess, 0.6134, electronic, efficiency, frame_errors, 0.1)


NEAR = (4.36, zhang(14.37, 0.0015, 0.1216, 0.95, 0.5), 0.0016, 278e3)
MIDDLE = (11.68, zhang(14.12, 0.0049, 0.2411, 0.96, 0.1), 0.0058, 42.8e3)
FAR = (23.46, zhang(14.23, 0.0086, 0.2717, 0.96, 0.1), 0.0219, 318.85)


@pytest.mark.parametrize(("loss_db", "setup", "worst_excess", "skr_bps"), [NEAR, MIDDLE, FAR])
def test_zhang_measured_less_than_the_asymptotic_rate(loss_db, setup, worst_excess, skr_bps):
    model_bps = setup.clock_hz * gg02.rate(setup, 10 ** (-loss_db / 10))
    worst = replace(setup, excess_noise=worst_excess)
    worst_bps = setup.clock_hz * gg02.rate(worst, 10 ** (-loss_db / 10))

    assert skr_bps <= worst_bps < model_bps
    assert worst_bps < (3 if loss_db > 20 else 1.05) * skr_bps
    if loss_db < 20:
        assert model_bps == pytest.approx(skr_bps, rel=0.05)


@pytest.mark.parametrize("eta", [0.9, 0.5, 0.1, 0.01])
def test_ideal_homodyne_reaches_half_the_capacity(eta):
    assert gg02.rate(IDEAL, eta) / plob_bits_per_use(eta) == pytest.approx(0.5, abs=1e-4)


def test_weak_modulation_carries_no_information():
    faint = replace(IDEAL, modulation_variance=1e-6)

    assert gg02.rate(faint, 0.5) < gg02.mutual_information(faint, 0.5) < 1e-6
    assert gg02.rate(IDEAL, 0.0) == 0


def test_heterodyne_measures_both_quadratures():
    both = replace(LODEWYCK.setup, heterodyne=True)

    assert gg02.mutual_information(both, 0.9) > gg02.mutual_information(LODEWYCK.setup, 0.9)
    assert gg02.rate(replace(both, reconciliation_efficiency=1.0), 0.5) > 0


def test_ideal_heterodyne_at_strong_modulation_is_known():
    """K -> log2[ e^-1 / (1-T) ] + G((1-T)/T) for V_A -> inf (Weedbrook et al., RMP 84, 621)."""
    import math

    eta, both = 0.5, replace(IDEAL, heterodyne=True)
    n = (1 - eta) / eta
    entropy = (n + 1) * math.log2(n + 1) - n * math.log2(n)
    known = math.log2(eta / (math.e * (1 - eta))) + entropy

    assert gg02.rate(both, eta) == pytest.approx(known, rel=1e-5)


def test_endless_blocks_leave_only_the_revealed_symbols_to_pay():
    finite = replace(GG02_FINITE_DEVICES["zhang"].setup, block_symbols=1e18)
    whole = gg02.rate(finite, 0.1)

    assert gg02.finite_rate(finite, 0.1) == pytest.approx(whole / 2, rel=1e-3)


@pytest.mark.parametrize("eta", [0.5, 0.1, 0.03])
def test_longer_blocks_only_help_gg02(eta):
    setup = GG02_FINITE_DEVICES["zhang"].setup
    rates = [gg02.finite_rate(replace(setup, block_symbols=10.0**n), eta) for n in range(4, 14)]

    assert rates == sorted(rates)
    assert rates[0] == 0 < rates[-1]


def test_the_worst_channel_is_worse_than_the_true_one():
    setup = FiniteGg02Setup(**vars(LODEWYCK.setup))
    eta, worst = gg02.worst_channel(setup, 0.3)

    assert 0.29 < eta < 0.3
    assert worst.excess_noise > setup.excess_noise
