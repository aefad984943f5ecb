"""What `secret_key_rate` refuses, and what it says about it."""

import pickle
import subprocess
import sys

import pytest

from emulator.input_checks import ParameterError
from emulator.physics.protocols import PROTOCOLS
from emulator.physics.skr import protocol_names, secret_key_rate


def test_eighty_kilometres_of_fiber_give_key_by_default():
    rate = secret_key_rate("bb84", 80)

    assert rate.skr_bps == pytest.approx(93.7, rel=0.01)
    assert rate.qber == pytest.approx(0.0348, abs=1e-4)
    assert rate.device == "gys"
    assert any("asymptotic" in assumption for assumption in rate.assumptions)


@pytest.mark.parametrize(
    ("arguments", "field", "hint"),
    [
        (("e91", 10), "protocol", "bb84"),
        (("bb84", -1), "length_km", "zero or more"),
        (("bb84", float("nan")), "length_km", "zero or more"),
        (("bb84", float("inf")), "length_km", "zero or more"),
        (("bb84", 10, "abacus"), "device", "gys"),
        (("bb84", 10, None, {"colour": 1}), "colour", "signal_photons"),
        (("bb84", 10, None, {"clock_hz": 0}), "clock_hz", "positive"),
        (("bb84", 10, None, {"misalignment": 0.7}), "misalignment", "between 0 and 0.5"),
        (("bb84", 10, None, {"misalignment": float("nan")}), "misalignment", "between"),
        (("bb84", 10, None, {"decoy_photons": 0.6}), "decoy_photons", "signal_photons"),
    ],
)
def test_an_error_names_the_field_and_what_would_be_right(arguments, field, hint):
    with pytest.raises(ParameterError) as caught:
        secret_key_rate(*arguments)

    assert caught.value.field == field
    assert hint in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("protocol", protocol_names())
def test_every_protocol_has_a_device_and_fields_and_says_what_it_assumes(protocol):
    rate = secret_key_rate(protocol, 10)

    assert rate.skr_bps > 0
    assert rate.device == next(iter(PROTOCOLS[protocol].devices))
    setup = PROTOCOLS[protocol].devices[rate.device].setup
    assert hasattr(setup, "attenuation_db_per_km")
    assert len(rate.assumptions) >= 2


def test_an_override_is_told_among_the_assumptions():
    rate = secret_key_rate("bb84", 80, overrides={"clock_hz": 1e9})

    assert rate.skr_bps == pytest.approx(secret_key_rate("bb84", 80).skr_bps * 500)
    assert "clock_hz set to 1e+09" in rate.assumptions


def test_key_rates_load_without_numpy_or_networkx():
    code = (
        "import sys, emulator.physics.skr, emulator.config.topology;"
        "sys.exit(bool({'numpy', 'networkx', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
