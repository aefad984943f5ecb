"""Published results of free-space links that need no orbit: Micius' budget and keys, and UAVs."""

from __future__ import annotations

import math
from dataclasses import replace

from emulator.physics import bbm92, drone
from emulator.physics.bb84 import vacuum_weak_rate
from emulator.physics.devices import T12
from emulator.physics.downlink import (
    beam_radius_m,
    geometric_transmittance,
    pointing_transmittance,
)
from emulator.physics.pass_keys import MICIUS_2017, PairCounts, pair_pass_bits
from emulator.physics.published.point import Point, Tolerance, plus_minus, times, within

_LIAO = "Liao et al., Nature 549, 43 (2017)"
_YIN = "Yin et al., Nature 582, 501 (2020)"
_LIU = "H.-Y. Liu et al., Natl. Sci. Rev. 7, 921 (2020)"
_ZHOU = "Zhou et al., arXiv:2603.18934, abstract"
_LINK = MICIUS_2017.setup.link
_MICIUS_PRESET = {MICIUS_2017.name: MICIUS_2017.setup}
_UAV_PRESET = {drone.LIU_2020.name: drone.LIU_2020.setup}
_PREPARING_PRESET = {drone.DECOY_UAV.name: drone.DECOY_UAV.setup}


def loss_db(transmittance: float) -> float:
    """Return a transmittance as a loss."""
    return -10 * math.log10(transmittance)


def qber_from_chsh(chsh: float) -> float:
    """Return the error rate of a Werner state with the CHSH value S: E = (1 - S / 2 sqrt 2) / 2."""
    return (1 - chsh / (2 * math.sqrt(2))) / 2


def _radius_m() -> float:
    return beam_radius_m(_LINK.half_divergence_rad, _LINK.wavelength_m, 1_200)


def prepared_by_day_bps(distance_km: float) -> float:
    """Return the key of decoy states that a UAV sends straight to the ground by day."""
    setup = drone.in_daylight(drone.DECOY_UAV.setup)
    half = 2 * distance_km  # one UAV, half-way
    return drone.chain_rate(setup, half, 1).secret_bits


POINTS = (
    Point(
        "micius-diffraction", "diffraction loss over 1200 km (dB)", _LIAO,
        "divergence of 10 urad read as full width at half maximum, telescope 1 m", 22,
        plus_minus(1.5), lambda: loss_db(geometric_transmittance(_radius_m(), 1.0, 0.0)),
        _MICIUS_PRESET,
    ),
    Point(
        "micius-pointing", "pointing loss over 1200 km, published as less than this (dB)", _LIAO,
        "tracking of 1.2 urad read as standard deviation", 3, Tolerance(-3, 0, is_factor=False),
        lambda: loss_db(pointing_transmittance(_radius_m(), _LINK.pointing_jitter_rad, 1_200)),
        _MICIUS_PRESET,
    ),
    Point(
        "micius-2020-endless", "secret key of endless blocks (bit/s)", _YIN,
        "1.1 bit/s sifted, QBER 4.5 %, f 1.19", 0.43, within(0.15),
        lambda: bbm92.secret_rate(1.1, 0.045, 1.19), {},
    ),
    Point(
        "micius-2020-finite", "secret key of all contacts (bit)", _YIN,
        "3100 sifted bits at 4.51 %, f 1.19, failure 1e-10", 372, within(0.2),
        lambda: pair_pass_bits(PairCounts(3_100, 0.0451 * 3_100), 1.19, 1e-10, 1e-10), {},
    ),
    Point(
        "liu-2020-night", "QBER of S = 2.49 over 200 m at night", _LIU,
        "2.4e6 pairs a second; optics assumed, polarization from another aircraft",
        qber_from_chsh(2.49), plus_minus(0.02),
        lambda: drone.chain_rate(drone.LIU_2020.setup, 0.2).qber, _UAV_PRESET,
    ),
    Point(
        "liu-2020-day", "QBER of S = 2.41 over 200 m by day", _LIU,
        "2.4e6 pairs a second, sky of 15 W/(m2 sr um), 10 nm; optics assumed", qber_from_chsh(2.41),
        plus_minus(0.02), lambda: drone.chain_rate(drone.in_daylight(drone.LIU_2020.setup), 0.2).qber,
        _UAV_PRESET,
        "light of the sky explains a tenth of a point of the three by which day is worse; filters and "
        "single counts of that flight are not published, and its S has an error of 0.14 (2.5 points)",
    ),
    Point(
        "tian-2024", "QBER of decoy BB84 over 200 m between drone and ground at night",
        "Tian et al. 2024, as reported in the news",
        "optics of the default hop, detectors and errors of T12 without afterpulses", 0.0228,
        plus_minus(0.02), lambda: vacuum_weak_rate(
            replace(T12.setup, afterpulse_probability=0.0),
            drone.hop_transmittance(drone.LIU_2020.setup.hop, 0.2),
        ).qber, {},
    ),
    Point(
        "zhou-2026-1200m", "secret key over 1.2 km between UAV and ground by day (bit/s)", _ZHOU,
        "decoy BB84 with devices of which none is published: all assumed", 2.76e3, times(1 / 3, 3),
        lambda: prepared_by_day_bps(1.2), _PREPARING_PRESET,
    ),
    Point(
        "zhou-2026-100m", "secret key over 100 m between UAV and a vehicle by day (bit/s)", _ZHOU,
        "decoy BB84 with devices of which none is published: all assumed", 70.94e3, times(1 / 3, 3),
        lambda: prepared_by_day_bps(0.1), _PREPARING_PRESET,
        "the assumed 50 MHz fit the longer distance; loss and noise of the model grow faster than theirs",
    ),
)  # fmt: skip
"""All points of free space without orbits."""
