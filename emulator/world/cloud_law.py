"""From a normal variable to cover: how often the sky of a place is clear in an hour, and how covered.

Two laws give the odds of a clear sky: those of night and day as in the table of `cloud_climate`, or those
of season and time of day of `cloud_seasons`.  On either side of 2/10 cover keeps the shape of its climate.
A law knows places by their index, hours since the epoch, and nothing of how hours or places agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.world.cloud_climate import (
    CLEAR_TENTHS,
    Climate,
    Floats,
    climate_at,
    shares_up_to,
    thresholds,
)
from emulator.world.cloud_seasons import clear_chance
from emulator.world.places import Place
from emulator.world.visibility import sun_altitude_deg

DAY_H = 24
_HOUR_S = 3600.0
_ROOT_TWO = math.sqrt(2)

Tenths = NDArray[np.uint8]


class CloudLaw(Protocol):
    """What `CloudProcess` asks of a law."""

    def clear(self, place: int, hour: int) -> float:
        """Return the chance of a clear sky."""

    def tenths(self, day: int, normal: Floats) -> Tenths:
        """Return the tenths covered in a day by hour and place, as is the standard normal variable."""


class NightAndDay:
    """The odds of night and of day, the same all year; the Sun decides which it is."""

    def __init__(self, places: Sequence[Place], epoch: datetime) -> None:
        self._places, self._epoch = places, epoch
        self._dark: dict[int, NDArray[np.bool_]] = {}  # a day each: hour, place

    def clear(self, place: int, hour: int) -> float:
        """Return the chance of a clear sky, at such an hour of night or day."""
        day, hour_of_day = divmod(hour, DAY_H)
        limits = (self._night if self._darkness(day)[hour_of_day, place] else self._day)[place]
        return NormalDist().cdf(float(limits[CLEAR_TENTHS]))

    def tenths(self, day: int, normal: Floats) -> Tenths:
        """Return the tenths covered in a day."""
        dark = self._darkness(day)
        limits = np.where(dark[:, :, None], self._night, self._day)
        return np.asarray((normal[:, :, None] > limits).sum(axis=2), dtype=np.uint8)

    def _darkness(self, day: int) -> NDArray[np.bool_]:
        """Return whether it is night in each hour of a day, at each place."""
        if day not in self._dark:
            self._dark[day] = self._is_night(np.arange(DAY_H) + DAY_H * day)
        return self._dark[day]

    def _is_night(self, hours: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether the Sun is below the horizon at the middle of each hour, at each place."""
        altitude_deg = sun_altitude_deg(
            self._places, self._epoch, _HOUR_S * (hours.astype(float) + 0.5)
        )
        return np.asarray(altitude_deg.T < 0)

    @cached_property
    def _climates(self) -> list[Climate]:
        return [climate_at(place) for place in self._places]

    @cached_property
    def _night(self) -> Floats:
        return np.array([thresholds(c, c.clear_night) for c in self._climates])

    @cached_property
    def _day(self) -> Floats:
        return np.array([thresholds(c, c.clear_day) for c in self._climates])


class Seasons:
    """The odds of season and time of day."""

    def __init__(self, places: Sequence[Place], epoch: datetime) -> None:
        self._places, self._epoch = places, epoch
        self._chances: dict[int, Floats] = {}  # a day each: hour, place

    def clear(self, place: int, hour: int) -> float:
        """Return the chance of a clear sky, at such an hour of such a day of the year."""
        day, hour_of_day = divmod(hour, DAY_H)
        return float(self._of_day(day)[hour_of_day, place])

    def tenths(self, day: int, normal: Floats) -> Tenths:
        """Return the tenths covered in a day."""
        level, chances = _below(normal), self._of_day(day)
        covered = np.empty(normal.shape, dtype=np.uint8)
        for place, climate in enumerate(self._climates):
            up_to = shares_up_to(climate, chances[:, place])
            covered[:, place] = (level[:, place, None] > up_to).sum(axis=1)
        return covered

    def _of_day(self, day: int) -> Floats:
        """Return the chances of a clear sky by hour and place."""
        if day not in self._chances:
            middles = np.asarray(np.arange(DAY_H) + DAY_H * day + 0.5)
            columns = [clear_chance(place, self._epoch, middles) for place in self._places]
            self._chances[day] = np.column_stack(columns)
        return self._chances[day]

    @cached_property
    def _climates(self) -> list[Climate]:
        return [climate_at(place) for place in self._places]


def _below(normal: Floats) -> Floats:
    """Return the chance that a standard normal variable is less."""
    return np.array([[math.erfc(-z / _ROOT_TWO) / 2 for z in row] for row in normal])
