"""Secret key rate over distance, for every protocol on its first device, as CSV and PNG.

Left: bits per use of the channel, under the PLOB bound of the whole fiber.  Only chains may cross it:
trusted repeaters, whose bound is that of one span, and quantum routers, that of one link.
Right: bits per second, as the devices' own clocks make them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.physics.channel import (
    fiber_transmittance,
    plob_bits_per_use,
    single_repeater_bits_per_use,
)
from emulator.physics.skr import KeyRate, protocol_names, secret_key_rate
from emulator.report.plotting import Axes, Figure, save

LENGTHS_KM = tuple(range(1, 402, 4))
CHAINS = ("relay", "router")
_HEADER = ("protocol", "device", "length_km", "bits_per_use", "skr_bps", "qber", "bound_bps")
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
_STYLES = ("-", "--", ":")


@dataclass(frozen=True)
class Curve:
    """The rates of one protocol, by length of fiber."""

    protocol: str
    rates: tuple[KeyRate, ...]


def curves(lengths_km: Sequence[float] = LENGTHS_KM) -> list[Curve]:
    """Return the rates of all protocols but the bound itself, each on its default device."""
    names = [name for name in protocol_names() if name != "plob"]
    return [Curve(name, tuple(secret_key_rate(name, km) for km in lengths_km)) for name in names]


def draw(folder: Path) -> list[Path]:
    """Write rates.csv and rates.png; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = curves()
    table, picture = folder / "rates.csv", folder / "rates.png"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        writer.writerows(
            [getattr(rate, name) for name in _HEADER] for curve in found for rate in curve.rates
        )
    save(_draw(found), picture, dpi=150)
    return [table, picture]


def _draw(found: Sequence[Curve]) -> Figure:
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    eta = [fiber_transmittance(km) for km in LENGTHS_KM]
    left.plot(LENGTHS_KM, list(map(plob_bits_per_use, eta)), "k-", lw=2, label="PLOB bound")
    one = list(map(single_repeater_bits_per_use, eta))
    left.plot(LENGTHS_KM, one, "k:", lw=1, label="bound with one repeater")
    for index, curve in enumerate(found):
        look: dict[str, Any] = {
            "color": _COLOURS[index % len(_COLOURS)],
            "ls": _STYLES[index // len(_COLOURS)],
        }
        _add(left, curve, "bits_per_use", look)
        _add(right, curve, "skr_bps", look)
    left.set(
        yscale="log", ylim=(1e-9, 10), xlabel="fiber (km)", ylabel="secret bits per channel use"
    )
    right.set(yscale="log", ylim=(1e-2, 1e8), xlabel="fiber (km)", ylabel="secret bits per second")
    for axes in (left, right):
        axes.set_xlim(0, LENGTHS_KM[-1])
        axes.grid(alpha=0.3)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    return figure


def _add(axes: Axes, curve: Curve, name: str, look: dict[str, Any]) -> None:
    """Draw a curve as far as it makes key."""
    points = [(rate.length_km, getattr(rate, name)) for rate in curve.rates if rate.skr_bps > 0]
    if points:
        lengths_km, values = zip(*points, strict=True)
        label = f"{curve.protocol} ({curve.rates[0].device})"
        axes.plot(lengths_km, values, lw=1.5, label=label, **look)
