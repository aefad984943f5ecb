"""Clouds that drift: a normal field, hour by hour, as long-lived as each place's climate has it.

It is a weighted sum of three AR(1) processes, whose memories of 3 h, 15 h and 200 h stand for showers,
fronts and spells of weather.  Each place weighs them so that the autocorrelation of its *cover* comes
nearest the table's at 1, 6 and 24 h.  Between places cover correlates as exp(-d / 379 km), measured between
the stations of the table.  A threshold weakens correlation; what the normal variable needs follows from
its Hermite expansion.

Showers and fronts drift from west to east, spells stay.  An hour later a place has what its surroundings
to the west had, as far as the places there tell (the mean of a Gaussian process, kriging), and news; so a
place agrees more with one upwind some hours ago than the other way round.  At the same hour, and at one
place, everything is as without the flow.  How fast it is, the table cannot tell: 7 m/s (assumed) carry a
front by those 379 km while it lasts.  `cloud_fronts` has what hours tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emulator.world.cloud_climate import (
    Climate,
    Floats,
    climate_at,
    thresholds,
)
from emulator.world.places import Place, great_circle_km

E_FOLD_KM = 379.0
FLOW_M_S = 7.0
_MEMORY_H = np.array([3.0, 15.0, 200.0])
_LAGS_H = np.array([1.0, 6.0, 24.0])
_DAY_H, _HOUR_S = 24, 3600.0
_HERMITE_TERMS = 200
_GRID = np.linspace(0.0, 1.0, 501)
_SIMPLEX_STEPS = 50
_LEAST_EIGENVALUE = 1e-6
_KEEP = np.exp(-1 / _MEMORY_H)  # share of a component that lives for another hour
_DRIFTS = (True, True, False)
_KM_PER_DEG, _LEAST_COSINE = 111.19, 0.1


class DriftingClouds:
    """The field over some places, a day at a time."""

    def __init__(self, places: Sequence[Place], flow_m_s: float = FLOW_M_S) -> None:
        self._places = places
        self._flow_km = flow_m_s * _HOUR_S / 1_000  # in an hour
        self._state: Floats | None = None  # after the last hour drawn: component, place

    def correlation(self, lag_h: int) -> Floats:
        """Return the correlation of places (rows) with places `lag_h` before (columns)."""
        roots = np.sqrt(self._weights)
        shares = roots.T[:, :, None] * roots.T[:, None, :]
        parts = [np.linalg.matrix_power(last, lag_h) @ self._alike for last in self._hourly[0]]
        return np.asarray((shares * parts).sum(axis=0))

    def next_day(self, random: np.random.Generator) -> Floats:
        """Return standard normal variables by hour and place."""
        shape = (_DAY_H, len(_MEMORY_H), len(self._places))
        drawn = random.standard_normal(shape)
        states = np.empty(shape)
        last, fresh = self._hourly
        news = np.matmul(drawn.swapaxes(0, 1), fresh.swapaxes(1, 2)).swapaxes(0, 1)
        for hour in range(_DAY_H):
            if self._state is None:  # stationary from the start
                self._state = drawn[0] @ np.linalg.cholesky(self._alike).T
            else:
                self._state = np.matmul(last, self._state[:, :, None])[:, :, 0] + news[hour]
            states[hour] = self._state
        return np.asarray((np.sqrt(self._weights).T * states).sum(axis=1))

    @cached_property
    def _climates(self) -> list[Climate]:
        return [climate_at(place) for place in self._places]

    @cached_property
    def _cover_curves(self) -> Floats:
        """Correlation of cover, by place and by correlation of the normal variable (the grid)."""
        limits = np.array([thresholds(c, c.clear) for c in self._climates])
        powers = _GRID[:, None] ** np.arange(1, _HERMITE_TERMS + 1)
        return _hermite_shares(limits) @ powers.T

    @cached_property
    def _weights(self) -> Floats:
        """Share of each component in each place's variance, adding up to one."""
        wanted = np.array([[c.rho_1h, c.rho_6h, c.rho_24h] for c in self._climates])
        curves = self._cover_curves
        normal = np.array(
            [np.interp(w, curve, _GRID) for w, curve in zip(wanted, curves, strict=True)]
        )
        steps = np.arange(_SIMPLEX_STEPS + 1)
        pairs = np.array([(a, b) for a in steps for b in steps[: len(steps) - a]]) / _SIMPLEX_STEPS
        mixes = np.column_stack([pairs, 1 - pairs.sum(axis=1)]).clip(0)
        reached = mixes @ np.exp(-_LAGS_H / _MEMORY_H[:, None])
        miss = ((reached[None] - normal[:, None]) ** 2).sum(axis=2)
        return np.asarray(mixes[miss.argmin(axis=1)])

    @cached_property
    def _hourly(self) -> tuple[Floats, Floats]:
        """What of the last hour, and of news, is in the next: two matrices (place, place) a component.

        A normal field with covariance C, an hour later correlated as B with itself, is A = B C^-1 of what
        it was, and news of covariance C - A C A^T.
        """
        alike, upwind = self._alike, self._alike_upwind
        lives = np.diag(upwind).min()  # of a front that drifts past, if it did not change
        carried = np.linalg.solve(alike, upwind.T).T
        renewed = carried @ upwind.T
        last, fresh = [], []
        for keep, drifts in zip(_KEEP, _DRIFTS, strict=True):
            share = min(1.0, keep / lives) if drifts else keep
            last.append(share * (carried if drifts else np.eye(len(alike))))
            fresh.append(_root(alike - share**2 * (renewed if drifts else alike)))
        return np.array(last), np.array(fresh)

    @cached_property
    def _alike(self) -> Floats:
        """Correlation of the normal variable between places at the same hour."""
        normal = self._correlation(self._places)
        np.fill_diagonal(normal, 1.0)
        values, vectors = np.linalg.eigh(normal)
        if values[0] < _LEAST_EIGENVALUE:  # the nearest correlation that can be, or places coincide
            normal = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
            scale = np.sqrt(np.diag(normal))
            normal = normal / np.outer(scale, scale)
        return np.asarray(normal, dtype=np.float64)

    @cached_property
    def _alike_upwind(self) -> Floats:
        """Correlation of what is an hour's flow to the west of places (rows) with what is at places."""
        return self._correlation([_Spot.west_of(place, self._flow_km) for place in self._places])

    def _correlation(self, spots: Sequence[Place]) -> Floats:
        """Return the correlation of the normal variable between spots (rows) and places."""
        distance_km = np.array([[great_circle_km(a, b) for b in self._places] for a in spots])
        wanted = np.exp(-distance_km / E_FOLD_KM)
        return np.asarray(np.interp(wanted, self._cover_curves.mean(axis=0), _GRID))


