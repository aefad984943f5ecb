"""Forecasts of demand: what the next periods may need, given those that were seen.

A forecaster is fitted to a history and then told every further period.  At any time it knows the law of
demand any number of periods ahead, and draws whole future paths from a seed.  `candidates` lists all that
there are; `choose` takes the best of them on a rolling origin, by what they said before they saw.

Units are per request and period.  Nothing here knows of plans, prices or messages; numpy is all it needs.
Only `boosted` needs scikit-learn, which it loads when it is fitted (the extra `learn`).
"""

from global_manager.forecasting.rolling_origin import (
    Backtest,
    Score,
    backtest,
    candidates,
    choose,
    named,
)
from global_manager.forecasting.series import (
    Forecast,
    Forecaster,
    ForecastError,
    History,
    MissingExtraError,
)

__all__ = [
    "Backtest",
    "Forecast",
    "ForecastError",
    "Forecaster",
    "History",
    "MissingExtraError",
    "Score",
    "backtest",
    "candidates",
    "choose",
    "named",
]
