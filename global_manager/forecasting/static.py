"""One law for all periods, as if they were independent: what others are held against.

The law of greatest likelihood of Poisson and negative binomial, by AIC, unless the history rejects it by
Pearson's chi-square at 1 %; then the frequencies as they were (`global_manager.provisioning.demand`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from global_manager.forecasting.series import (
    FloatArray,
    Forecast,
    History,
    IntArray,
    drawn,
    law_of,
    require_history,
    support_of,
)
from global_manager.provisioning.demand import DemandError, Fitted, fit, is_rejected


@dataclass(frozen=True)
class FixedLaw:
    """A forecast that nothing changes."""

    chances: FloatArray

    def observe(self, units: float, draws: float = 1.0) -> FixedLaw:  # noqa: ARG002 - it learns nothing
        """Return itself."""
        return self

    def law(self, ahead: int = 1) -> FloatArray:  # noqa: ARG002 - all periods are alike
        """Return the law."""
        return self.chances

    def paths(self, number: int, periods: int, seed: int) -> IntArray:
        """Return independent draws."""
        stream = np.random.Generator(np.random.PCG64(seed))
        return drawn(self.chances, stream.random((number, periods)))


@dataclass(frozen=True)
class Static:
    """See the module."""

    name: str = "static"

    def fit(self, history: History) -> Forecast:
        """Return the law of a history."""
        units = require_history(self.name, history, least=2)
        whole = units.astype(np.int64)
        try:
            fitted = fit(whole.tolist())
        except DemandError:
            return FixedLaw(_frequencies(whole))
        return FixedLaw(_frequencies(whole) if is_rejected(fitted) else _fitted_law(fitted, units))


def _fitted_law(fitted: Fitted, units: FloatArray) -> FloatArray:
    excess = fitted.variance_units2 - fitted.mean_units
    size = fitted.mean_units**2 / excess if excess > 0 else inf
    return law_of(fitted.mean_units, size, support_of(units, fitted.mean_units, size))


def _frequencies(units: IntArray) -> FloatArray:
    counts: FloatArray = np.bincount(units).astype(np.float64)
    return counts / float(counts.sum())
