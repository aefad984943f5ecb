"""GG02: exact limits."""

from dataclasses import replace

import pytest

from emulator.physics import gg02
from emulator.physics.channel import plob_bits_per_use
from emulator.physics.devices import GG02_FINITE_DEVICES, LODEWYCK
from emulator.physics.gg02 import FiniteGg02Setup, Gg02Setup

IDEAL = Gg02Setup(1.0, 1e7, 0.0, 1.0, 0.0, 1.0)


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
