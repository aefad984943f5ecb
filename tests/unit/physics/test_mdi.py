"""MDI: what is known exactly."""

import math
from dataclasses import replace

import pytest

from emulator.physics import mdi
from emulator.physics.devices import MDI_DEVICES
from emulator.physics.mdi import MdiSetup

LCQ = MDI_DEVICES["lo-curty-qi"].setup


def test_limits_of_faint_pulses_without_dark_counts():
    setup = replace(LCQ, dark_probability=0.0, photons_a=1e-4, photons_b=1e-4)
    seen = mdi.gains(setup, 0.1, 0.1)
    yield_, error = mdi.single_pairs(setup, 0.1, 0.1)

    assert yield_ == pytest.approx(0.1 * 0.1 / 2)
    assert error == pytest.approx(setup.misalignment)
    assert seen.z_qber == pytest.approx(setup.misalignment, rel=1e-3)
    assert seen.x_qber == pytest.approx(1 / 4 + setup.misalignment / 2, rel=1e-3)
    assert seen.x_gain / seen.z_gain == pytest.approx(2, rel=1e-3)


def test_one_bell_state_gives_half_the_gain_and_the_same_errors():
    both, one = LCQ, replace(LCQ, bell_states=1)
    of_both, of_one = mdi.gains(both, 0.01, 0.02), mdi.gains(one, 0.01, 0.02)

    assert of_one.z_gain == pytest.approx(of_both.z_gain / 2)
    assert of_one.x_gain == pytest.approx(of_both.x_gain / 2)
    assert (of_one.z_qber, of_one.x_qber) == (of_both.z_qber, of_both.x_qber)
    assert mdi.rate(one, 50).bits_per_pair == pytest.approx(mdi.rate(both, 50).bits_per_pair / 2)


@pytest.mark.parametrize("loss_db", [0, 10, 20, 30])
def test_stable_gains_agree_with_the_formula_as_published(loss_db):
    p_d, mu = LCQ.dark_probability, 0.5
    eta = 0.145 * 10 ** (-loss_db / 10)
    light, x = 2 * eta * mu, eta * mu / 2
    y = (1 - p_d) * math.exp(-light / 4)
    i0 = [1 + mdi.bessel_i0_minus_1(argument) for argument in (x, 2 * x)]
    published = 2 * y**2 * (1 + 2 * y**2 - 4 * y * i0[0] + i0[1])

    assert mdi.gains(LCQ, eta, eta).x_gain == pytest.approx(published, rel=1e-12, abs=4e-15)


@pytest.mark.parametrize(
    ("x", "i0"),  # Abramowitz, Stegun, table 9.8 (times e^x)
    [(0.0, 1.0), (0.2, 1.010025027795), (1.0, 1.266065877752), (5.0, 27.239871823604)],
)
def test_bessel_function(x, i0):
    assert 1 + mdi.bessel_i0_minus_1(x) == pytest.approx(i0, rel=1e-12)


def test_the_relay_does_best_in_the_middle_and_either_side_is_alike():
    rates = [
        mdi.rate(replace(LCQ, relay_position=position), 100).bits_per_pair
        for position in (0.3, 0.4, 0.5, 0.6, 0.7)
    ]
    assert max(rates) == rates[2]
    assert rates[:2] == pytest.approx(rates[:2:-1])


def test_nothing_in_gives_nothing_out():
    blind = MdiSetup(1.0, 0.0, 0.0, 0.0, 0.1, 0.1)

    assert mdi.rate(blind, 10) == mdi.MdiRate(0.0, 0.5)
