"""Stores that bridge periods: what a reservation misses when what quiet periods leave serves busy ones.

A reservation of k units fills a store of k + n units, n of them beyond what a period brings:

    s_1 = k,    s_{t+1} = min(k + n, (s_t - d_t)+ + k),    missed in period t: (d_t - s_t)+

(base stock with lost sales, and no more than k units made in a period).  To serve at once is the best use
of a store, as all misses of a request cost the same; so what is missed over a run is the value of a linear
program in k, and its mean M(k) is convex in k, with M(0) the mean demand and M(k) = 0 from the largest
demand on.  Every such M is that of a law: P(d' > k) = M(k) - M(k + 1).  So a program whose requests have
the *bridged* demand d' instead of d, and no stores, has the same expected cost for every plan.  Nothing
else has to know of stores; what it says of single futures, though, is about d'.

Demands of different periods are independent, and keys do not get too old.  Who shares anything else in a
period, as a pool of satellites, would have to know how full stores are: that is not offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.model import Scenario
from global_manager.provisioning.recourse import largest_demand

Floats = NDArray[np.float64]
Law = tuple[Scenario, ...]

_SETTLED = 1e-13  # a chain that moves less than this in a period stays


def bridged(laws: Sequence[Law], beyond_units: int) -> Law:
    """Return the demand that reservations without stores would miss as much of.

    `laws` are those of all periods, in order; `beyond_units` is n.  With n = 0 it is their mixture.
    """
    missed = mean_missing_units(laws, beyond_units)
    exceeds = np.clip(np.append(1.0, missed[:-1] - missed[1:]), 0.0, 1.0)
    exceeds = np.append(np.minimum.accumulate(exceeds), 0.0)
    chances = exceeds[:-1] - exceeds[1:]
    return tuple(Scenario(units, float(chance)) for units, chance in enumerate(chances) if chance)


def mean_missing_units(laws: Sequence[Law], beyond_units: int) -> Floats:
    """Return M(k) for k = 0 .. K, K the largest demand of any period; shape (K + 1,)."""
    most = max(map(largest_demand, laws), default=0)
    chain = _Chain(most, beyond_units)
    for law, same in groupby(laws):
        chain.run(law, sum(1 for _ in same))
    return chain.missed / max(1, len(laws))


class _Chain:
    """How full the store of every reservation is, as chances; `missed` adds up over periods."""

    def __init__(self, most: int, beyond_units: int) -> None:
        reserved = np.arange(most + 1)
        self._levels = np.arange(most + beyond_units + 1)
        self._chances = np.zeros((len(reserved), len(self._levels)))
        self._chances[reserved, reserved] = 1.0
        filled = np.minimum(self._levels + reserved[:, None], reserved[:, None] + beyond_units)
        self._next = (reserved[:, None] * len(self._levels) + filled).ravel()
        self.missed: Floats = np.zeros(len(reserved))

    def run(self, law: Law, periods: int) -> None:
        """Let periods of one law pass."""
        units = np.array([item.units for item in law])
        chance = np.array([item.probability for item in law])
        missing = np.maximum(units - self._levels[:, None], 0) @ chance
        left = np.zeros((len(self._levels), len(self._levels)))
        for demand, probability in zip(units, chance, strict=True):
            left[self._levels, np.maximum(self._levels - demand, 0)] += probability
        for period in range(periods):
            self.missed += (now := self._chances @ missing)
            before, self._chances = self._chances, self._filled(self._chances @ left)
            if np.abs(self._chances - before).max() < _SETTLED:
                self.missed += now * (periods - period - 1)
                return

    def _filled(self, left: Floats) -> Floats:
        """Let every reservation bring what it can."""
        filled = np.zeros(left.size)
        np.add.at(filled, self._next, left.ravel())
        return filled.reshape(left.shape)
