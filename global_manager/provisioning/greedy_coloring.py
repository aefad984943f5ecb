"""Greedy coloring of a complete selection, by configurations that serve for many wavelengths each.

A configuration is a set of lightpaths that share no fiber, so they can have one wavelength.  With R
wavelengths left, a fiber that still has to carry R units is critical: every configuration from now on
must use it.  So each configuration is built critical fibers first, those with the fewest paths left
before all others, and then from the fullest fibers down; it is used until a path has all its units
or until a fiber that it leaves out becomes critical.  Every configuration exhausts something, so
their number hardly depends on how many wavelengths there are.

Three fibers at a node carry one path per wavelength that uses two of them (see `cuts`); such a set is
watched as if it were a fiber.  Nothing is taken back: what is left over is for repair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.recourse import Floats

Integers = NDArray[np.int64]
Fibers = tuple[int, ...]
"""A path as the fibers that it uses."""

_TRIES = 8  # other configurations to look at when one misses a critical fiber
_MOST_WORK = 4_000_000  # paths times configurations after which no other weighting is tried
_SEED = 20_240_229


@dataclass(frozen=True)
class _Weighting:
    """How much fuller fibers count more, and how much the units that a path still wants."""

    sharpness: float
    share: float


_WEIGHTINGS = tuple(_Weighting(sharpness, share) for sharpness in (4, 2, 6) for share in (0.5, 0.0))


@dataclass(frozen=True)
class Coloring:
    """By path, the runs of wavelengths that it got: first and one past the last.

    `left_over` units got none; `wavelengths_left` were not used any more.
    """

    runs: Mapping[Fibers, list[tuple[int, int]]]
    configurations: int
    left_over: int
    wavelengths_left: int


def color_paths(instance: Instance, units: Mapping[Fibers, int]) -> Coloring:
    """Give wavelengths to `units` on every path, by the weighting that gets furthest without a miss."""
    greedy = _GreedyColoring(instance, units)
    furthest, work = None, 0
    for weighting in _WEIGHTINGS:
        trial = greedy.run(weighting, until_miss=True)
        if trial.left_over == 0:
            return trial
        if furthest is None or trial.wavelengths_left < furthest[0]:
            furthest = trial.wavelengths_left, weighting
        work += trial.configurations * len(units)
        if work > _MOST_WORK:
            break
    return greedy.run(furthest[1] if furthest else _WEIGHTINGS[0], until_miss=False)


class _GreedyColoring:
    """Paths, fibers and watched sets as arrays; `run` starts from the beginning every time."""

    def __init__(self, instance: Instance, units: Mapping[Fibers, int]) -> None:
        self._paths = list(units)
        self._wanted = np.fromiter(units.values(), dtype=np.int64)
        sets = _sets_at_nodes(self._paths) if not instance.problem.directed_capacity else []
        wavelengths = list(instance.wavelengths)
        self._fibers = len(wavelengths)
        self._wavelengths = np.array(
            wavelengths + [sorted(wavelengths[e] for e in three)[1] for three in sets],
            dtype=np.int64,
        )
        self._rows = len(self._wavelengths)
        self._covers = [self._covered(path, sets) for path in self._paths]
        self._padded = np.full((len(units), max(map(len, self._covers), default=0)), self._rows)
        through: list[list[int]] = [[] for _ in range(self._rows)]
        for i, rows in enumerate(self._covers):
            self._padded[i, : len(rows)] = rows
            for row in rows:
                through[row].append(i)
        self._through = [np.array(own, dtype=np.int64) for own in through]
        self._top = np.array([min(wavelengths[e] for e in p) for p in self._paths], dtype=np.int64)

    def run(self, weighting: _Weighting, *, until_miss: bool) -> Coloring:
        """Color until no wavelength or no unit is left, or until a critical fiber is missed."""
        rng = np.random.default_rng(_SEED)
        units = self._wanted.copy()
        runs: dict[Fibers, list[tuple[int, int]]] = defaultdict(list)
        left, count = int(self._wavelengths[: self._fibers].max(initial=0)), 0
        while left > 0 and units.any():
            slack = np.minimum(self._wavelengths, left) - self._count(units)
            configuration, missed = self._configuration(units, left, slack, weighting, rng)
            if missed and until_miss:
                break
            times = self._times(configuration, units, left, slack, missed)
            for i in configuration:
                runs[self._paths[i]].append((left - times, left))
            units[configuration] -= times
            left, count = left - times, count + 1
        return Coloring(runs, count, int(units.sum()), left)

    def _covered(self, path: Fibers, sets: list[frozenset[int]]) -> list[int]:
        own = set(path)
        return [*path, *(self._fibers + i for i, s in enumerate(sets) if len(s & own) > 1)]

    def _count(self, amount: Any, of: Any = slice(None)) -> Integers:
        """Return by row how much of `amount` (by path) goes through it."""
        padded = self._padded[of]
        weights = np.repeat(amount[of], padded.shape[1])
        total = np.bincount(padded.ravel(), weights=weights, minlength=self._rows + 1)
        return total[: self._rows].astype(np.int64)

    def _configuration(
        self,
        units: Integers,
        left: int,
        slack: Integers,
        weighting: _Weighting,
        rng: np.random.Generator,
    ) -> tuple[list[int], bool]:
        """Return the paths of a configuration, and whether it misses a critical fiber or set."""
        wants = units * (self._top >= left) > 0
        fullness = np.clip(1 - slack / left, 0.0, 1.0) ** weighting.sharpness
        worth = np.append(fullness, 0.0)[self._padded].sum(axis=1) + weighting.share * units / left
        critical = (slack <= 0) & (self._wavelengths >= left)
        best: tuple[int, list[int]] | None = None
        for attempt in range(_TRIES):
            noise = rng.uniform(0.5, 1.0, len(worth)) if attempt else 1.0
            chosen, covered = self._pick(wants, worth * noise, slack, critical)
            missed = int((1 - slack)[critical & ~covered].sum())
            if best is None or missed < best[0]:
                best = missed, chosen
            if missed == 0:
                break
        assert best is not None  # noqa: S101 - there are attempts
        return best[1], best[0] > 0

    def _pick(
        self, wants: Any, worth: Floats, slack: Integers, critical: Any
    ) -> tuple[list[int], NDArray[np.bool_]]:
        """Pick paths apart from each other until none is left."""
        free = wants.copy()
        ways = self._count(np.ones(len(free), dtype=np.int64), np.flatnonzero(free))
        covered = np.zeros(self._rows, dtype=bool)
        chosen: list[int] = []
        urgency = np.where(critical, -1.0, slack)
        rank = np.empty(self._rows)
        while True:
            rank.fill(np.inf)
            open_ = (ways > 0) & ~covered
            if not open_.any():
                return chosen, covered
            rank[open_] = np.where(critical, -1.0 / (1 + ways), urgency)[open_]
            through = self._through[int(rank.argmin())]
            able = through[free[through]]
            pick = int(able[worth[able].argmax()])
            chosen.append(pick)
            covered[self._covers[pick]] = True
            for e in self._paths[pick]:
                gone = self._through[e][free[self._through[e]]]
                if len(gone):
                    ways -= np.bincount(self._padded[gone].ravel(), minlength=self._rows + 1)[
                        : self._rows
                    ]
                    free[gone] = False

    def _times(
        self, chosen: list[int], units: Integers, left: int, slack: Integers, missed: bool
    ) -> int:
        """Return for how many wavelengths a configuration serves."""
        if missed:
            return 1
        lower = self._wavelengths[self._wavelengths < left]
        most = min(int(units[chosen].min(initial=left)), left - int(lower.max(initial=0)))
        covered = np.zeros(self._rows, dtype=bool)
        for i in chosen:
            covered[self._covers[i]] = True
        spare = slack[~covered & (slack > 0) & (self._wavelengths >= left)]
        return max(1, min(most, int(spare.min(initial=most))))


def _sets_at_nodes(paths: Iterable[Fibers]) -> list[frozenset[int]]:
    """Return all sets of three fibers at a node of which every two are used by some path.

    Fibers that follow each other on a path meet at a node; three that meet pairwise, at one node or
    around a triangle, are a set.
    """
    follows: dict[int, set[int]] = defaultdict(set)
    for path in paths:
        for e, f in pairwise(path):
            follows[e].add(f)
            follows[f].add(e)
    return sorted(set(_triangles(follows)), key=sorted)


def _triangles(follows: Mapping[int, set[int]]) -> Iterator[frozenset[int]]:
    for e in sorted(follows):
        for f in sorted(follows[e]):
            for g in follows[e] & follows[f]:
                yield frozenset((e, f, g))
