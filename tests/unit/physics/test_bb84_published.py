"""What the T12 preset takes from its source; its published results are in `emulator.physics.published`."""

import pytest

from emulator.physics import bb84
from emulator.physics.channel import fiber_transmittance
from emulator.physics.devices import T12
from emulator.physics.skr import secret_key_rate


@pytest.mark.parametrize(("length_km", "skr_bps"), [(35, 2.20e6), (50, 1.09e6)])
def test_t12_without_afterpulses_would_promise_too_much(length_km, skr_bps):
    rate = secret_key_rate("bb84", length_km, "t12", {"afterpulse_probability": 0})

    assert rate.skr_bps > 1.3 * skr_bps


def test_t12_counts_and_error_rate_at_50_km():
    setup, eta = T12.setup, fiber_transmittance(50)
    signal = bb84.clicks(setup, eta, setup.signal_photons)
    sifted = signal.gain * setup.signal_fraction * setup.sifting * setup.clock_hz * 1_200

    assert sifted == pytest.approx(5.016e9, rel=0.01)
    assert signal.qber == pytest.approx(0.0426, abs=0.0005)
