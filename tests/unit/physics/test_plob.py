"""No protocol beats the capacity of its fiber, and none gains by a longer one."""

import math
from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.physics.channel import (
    binary_entropy,
    fiber_transmittance,
    phase_entropy,
    plob_bits_per_use,
    single_repeater_bits_per_use,
    transmittance_from_db,
)
from emulator.physics.protocols import PROTOCOLS
from emulator.physics.skr import block_field, protocol_names, secret_key_rate

share = st.floats(0, 1)
some = st.floats(1e-3, 1)
error = st.one_of(st.just(0.0), st.floats(0, 0.5))
dark = st.one_of(st.just(0.0), st.floats(1e-12, 1))
fiber = {
    "attenuation_db_per_km": st.floats(0.1, 0.5),
    "insertion_loss_db": st.floats(0, 5),
}
decoy = fiber | {
    "receiver_efficiency": share,
    "background_yield": dark,
    "misalignment": error,
    "signal_photons": st.floats(0.3, 3),
    "decoy_photons": st.floats(1e-3, 0.19),
    "sifting": share,
    "ec_efficiency": st.floats(1, 2),
    "afterpulse_probability": st.floats(0, 0.5),
    "dead_time_s": st.floats(0, 1e-6),
}
finite = decoy | {
    "sifting": some,
    "signal_fraction": st.floats(0.05, 0.55),
    "decoy_fraction": st.floats(0.05, 0.35),
    "block_bits": st.floats(1e3, 1e15),
    "eps_secrecy": st.floats(1e-18, 0.1),
}
gaussian = fiber | {
    "modulation_variance": st.floats(0.05, 1e4),
    "excess_noise": st.one_of(st.just(0.0), st.floats(0, 0.2)),
    "detector_efficiency": st.floats(0.05, 1),
    "electronic_noise": st.floats(0, 1),
    "reconciliation_efficiency": st.one_of(st.just(1.0), share),
    "heterodyne": st.sampled_from([0, 1]),
}
pairs = fiber | {
    "efficiency_a": share,
    "efficiency_b": share,
    "misalignment": error,
    "source_position": share,
    "sifting": share,
    "ec_efficiency": st.floats(1, 2),
}
untrusted = fiber | {
    "detector_efficiency": share,
    "dark_probability": dark,
    "misalignment": error,
    "photons_a": st.floats(1e-3, 3),
    "photons_b": st.floats(1e-3, 3),
    "bell_states": st.sampled_from([1, 2]),
    "relay_position": share,
    "ec_efficiency": st.floats(1, 2),
}
FIELDS = {
    "bb84": decoy,
    "bb84-infinite": decoy,
    "bb84-one-decoy": decoy,
    "bb84-finite": finite,
    "bb84-one-decoy-finite": finite,
    "relay": decoy | {"span_km": st.floats(1, 200)},
    "mdi": untrusted,
    "mdi-finite": untrusted
    | {
        "block_bits": st.floats(1e3, 1e15),
        "sifting": st.floats(0.01, 0.99),
        "eps_secrecy": st.floats(1e-18, 0.1),
    },
    "gg02": gaussian,
    "gg02-finite": gaussian
    | {"block_symbols": st.floats(1e4, 1e15), "estimation_fraction": st.floats(0.01, 0.99)},
    "bbm92": pairs
    | {
        "mean_pairs": st.floats(1e-4, 3),
        "background_yield_a": dark,
        "background_yield_b": dark,
    },
    "bbm92-cw": pairs
    | {
        "pair_rate_hz": st.floats(1e3, 1e12),
        "coincidence_window_s": st.floats(1e-12, 1e-7),
        "dark_rate_a_hz": st.floats(0, 1e6),
        "window_efficiency": share,
    },
    "router": fiber
    | {
        "routers": st.integers(0, 6),
        "memories": st.integers(1, 1000),
        "coherence_s": st.floats(1e-3, 1e6),
        "cutoff_s": st.floats(1e-3, 10),
        "memory_efficiency": some,
        "measurement_efficiency": some,
        "swap_success": share,
        "link_werner": st.floats(0.8, 1),
        "swap_werner": st.floats(0.8, 1),
        "sifting": share,
    },
    "plob": fiber,
}


def test_every_protocol_is_put_to_the_test():
    assert set(FIELDS) == set(protocol_names())


