"""A day of 24 satellites over the 24 nodes of USNET: elevation and range of every pair at every second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from bars import Row, at_most, tell

from emulator.build.loading import read
from emulator.world.orbits import walker
from emulator.world.visibility import Site, views

_DAY_S = 86_400.0
_CHUNK_S = 600.0  # few enough for the caches


def rows() -> Iterator[Row]:
    """Measure, after a short stretch that warms up."""
    epoch = datetime(2026, 1, 1, tzinfo=UTC)
    constellation = walker(
        epoch, satellites=24, planes=6, phasing=1, inclination_deg=53, altitude_km=550
    )
    topology = read("sagin-day").topology
    sites = [
        Site(node.name, node.lat_deg, node.lon_deg)
        for node in topology.nodes
        if node.lat_deg is not None and node.lon_deg is not None
    ]
    views(constellation, sites, np.arange(0.0, 60.0))
    began_s, in_view = time.perf_counter(), 0
    for start_s in np.arange(0.0, _DAY_S, _CHUNK_S):
        seen = views(constellation, sites, start_s + np.arange(0.0, _CHUNK_S))
        in_view += int((seen.elevation_deg > 20).sum())
    note = f"{len(sites)} sites; {in_view:,} satellite seconds above 20 degrees"
    yield at_most("a day of 24 satellites at 1 s", time.perf_counter() - began_s, "s", 5, note)


if __name__ == "__main__":
    tell(rows())
