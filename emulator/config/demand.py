"""The demand section of an experiment file: who needs key, how much, how it is distributed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from emulator.config.cost_sharing import CostSharing
from emulator.config.demand_forecast import Forecast
from emulator.config.demand_process import DemandProcess
from emulator.config.section import IsNumber, Name, PositiveSeconds, Price, Section
from global_manager.provisioning import demand as laws
from global_manager.provisioning.model import Scenario
from global_manager.provisioning.scenario_reduction import reduced_scenarios

MOST_UNITS = 100_000  # of one request in one period: far above what a fiber carries
MOST_PERIODS = 10_000_000
MOST_REQUESTS = 50_000
_LEAST_MEAN, _MOST_VARIANCE = 1e-9, 1e12
_LEFT_OUT = 1e-9

Units = Annotated[int, Field(ge=0, le=MOST_UNITS), IsNumber]
MeanUnits = Annotated[float, Field(ge=_LEAST_MEAN, le=MOST_UNITS)]


class Poisson(Section):
    """Poisson demand, in units per request and period."""

    mean_units: MeanUnits


class NegativeBinomial(Section):
    """Negative binomial demand, in units per request and period: Poisson with a mean that itself varies."""

    mean_units: MeanUnits
    variance: float = Field(
        ge=_LEAST_MEAN, le=_MOST_VARIANCE, description="in units squared; greater than mean_units"
    )

    @field_validator("variance")
    @classmethod
    def _overdispersed(cls, variance: float, info: ValidationInfo) -> float:
        mean_units = info.data.get("mean_units", 0.0)
        if variance <= mean_units:
            raise ValueError(
                f"must be greater than mean_units, {mean_units:g}; if they are equal, use poisson"
            )
        return variance


class Empirical(Section):
    """Demand as often as it was seen."""

    counts: dict[Units, Annotated[int, Field(ge=1, le=10**12), IsNumber]] = Field(
        min_length=1, description="by units, the number of periods in which that many were needed"
    )


class Fit(StrEnum):
    """What becomes of a history."""

    BEST = "best"
    POISSON = "poisson"
    NEGATIVE_BINOMIAL = "negative-binomial"
    EMPIRICAL = "empirical"


class History(Section):
    """Demand that was seen: a CSV file with one column, `units`, and one row per period."""

    file: str = Field(description="relative to the experiment file")
    fit: Fit = Field(Fit.BEST, description="best: Poisson or negative binomial, by AIC")


class FittedFrom(Section):
    """Where a distribution comes from, and how well it fits; for the reader only.

    Written in place of a history.  `Fitted` in `global_manager/provisioning/demand.py` explains the
    statistics.
    """

    file: str
    periods: int
    log_likelihood: float | None = None
    aic: float | None = None
    dispersion_index: float | None = Field(None, description="variance / mean of the history")
    chi_square: float | None = None
    degrees_of_freedom: int | None = None
    p_value: float | None = Field(None, description="small: a poor fit")


_LAWS = ("poisson", "negative-binomial", "empirical", "history")


class Distribution(Section):
    """The distribution of demand; exactly one is named."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [law]} for law in _LAWS]})

    poisson: Poisson | None = None
    negative_binomial: NegativeBinomial | None = Field(None, alias="negative-binomial")
    empirical: Empirical | None = None
    history: History | None = None
    fitted_from: FittedFrom | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Distribution:
        values = (self.poisson, self.negative_binomial, self.empirical, self.history)
        found = [law for law, value in zip(_LAWS, values, strict=True) if value is not None]
        if len(found) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(_LAWS)}, not {' and '.join(found) or 'none'}"
            )
        return self

    def scenarios(self, count: int) -> tuple[Scenario, ...]:
        """Return the scenarios of 0 .. count-1 units.  A history must have been read before."""
        if self.poisson:
            return laws.poisson_scenarios(self.poisson.mean_units, count)
        if self.negative_binomial:
            law = self.negative_binomial
            return laws.negative_binomial_scenarios(law.mean_units, law.variance, count)
        return laws.truncated_scenarios(laws.empirical_scenarios(self._counts), count)

    def whole(self, least: int) -> tuple[Scenario, ...]:
        """Return scenarios of 0 .. n-1 units, n at least `least`, that leave out a chance of 1e-9 or less.

        There are never more units than a request may need.
        """
        if not (self.poisson or self.negative_binomial):
            return laws.empirical_scenarios(self._counts)
        count = least
        while count < MOST_UNITS and self.tail_mass(count) > _LEFT_OUT:
            count = min(2 * count, MOST_UNITS)
        return self.scenarios(count)

    def scaled(self, factor: float) -> Distribution:
        """Return the law of a mean `factor` times as large; raises ValueError for an empirical one."""
        if factor == 1:
            return self
        if factor == 0:
            return Distribution(empirical=Empirical(counts={0: 1}))
        law = self.poisson or self.negative_binomial
        if law is None:
            raise ValueError("demand.hours: an empirical law has no mean to scale")
        return self._law_of_mean(factor * law.mean_units)

    def scenarios_of_mean(self, mean_units: float, count: int) -> tuple[Scenario, ...]:
        """Return scenarios as `scenarios` does, of the same law with another mean.

        What was seen as it was is stretched; then more than count-1 units count as count-1.
        Raises HistoryError if it has no demand.
        """
        if self.poisson or self.negative_binomial:
            return self._law_of_mean(mean_units).scenarios(count)
        seen = laws.empirical_scenarios(self._counts)
        return laws.stretched_scenarios(seen, mean_units, count - 1)

    def whole_of_mean(self, mean_units: float, least: int) -> tuple[Scenario, ...]:
        """Return `whole` of the same law with another mean; what was seen as it was is stretched.

        Raises HistoryError if it has no demand.
        """
        if self.poisson or self.negative_binomial:
            return self._law_of_mean(mean_units).whole(least)
        seen = laws.empirical_scenarios(self._counts)
        return laws.stretched_scenarios(seen, mean_units, MOST_UNITS)

    def _law_of_mean(self, mean_units: float) -> Distribution:
        """Return Poisson or negative binomial demand of another mean.

        Negative binomial demand stays Poisson demand whose mean is Gamma-distributed: that mean is
        scaled, so what the variance exceeds the mean by goes with the square.  Raises DemandError.
        """
        if mean_units > MOST_UNITS:
            raise laws.DemandParameterError("mean_units", f"at most {MOST_UNITS:,}", mean_units)
        mean_units = max(mean_units, _LEAST_MEAN)
        if self.negative_binomial is None:
            return Distribution(poisson=Poisson(mean_units=mean_units))
        factor = mean_units / self.negative_binomial.mean_units
        excess = self.negative_binomial.variance - self.negative_binomial.mean_units
        variance = mean_units + factor**2 * excess
        if variance > _MOST_VARIANCE:
            raise laws.DemandParameterError("variance", f"at most {_MOST_VARIANCE:g}", variance)
        if variance <= mean_units:  # by rounding
            return Distribution(poisson=Poisson(mean_units=mean_units))
        law = NegativeBinomial(mean_units=mean_units, variance=variance)
        return Distribution.model_validate({"negative-binomial": law})

    @property
    def moments(self) -> tuple[float, float] | None:
        """The mean and the variance of a Poisson or negative binomial law; None of counts as they were."""
        if self.poisson:
            return self.poisson.mean_units, self.poisson.mean_units
        law = self.negative_binomial
        return (law.mean_units, law.variance) if law else None

    def tail_mass(self, count: int) -> float:
        """Return the chance of `count` units or more, which `scenarios` leaves out."""
        if self.poisson:
            return laws.tail_mass(self.poisson.mean_units, self.poisson.mean_units, count)
        if self.negative_binomial:
            law = self.negative_binomial
            return laws.tail_mass(law.mean_units, law.variance, count)
        counts = self._counts
        beyond = sum(periods for units, periods in counts.items() if units >= count)
        return beyond / sum(counts.values())

    @property
    def _counts(self) -> dict[int, int]:
        if self.empirical is None:
            raise ValueError("demand.distribution.history: has not been read; use `read`")
        return self.empirical.counts


