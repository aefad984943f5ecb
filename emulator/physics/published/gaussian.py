"""Published results of GG02: Lodewyck's informations, and Zhang's rates over up to 200 km."""

from __future__ import annotations

from dataclasses import replace

from emulator.physics import gg02
from emulator.physics.channel import transmittance_from_db
from emulator.physics.devices import LODEWYCK, ZHANG
from emulator.physics.gg02 import Gg02Setup
from emulator.physics.published.point import Point, times, within
from emulator.physics.skr import secret_key_rate

_LODEWYCK = "Lodewyck et al., PRA 76, 042305 (2007)"
_ZHANG = "Zhang et al., PRL 125, 010502 (2020), Table I"
_INPUTS = "V_A 18.5, T 0.302, xi 0.005, eta 0.606, v_el 0.041, beta 0.898, 350 kHz"
_PRESETS = {LODEWYCK.name: LODEWYCK.setup}

# length, loss (dB), V_A, xi, worst xi, v_el, beta, frame errors, measured (bit/s)
_TABLE = (
    (27.27, 4.36, 14.37, 0.0015, 0.0016, 0.1216, 0.95, 0.5, 2.78e5),
    (49.30, 8.29, 14.14, 0.0033, 0.0037, 0.1881, 0.95, 0.5, 0.62e5),
    (69.53, 11.68, 14.12, 0.0049, 0.0058, 0.2411, 0.96, 0.1, 4.28e4),
    (99.31, 15.89, 14.53, 0.0063, 0.0085, 0.1893, 0.96, 0.1, 1.18e4),
    (140.52, 23.46, 14.23, 0.0086, 0.0219, 0.2717, 0.96, 0.1, 318.85),
    (202.81, 32.45, 7.65, 0.0081, 0.0383, 0.1523, 0.98, 0.9, 6.214),
)
_FINITE = "their finite-size term needs a block size that the table does not have"


def zhang_bps(row: tuple[float, ...], *, worst: bool) -> float:
    """Return the rate at one distance, endless blocks, with mean or worst-case excess noise."""
    _, loss_db, variance, excess, worst_excess, electronic, beta, frame_errors, _ = row
    noise = worst_excess if worst else excess
    setup = Gg02Setup(5e6, variance, noise, 0.6134, electronic, beta, frame_errors, 0.1)
    return setup.clock_hz * gg02.rate(setup, transmittance_from_db(loss_db))


def _zhang_points(row: tuple[float, ...]) -> tuple[Point, ...]:
    """Return the asymptotic rate as a bound, near one where blocks hardly matter."""
    length_km, loss_db, variance, excess, worst_excess, electronic, beta, frame_errors, skr = row
    inputs = (
        f"{loss_db} dB, V_A {variance}, v_el {electronic}, beta {beta}, frame errors {frame_errors}"
    )
    worst = Point(
        f"zhang-{length_km:.0f}km-worst",
        f"secret key over {length_km} km, worst-case noise and endless blocks as a bound (bit/s)",
        _ZHANG,
        f"{inputs}, xi {worst_excess}",
        skr,
        times(1, 1.05 if length_km < 70 else 3),
        lambda: zhang_bps(row, worst=True),
        {},
        _FINITE if length_km > 200 else "",
    )
    if length_km > 100:
        return (worst,)
    mean = replace(
        worst,
        id=f"zhang-{length_km:.0f}km",
        quantity=f"secret key over {length_km} km, endless blocks as a bound (bit/s)",
        inputs=f"{inputs}, xi {excess}",
        compute=lambda: zhang_bps(row, worst=False),
    )
    return mean, worst


def _kbps(bits: float) -> float:
    return bits * LODEWYCK.setup.clock_hz / 1e3


POINTS = (
    Point(
        "lodewyck-shared", "I_AB over 25 km (kb/s)", _LODEWYCK, _INPUTS, 365, within(0.003),
        lambda: _kbps(gg02.mutual_information(LODEWYCK.setup, 0.302)), _PRESETS,
    ),
    Point(
        "lodewyck-leaked", "chi_BE over 25 km (kb/s)", _LODEWYCK, _INPUTS, 316, within(0.003),
        lambda: _kbps(gg02.holevo_information(LODEWYCK.setup, 0.302)), _PRESETS,
    ),
    Point(
        "lodewyck-key", "secret key over 25 km (kb/s)", _LODEWYCK, _INPUTS, 12.3, within(0.003),
        lambda: secret_key_rate("gg02", 25, "lodewyck").skr_bps / 1e3, _PRESETS,
    ),
    *(point for row in _TABLE for point in _zhang_points(row)),
    Point(
        "zhang-preset-70km", "secret key of the preset over 69.53 km (bit/s)", _ZHANG,
        "11.68 dB over the length, xi 0.0049", 4.28e4, times(1, 1.05),
        lambda: secret_key_rate("gg02", 69.53, "zhang").skr_bps, {ZHANG.name: ZHANG.setup},
    ),
)  # fmt: skip
"""All points of GG02."""
