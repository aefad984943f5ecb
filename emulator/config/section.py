"""What every section of an experiment file has in common: frozen, no unknown fields, no infinity."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A mapping of fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Strikes(StrEnum):
    """What a fault strikes, which says whom it concerns and by which signs it is noticed."""

    LINK = "link"
    NODE = "node"
    ENTITY = "entity"  # or what entities say to one another
    SATELLITE = "satellite"
    UAV = "uav"
    DEMAND = "demand"
    PROCESS = "process"  # which changes no outcome


class Timed(Section):
    """Something that happens at a time, and is over at another."""

    at_s: float = Field(ge=0, description="emulated time")
    until_s: Positive | None = Field(None, description="None: for good")

    @field_validator("until_s")
    @classmethod
    def _after(cls, until_s: float | None, info: ValidationInfo) -> float | None:
        at_s = info.data.get("at_s", 0.0)
        if until_s is not None and until_s <= at_s:
            raise ValueError(f"must be after at_s, {at_s:g}")
        return until_s
