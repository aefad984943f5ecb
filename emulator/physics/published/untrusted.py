"""Published results of MDI-QKD: theory for the detectors of Lo, Curty, Qi, and Rubenok's measured gains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from emulator.physics import mdi, mdi_finite
from emulator.physics.channel import binary_entropy, phase_entropy, transmittance_from_db
from emulator.physics.devices import MDI_DEVICES, MDI_FINITE_DEVICES
from emulator.physics.mdi import MdiGains
from emulator.physics.mdi_finite import FiniteMdiSetup
from emulator.physics.published.point import Point, plus_minus, within

_LO = "Lo, Curty, Qi, PRL 108, 130503 (2012)"
_RUBENOK = "Rubenok et al., PRL 111, 130501 (2013)"
_LO_SET = "detectors 0.145, p_d 3.01e-6, e_d 1.5 %, f 1.16, 0.2 dB/km, best mu"
_LCQ, _LCQ_FINITE = MDI_DEVICES["lo-curty-qi"].setup, MDI_FINITE_DEVICES["lo-curty-qi"].setup
_RUBENOK_SETUP = MDI_DEVICES["rubenok"].setup
_LO_PRESETS = {"lo-curty-qi": _LCQ}


def best_bits(length_km: float) -> float:
    """Return the bits a pair at the best intensity, the same on both sides, with all decoys."""
    trials = (replace(_LCQ, photons_a=n / 50, photons_b=n / 50) for n in range(1, 50))
    return max(mdi.rate(trial, length_km).bits_per_pair for trial in trials)


def endless_bits(setup: FiniteMdiSetup, length_km: float) -> float:
    """Return the bits a pair of signals sent for key with these decoys, if blocks never end.

    R = Q11 [1 - h(e11)] - Q_Z f h(E_Z) with what the decoys bound, or zero: Xu, Curty, Qi, Lo, NJP 15,
    113007 (2013), eq. 1.
    """
    table = mdi_finite.expected_gains(setup, *mdi.arm_efficiencies(setup, length_km))
    bounds, seen = mdi_finite.single_pairs_bounds(setup, table), table[0, 0]
    photons = setup.photons_a, setup.photons_b
    singles = photons[0] * photons[1] * math.exp(-sum(photons)) * bounds.z_yield
    leaked = seen.z_gain * setup.ec_efficiency * binary_entropy(seen.z_qber)
    return max(0.0, singles * (1 - phase_entropy(bounds.x_error)) - leaked)


def best_three_intensity_bits(length_km: float) -> float:
    """Return the same with decoys of 0.01 photons and of none, which are assumed."""
    trials = (
        replace(_LCQ_FINITE, photons_a=mu, photons_b=mu, decoy_share=0.01 / mu, vacuum_share=0.0)
        for mu in (n / 50 for n in range(5, 50))
    )
    return max(endless_bits(trial, length_km) for trial in trials)


def reach_km() -> float:
    """Return the longest fiber with any key, by bisection."""
    low, high = 100.0, 400.0
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (middle, high) if best_bits(middle) > 0 else (low, middle)
    return low


def rubenok(losses_db: tuple[float, float], photons: float) -> MdiGains:
    """Return gains and errors of Rubenok's relay."""
    setup = replace(_RUBENOK_SETUP, photons_a=photons, photons_b=photons)
    eta_a, eta_b = (setup.detector_efficiency * transmittance_from_db(loss) for loss in losses_db)
    return mdi.gains(setup, eta_a, eta_b)


def _rubenok_points(
    name: str, losses_db: tuple[float, float], photons: float, measured: MdiGains
) -> tuple[Point, ...]:
    inputs = f"{losses_db[0]} and {losses_db[1]} dB, mu {photons}, detectors 0.145, psi- only"
    kinds: tuple[tuple[str, str, Callable[[MdiGains], float], bool], ...] = (
        ("z-gain", "gain in Z", lambda seen: seen.z_gain, True),
        ("z-qber", "QBER in Z", lambda seen: seen.z_qber, False),
        ("x-gain", "gain in X", lambda seen: seen.x_gain, True),
        ("x-qber", "QBER in X", lambda seen: seen.x_qber, False),
    )
    return tuple(
        Point(
            f"rubenok-{name}-{kind}",
            f"{quantity} at {losses_db[0]} dB",
            _RUBENOK,
            inputs,
            value(measured),
            within(0.15) if is_gain else plus_minus(0.01),
            lambda value=value: value(rubenok(losses_db, photons)),  # type: ignore[misc]
            {"rubenok": _RUBENOK_SETUP},
        )
        for kind, quantity, value, is_gain in kinds
    )


POINTS = (
    Point(
        "mdi-rate-100km", "bits a pair over 100 km", _LO, f"{_LO_SET}, infinitely many decoys",
        4.68e-6, within(0.1), lambda: best_bits(100), _LO_PRESETS,
    ),
    Point(
        "mdi-rate-100km-decoys", "bits a pair over 100 km with three intensities", _LO,
        f"{_LO_SET}, decoys of 0.01 and 0 assumed", 4.68e-6, within(0.1),
        lambda: best_three_intensity_bits(100), _LO_PRESETS,
    ),
    Point(
        "mdi-reach", "longest fiber (km)", _LO, _LO_SET, 230.5, within(0.03), reach_km, _LO_PRESETS
    ),
    *_rubenok_points("1a", (4.6, 4.5), 0.396, MdiGains(1.028e-4, 0.0311, 1.95e-4, 0.270)),
    *_rubenok_points("1b", (6.8, 6.9), 0.279, MdiGains(1.67e-5, 0.041, 3.57e-5, 0.274)),
)  # fmt: skip
"""All points of MDI-QKD."""
