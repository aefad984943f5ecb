"""Classical channels beside a quantum one: Raman noise against an oracle and exact limits, and its cost."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.input_checks import ParameterError
from emulator.physics.devices import BB84_DEVICES, LODEWYCK
from emulator.physics.protocols import PROTOCOLS
from emulator.physics.raman import (
    BANDS,
    Band,
    Coexistence,
    Direction,
    lit,
    photons_per_mode,
    scattered_hz,
    scattering_km,
)
from emulator.physics.skr import protocol_names, secret_key_rate

MODELLED = [name for name in protocol_names() if name != "router"]
NOISY = [name for name in MODELLED if name != "plob"]
# a frugal operator: what leaves key on the weakest devices
FAINT = Coexistence(launch_dbm=-40, filter_nm=0.1, gate_s=1e-10, mux_db=0.2)

lights = st.builds(
    Coexistence,
    launch_dbm=st.floats(-60, 20),
    channels=st.integers(0, 80),
    direction=st.sampled_from(Direction),
    filter_nm=st.floats(1e-3, 1),
    gate_s=st.floats(1e-11, 1e-8),
    band=st.sampled_from(Band),
    mux_db=st.floats(0, 3),
    roadm_db=st.floats(0, 10),
)


@pytest.mark.parametrize("against", [False, True])
@pytest.mark.parametrize("length_km", [1.0, 25.0, 80.0, 200.0])
@pytest.mark.parametrize("launch_dbm", [-20.0, 0.0, 12.0])
def test_noise_agrees_with_qkd(launch_dbm: float, length_km: float, against: bool) -> None:
    impairments = pytest.importorskip("qkd.impairments")
    light = Coexistence(launch_dbm=launch_dbm, channels=3, raman_per_km_nm=2.5e-9, filter_nm=0.3)
    way = Direction.BACKWARD if against else Direction.FORWARD
    theirs = impairments.raman_photons(
        light.launch_w,
        length_km,
        alpha=0.2,
        beta=2.5e-9,
        wavelength=light.figures.wavelength_m,
        backward=against,
    )

    assert photons_per_mode(light, length_km, 0.2, way) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("length_km", [5.0, 25.0, 60.0])
def test_excess_noise_of_gg02_agrees_with_qkd(length_km: float) -> None:
    impairments = pytest.importorskip("qkd.impairments")
    light = Coexistence(launch_dbm=0, mux_db=0.0)
    bare = replace(LODEWYCK.setup, insertion_loss_db=0.0)
    t = 10 ** (-0.02 * length_km)
    wavelength = light.figures.wavelength_m
    theirs = impairments.raman(1e-3, length_km, t, wavelength=wavelength)

    found = lit(bare, length_km, light).excess_noise - bare.excess_noise
    assert found == pytest.approx(theirs, rel=1e-9)


def test_scattering_sums_up_along_the_fiber() -> None:
    quantum, classical, length_km, steps = 0.33, 0.2, 40.0, 20_000
    a_q, a_c = (each * math.log(10) / 10 for each in (quantum, classical))
    middles = [(n + 0.5) * length_km / steps for n in range(steps)]
    with_it = sum(math.exp(-a_c * z - a_q * (length_km - z)) for z in middles) * length_km / steps
    against = sum(math.exp(-(a_c + a_q) * z) for z in middles) * length_km / steps

    assert scattering_km(length_km, quantum, classical, against=False) == pytest.approx(with_it)
    assert scattering_km(length_km, quantum, classical, against=True) == pytest.approx(against)
    alike = scattering_km(length_km, 0.2, 0.2, against=False)
    assert alike == pytest.approx(length_km * 10 ** (-0.02 * length_km))
    assert scattering_km(length_km, 0.2, 0.2 + 1e-9, against=False) == pytest.approx(alike)


def test_noise_is_proportional_to_light_filter_and_channels() -> None:
    def hz(**changes: float) -> float:
        light = replace(Coexistence(), **changes)
        return scattered_hz(light, 50, 0.2, seen=Direction.FORWARD)

    assert hz(launch_dbm=10) == pytest.approx(10 * hz())
    assert hz(channels=7) == pytest.approx(7 * hz())
    assert hz(filter_nm=0.1) == pytest.approx(hz() / 8)
    assert hz(channels=0) == 0
    both = scattered_hz(Coexistence(), 50, 0.2, seen=Direction.BOTH)
    ways = (scattered_hz(Coexistence(), 50, 0.2, seen=each) for each in list(Direction)[:2])
    assert both == pytest.approx(sum(ways))


def test_photons_of_a_milliwatt_over_25_km_by_hand() -> None:
    """1 mW, 0.316 after 25 km, 3e-9 over 25 km and 0.8 nm, photons of 1.28e-19 J: 1.5e8 a second."""
    hz = scattered_hz(Coexistence(), 25, 0.2, seen=Direction.FORWARD)

    assert hz == pytest.approx(1e-3 * 0.3162 * 3e-9 * 25 * 0.8 / 1.2816e-19, rel=1e-3)


@pytest.mark.parametrize("protocol", MODELLED)
@settings(max_examples=60)
@given(light=lights, length_km=st.floats(0, 200))
def test_no_light_lets_a_protocol_beat_the_capacity_of_its_fiber(
    protocol: str, light: Coexistence, length_km: float
) -> None:
    dark = secret_key_rate(protocol, length_km)
    rate = secret_key_rate(protocol, length_km, coexistence=light)

    assert 0 <= rate.skr_bps <= rate.bound_bps * (1 + 1e-9)
    assert rate.qber is None or 0 <= rate.qber <= 1
    if light.band is Band.C:
        assert rate.skr_bps <= dark.skr_bps * (1 + 1e-9)
        assert rate.transmittance <= dark.transmittance


@pytest.mark.parametrize("protocol", NOISY)
def test_more_light_never_gives_more_key_and_enough_ends_it(protocol: str) -> None:
    rates = [
        secret_key_rate(protocol, 25, coexistence=replace(FAINT, launch_dbm=dbm)).skr_bps
        for dbm in range(-60, 31, 10)
    ]

    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0 == rates[-1]


def test_multiplexers_and_nodes_lose_what_they_lose_without_any_light() -> None:
    fitted = Coexistence(channels=0, mux_db=1.5, roadm_db=4)

    unlit = secret_key_rate("bb84", 50, "t12", coexistence=fitted)
    assert unlit.skr_bps == secret_key_rate("bb84", 50, "t12", extra_loss_db=7).skr_bps
    assert any("7 dB" in each for each in unlit.assumptions)


def test_the_o_band_has_more_loss_and_far_less_noise() -> None:
    bright = Coexistence(launch_dbm=3, channels=8, filter_nm=0.2, gate_s=2e-10)
    beside, apart = (
        secret_key_rate("bb84", 30, "t12", coexistence=replace(bright, band=band)) for band in Band
    )

    assert beside.skr_bps == 0 < apart.skr_bps
    assert apart.transmittance < beside.transmittance
    own = secret_key_rate(
        "bb84", 30, "t12", {"attenuation_db_per_km": 0.2}, coexistence=replace(bright, band=Band.O)
    )
    assert own.transmittance == pytest.approx(beside.transmittance)
    assert BANDS[Band.O].raman_per_km_nm < 1e-3 * BANDS[Band.C].raman_per_km_nm


def test_a_gate_is_no_longer_than_a_period() -> None:
    setup = BB84_DEVICES["t12"].setup
    long, period = (lit(setup, 50, Coexistence(gate_s=gate)) for gate in (1e-6, 1e-9))

    assert long.background_yield == period.background_yield > setup.background_yield


def test_a_relay_in_the_middle_sees_the_same_light_from_either_way() -> None:
    def skr(direction: Direction, position: float) -> float:
        light = replace(FAINT, launch_dbm=-30, direction=direction)
        return secret_key_rate(
            "mdi", 60, None, {"relay_position": position}, coexistence=light
        ).skr_bps

    assert skr(Direction.FORWARD, 0.5) == pytest.approx(skr(Direction.BACKWARD, 0.5))
    assert skr(Direction.FORWARD, 0.3) == pytest.approx(skr(Direction.BACKWARD, 0.7))
    assert skr(Direction.FORWARD, 0.3) != pytest.approx(skr(Direction.BACKWARD, 0.3), rel=1e-6)


def test_what_is_not_modelled_or_impossible_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"coexistence.*quantum routers"):
        secret_key_rate("router", 50, coexistence=Coexistence())
    for field, value in (("launch_dbm", 41), ("filter_nm", 0), ("gate_s", -1), ("mux_db", -1)):
        with pytest.raises(ParameterError, match=field):
            replace(Coexistence(), **{field: value})
    with pytest.raises(ParameterError, match="raman_per_km_nm"):
        Coexistence(raman_per_km_nm=1.0)
    assert set(PROTOCOLS) == {*MODELLED, "router"}