@dataclass(frozen=True)
class _Spot:
    """Somewhere that is no site."""

    name: str
    lat_deg: float
    lon_deg: float

    @classmethod
    def west_of(cls, place: Place, km: float) -> _Spot:
        cosine = max(_LEAST_COSINE, math.cos(math.radians(place.lat_deg)))
        return cls("", place.lat_deg, place.lon_deg - km / (_KM_PER_DEG * cosine))


def _root(covariance: Floats) -> Floats:
    """Return a matrix whose product with its transpose is the nearest covariance."""
    even = (covariance + covariance.T) / 2
    try:
        return np.asarray(np.linalg.cholesky(even))
    except np.linalg.LinAlgError:  # places coincide, or nearly
        values, vectors = np.linalg.eigh(even)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _hermite_shares(limits: Floats) -> Floats:
    """Return the share of cover's variance in each Hermite polynomial, by place.

    Cover is a sum of steps of 1/10 at the limits t; the k-th coefficient of a step is
    phi(t) He_{k-1}(t) / sqrt(k!).  The correlation of two covers is the sum of share_k rho^k.
    """
    density = np.exp(-(limits**2) / 2) / math.sqrt(2 * math.pi)
    polynomials = [np.ones_like(limits), limits]  # He_k / sqrt(k!)
    for k in range(2, _HERMITE_TERMS):
        last, before = polynomials[-1], polynomials[-2]
        polynomials.append((limits * last - math.sqrt(k - 1) * before) / math.sqrt(k))
    orders = range(1, _HERMITE_TERMS + 1)
    coefficients = np.array(
        [(density * p).sum(axis=1) / math.sqrt(k) for k, p in zip(orders, polynomials, strict=True)]
    )
    squares = coefficients.T**2
    return np.asarray(squares / squares.sum(axis=1, keepdims=True))