@pytest.mark.parametrize("protocol", protocol_names())
@settings(max_examples=120)
@given(data=st.data(), length_km=st.one_of(st.just(0.0), st.floats(0, 400)))
def test_no_protocol_beats_the_capacity_of_its_fiber(protocol, data, length_km):
    overrides = data.draw(st.fixed_dictionaries({}, optional=FIELDS[protocol]))
    rate = secret_key_rate(protocol, length_km, overrides=overrides)

    assert 0 <= rate.skr_bps <= rate.bound_bps * (1 + 1e-9)
    assert rate.qber is None or 0 <= rate.qber <= 1
    assert 0 < rate.transmittance <= 1


@pytest.mark.parametrize(
    ("protocol", "device"),
    [(name, device) for name, protocol in PROTOCOLS.items() for device in protocol.devices],
)
def test_a_longer_fiber_never_gives_more_key(protocol, device):
    rates = [secret_key_rate(protocol, float(km), device).skr_bps for km in range(0, 401, 8)]

    assert all(near >= far for near, far in pairwise(rates))
    assert rates[1] > 0


def test_capacity_of_a_lossless_and_of_a_lossy_channel():
    assert math.isinf(plob_bits_per_use(1.0))
    assert plob_bits_per_use(0.5) == pytest.approx(1)
    assert plob_bits_per_use(1e-12) == pytest.approx(1e-12 / math.log(2))
    assert plob_bits_per_use(0.0) == 0
    assert single_repeater_bits_per_use(0.25) == pytest.approx(1)


def test_an_80_km_hop_loses_16_db():
    assert -10 * math.log10(fiber_transmittance(80)) == pytest.approx(16)
    assert fiber_transmittance(0) == 1
    assert transmittance_from_db(3) == pytest.approx(0.501, abs=1e-3)


def test_entropy_of_an_error():
    assert [binary_entropy(x) for x in (0, 0.5, 1)] == [0, 1, 0]
    assert binary_entropy(0.11) == pytest.approx(0.49992, abs=1e-5)
    assert (phase_entropy(0.11), phase_entropy(0.9)) == (binary_entropy(0.11), 1.0)


def endless(protocol, length_km, device, overrides):
    """The finite protocol without an end to its blocks, all else as it is."""
    limit = protocol.removesuffix("-finite")
    known = {field.name for field in fields(PROTOCOLS[limit].devices[device].setup)}
    equal = vars(PROTOCOLS[protocol].devices[device].setup) | overrides
    same = {name: value for name, value in equal.items() if name in known}
    return secret_key_rate(limit, length_km, device, same)


IN_BLOCKS = [name for name in protocol_names() if block_field(name)]


@pytest.mark.parametrize("protocol", IN_BLOCKS)
@settings(max_examples=200)
@given(data=st.data(), length_km=st.one_of(st.just(0.0), st.floats(0, 400)))
def test_a_finite_key_is_never_more_than_an_endless_one_at_equal_settings(
    protocol, data, length_km
):
    overrides = data.draw(st.fixed_dictionaries({}, optional=FIELDS[protocol]))
    device = next(iter(PROTOCOLS[protocol].devices))

    finite = secret_key_rate(protocol, length_km, device, overrides)

    assert finite.skr_bps <= endless(protocol, length_km, device, overrides).skr_bps


@pytest.mark.parametrize(
    ("protocol", "device"),
    [(name, device) for name in IN_BLOCKS for device in PROTOCOLS[name].devices],
)
def test_no_preset_gains_by_finite_blocks(protocol, device):
    for length_km in range(0, 200, 5):
        finite = secret_key_rate(protocol, length_km, device)
        limit = endless(protocol, length_km, device, {})

        assert finite.skr_bps <= limit.skr_bps
        assert finite.qber == limit.qber


@pytest.mark.parametrize("protocol", IN_BLOCKS)
@pytest.mark.parametrize("length_km", [0, 10, 50, 100])
def test_a_block_takes_as_long_as_its_bits_need_to_come_in(protocol, length_km):
    rate = secret_key_rate(protocol, length_km)

    if rate.sifted_bps is not None:
        assert rate.block_s == pytest.approx(rate.block_bits / rate.sifted_bps)
    assert 0 <= rate.skr_bps * rate.block_s < rate.block_bits * (1 if rate.sifted_bps else 20)


def test_a_block_is_never_full_where_nothing_comes_in():
    blind = {"receiver_efficiency": 0.0, "background_yield": 0.0}
    rate = secret_key_rate("bb84-finite", 10, overrides=blind)

    assert (rate.skr_bps, rate.block_bits, rate.block_s) == (0, 1e7, None)
    assert secret_key_rate("bb84", 10).block_bits is None