def _a_day(factors: list[float]) -> list[float]:
    if len(factors) != 24:
        raise ValueError(f"give 24 factors, from midnight on, not {len(factors)}")
    return factors


Day = Annotated[list[Annotated[float, Field(ge=0, le=1_000), IsNumber]], AfterValidator(_a_day)]


class RequestItem(Section):
    """One security request, written out."""

    id: Name
    application: Name = Field("application", alias="class")
    source: str
    target: str
    tenant: Name | None = Field(None, description="who pays; if one request has it, all have")


class Demand(Section):
    """Who needs key, how much, and for how long."""

    periods: int = Field(60, ge=1, le=MOST_PERIODS, description="provisioning periods to emulate")
    period_s: PositiveSeconds = 60.0
    scenarios: int = Field(10, ge=1, le=MOST_UNITS, description="demand is 0 .. scenarios-1 units")
    reduce_to: int | None = Field(
        None,
        ge=1,
        le=MOST_UNITS,
        description="the number of scenarios kept, chosen to be nearest to all",
    )
    distribution: Distribution = Distribution(poisson=Poisson(mean_units=10 / 3))
    hours: dict[Name, Day] = Field(
        default_factory=dict,
        description="by class, 24 factors of the mean for the hours of the day, in solar time at the "
        "source; a class that is not named needs as much at every hour",
    )
    laws: dict[Name, Distribution] = Field(
        default_factory=dict, description="by class, in place of distribution"
    )
    correlated: bool | Annotated[float, Field(ge=0, le=1)] = Field(
        True,
        description="one draw per period for all requests, or one for each request; or between: the "
        "correlation of their normal quantiles",
    )
    joint: str | None = Field(
        None,
        description="a CSV file of joint futures: scenario, probability, request or class, units; in place "
        "of all laws",
    )
    trace: str | None = Field(
        None,
        description="a CSV file that the run replays: period, request or class, units; the plan goes by "
        "the laws",
    )
    process: DemandProcess | None = Field(
        None, description="correlates periods: the mean of each is that of the law times a factor"
    )
    forecast: Forecast | None = Field(
        None, description="the manager plans for what it foresees instead of for the distribution"
    )
    shortfall_cost: Price | dict[Name, Price] | None = Field(
        None,
        description="what a unit costs that never comes, for all or by class; default: twice the dearest "
        "on-demand unit of the class",
    )
    cost_sharing: CostSharing | None = Field(
        None, description="who pays how much among tenants; default: by demanded units"
    )
    requests: (
        dict[Name, Annotated[int, Field(ge=0, le=MOST_REQUESTS), IsNumber]] | list[RequestItem]
    )

    @field_validator("requests")
    @classmethod
    def _not_too_many(
        cls, requests: dict[str, int] | list[RequestItem]
    ) -> dict[str, int] | list[RequestItem]:
        count = sum(requests.values()) if isinstance(requests, dict) else len(requests)
        if count > MOST_REQUESTS:
            raise ValueError(f"must be at most {MOST_REQUESTS:,} in all, not {count:,}")
        return requests

    def kept(self, scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
        """Return scenarios, reduced if the experiment says so."""
        if self.reduce_to is None:
            return tuple(scenarios)
        return reduced_scenarios(scenarios, self.reduce_to).scenarios

    @property
    def correlation(self) -> float:
        """How far requests share their draws: 0, each has its own, to 1, one serves all."""
        return float(self.correlated)

    def law(self, kind: str) -> Distribution:
        """Return the law of a class."""
        return self.laws.get(kind, self.distribution)

    @property
    def kinds(self) -> set[str]:
        """The classes of all requests."""
        if isinstance(self.requests, dict):
            return {kind for kind, count in self.requests.items() if count}
        return {item.application for item in self.requests}

    @property
    def busiest(self) -> float:
        """The greatest factor of the mean, over classes and hours."""
        return max((max(day) for day in self.hours.values()), default=1.0)
