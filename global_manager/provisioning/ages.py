"""A store whose key expires, exactly: a Markov chain over how much key of each age there is.

Key serves in `lifetime` periods, the one that it was made for included; the oldest goes first.  A state is
the units by age as a period begins, (b_1, .., b_m), the youngest first, of a reservation of k units and n
beyond:

    demand takes from b_m, then b_{m-1}, ..;  what is left of b_m expires;
    the others are a period older, and b_1 = min(k, k + n - what they are together)

Of all states only those are followed that can be reached.  Their number grows with lifetime, store and
demand, so the steps from one to another are limited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST_STEPS = 2_000_000
"""From state to state, age by age, of all reservations together: beyond, plans would take minutes."""

_SETTLED = 1e-13  # a chain that moves less than this in a period stays

Ages = tuple[int, ...]


class TooManyAgesError(Exception):
    """A store with more steps from state to state than are followed."""

    def __init__(self, beyond_units: int, lifetime: int) -> None:
        super().__init__(beyond_units, lifetime)
        self.beyond_units, self.lifetime = beyond_units, lifetime

    def __str__(self) -> str:
        return (
            f"telling how old key is in stores with {self.beyond_units} units beyond a period's takes "
            f"more than {MOST_STEPS:,} steps if it serves in {self.lifetime} periods"
        )


@dataclass(frozen=True)
class After:
    """What one period makes of a state."""

    state: Ages
    missed: int
    kept: int
    expired: int


def after(state: Ages, demand: int, reserved: int, beyond_units: int) -> After:
    """Return what a demand makes of a state; after it the next period's key has been made."""
    left, missing = list(state), demand
    for age in reversed(range(len(left))):
        taken = min(left[age], missing)
        left[age] -= taken
        missing -= taken
    kept, expired = sum(left[:-1]), left[-1]
    made = min(reserved, reserved + beyond_units - kept)
    return After((made, *left[:-1]), missing, kept, expired)


def follow(
    reserved: int, beyond_units: int, lifetime: int, demands: Sequence[int]
) -> tuple[float, float, float]:
    """Return the units missed, kept and expired in a run of which all demands are known, as sums."""
    state: Ages = (reserved, *[0] * (lifetime - 1))
    missed = kept = expired = last = 0
    for demand in demands:
        step = after(state, demand, reserved, beyond_units)
        state, last = step.state, step.kept
        missed, kept, expired = missed + step.missed, kept + last, expired + step.expired
    return float(missed), float(kept - last), float(expired)


class AgedStore:
    """The chain of one reservation, for demands from 0 to the largest.  Raises `TooManyAgesError`."""

    def __init__(self, reserved: int, beyond_units: int, lifetime: int, largest: int) -> None:
        self._lifetime, self._steps = lifetime, _steps(reserved, beyond_units, lifetime, largest)

    @property
    def steps(self) -> int:
        """The steps from state to state, age by age."""
        return self._steps[0].size * self._lifetime

    def run(self, laws: Sequence[tuple[Mapping[int, float], int]]) -> tuple[float, float, float]:
        """Return the expected units missed, kept and expired over a run, as sums over its periods.

        `laws` are the chances of demands, each with the number of periods that it is in force.  From the
        last period nothing is kept for another.
        """
        nexts, *units = self._steps
        chances = np.zeros(nexts.shape[1])
        chances[0] = 1.0
        sums, last = np.zeros(3), np.zeros(3)
        for law, periods in laws:
            demands = np.array([*law])
            weights = np.array([law[demand] for demand in law])
            per_state = np.array([weights @ table[demands] for table in units])
            for period in range(periods):
                last = per_state @ chances
                sums += last
                before, chances = chances, _moved(chances, nexts[demands], weights)
                if np.abs(chances - before).max() < _SETTLED:
                    sums += last * (periods - period - 1)
                    break
        missed, kept, expired = (float(value) for value in sums - last * (0, 1, 0))
        return missed, kept, expired


def _moved(
    chances: NDArray[np.float64], nexts: NDArray[np.int32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    flows = weights[:, None] * chances
    return np.bincount(nexts.ravel(), flows.ravel(), len(chances)).astype(np.float64)


@lru_cache(maxsize=64)
def _steps(
    reserved: int, beyond_units: int, lifetime: int, largest: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return next state, missed, kept and expired units, each by (demand, state); state 0 begins."""
    reached: list[Ages] = [(reserved, *[0] * (lifetime - 1))]
    states = {reached[0]: 0}
    rows: list[list[After]] = []
    while len(rows) < len(reached):
        state = reached[len(rows)]
        rows.append([after(state, demand, reserved, beyond_units) for demand in range(largest + 1)])
        for step in rows[-1]:
            if step.state not in states:
                states[step.state] = len(reached)
                reached.append(step.state)
        if len(reached) * (largest + 1) * lifetime > MOST_STEPS:
            raise TooManyAgesError(beyond_units, lifetime)
    columns = [
        [[states[step.state] for step in row] for row in rows],
        [[step.missed for step in row] for row in rows],
        [[step.kept for step in row] for row in rows],
        [[step.expired for step in row] for row in rows],
    ]
    nexts, missed, kept, expired = (np.array(column, dtype=np.int32).T for column in columns)
    return nexts, missed, kept, expired
