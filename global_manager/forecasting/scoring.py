"""How good a forecast was: proper scores of laws against what came.

Pinball loss and the continuous ranked probability score are those of Gneiting and Raftery (2007, Journal of
the American Statistical Association 102); the probability integral transform of counts is that of Czado,
Gneiting and Held (2009, Biometrics 65).
"""

from __future__ import annotations

import numpy as np

from global_manager.forecasting.series import FloatArray


def pinball(level: float, held: float, units: float) -> float:
    """Return the loss of holding `held` units where `units` came: `level` of a lack, else of the excess."""
    return level * max(units - held, 0.0) + (1 - level) * max(held - units, 0.0)


def crps(law: FloatArray, units: float) -> float:
    """Return the ranked probability score, `sum over k of (P(at most k) - [units <= k])^2`, in units."""
    reach = max(len(law), int(np.ceil(units)) + 1)
    below = np.ones(reach)
    below[: len(law)] = np.cumsum(law)
    return float(np.sum((below - (np.arange(reach) >= units)) ** 2))


def pit(law: FloatArray, units: float) -> tuple[float, float]:
    """Return P(less than units) and P(at most units): the transform is uniform between the two."""
    below = np.concatenate([[0.0], np.cumsum(law)])
    place = min(int(units), len(law) - 1)
    return float(below[place]), float(min(below[place + 1], 1.0))


def pit_histogram(pairs: list[tuple[float, float]], bins: int = 10) -> FloatArray:
    """Return the shares of the transform by equal bins; all are 1 / bins if laws are right."""
    edges = np.linspace(0, 1, bins + 1)
    if not pairs:
        return np.zeros(bins)
    low, high = np.array(pairs).T
    width = np.maximum(high - low, 1e-12)
    reached = np.clip((edges[None, :] - low[:, None]) / width[:, None], 0, 1)
    shares: FloatArray = np.diff(reached.mean(axis=0))
    return shares
