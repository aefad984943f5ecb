"""Stores that bridge periods: what a reservation misses when what quiet periods leave serves busy ones.

A reservation of k units fills a store of k + n units, n of them beyond what a period brings:

    s_1 = k,    s_{t+1} = min(k + n, (s_t - d_t)+ + k),    missed in period t: (d_t - s_t)+

(base stock with lost sales, and no more than k units made in a period).  To serve at once is the best use
of a store, as all misses of a request cost the same; so what is missed over a run is the value of a linear
program in k, and its mean M(k) is convex in k, with M(0) the mean demand and M(k) = 0 from the largest
demand on.  Every such M is that of a law: P(d' > k) = M(k) - M(k + 1).  So a program whose requests have
the *bridged* demand d' instead of d, and no stores, has the same expected cost for every plan.  Nothing
else has to know of stores; what it says of single futures, though, is about d'.

With a lifetime of m periods a key serves in the period that it was made for and in the m - 1 after it, the
oldest first; what is left then expires, before new key is made (`ages`).  A unit that is kept from one
period for the next may have a price h.  With K(k) the mean units kept per period, and c the cost of a
missing unit, a reservation then costs

    F(k) = c M(k) + h K(k)    per period, beside what it takes of fibers.

F need not be convex.  Its greatest convex minorant that never increases is a constant and c times what a
law misses; that law is the bridged demand, and what F is above it is `Request.beside`.  So a plan is
priced by F itself, and its bound is proven by the minorant.

Demands of different periods are independent.  Who shares anything else in a period, as a pool of
satellites, would have to know how full stores are: that is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.ages import (
    MOST_STEPS,
    AgedStore,
    TooManyAgesError,
    follow,
)
from global_manager.provisioning.model import Problem, Request, Scenario
from global_manager.provisioning.recourse import expected_unit_cost, largest_demand

Floats = NDArray[np.float64]
Law = tuple[Scenario, ...]

_SETTLED = 1e-13  # a chain that moves less than this in a period stays
_ROUNDING = 1e-11  # in units, by which a sum of probabilities may be off


@dataclass(frozen=True)
class Store:
    """What a request's store keeps beyond what a period brings, for how long, and at which price.

    Units are kept for `lifetime_periods` (None: for ever), at `keeping_cost` for each that is there when
    the next period begins.
    """

    beyond_units: int = 0
    lifetime_periods: int | None = None
    keeping_cost: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether a plan need not know of it."""
        return self.beyond_units == 0 and self.keeping_cost == 0


@dataclass(frozen=True, eq=False)
class Means:
    """Mean units of a period that are missed, kept for the next, and expire, by reserved units."""

    missed: Floats
    kept: Floats
    expired: Floats


def seen_through(request: Request, laws: Sequence[Law], store: Store) -> Request:
    """Return a request with the demand, and the costs beside it, that a plan sees through a store.

    `laws` are those of all periods, in order.
    """
    runs = tuple((law, sum(1 for _ in same)) for law, same in groupby(laws))
    law, beside = _seen(runs, store, expected_unit_cost(request.on_demand))
    return replace(request, scenarios=law, beside=beside)


def bridged(laws: Sequence[Law], beyond_units: int, lifetime_periods: int | None = None) -> Law:
    """Return the demand that reservations without stores would miss as much of, or less.

    `laws` are those of all periods, in order; `beyond_units` is n.  With n = 0 it is their mixture.  Only
    with a lifetime it may miss less.
    """
    missed = mean_missing_units(laws, beyond_units, lifetime_periods)
    return _law_of(missed if lifetime_periods is None else _minorant(missed))


def mean_missing_units(
    laws: Sequence[Law], beyond_units: int, lifetime_periods: int | None = None
) -> Floats:
    """Return M(k) for k = 0 .. K, K the largest demand of any period; shape (K + 1,)."""
    most = max(map(largest_demand, laws), default=0)
    if lifetime_periods is not None and beyond_units:
        return store_means(laws, Store(beyond_units, lifetime_periods), most).missed
    chain = _Chain(most, beyond_units)
    for law, same in groupby(laws):
        chain.run(law, sum(1 for _ in same))
    return chain.missed / max(1, len(laws))


def store_means(laws: Sequence[Law], store: Store, most: int) -> Means:
    """Return the mean units of a period for k = 0 .. `most`; shape of each (most + 1,).

    Nothing is kept from the last period.  Raises `TooManyAgesError`.
    """
    if store.lifetime_periods is None:
        return _unaged(laws, store, most)
    known = [law[0].units for law in laws if len(law) == 1]
    beyond, lifetime = store.beyond_units, store.lifetime_periods
    if len(known) == len(laws):
        rows = [follow(reserved, beyond, lifetime, known) for reserved in range(most + 1)]
    else:
        runs = [(_chances(law), sum(1 for _ in same)) for law, same in groupby(laws)]
        largest = max(map(largest_demand, laws))
        rows = [
            AgedStore(reserved, beyond, lifetime, largest).run(runs) for reserved in range(most + 1)
        ]
    missed, kept, expired = (
        np.array(column) / max(1, len(laws)) for column in zip(*rows, strict=True)
    )
    return Means(missed, kept, expired)


def follow_ages(store: Store, largest: int) -> None:
    """Raise `TooManyAgesError` if demands up to the largest fill a store in too many ways to follow."""
    if store.lifetime_periods is None or store.is_plain:
        return
    steps = 0
    for reserved in range((2 if store.keeping_cost else 1) * largest + 1):
        aged = AgedStore(reserved, store.beyond_units, store.lifetime_periods, largest)
        steps += aged.steps
        if steps > MOST_STEPS:
            raise TooManyAgesError(store.beyond_units, store.lifetime_periods)


