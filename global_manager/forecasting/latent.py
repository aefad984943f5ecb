"""A latent intensity of demand: a Markov chain on a few values, seen through counts.

In period t the mean is `factor_t * value_j`, where j is the chain's state and `factor_t` repeats with the
season.  Given that, counts are Poisson or negative binomial.  Everything about such a model is exact: the
belief over states after what was seen (the forward recursion of Rabiner 1989, Proceedings of the IEEE 77),
the law any number of periods ahead, and draws of paths, in which correlation in time survives.

Seasons, autoregression, levels and regimes differ only in the chain (`seasonal`, `autoregressive`,
`regimes`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from global_manager.forecasting.series import (
    FloatArray,
    History,
    IntArray,
    law_of,
    log_chances,
    support_of,
)


@dataclass(frozen=True)
class Chain:
    """A chain: `values` of J states, transitions J x J from row to column, and the first belief."""

    values: FloatArray
    transitions: FloatArray
    start: FloatArray


@dataclass(frozen=True)
class LatentIntensity:
    """A forecast by a chain; `belief` is over the state of the last period that was seen.

    `factors` repeat from the first period of the history on; `size` is that of the negative binomial law
    (inf: Poisson), `support` the number of values that laws list, `period` the number of the next period.
    """

    chain: Chain
    factors: FloatArray
    size: float
    support: int
    belief: FloatArray
    period: int

    def observe(self, units: float, draws: float = 1.0) -> LatentIntensity:
        """Return the forecast after one more period (Bayes' rule)."""
        ahead = self.belief @ self.chain.transitions
        means = self._factor(self.period) * self.chain.values
        seen = np.array([units], dtype=np.float64)
        logs = log_chances(seen, means[None, :], self.size, draws)[0]
        weights = ahead * np.exp(logs - logs.max())
        total = weights.sum()
        belief = weights / total if total > 0 else ahead
        return replace(self, belief=belief, period=self.period + 1)

    def law(self, ahead: int = 1) -> FloatArray:
        """Return the mixture over states of the laws that they have then."""
        belief = self.belief @ np.linalg.matrix_power(self.chain.transitions, ahead)
        means = self._factor(self.period + ahead - 1) * self.chain.values
        mixed: FloatArray = belief @ law_of(means, self.size, self.support)
        mixed /= mixed.sum()
        return mixed

    def paths(self, number: int, periods: int, seed: int) -> IntArray:
        """Return paths: of the chain, and of counts given the chain."""
        stream = np.random.Generator(np.random.PCG64(seed))
        states = _picked(np.tile(self.belief, (number, 1)), stream.random(number))
        found = np.empty((number, periods), dtype=np.int64)
        for step in range(periods):
            states = _picked(self.chain.transitions[states], stream.random(number))
            means = self._factor(self.period + step) * self.chain.values[states]
            found[:, step] = _counts(means, self.size, stream)
        return found

    def _factor(self, period: int) -> float:
        return float(self.factors[period % len(self.factors)])


def after(
    history: History, chain: Chain, factors: FloatArray, size: float = inf
) -> LatentIntensity:
    """Return the forecast by a chain after all periods of a history."""
    units = history.array
    means = repeated(factors, len(units))[:, None] * chain.values
    logs = log_chances(units, means, size)
    _, belief = filtered(chain.start[None], chain.transitions[None], logs[None])
    support = support_of(units, float(chain.values.max() * factors.max()), size)
    return LatentIntensity(chain, factors, size, support, belief[0], len(units))


def filtered(
    starts: FloatArray, transitions: FloatArray, logs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log-likelihoods and last beliefs of C chains at once, by the forward recursion.

    `starts` is C x J, over the state of the first period; `transitions` C x J x J; `logs` C x T x J.
    """
    highest = logs.max(axis=2, keepdims=True)
    chances = np.exp(logs - highest)
    belief, total = starts, highest.sum(axis=(1, 2))
    for period in range(logs.shape[1]):
        if period:
            belief = np.matmul(belief[:, None, :], transitions)[:, 0, :]
        belief = belief * chances[:, period]
        likely = np.maximum(belief.sum(axis=1), 1e-300)
        total = total + np.log(likely)
        belief = belief / likely[:, None]
    return total, belief


def repeated(factors: FloatArray, periods: int) -> FloatArray:
    """Return the factors of periods 0 .. periods-1."""
    return np.resize(factors, periods)


def _picked(chances: FloatArray, uniforms: FloatArray) -> IntArray:
    places: IntArray = (np.cumsum(chances, axis=1) <= uniforms[:, None]).sum(axis=1)
    places[places == chances.shape[1]] -= 1  # rounding
    return places


def _counts(means: FloatArray, size: float, stream: np.random.Generator) -> IntArray:
    if size == inf:
        return stream.poisson(means)
    return stream.poisson(stream.gamma(size, means / size))
