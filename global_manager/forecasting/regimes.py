"""Regime switching: the mean is one of a few, and which one follows a Markov chain.

A hidden Markov model with Poisson counts, fitted by expectation and maximisation (Baum et al. 1970, Annals
of Mathematical Statistics 41; Zucchini and MacDonald 2009, Hidden Markov Models for Time Series).  Moves
have a weak prior, so that a regime that was never left can still be left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from global_manager.forecasting.latent import Chain, after
from global_manager.forecasting.series import (
    FloatArray,
    Forecast,
    History,
    log_chances,
    require_history,
)

_ROUNDS, _ENOUGH = 60, 1e-6
_STAY = 0.9


@dataclass(frozen=True)
class Regimes:
    """See the module."""

    regimes: int = 2

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"regimes-{self.regimes}"

    def fit(self, history: History) -> Forecast:
        """Return the forecast by the chain that expectation and maximisation lead to."""
        units = require_history(self.name, history)
        chain, before = _first(units, self.regimes), -np.inf
        for _ in range(_ROUNDS):
            logs = log_chances(units, np.tile(chain.values, (len(units), 1)), np.inf)
            likely, shares, moves = _expected(chain, logs)
            chain = _maximised(units, shares, moves)
            if likely - before < _ENOUGH * abs(likely):
                break
            before = likely
        return after(history, chain, np.ones(1))


def _first(units: FloatArray, regimes: int) -> Chain:
    """Return means of equal shares of the sorted smoothed history, and long stays."""
    smooth = np.sort(np.convolve(units, np.full(5, 0.2), mode="valid"))
    values = np.array([part.mean() for part in np.array_split(smooth, regimes)])
    values = np.maximum(values, 1e-3) * (1 + 0.01 * np.arange(regimes))
    leave = (1 - _STAY) / max(regimes - 1, 1)
    moves = np.full((regimes, regimes), leave) + np.eye(regimes) * (_STAY - leave)
    return Chain(values, moves, np.full(regimes, 1 / regimes))


def _expected(chain: Chain, logs: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Return the log-likelihood, the chance of each regime in each period, and expected moves."""
    highest = logs.max(axis=1, keepdims=True)
    chances, periods = np.exp(logs - highest), len(logs)
    forward, scale = np.empty_like(chances), np.empty(periods)
    belief = chain.start
    for t in range(periods):
        belief = (belief @ chain.transitions if t else belief) * chances[t]
        scale[t] = max(belief.sum(), 1e-300)
        forward[t] = belief = belief / scale[t]
    backward = np.ones_like(chances)
    for t in range(periods - 2, -1, -1):
        backward[t] = chain.transitions @ (chances[t + 1] * backward[t + 1]) / scale[t + 1]
    shares = forward * backward
    onward = chances[1:] * backward[1:] / scale[1:, None]
    moves = chain.transitions * (forward[:-1].T @ onward)
    return float(np.log(scale).sum() + highest.sum()), shares, moves


def _maximised(units: FloatArray, shares: FloatArray, moves: FloatArray) -> Chain:
    weight = shares.sum(axis=0)
    values = np.maximum((shares.T @ units) / np.maximum(weight, 1e-12), 1e-3)
    counted = moves + np.eye(len(weight)) * 9 * 0.1 + 0.1
    start = (weight + 1e-6) / (weight + 1e-6).sum()
    return Chain(values, counted / counted.sum(axis=1, keepdims=True), start)