def unpriced(problem: Problem, units: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield requests with more reserved units than have a known cost, and the reason in words."""
    for request in problem.requests:
        held = units.get(request.id, 0)
        if not request.prices(held):
            most = len(request.beside) - 1
            why = f"has {held} units reserved; what keeping key costs is known up to {most}"
            yield request.id, why


@lru_cache(maxsize=1024)
def _seen(
    runs: tuple[tuple[Law, int], ...], store: Store, unit_cost: float
) -> tuple[Law, tuple[float, ...]]:
    """Return the bridged demand and, by reserved units, what they cost beside what they miss of it.

    `runs` are laws, each with the number of periods that it is in force.
    """
    laws = [law for law, periods in runs for _ in range(periods)]
    if store.keeping_cost == 0 and store.lifetime_periods is None:
        return bridged(laws, store.beyond_units), ()
    most = max(map(largest_demand, laws), default=0)
    if store.keeping_cost == 0:
        units = mean_missing_units(laws, store.beyond_units, store.lifetime_periods)
        cost = unit_cost * units
    else:
        means = store_means(laws, store, 2 * most)
        cost = unit_cost * means.missed + store.keeping_cost * means.kept
        units = cost / unit_cost if unit_cost else 0 * cost
    law = _law_of(_minorant(units[: most + 1]))
    above = np.zeros(len(units))
    found = _missed_of(law)
    above[: len(found)] = found
    beside = cost - unit_cost * above
    if np.abs(beside).max() <= _ROUNDING * max(1.0, unit_cost):
        return law, ()
    return law, tuple(np.maximum(beside, 0.0).tolist())


def _minorant(values: Floats) -> Floats:
    """Return the greatest convex function below values at 0, 1, .. that never increases."""
    corners: list[int] = []
    for k in range(int(np.argmin(values)) + 1):
        while len(corners) > 1 and _is_above(values, corners[-2], corners[-1], k):
            corners.pop()
        corners.append(k)
    return np.interp(np.arange(len(values)), corners, values[corners])


def _is_above(values: Floats, first: int, middle: int, last: int) -> bool:
    """Return whether a value is not below the line between two others."""
    rise = (values[last] - values[first]) * (middle - first)
    return bool((values[middle] - values[first]) * (last - first) >= rise)


def _law_of(missed: Floats) -> Law:
    """Return the law of which reservations miss as much, but for what they all miss."""
    exceeds = np.clip(np.append(1.0, missed[:-1] - missed[1:]), 0.0, 1.0)
    exceeds = np.append(np.minimum.accumulate(exceeds), 0.0)
    chances = exceeds[:-1] - exceeds[1:]
    return tuple(Scenario(units, float(chance)) for units, chance in enumerate(chances) if chance)


def _missed_of(law: Law) -> Floats:
    most = largest_demand(law)
    return np.array(
        [sum(s.probability * max(0, s.units - k) for s in law) for k in range(most + 1)]
    )


def _chances(law: Law) -> dict[int, float]:
    found: dict[int, float] = {}
    for item in law:
        found[item.units] = found.get(item.units, 0.0) + item.probability
    return found


def _unaged(laws: Sequence[Law], store: Store, most: int) -> Means:
    chain = _Chain(most, store.beyond_units)
    for law, same in groupby(laws):
        chain.run(law, sum(1 for _ in same))
    periods = max(1, len(laws))
    kept = (chain.kept - chain.kept_last) / periods
    return Means(chain.missed / periods, kept, np.zeros(most + 1))


class _Chain:
    """How full the store of every reservation is, as chances; `missed` and `kept` add up over periods."""

    def __init__(self, most: int, beyond_units: int) -> None:
        reserved = np.arange(most + 1)
        self._levels = np.arange(most + beyond_units + 1)
        self._chances = np.zeros((len(reserved), len(self._levels)))
        self._chances[reserved, reserved] = 1.0
        filled = np.minimum(self._levels + reserved[:, None], reserved[:, None] + beyond_units)
        self._next = (reserved[:, None] * len(self._levels) + filled).ravel()
        self.missed: Floats = np.zeros(len(reserved))
        self.kept: Floats = np.zeros(len(reserved))
        self.kept_last: Floats = np.zeros(len(reserved))

    def run(self, law: Law, periods: int) -> None:
        """Let periods of one law pass."""
        units = np.array([item.units for item in law])
        chance = np.array([item.probability for item in law])
        missing = np.maximum(units - self._levels[:, None], 0) @ chance
        keeping = np.maximum(self._levels[:, None] - units, 0) @ chance
        left = np.zeros((len(self._levels), len(self._levels)))
        for demand, probability in zip(units, chance, strict=True):
            left[self._levels, np.maximum(self._levels - demand, 0)] += probability
        for period in range(periods):
            self.missed += (now := self._chances @ missing)
            self.kept_last = self._chances @ keeping
            self.kept += self.kept_last
            before, self._chances = self._chances, self._filled(self._chances @ left)
            if np.abs(self._chances - before).max() < _SETTLED:
                self.missed += now * (periods - period - 1)
                self.kept += self.kept_last * (periods - period - 1)
                return

    def _filled(self, left: Floats) -> Floats:
        """Let every reservation bring what it can."""
        filled = np.zeros(left.size)
        np.add.at(filled, self._next, left.ravel())
        return filled.reshape(left.shape)
