"""The forecast of demand in an experiment file: what the manager plans for, and how it learns."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from emulator.config.section import IsNumber, Section

MOST_PAST = 10_000
Whole = Annotated[int, Field(ge=0, le=100_000), IsNumber]


class Method(StrEnum):
    """How demand is forecast; `best` is chosen on a rolling origin, among those that need no extra."""

    BEST = "best"
    STATIC = "static"
    SEASONAL = "seasonal"
    AUTOREGRESSIVE = "autoregressive"
    SEASONAL_AUTOREGRESSIVE = "seasonal-autoregressive"
    LEVEL = "level"
    REGIMES = "regimes"
    REGIMES_3 = "regimes-3"
    BOOSTED = "boosted"

    @property
    def needs_seasons(self) -> bool:
        """Whether there is nothing to fit without a season."""
        return self in (Method.SEASONAL, Method.SEASONAL_AUTOREGRESSIVE)


class Forecast(Section):
    """How the manager foresees demand; it watches every period, and plans again when that pays."""

    method: Method = Field(
        Method.BEST,
        description="best: chosen by ranked probability score on a rolling origin of the history",
    )
    history: str | None = Field(
        None,
        description="a CSV file with one column, units, one row per period before the run; null: drawn "
        "from demand.process",
    )
    seen: list[Whole] | None = Field(
        None, max_length=MOST_PAST, description="what the history says; written in its place"
    )
    past_periods: int = Field(
        1000, ge=60, le=MOST_PAST, description="drawn from demand.process if there is no history"
    )
    seasons: list[Annotated[int, Field(ge=2, le=10_000), IsNumber]] = Field(
        default_factory=list,
        max_length=4,
        description="numbers of periods, each a multiple of the one before: [24, 168]",
    )
    revise_every_periods: int = Field(
        1, ge=1, le=1_000, description="the look-ahead of a plan, after which it may be made again"
    )
    least_saving: float = Field(
        0.01, ge=0, le=1, description="of the expected cost, that a new plan must save"
    )

    @field_validator("seasons")
    @classmethod
    def _multiples(cls, seasons: list[int]) -> list[int]:
        if any(long % short or long == short for short, long in pairwise(seasons)):
            raise ValueError("each must be a multiple of the one before")
        return seasons
