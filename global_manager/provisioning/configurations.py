"""Column generation over wavelength configurations: what colours can carry, bounded from above.

A configuration is a set of paths that share no fiber, so that all of them can have one colour.
Whoever lights a path must find it in the configuration of each of its colours:

    maximise   sum_i value_i take_i
    limit      sum_{i of claim group g} take_i                   <= n_g   for every group g
    path       sum_{i on p} units_i take_i - sum_{c with p} lit_c <= 0    for every path p
    colours    sum_{c in band b} lit_c                           <= W_b   for every band b

A band is a run of colours that the same fibers have.  Given prices mu of paths, the best
configuration is a set packing, and for every mu >= 0

    UB(mu) = sum_g n_g max(0, max_i (value_i - mu_p units_i)) + sum_b W_b max_c sum_{p in c} mu_p

bounds the maximum, whatever the master says; of a packing that is not solved to its end the solver's
own bound counts.  Continuity and uniqueness are in it, whole numbers are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

import highspy
import networkx as nx
import numpy as np

from global_manager.provisioning.choice import Selection
from global_manager.provisioning.columns import make_columns
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.solver import QuietHighs
from global_manager.routing import Path, k_cheapest_paths

Fibers = tuple[int, ...]
"""A path as the fibers that it uses."""

_MOST_ROUNDS = 300
_FEW_ROUNDS = 60
_MOST_NODES = 1_000
_MOST_CYCLES = 6  # independent ones: two nodes then have at most 2 ** 6 simple paths between them
_MOST_CLAIMS = 20_000
_MOST_PATHS = 300
_GREEDY = 20
_TOLERANCE = 1e-7
_SEED = 20_240_229


@dataclass(frozen=True)
class Claim:
    """One way for a member of a group to use a path, and what that is worth."""

    group: int
    path: Fibers
    units: int
    value: float


@dataclass(frozen=True)
class Carried:
    """What claims are worth at most: the master's value, and a proven bound above it."""

    value: float
    bound: float
    configurations: int


def bound_with_colours(instance: Instance) -> float | None:
    """Return a lower bound on the cost of every plan, colours included.

    None where there are too many simple paths to list them all.
    """
    claims = _every_claim(instance)
    if claims is None:
        return None
    limits = [len(group.members) for group in instance.groups]
    return instance.unreserved_cost - carry(claims, limits, instance.colours).bound


def unplaceable_units(instance: Instance, selection: Selection) -> int:
    """Return how many of a selection's units can be proven to have no colour on their paths.

    Of a selection over very many paths nothing is proven: 0.
    """
    wanted: dict[Fibers, int] = {}
    for column, n in selection.items():
        over = _either_way(instance.resources(column.path))
        wanted[over] = wanted.get(over, 0) + n * column.units
    if len(wanted) > _MOST_PATHS:
        return 0
    claims = [Claim(g, path, 1, 1.0) for g, path in enumerate(wanted)]
    most = carry(claims, list(wanted.values()), instance.colours, _FEW_ROUNDS).bound
    return max(0, sum(wanted.values()) - int(most + 1e-6))


def carry(
    claims: Sequence[Claim],
    limits: Sequence[int],
    colours: Sequence[int],
    rounds: int = _MOST_ROUNDS,
) -> Carried:
    """Bound what these claims are worth together; `limits[g]` members of group g may take one.

    Ends after so many rounds at the latest; the bound holds whenever it ends.
    """
    if not claims:
        return Carried(0.0, 0.0, 0)
    master = _Master(claims, limits, colours)
    bound = _worth(claims, limits, np.zeros(len(claims)))
    rng = np.random.default_rng(_SEED)
    value = 0.0
    for left in reversed(range(rounds)):
        value, prices, rents = master.solve()
        if bound - value <= _TOLERANCE * abs(bound):
            break
        grown = [master.grow_greedily(band, prices, rent, rng) for band, rent in enumerate(rents)]
        if any(grown) and left > 0:
            continue
        packings = [master.packing(band, prices) for band in range(len(rents))]
        paid = np.array([c.units * prices[master.place[c.path]] for c in claims])
        colours_worth = fsum(
            band.width * packing.bound for band, packing in zip(master.bands, packings, strict=True)
        )
        bound = min(bound, _worth(claims, limits, paid) + colours_worth)
        added = [master.add(band, packing.paths) for band, packing in enumerate(packings)]
        if not any(added):
            break
    return Carried(value, bound, len(master.known))


@dataclass(frozen=True)
class _Band:
    """A run of `width` colours, and the places of the paths all of whose fibers have them."""

    width: int
    paths: tuple[int, ...]


@dataclass(frozen=True)
class _Packing:
    """Paths that share no fiber, and what no other such set is worth more than."""

    paths: tuple[int, ...]
    bound: float


