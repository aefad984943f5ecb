"""Intercept and resend: what it adds to the errors, and what it takes from the key."""

from itertools import pairwise

import pytest

from emulator.input_checks import ParameterError
from emulator.physics.skr import protocol_names, secret_key_rate

COUNTING = [name for name in protocol_names() if not name.startswith(("gg02", "plob"))]


@pytest.mark.parametrize("protocol", COUNTING)
def test_a_thief_of_everything_adds_a_quarter_to_what_was_right(protocol):
    quiet, tapped = (secret_key_rate(protocol, 20, intercepted=share) for share in (0, 1))

    # background clicks are wrong half the time with and without a thief
    assert tapped.qber == pytest.approx(quiet.qber + (1 - 2 * quiet.qber) / 4, rel=0.005)
    assert tapped.skr_bps == 0
    assert tapped.sifted_bps == pytest.approx(quiet.sifted_bps)


@pytest.mark.parametrize("protocol", COUNTING)
def test_errors_grow_in_proportion_and_key_only_falls(protocol):
    rates = [secret_key_rate(protocol, 20, intercepted=n / 20) for n in range(21)]
    steps = [after.qber - before.qber for before, after in pairwise(rates)]

    assert steps == pytest.approx([steps[0]] * 20, rel=1e-6)
    for before, after in pairwise(rates):
        assert after.skr_bps < before.skr_bps or after.skr_bps == before.skr_bps == 0
    assert 0 < secret_key_rate(protocol, 20, intercepted=0.01).skr_bps < rates[0].skr_bps


def test_who_counts_no_errors_cannot_notice_a_thief():
    with pytest.raises(ParameterError, match="counts no bit errors"):
        secret_key_rate("gg02", 20, intercepted=0.5)
    assert secret_key_rate("gg02", 20).sifted_bps is None


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_no_other_share_than_a_fraction(share):
    with pytest.raises(ParameterError, match="between 0 and 1"):
        secret_key_rate("bb84", 20, intercepted=share)


def test_sifted_bits_of_t12_are_those_it_published():
    """Lucamarini et al. 2013 counted 5.016e9 sifted bits in the key basis in 1200 s at 50 km."""
    rate = secret_key_rate("bb84", 50, "t12")
    assert rate.sifted_bps == pytest.approx(5.016e9 / 1200, rel=0.1)
