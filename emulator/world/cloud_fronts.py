"""Clouds that travel: a normal field in which places agree with what was upwind, as between real stations.

The field is the sum of three, and stationary: showers, which live an hour, and fronts, which live for
days, are carried from west to east; spells stay.  Places at the distance d along a straight line agree by
exp(-d/L) cos(d / (sqrt(3) L)), and disagree a little beyond 1700 km; for the two that are carried d is
that from where the air came from.  The flow turns all air about the Earth's axis, so that it is as fast as
told at 40 degrees and slower nearer the poles.  A turn keeps distances, so every term is a frozen
field times an exponential of the lag, which is positive definite everywhere (Cox and Isham 1988;
Gneiting, Genton, Guttorp 2007), as is the damped cosine in space (Yaglom 1987).

`FITTED` was fitted to pairs of stations with a common month of the same year; `benchmarks/clouds.py` does
it, with scores at stations that are left out.  Those are told worse without the flow, or without the cosine
by which far places disagree, and no better if distances to the north are stretched against those to
the east.

Hours are drawn forward, each from the last 24 (fewer where places are many) and news, by the linear
prediction that keeps all covariances up to that lag (the multivariate Yule-Walker equations).  Beyond it
they are what follows from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emulator.world.cloud_climate import Floats
from emulator.world.places import EARTH_KM, Place

_AT_DEG = 40.0
_LAGS, _MOST_STATES = 24, 1_000
_NUGGET = 1e-6  # of news at each place: places may coincide
_DAY_H = 24


@dataclass(frozen=True)
class FrontLaw:
    """How the normal field correlates; the share of spells is what the other two leave."""

    shower_share: float
    front_share: float
    shower_h: float  # e-folding times
    front_h: float
    spell_h: float
    scale_km: float
    speed_km_h: float  # to the east, at 40 degrees of latitude
    wave: float = 1.0  # of the cosine, as a share of the fastest that is valid
    stretch: float = 1.0  # of distances along the Earth's axis

    def correlation(self, later: Floats, earlier: Floats, lag_h: float | Floats) -> Floats:
        """Return the correlation of places with others `lag_h` before; shapes go together.

        Places are latitudes and longitudes in radians, along the last axis.
        """
        turned = self.speed_km_h * lag_h / (EARTH_KM * np.cos(np.radians(_AT_DEG)))
        origin = np.stack(np.broadcast_arrays(later[..., 0], later[..., 1] - turned), axis=-1)
        age_h = np.abs(lag_h)
        carried = self.shower_share * np.exp(-age_h / self.shower_h)
        carried = carried + self.front_share * np.exp(-age_h / self.front_h)
        stays = (1 - self.shower_share - self.front_share) * np.exp(-age_h / self.spell_h)
        return np.asarray(
            carried * self._alike(origin, earlier) + stays * self._alike(later, earlier)
        )

    def _alike(self, some: Floats, others: Floats) -> Floats:
        axes = np.array([1.0, 1.0, self.stretch]) / self.scale_km
        apart = np.linalg.norm((_in_space(some) - _in_space(others)) * axes, axis=-1)
        return np.asarray(np.exp(-apart) * np.cos(self.wave * apart / np.sqrt(3)))


FITTED = FrontLaw(
    shower_share=0.125,
    front_share=0.569,
    shower_h=1.52,
    front_h=64.6,
    spell_h=51.3,
    scale_km=639.0,
    speed_km_h=35.4,
)


class FrontClouds:
    """The field over some places, a day at a time."""

    def __init__(self, places: Sequence[Place], law: FrontLaw = FITTED) -> None:
        self._where = np.radians([(place.lat_deg, place.lon_deg) for place in places])
        self._law = law
        self._lags = max(1, min(_LAGS, _MOST_STATES // len(places)))
        self._past: Floats | None = None  # the last hours, newest first: lag, place

    def correlation(self, lag_h: int) -> Floats:
        """Return the correlation of places (rows) with places `lag_h` before (columns)."""
        exact = self._law.correlation(self._where[:, None], self._where[None], float(lag_h))
        return (exact + _NUGGET * np.eye(len(exact)) * (lag_h == 0)) / (1 + _NUGGET)

    def next_day(self, random: np.random.Generator) -> Floats:
        """Return standard normal variables by hour and place."""
        weights, news = self._prediction
        past = self._begun(random) if self._past is None else self._past
        drawn = random.standard_normal((_DAY_H, len(self._where))) @ news.T
        hours = np.empty_like(drawn)
        for hour in range(_DAY_H):
            hours[hour] = weights @ past.ravel() + drawn[hour]
            past = np.concatenate([hours[hour][None], past[:-1]])
        self._past = past
        return hours

    def _begun(self, random: np.random.Generator) -> Floats:
        """Return hours before the first, drawn together."""
        drawn = random.standard_normal(self._lags * len(self._where))
        return (np.linalg.cholesky(self._together) @ drawn).reshape(self._lags, -1)

    @cached_property
    def _prediction(self) -> tuple[Floats, Floats]:
        """Return what of the last hours, newest first, is in the next, and a root of the news."""
        follows = np.hstack([self.correlation(lag) for lag in range(1, self._lags + 1)])
        weights = np.asarray(np.linalg.solve(self._together, follows.T).T, dtype=np.float64)
        left = self.correlation(0) - weights @ follows.T
        return weights, np.asarray(np.linalg.cholesky(left), dtype=np.float64)

    @cached_property
    def _together(self) -> Floats:
        """Return the covariance of as many hours as are kept, newest first."""
        after = {lag: self.correlation(lag) for lag in range(self._lags)}
        rows = range(self._lags)
        return np.block([[after[c - r] if c >= r else after[r - c].T for c in rows] for r in rows])


def _in_space(where: Floats) -> Floats:
    """Return positions in km, from latitudes and longitudes in radians."""
    lat, lon = where[..., 0], where[..., 1]
    across = np.cos(lat)
    return EARTH_KM * np.stack([across * np.cos(lon), across * np.sin(lon), np.sin(lat)], axis=-1)
