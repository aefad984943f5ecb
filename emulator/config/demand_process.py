"""The process of demand in an experiment file: how its mean changes from period to period."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from emulator.config.section import IsNumber, Section


class AutoregressiveFactor(Section):
    """A factor whose logarithm follows a stationary AR(1) process."""

    coefficient: float = Field(ge=0, lt=1, description="correlation with the period before")
    deviation: float = Field(gt=0, le=3, description="standard deviation of the logarithm")


class RegimeFactor(Section):
    """A factor that is one of a few, and switches."""

    factors: list[Annotated[float, Field(ge=0, le=1_000), IsNumber]] = Field(
        min_length=2, max_length=20, description="scaled to a mean of 1"
    )
    stay: float = Field(ge=0, lt=1, description="probability of the same regime in the next period")


class DemandProcess(Section):
    """How the mean of demand changes from period to period; all that is given is multiplied."""

    season: list[Annotated[float, Field(ge=0, le=1_000), IsNumber]] | None = Field(
        None,
        min_length=2,
        max_length=100_000,
        description="factors by period, repeated, scaled to a mean of 1",
    )
    autoregressive: AutoregressiveFactor | None = None
    regimes: RegimeFactor | None = None
    trend: float = Field(
        1.0,
        ge=0.001,
        le=1_000,
        description="the factor after the last period, in a straight line from 1",
    )
    tail_shape: float | None = Field(
        None,
        gt=1,
        le=100,
        description="of a Pareto-distributed factor for each period; small: heavy",
    )

    @model_validator(mode="after")
    def _has_demand(self) -> DemandProcess:
        for name, factors in (
            ("season", self.season),
            ("regimes", self.regimes and self.regimes.factors),
        ):
            if factors is not None and not any(factors):
                raise ValueError(f"{name}: at least one factor must be positive")
        return self
