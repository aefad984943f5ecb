"""What every section of an experiment file has in common: frozen, no unknown fields, no infinity."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A mapping of fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
