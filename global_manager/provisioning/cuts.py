"""Cuts: odd-set inequalities that a selection must satisfy to have a wavelength assignment.

Two paths that each use two of three given fibers share one of them, so a wavelength has room for one
such path: of all units on paths that use two or three of the fibers, at most as many fit as the
second largest number of wavelengths among the three.  Capacity of single fibers allows half as many
again.  These are the odd sets of matching and the subset rows of vehicle routing (Jepsen, Petersen,
Spoorendonk and Pisinger, Operations Research 56, 2008), here for wavelengths.

The cuts found here steer the choice of columns.  The bound is proven without them, over all paths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from math import fsum

import numpy as np

from global_manager.provisioning.columns import ColumnPool, Master
from global_manager.provisioning.instance import Instance, Triple
from global_manager.provisioning.multiple_choice import Column
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.selection import Selection, choose, saving, saving_wanted

_MOST_ROUNDS = 10
_MOST_PER_ROUND = 100
_MOST_CHOICES = 3
_NEARLY = 0.95  # sets this full in the relaxation may well overflow in whole units
_TOLERANCE = 1e-6
_ALL_UP_TO = 200  # fibers (or directions) of which every three are looked at
_PARTNERS = 8


def choose_with_cuts(instance: Instance, pool: ColumnPool, gap: float, nodes: int) -> Selection:
    """Return a selection as `choose` does, in which no three fibers are promised too much.

    Sets that overflow in whole units are added and the choice is made again, a few times; a search over all
    columns that missed its target once is not made again.
    """
    share = 1.0 if pool.separable else _NEARLY
    violated = violated_triples(instance, pool.columns, pool.weights, share)
    missed = False
    for _ in range(_MOST_CHOICES):
        instance, pool = _add_cuts(instance, pool, violated)
        selection = choose(instance, pool, gap, nodes, over_all=not missed)
        missed = missed or saving(selection) < saving_wanted(instance, pool, gap)
        violated = violated_triples(instance, list(selection), list(selection.values()))
        if not violated:
            break
    return selection


def violated_triples(
    instance: Instance, columns: Sequence[Column], weights: Sequence[float], share: float = 1.0
) -> list[Triple]:
    """Return the sets of three fibers promised more than this share of what they can carry.

    Sets that are cuts already are left out; of many the fullest are returned.
    """
    units: dict[tuple[int, ...], float] = {}
    for column, weight in zip(columns, weights, strict=True):
        if weight > _TOLERANCE:
            over = instance.resources(column.path)
            units[over] = units.get(over, 0.0) + weight * column.wavelengths
    known = set(instance.triples)
    found = sorted(
        (x for x in _violations(instance, units, share) if x[1] not in known), reverse=True
    )
    return [triple for _, triple in found[:_MOST_PER_ROUND]]


def _add_cuts(
    instance: Instance, pool: ColumnPool, triples: Sequence[Triple]
) -> tuple[Instance, ColumnPool]:
    """Give the instance these cuts, and more until the master breaks none; return both.

    Columns and bound stay; weights and prices are the master's under the cuts.
    """
    for _ in range(_MOST_ROUNDS):
        if not triples:
            break
        instance = instance.with_triples(triples)
        columns = [replace(c, resources=instance.occupies(c.path)) for c in pool.columns]
        pool = _under_cuts(instance, pool, columns)
        triples = violated_triples(instance, pool.columns, pool.weights)
    return instance, pool


def _under_cuts(instance: Instance, pool: ColumnPool, columns: Sequence[Column]) -> ColumnPool:
    master = Master(instance, columns)
    _, weights, prices, shares = master.solve()
    return replace(
        pool,
        columns=tuple(columns),
        weights=weights,
        prices=prices,
        group_costs=instance.recourse[:, 0] - shares,
        separable=False,
    )


def _violations(
    instance: Instance, units: Mapping[tuple[int, ...], float], share: float
) -> Iterator[tuple[float, Triple]]:
    """Yield sets of three fibers that are too full, each with its excess units.

    A path that uses two of three fibers uses one of the two with fewer wavelengths: where no fiber is
    more than half full, no set is too full.
    """
    wavelengths = np.asarray(instance.wavelengths, dtype=float)
    load = np.zeros(len(wavelengths))
    for over, amount_over in units.items():
        load[list(over)] += amount_over
    if np.all(load <= share * wavelengths / 2):
        return
    look = _among_all if len(wavelengths) <= _ALL_UP_TO else _among_partners
    yield from look(wavelengths, units, share)


def _among_all(
    wavelengths: Floats, units: Mapping[tuple[int, ...], float], share: float
) -> Iterator[tuple[float, Triple]]:
    """Yield too full sets of any three fibers; the time grows with the cube of their number."""
    uses = np.zeros((len(units), len(wavelengths)))
    for i, over in enumerate(units):
        uses[i, list(over)] = 1.0
    amount = np.fromiter(units.values(), dtype=float)
    both = _together(uses, amount)
    for e in range(len(wavelengths)):
        through = uses[:, e] > 0
        pairs = both[e][:, None] + both[e][None, :] + both
        promised = pairs - 2 * _together(uses[through], amount[through])
        carried = share * _second_largest(wavelengths[e], wavelengths)
        over_by = np.triu(promised - carried * (1 + _TOLERANCE), 1)
        over_by[: e + 1] = 0.0
        for f, g in np.argwhere(over_by > _TOLERANCE):
            yield float(over_by[f, g]), (e, int(f), int(g))


def _among_partners(
    wavelengths: Floats, units: Mapping[tuple[int, ...], float], share: float
) -> Iterator[tuple[float, Triple]]:
    """Yield too full sets of a fiber and two of those that share most units with it.

    The time grows with the number of fibers, and of pairs of fibers on paths.
    """
    both: dict[int, dict[int, float]] = defaultdict(dict)
    through: dict[int, list[tuple[frozenset[int], float]]] = defaultdict(list)
    for over, amount in units.items():
        for e, f in permutations(over, 2):
            both[e][f] = both[e].get(f, 0.0) + amount
        for e in over:
            through[e].append((frozenset(over), amount))
    for e, f, g in sorted(_with_partners(both)):
        pairs = both[e].get(f, 0.0) + both[e].get(g, 0.0) + both[f].get(g, 0.0)
        carried = share * sorted(wavelengths[[e, f, g]])[1] * (1 + _TOLERANCE) + _TOLERANCE
        if pairs > carried:
            thrice = fsum(amount for path, amount in through[e] if f in path and g in path)
            if pairs - 2 * thrice > carried:
                yield float(pairs - 2 * thrice - carried), (e, f, g)


def _with_partners(both: Mapping[int, Mapping[int, float]]) -> set[Triple]:
    found: set[Triple] = set()
    for e, shared in both.items():
        partners = sorted(shared, key=lambda f: (-shared[f], f))[:_PARTNERS]
        for f, g in combinations(partners, 2):
            first, second, third = sorted((e, f, g))
            found.add((first, second, third))
    return found


def _together(uses: Floats, amount: Floats) -> Floats:
    """Return the units that use fibers e and f, for all e and f."""
    return uses.T @ (uses * amount[:, None])


def _second_largest(one: float, wavelengths: Floats) -> Floats:
    """Return the second largest of `one` and every two of `wavelengths`; shape (fibers, fibers)."""
    larger = np.maximum(wavelengths[:, None], wavelengths[None, :])
    smaller = np.minimum(wavelengths[:, None], wavelengths[None, :])
    return np.maximum(smaller, np.minimum(one, larger))