class _Master:
    """The linear program over the configurations known so far, kept in the solver."""

    def __init__(
        self, claims: Sequence[Claim], limits: Sequence[int], colours: Sequence[int]
    ) -> None:
        self._paths = list(dict.fromkeys(claim.path for claim in claims))
        self.place = {path: i for i, path in enumerate(self._paths)}
        self._masks = [sum(1 << e for e in path) for path in self._paths]
        self.bands = _bands(self._paths, colours)
        self.known: set[tuple[int, tuple[int, ...]]] = set()
        self._first_path = len(limits)
        self._first_band = len(limits) + len(self._paths)
        rows = [
            *map(float, limits),
            *[0.0] * len(self._paths),
            *[float(b.width) for b in self.bands],
        ]
        self._highs = QuietHighs()
        self._highs.setOptionValue("threads", 1)
        for most in rows:
            self._highs.addRow(-highspy.kHighsInf, most, 0, [], [])
        for claim in claims:
            on = [claim.group, self._first_path + self.place[claim.path]]
            units = [1.0, float(claim.units)]
            self._highs.addCol(-claim.value, 0.0, highspy.kHighsInf, 2, on, units)

    def solve(self) -> tuple[float, Floats, Floats]:
        """Return the value of the claims taken, the prices of paths, and a colour's by band."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the master over configurations ended as {status}")
        prices = np.maximum(-np.asarray(self._highs.getSolution().row_dual), 0.0)
        value = -float(self._highs.getInfo().objective_function_value)
        return value, prices[self._first_path : self._first_band], prices[self._first_band :]

    def add(self, band: int, paths: tuple[int, ...]) -> bool:
        """Add a configuration; say whether it is new."""
        if not paths or (band, paths) in self.known:
            return False
        self.known.add((band, paths))
        rows = [*(self._first_path + i for i in paths), self._first_band + band]
        values = [-1.0] * len(paths) + [1.0]
        self._highs.addCol(0.0, 0.0, highspy.kHighsInf, len(rows), rows, values)
        return True

    def grow_greedily(
        self, band: int, prices: Floats, rent: float, rng: np.random.Generator
    ) -> bool:
        """Add configurations worth more than a colour costs, as far as greed finds any."""
        own = np.array([i for i in self.bands[band].paths if prices[i] > 0], dtype=np.int64)
        length = np.array([len(self._paths[i]) for i in own])
        grown = False
        for _ in range(_GREEDY if len(own) else 0):
            merit = prices[own] / length ** rng.uniform(0.3, 1.0) * rng.uniform(0.7, 1.0, len(own))
            used, paths = 0, []
            for i in own[np.argsort(-merit, kind="stable")].tolist():
                if not self._masks[i] & used:
                    used |= self._masks[i]
                    paths.append(i)
            if prices[paths].sum() > rent + _TOLERANCE * max(1.0, rent):
                grown = self.add(band, tuple(sorted(paths))) or grown
        return grown

    def packing(self, band: int, prices: Floats) -> _Packing:
        """Return the set of paths worth most at these prices, and a bound on any set's worth."""
        own = [i for i in self.bands[band].paths if prices[i] > 0]
        if not own:
            return _Packing((), 0.0)
        highs = QuietHighs()
        for option, value in (
            ("threads", 1),
            ("mip_rel_gap", 1e-9),
            ("mip_max_nodes", _MOST_NODES),
        ):
            highs.setOptionValue(option, value)
        fibers = sorted({e for i in own for e in self._paths[i]})
        row = {e: r for r, e in enumerate(fibers)}
        for _ in fibers:
            highs.addRow(-highspy.kHighsInf, 1.0, 0, [], [])
        for column, i in enumerate(own):
            over = [row[e] for e in self._paths[i]]
            highs.addCol(-float(prices[i]), 0.0, 1.0, len(over), over, [1.0] * len(over))
            highs.changeColIntegrality(column, highspy.HighsVarType.kInteger)
        highs.run()
        chosen = highs.getSolution().col_value
        paths = tuple(i for i, x in zip(own, chosen, strict=False) if x > 0.5)
        proven = -float(highs.getInfo().mip_dual_bound)
        return _Packing(paths, max(proven, fsum(float(prices[i]) for i in paths)))


def _worth(claims: Sequence[Claim], limits: Sequence[int], paid: Floats) -> float:
    """Return what groups gain if every member takes its best claim at what it pays for paths."""
    best = [0.0] * len(limits)
    for claim, price in zip(claims, paid.tolist(), strict=True):
        best[claim.group] = max(best[claim.group], claim.value - price)
    return fsum(n * gain for n, gain in zip(limits, best, strict=True))


def _bands(paths: Sequence[Fibers], colours: Sequence[int]) -> list[_Band]:
    """Return the runs of colours between the numbers that fibers have."""
    shortest = [min(colours[e] for e in path) for path in paths]
    levels = sorted({0, *shortest})
    return [
        _Band(top - below, tuple(i for i, n in enumerate(shortest) if n >= top))
        for below, top in pairwise(levels)
    ]


def _either_way(path: Fibers) -> Fibers:
    return min(path, path[::-1])


def _every_claim(instance: Instance) -> list[Claim] | None:
    """Return a claim for every group, simple path and number of units that saves anything."""
    graph = instance.graph.to_undirected(as_view=True)
    parts = nx.number_connected_components(graph)
    if graph.number_of_edges() - graph.number_of_nodes() + parts > _MOST_CYCLES:
        return None
    claims: list[Claim] = []
    paths: dict[tuple[str, str], list[Path]] = {}
    for g, group in enumerate(instance.groups):
        ends = group.source, group.target
        if ends not in paths:
            paths[ends] = k_cheapest_paths(instance.graph, *ends, 2**_MOST_CYCLES)
        for path in paths[ends]:
            over = _either_way(instance.resources(path))
            columns = make_columns(instance, g, path, range(1, instance.most_units + 1))
            claims += [Claim(g, over, c.units, c.saving) for c in columns if c.saving > 0]
        if len(claims) > _MOST_CLAIMS:
            return None
    return claims
