"""What a forecast means for a plan: the scenarios of its look-ahead.

A plan stays for a number of periods.  What is reserved serves each of them alike, and the cost of a period
is linear in its distribution; so the plan sees the mean of the laws of these periods, each given all that
was seen.  That is where correlation in time counts: a law given the past is not the law of all times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from global_manager.forecasting.series import FloatArray, Forecast
from global_manager.provisioning.model import Scenario

_LEFT_OUT = 1e-12


@dataclass(frozen=True)
class Foresight:
    """A forecast at the start of a run, by the forecaster called `method`, and how plans use it.

    Every period is worth `draws` independent draws of one request's demand.  A plan is for `periods`, of
    0 .. `scenarios`-1 units; more counts as the most.  A new plan must save `least_saving` of what is
    expected to be paid.
    """

    method: str
    forecast: Forecast
    draws: float
    periods: int
    scenarios: int
    least_saving: float

    def after(self, forecast: Forecast, observed: float) -> Forecast:
        """Return a forecast after one more period of this mean."""
        return forecast.observe(observed, self.draws)

    def scenarios_of(self, forecast: Forecast) -> tuple[Scenario, ...]:
        """Return the scenarios of the next periods."""
        laws = [self._cut(forecast.law(ahead)) for ahead in range(1, self.periods + 1)]
        chances = np.mean(laws, axis=0)
        chances[chances < _LEFT_OUT] = 0.0
        chances = chances / chances.sum()
        places = np.flatnonzero(chances)
        return tuple(Scenario(int(units), float(chances[units])) for units in places)

    def _cut(self, law: FloatArray) -> FloatArray:
        found = np.zeros(self.scenarios)
        kept = law[: self.scenarios]
        found[: len(kept)] = kept
        found[-1] += law[self.scenarios :].sum()
        return found


def worth(requests: int, correlation: float) -> float:
    """Return how many independent draws the demand of all requests in one period is worth."""
    return requests / (1 + (requests - 1) * correlation) if requests else 1.0
