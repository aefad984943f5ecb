"""Chance for clouds: hourly states of many places at once, correlated in space and time.

Under each place's cover lies a standard normal variable (a Gaussian copula).  A field tells how the
variables of hours and places agree: clouds that drift (`cloud_drift`), or fronts that travel as between
real stations (`cloud_fronts`).  A law tells what a variable means for the cover of a place in an hour:
that of night and day, or that of season and time of day (`cloud_law`).

Covers are drawn forward from hour 0, a day at a time, by PCG64 seeded with (seed, "weather"), and kept:
the same in any process and in any order of questions, up to the rounding of numpy's linear algebra.
All places share the draw: another set of places has another sky.  Not for several threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import numpy as np

from emulator.world.cloud_drift import FLOW_M_S, DriftingClouds
from emulator.world.cloud_fronts import FrontClouds
from emulator.world.cloud_law import DAY_H, CloudLaw, NightAndDay, Seasons
from emulator.world.places import Place


@dataclass(frozen=True)
class CloudSettings:
    """How clouds by chance are made; `flow_m_s` is that of clouds that drift, and of no fronts."""

    seasons: bool = False
    fronts: bool = False
    flow_m_s: float = FLOW_M_S


DRIFTING = CloudSettings()


class CloudProcess:
    """The clouds over some places, hour by hour, in tenths of the sky."""

    def __init__(
        self,
        seed: int,
        places: Sequence[Place],
        epoch: datetime,
        settings: CloudSettings = DRIFTING,
    ) -> None:
        self._width = len(places)
        self._law: CloudLaw = (Seasons if settings.seasons else NightAndDay)(places, epoch)
        self._field = (
            FrontClouds(places) if settings.fronts else DriftingClouds(places, settings.flow_m_s)
        )
        digest = blake2b(str(seed).encode(), digest_size=16, person=b"qsagin-weather").digest()
        self._random = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
        self._tenths: list[bytes] = []  # a day each: hour, place

    def tenths(self, place: int, hour: int) -> int:
        """Return how many tenths of the sky are covered."""
        day, hour_of_day = divmod(hour, DAY_H)
        while day >= len(self._tenths):
            normal = self._field.next_day(self._random)
            self._tenths.append(self._law.tenths(len(self._tenths), normal).tobytes())
        return self._tenths[day][hour_of_day * self._width + place]

    def clear_climate(self, place: int, hour: int) -> float:
        """Return how often at most 2/10 are covered at such an hour."""
        return self._law.clear(place, hour)
