"""Published results of decoy BB84 in fiber: theory on the GYS set, T12, Boaron, and finite keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from emulator.physics import bb84, bb84_finite
from emulator.physics.bb84 import Bb84Setup, DecoyRate
from emulator.physics.bb84_finite import BasisCounts, FiniteBlock, FiniteSetup, key_bits
from emulator.physics.channel import fiber_transmittance, transmittance_from_db
from emulator.physics.devices import BOARON, GYS, T12
from emulator.physics.published.point import Point, plus_minus, times, within
from emulator.physics.skr import secret_key_rate

_MA = "Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005)"
_GOBBY = "Gobby, Yuan, Shields, APL 84, 3762 (2004)"
_T12 = "Lucamarini et al., Opt. Express 21, 24550 (2013)"
_BOARON = "Boaron et al., PRL 121, 190502 (2018), Table I"
_LIM = "Lim et al., PRA 89, 022307 (2014), section IV"
_GYS_SET = "GYS: 0.21 dB/km, eta_Bob 0.045, Y0 1.7e-6, e_d 3.3 %, f 1.22"
_T12_SET = "mu 0.425/0.044/0.001, p_X 1/16, dark 2.1e-5, afterpulses 5.25 %, QBER 4.26 % at 50 km"

Rate = Callable[[Bb84Setup, float], DecoyRate]


def reach_km(rate: Rate, setup: Bb84Setup) -> float:
    """Return the longest fiber with any key, by bisection."""
    low, high = 0.0, 500.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        eta = fiber_transmittance(middle, setup.attenuation_db_per_km)
        low, high = (middle, high) if rate(setup, eta).bits_per_pulse > 0 else (low, middle)
    return low


def best_signal(ec_efficiency: float) -> float:
    """Return the signal of GYS, to a thousandth, that makes most key over 50 km."""
    setup = replace(GYS.setup, ec_efficiency=ec_efficiency)
    eta = fiber_transmittance(50, setup.attenuation_db_per_km)

    def bits(signal: float) -> float:
        trial = replace(setup, signal_photons=signal, decoy_photons=signal / 10, vacuum_photons=0.0)
        return bb84.infinite_decoy_rate(trial, eta).bits_per_pulse

    return max((n / 1_000 for n in range(1, 2_000)), key=bits)


def bounds_of_a_quarter() -> tuple[float, float]:
    """Return by which shares two decoys miss yield and error of single photons at 40 km, nu = mu/4."""
    setup = replace(GYS.setup, decoy_photons=GYS.setup.signal_photons / 4)
    eta = fiber_transmittance(40, setup.attenuation_db_per_km)
    known = bb84.two_decoy_bounds(setup, eta)
    seen = eta * setup.receiver_efficiency
    yield_ = setup.background_yield + seen
    error = (setup.background_yield / 2 + setup.misalignment * seen) / yield_
    return 1 - known.yield_ / yield_, known.error / error - 1


def gobby(length_km: float) -> bb84.Clicks:
    """Return what the receiver of GYS sees without decoys, at 0.1 photons a pulse."""
    setup = replace(GYS.setup, signal_photons=0.1, decoy_photons=0.01)
    return bb84.clicks(setup, fiber_transmittance(length_km, setup.attenuation_db_per_km), 0.1)


def t12_gain(photons: float) -> float:
    """Return the clicks a pulse of T12 over 50 km."""
    return bb84.clicks(T12.setup, fiber_transmittance(50), photons).gain


def boaron(loss_db: float, photons: tuple[float, float], qber: float) -> tuple[Bb84Setup, float]:
    """Return the link of Boaron et al. with intensities and error rate of a row of their table."""
    mu, nu = photons
    setup = replace(
        BOARON.setup, signal_photons=mu, decoy_photons=nu, misalignment=qber, background_yield=0.0
    )
    return setup, transmittance_from_db(loss_db)


def boaron_endless_bps(loss_db: float, photons: tuple[float, float], qber: float) -> float:
    """Return the rate of that link with endless blocks and decoys that cost nothing."""
    setup, eta = boaron(loss_db, photons, qber)
    setup = replace(setup, signal_fraction=1, decoy_fraction=0)
    return setup.clock_hz * bb84.one_decoy_rate(setup, eta).bits_per_pulse


def boaron_finite_bps(
    loss_db: float, photons: tuple[float, float], qber: float, block_bits: float
) -> float:
    """Return the rate of that link with its blocks."""
    published, eta = boaron(loss_db, photons, qber)
    setup = FiniteSetup(**vars(published), block_bits=block_bits)
    return setup.clock_hz * bb84_finite.one_decoy_rate(setup, eta).bits_per_pulse


OperatingPoint = tuple[float, float, float, float, float]


def lim_block(length_km: float, sifted: float, point: OperatingPoint) -> tuple[FiniteBlock, float]:
    """Return the block, and the number of pulses, that the channel model of Lim et al. expects."""
    key_choice, p1, p2, mu1, mu2 = point
    photons, fractions = (mu1, mu2, 2e-4), (p1, p2, 1 - p1 - p2)
    eta = 0.1 * 10 ** (-0.02 * length_km)
    clicks = [1 - (1 - 2 * 6e-7) * math.exp(-eta * mu) for mu in photons]
    errors = [
        6e-7 + 5e-3 * (1 - math.exp(-eta * mu)) + 0.04 * click / 2
        for mu, click in zip(photons, clicks, strict=True)
    ]
    gains = [1.04 * click for click in clicks]
    pulses = sifted / (key_choice**2 * sum(p * q for p, q in zip(fractions, gains, strict=True)))

    def counts(choice: float, rates: list[float]) -> tuple[float, ...]:
        pairs = zip(fractions, rates, strict=True)
        return tuple(pulses * choice**2 * p * rate for p, rate in pairs)

    key, test = (
        BasisCounts(counts(choice, gains), counts(choice, errors))
        for choice in (key_choice, 1 - key_choice)
    )
    return FiniteBlock(photons, fractions, key, test), pulses


def lim_rate(length_km: float, sifted: float, point: OperatingPoint) -> float:
    """Return the secret bits a pulse at an operating point, zero where there is none."""
    key_choice, p1, p2, mu1, mu2 = point
    if not (0 < key_choice < 1 and p1 > 0 < p2 and p1 + p2 < 1 and 2e-4 < mu2 < mu1 - 2e-4 < 1.5):
        return 0.0
    block, pulses = lim_block(length_km, sifted, point)
    bits = sifted  # secrecy is 1e-15 a delivered bit, so solve for the length
    for _ in range(4):
        bits = key_bits(block, 1.16, 1e-15 * max(bits, 1), 1e-15)
    return bits / pulses


def lim_best(
    length_km: float, sifted: float, point: OperatingPoint = (0.8, 0.4, 0.4, 0.6, 0.2)
) -> float:
    """Climb from an operating point, one parameter at a time; return the best rate."""
    best, step = lim_rate(length_km, sifted, point), 0.2
    while step > 0.005:
        trials = [
            cast(
                OperatingPoint,
                tuple(v * (1 + sign * step) if i == j else v for j, v in enumerate(point)),
            )
            for i in range(5)
            for sign in (1, -1)
        ]
        score, trial = max((lim_rate(length_km, sifted, trial), trial) for trial in trials)
        if score > best:
            best, point = score, trial
        else:
            step /= 2
    return best


def lim_reach_km() -> float:
    """Return how far blocks of 1e4 bits make key, to half a kilometre."""
    near_the_end = (0.033, 0.050, 0.547, 0.492, 0.105)
    low, high = 100.0, 200.0
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if lim_best(middle, 1e4, near_the_end) > 0 else (low, middle)
    return low


def _t12(length_km: float, skr_bps: float, share: float = 0.3, why: str = "") -> Point:
    return Point(
        f"t12-{length_km}km",
        f"secret key over {length_km} km (bit/s)",
        _T12,
        _T12_SET + ", receiver from the signal's counts at 50 km, 0.2 dB/km, f 1.16",
        skr_bps,
        within(share),
        lambda: secret_key_rate("bb84", length_km, "t12").skr_bps,
        {"t12": T12.setup},
        why,
    )


_BOARON_252 = (42.7, (0.49, 0.18), 0.005)
_BOARON_355 = (60.6, (0.35, 0.15), 0.007)
_GYS_PRESET, _T12_PRESET, _BOARON_PRESET = (
    {device.name: device.setup} for device in (GYS, T12, BOARON)
)

POINTS = (
    Point(
        "gys-reach-infinite", "longest fiber, infinitely many decoys (km)", _MA,
        f"{_GYS_SET}, mu 0.48", 142.05, within(0.005),
        lambda: reach_km(bb84.infinite_decoy_rate, GYS.setup), _GYS_PRESET,
    ),
    Point(
        "gys-reach-two-decoys", "longest fiber, vacuum and a weak decoy (km)", _MA,
        f"{_GYS_SET}, mu 0.48, nu 0.05", 140.55, within(0.005),
        lambda: reach_km(bb84.vacuum_weak_rate, GYS.setup), _GYS_PRESET,
    ),
    Point(
        "gys-best-signal", "best mu over 50 km", _MA, _GYS_SET, 0.48, plus_minus(0.01),
        lambda: best_signal(1.22), {},
    ),
    Point(
        "gys-best-signal-ideal", "best mu over 50 km with ideal error correction", _MA,
        f"{_GYS_SET} replaced by 1", 0.54, plus_minus(0.01), lambda: best_signal(1.0), _GYS_PRESET,
    ),
    Point(
        "gys-rate-0km", "secret bits a pulse at 0 km", _MA, f"{_GYS_SET}, mu 0.48", 2.55e-3,
        within(0.01), lambda: secret_key_rate("bb84-infinite", 0, "gys").bits_per_use, _GYS_PRESET,
    ),
    Point(
        "gys-rate-100km", "secret bits a pulse at 100 km", _MA, f"{_GYS_SET}, mu 0.48", 1.72e-5,
        within(0.01), lambda: secret_key_rate("bb84-infinite", 100, "gys").bits_per_use,
        _GYS_PRESET,
    ),
    Point(
        "gys-yield-deviation", "single-photon yield missed by two decoys at 40 km", _MA + ", Fig. 1",
        f"{_GYS_SET}, mu 0.48, nu = mu/4", 0.035, plus_minus(0.0005),
        lambda: bounds_of_a_quarter()[0], _GYS_PRESET,
    ),
    Point(
        "gys-error-deviation", "single-photon error exceeded by two decoys at 40 km",
        _MA + ", Fig. 1", f"{_GYS_SET}, mu 0.48, nu = mu/4", 0.168, plus_minus(0.0005),
        lambda: bounds_of_a_quarter()[1], _GYS_PRESET,
    ),
    Point(
        "gys-qber-122km", "QBER measured over 122 km", _GOBBY, f"{_GYS_SET}, mu 0.1", 0.089,
        plus_minus(0.01), lambda: gobby(122).qber, _GYS_PRESET,
    ),
    Point(
        "gys-sifted-ratio", "sifted rate measured over 101 km against 122 km", _GOBBY,
        f"{_GYS_SET}, mu 0.1; 23.4 and 9.2 bit/s", 23.4 / 9.2, within(0.05),
        lambda: gobby(101).gain / gobby(122).gain, _GYS_PRESET,
    ),
    _t12(35, 2.20e6),
    _t12(50, 1.09e6),
    _t12(65, 0.40e6),
    _t12(80, 0.12e6),
    Point(
        "t12-vacuum-clicks", "clicks a pulse of 0.001 photons over 50 km", _T12,
        _T12_SET + "; 1.259e6 counts in Z in 1200 s", 1.259e6 / (1.2e12 * 2**-8 * (15 / 16) ** 2),
        within(0.05), lambda: t12_gain(0.001), _T12_PRESET,
    ),
    Point(
        "t12-decoy-clicks", "clicks a pulse of 0.044 photons over 50 km", _T12,
        _T12_SET + "; 6.21e6 counts in Z in 1200 s", 6.21e6 / (1.2e12 * 2**-7 * (15 / 16) ** 2),
        within(0.15), lambda: t12_gain(0.044), _T12_PRESET,
    ),
    Point(
        "yuan-2018", "secret key over 2 dB (bit/s)", "Yuan et al., J. Lightwave Technol. 36, 3427 (2018)",
        "T12 with a receiver of 0.3 and mu 0.4; their receiver is not published", 13.72e6,
        times(1 / 3, 1 / 0.3), lambda: secret_key_rate(
            "bb84", 10, "t12", {"receiver_efficiency": 0.3, "signal_photons": 0.4}
        ).skr_bps, _T12_PRESET,
    ),
    Point(
        "boaron-252km-bound", "secret key over 42.7 dB, endless blocks as a bound (bit/s)", _BOARON,
        "mu 0.49, nu 0.18, QBER 0.5 %; efficiency 0.4 assumed", 4_900, times(1, 4),
        lambda: boaron_endless_bps(*_BOARON_252), _BOARON_PRESET,
    ),
    Point(
        "boaron-252km", "secret key over 42.7 dB (bit/s)", _BOARON,
        "mu 0.49, nu 0.18, QBER 0.5 %, block 8.2e6; efficiency 0.4 assumed", 4_900, within(0.6),
        lambda: boaron_finite_bps(*_BOARON_252, 8.2e6), _BOARON_PRESET,
    ),
    Point(
        "boaron-355km-bound", "secret key over 60.6 dB, endless blocks as a bound (bit/s)", _BOARON,
        "mu 0.35, nu 0.15, QBER 0.7 %; efficiency 0.4 assumed", 62, times(1, 4),
        lambda: boaron_endless_bps(*_BOARON_355), _BOARON_PRESET,
    ),
    Point(
        "boaron-355km", "secret key over 60.6 dB (bit/s)", _BOARON,
        "mu 0.35, nu 0.15, QBER 0.7 %, block 6.2e6; efficiency 0.4 assumed", 62, within(0.6),
        lambda: boaron_finite_bps(*_BOARON_355, 6.2e6), _BOARON_PRESET,
    ),
    Point(
        "boaron-405km", "secret key over 405 km (bit/s)", "Boaron et al., PRL 121, 190502 (2018)",
        "mu 0.35, nu 0.15 and block 6.2e6 as over 354.5 km; dark counts from the QBER there", 6.5,
        within(0.6), lambda: secret_key_rate(
            "bb84-one-decoy-finite", 405, "boaron",
            {"signal_photons": 0.35, "decoy_photons": 0.15, "block_bits": 6.2e6},
        ).skr_bps, _BOARON_PRESET,
    ),
    Point(
        "lim-blocks", "rate over 100 km with blocks of 1e9 bits against 1e7", _LIM,
        "their detectors and channel, operating point optimized", 1.75, within(0.1),
        lambda: lim_best(100, 1e9) / lim_best(100, 1e7), {},
    ),
    Point(
        "lim-reach", "longest fiber with blocks of 1e4 bits (km)", _LIM,
        "their detectors and channel, operating point optimized", 135, within(0.05),
        lim_reach_km, {},
    ),
)  # fmt: skip
"""All points of decoy BB84."""
