"""Which satellite can bring key to two ground stations, and when: orbit, night and clouds together.

A satellite is a trusted node: it shares one key with each of two ground stations, in a pass over the one
and a pass over the other, and announces their exclusive or.  An order can be served if one satellite
completes a usable pass over both ends within `max_wait_s`; the key is there when the later pass is over,
since a pass is distilled as one finite block.  A pass is usable if its highest point is in the night of
the station and under a clear sky.  A pass yields far more than an order takes; that several orders share
one pass is not limited.

A pure function of its configuration; heavy to import, so only who asks about satellites loads it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controllers.ports import LinkSample
from emulator.orbits import CircularOrbit, Constellation, TleOrbit
from emulator.passes import Pass, passes_over
from emulator.physics.bb84 import vacuum_weak_rate
from emulator.physics.downlink import transmittance
from emulator.physics.pass_keys import (
    DECOY_DOWNLINK_DEVICES,
    decoy_block,
    decoy_pass_bits,
    decoy_setup,
)
from emulator.sky import Site, sun_altitude_deg, views
from emulator.weather import Sky

Orbit = TleOrbit | CircularOrbit
_STEP_S = 5.0
_NOTHING = LinkSample(skr_bps=0.0, qber=0.0, usable=False)


@dataclass(frozen=True)
class Yield:
    """What one usable pass is worth."""

    ends_s: float
    bits: float
    lasts_s: float
    qber: float


@dataclass(frozen=True)
class Overhead:
    """Satellites over ground stations, from 0 to `horizon_s`; `sky` None means that it is always clear."""

    constellation: Constellation
    sites: tuple[Site, ...]
    horizon_s: float
    min_elevation_deg: float
    max_sun_altitude_deg: float
    max_wait_s: float
    device: str
    sky: Sky | None

    def sample(self, a: str, b: str, now_s: float) -> LinkSample:
        """Return what satellites offer two stations from now on.  Raises `KeyError` for a stranger."""
        best: tuple[float, Yield, Yield] | None = None
        for satellite in self.constellation.names:
            first = self._next(a, satellite, now_s)
            second = self._next(b, satellite, now_s)
            if first is None or second is None:
                continue
            ready_s = max(first.ends_s, second.ends_s)
            if ready_s <= now_s + self.max_wait_s and (best is None or ready_s < best[0]):
                best = (ready_s, first, second)
        if best is None:
            return _NOTHING
        ready_s, first, second = best
        rate = min(first.bits / first.lasts_s, second.bits / second.lasts_s)
        return LinkSample(rate, max(first.qber, second.qber), True, ready_s - now_s)

    def share_of(self, a: str, b: str, times_s: list[float]) -> float:
        """Return at which share of these times an order could be served."""
        return sum(self.sample(a, b, at_s).usable for at_s in times_s) / max(1, len(times_s))

    def usable_passes(self, site: str) -> dict[str, list[Yield]]:
        """Return the usable passes over a site, by satellite and time."""
        return self._passes[site]

    def _next(self, site: str, satellite: str, now_s: float) -> Yield | None:
        found = self._passes[site].get(satellite, [])
        place = bisect_left(found, now_s, key=lambda item: item.ends_s)
        return found[place] if place < len(found) else None

    @cached_property
    def _passes(self) -> dict[str, dict[str, list[Yield]]]:
        worth: dict[str, dict[str, list[Yield]]] = {
            site.name: defaultdict(list) for site in self.sites
        }
        found = passes_over(
            self.constellation, self.sites, 0.0, self.horizon_s, self.min_elevation_deg
        )
        for item in sorted(found, key=lambda item: item.set_s):
            if self._is_night(item) and self._is_clear(item):
                value = self._yield(item)
                if value.bits > 0:
                    worth[item.site][item.satellite].append(value)
        return worth

    def _is_night(self, item: Pass) -> bool:
        times_s = np.array([item.culmination_s])
        altitude = sun_altitude_deg([self._site[item.site]], self.constellation.epoch, times_s)
        return float(altitude[0, 0]) <= self.max_sun_altitude_deg

    def _is_clear(self, item: Pass) -> bool:
        return self.sky is None or self.sky.is_clear(item.site, item.culmination_s)

    def _yield(self, item: Pass) -> Yield:
        station = DECOY_DOWNLINK_DEVICES[self.device].setup
        one = Constellation((self._orbit[item.satellite],), self.constellation.epoch)
        times_s = np.arange(item.rise_s, item.set_s, _STEP_S)
        seen = views(one, [self._site[item.site]], times_s)
        shares = [
            transmittance(station.link, float(km), float(deg))
            for km, deg in zip(seen.range_km[0, 0], seen.elevation_deg[0, 0], strict=True)
        ]
        setup = decoy_setup(station)
        bits = decoy_pass_bits(station, decoy_block(setup, shares, _STEP_S))
        qber = vacuum_weak_rate(setup, max(shares)).qber
        return Yield(item.set_s, bits, item.set_s - item.rise_s, qber)

    @cached_property
    def _site(self) -> dict[str, Site]:
        return {site.name: site for site in self.sites}

    @cached_property
    def _orbit(self) -> dict[str, Orbit]:
        return {orbit.name: orbit for orbit in self.constellation.orbits}
