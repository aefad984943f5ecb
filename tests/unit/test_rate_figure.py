"""Rate against distance for all protocols, as the figure shows it."""

from __future__ import annotations

import csv
from pathlib import Path

from emulator.physics.channel import fiber_transmittance, plob_bits_per_use
from emulator.physics.skr import protocol_names
from emulator.report.rate_figure import CHAINS, LENGTHS_KM, curves, draw


def test_only_chains_cross_the_bound_of_the_whole_fiber() -> None:
    found = {curve.protocol: curve.rates for curve in curves((5.0, 50.0, 150.0, 300.0))}
    assert found.keys() == set(protocol_names()) - {"plob"}
    crossing = {
        name
        for name, rates in found.items()
        for rate in rates
        if rate.bits_per_use > plob_bits_per_use(fiber_transmittance(rate.length_km))
    }
    assert crossing == set(CHAINS)


def test_the_table_has_every_protocol_at_every_length_and_the_picture_is_one(
    tmp_path: Path,
) -> None:
    table, picture = draw(tmp_path / "new")
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert len(rows) == (len(protocol_names()) - 1) * len(LENGTHS_KM)
    assert all(float(row["skr_bps"]) >= 0 for row in rows)
    bb84 = [float(row["skr_bps"]) for row in rows if row["protocol"] == "bb84"]
    assert bb84 == sorted(bb84, reverse=True)
    assert picture.read_bytes()[:4] == b"\x89PNG"
