"""What a plan minds beside the mean cost: dear periods, or laws of demand that are known only nearly."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from emulator.config.demand import MOST_UNITS
from emulator.config.section import IsNumber, Name, Section

ServiceLevel = Annotated[float, Field(ge=0, le=1), IsNumber]
Radius = Annotated[float, Field(ge=0, le=MOST_UNITS), IsNumber]


class RiskOptions(Section):
    """How much a plan minds dear periods; the plan minimises mean and tail of a period's cost, weighed."""

    measure: Literal["cvar"] = Field(
        "cvar",
        description="the mean cost of the dearest periods, of probability 1 - level together",
    )
    level: float = Field(0.95, ge=0, le=0.999, description="0: all periods, as the mean")
    weight: float = Field(0.3, ge=0, le=1, description="of CVaR; the mean has the rest")
    futures: int = Field(
        1_000,
        ge=10,
        le=10_000,
        description="joint futures drawn, where demands or skies are too many to list",
    )


class WassersteinOptions(Section):
    """How far the true law of a demand may be from the given one; the worst case is minimised."""

    measure: Literal["wasserstein"] = Field(
        description="the greatest mean under laws within a type-1 Wasserstein distance"
    )
    radius_units: Radius | dict[Name, Radius] = Field(
        description="that distance, for all requests, or for each class; classes left out have certain laws"
    )
    most_units: int | None = Field(
        None,
        ge=1,
        le=MOST_UNITS,
        description="the largest demand of any law; None: the largest of demand.scenarios",
    )

    def radius(self, application: str) -> float | None:
        """Return the radius of a class; None if its law is certain."""
        if isinstance(self.radius_units, dict):
            return self.radius_units.get(application)
        return self.radius_units

    def largest(self, scenarios: int) -> int:
        """Return the largest demand of any law, with so many scenarios."""
        return scenarios - 1 if self.most_units is None else self.most_units


def _measure(value: Any) -> str:
    """Return which risk is asked for; one without a measure is CVaR."""
    if isinstance(value, dict):
        return str(value.get("measure", "cvar"))[:40]
    return getattr(value, "measure", "cvar")


AnyRisk = Annotated[
    Annotated[RiskOptions, Tag("cvar")] | Annotated[WassersteinOptions, Tag("wasserstein")],
    Discriminator(_measure),
]
