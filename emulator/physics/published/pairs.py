"""Published results of BBM92 in fiber, and of its formula."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from emulator.physics import bbm92
from emulator.physics.bbm92 import PairRate, PulsedSetup
from emulator.physics.channel import transmittance_from_db
from emulator.physics.devices import BBM92_DEVICES
from emulator.physics.published.point import Point, plus_minus, times, within

_MFL = BBM92_DEVICES["ma-fung-lo"].setup
_HONJO = "Honjo et al. 2008, back to back, as transcribed with Ma, Fung, Lo's model"
_HONJO_SET = (
    "333 MHz, mu 0.04, arms 6.85 and 6.53 dB, detectors 2 % and 0.7 %, 250 cps, e_d 0.424 %"
)


def error_limit() -> float:
    """Return the error rate at which key ends with ideal error correction, by bisection."""
    low, high = 0.05, 0.2
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if bbm92.secret_rate(1.0, middle, 1.0) > 0 else (low, middle)
    return low


def at_20_db() -> float:
    """Return the bits a pulse of Ma, Fung and Lo's hardware over 20 dB, every basis kept."""
    setup = replace(_MFL, ec_efficiency=1.0, sifting=1.0, mean_pairs=0.133)
    eta = setup.efficiency_a * transmittance_from_db(10)
    return bbm92.pulsed_rate(setup, eta, eta).secret_bits


@cache
def honjo() -> tuple[PulsedSetup, PairRate]:
    """Return Honjo's setup, and what it sees."""
    dark = 250 / 333e6
    setup = PulsedSetup(333e6, 0.04, 0.02, 0.007, dark, dark, 0.00424, 1.0, 0.25)
    arms = 0.02 * transmittance_from_db(6.85), 0.007 * transmittance_from_db(6.53)
    return setup, bbm92.pulsed_rate(setup, *arms)


def honjo_sifted_bps() -> float:
    """Return the sifted bits per second."""
    setup, seen = honjo()
    return seen.coincidences * setup.sifting * setup.clock_hz


def honjo_secret_bps() -> float:
    """Return the secret bits per second, against all attacks."""
    setup, seen = honjo()
    return seen.secret_bits * setup.clock_hz


POINTS = (
    Point(
        "bbm92-error-limit", "error rate at which key ends", "Shor, Preskill, PRL 85, 441 (2000)",
        "f 1", 0.110028, plus_minus(1e-5), error_limit, {},
    ),
    Point(
        "bbm92-20db", "bits a pulse over 20 dB", "TNO's package for quantum key rates, 2.0",
        "hardware of Ma, Fung, Lo 2007, 0.133 pairs, f 1, every basis kept", 9.358e-6, within(0.01),
        at_20_db, {"ma-fung-lo": _MFL},
    ),
    Point("honjo-sifted", "sifted key (bit/s)", _HONJO, _HONJO_SET, 29.4, within(0.3), honjo_sifted_bps,
    {}), Point("honjo-qber", "QBER", _HONJO, _HONJO_SET, 0.0235, plus_minus(0.001), lambda:
    honjo()[1].qber, {}), Point(
        "honjo-secret", "secret key, theirs against individual attacks, ours against all (bit/s)",
        _HONJO, _HONJO_SET, 20.2, times(0.5, 1), honjo_secret_bps, {},
    ),
)  # fmt: skip
"""All points of BBM92 in fiber."""
