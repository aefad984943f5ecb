"""The distribution of demand: how many units a request may need in a period, and how likely.

A scenario means "every request needs this many units".  Scenarios are sorted by units, differ in units,
and their probabilities sum to one.  They come from a law (Poisson, negative binomial), cut off and
renormalised as in the paper's evaluation, or from a history as it was; `fit` chooses the law for a history.

Nothing here knows of files, requests or prices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, islice
from math import erfc, exp, floor, fsum, inf, lgamma, log, log1p, sqrt

from global_manager.provisioning.model import Scenario

REJECTED_BELOW = 0.01  # of p-values: such a law is not that of the history
LEAST_EXPECTED = 5.0  # periods in a cell of the chi-square test; the usual rule of thumb


class DemandError(ValueError):
    """Demand cannot be described so; one subclass per kind of mistake.

    DemandParameterError: a parameter has a value that no law can have.
    HistoryError: a history holds too little, or something that is no demand.
    NotOverdispersedError: a history varies too little for a negative binomial law.
    """


class DemandParameterError(DemandError):
    """A parameter has an impossible value."""

    def __init__(self, name: str, right: str, value: float) -> None:
        super().__init__(name, right, value)
        self.name, self.right, self.value = name, right, value

    def __str__(self) -> str:
        return f"{self.name} must be {self.right}, not {self.value:g}"


class HistoryError(DemandError):
    """A history cannot be used."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the history {self.problem}"


class NotOverdispersedError(DemandError):
    """No negative binomial law is likelier than a Poisson law for this history."""

    def __init__(self, mean_units: float, variance_units2: float) -> None:
        super().__init__(mean_units, variance_units2)
        self.mean_units, self.variance_units2 = mean_units, variance_units2

    def __str__(self) -> str:
        return (
            f"the history's variance, {self.variance_units2:g}, does not clearly exceed its mean, "
            f"{self.mean_units:g}, so no negative binomial law fits; fit poisson, best or empirical"
        )


class Law(StrEnum):
    """What a history may be fitted by."""

    POISSON = "poisson"
    NEGATIVE_BINOMIAL = "negative-binomial"


@dataclass(frozen=True)
class Fitted:
    """The law of greatest likelihood for a history, and how good it is.

    `variance_units2` is the law's (the mean itself if Poisson).  `dispersion_index` is the history's
    sample variance over its mean: about 1 +- sqrt(2 / periods) if demand is Poisson.  `chi_square` is
    Pearson's statistic of the law in cells of at least five expected periods; `p_value` the chance of
    a greater one if the law is true (None: too few cells).  A small p_value means a poor fit.
    """

    law: Law
    periods: int
    mean_units: float
    variance_units2: float
    log_likelihood: float
    aic: float
    dispersion_index: float
    chi_square: float
    degrees_of_freedom: int
    p_value: float | None


def poisson_scenarios(mean_units: float, scenarios: int) -> tuple[Scenario, ...]:
    """Return demand of 0 .. scenarios-1 units, Poisson-distributed around `mean_units`, renormalised.

    Raises DemandParameterError unless `mean_units > 0` and `scenarios >= 1`.
    """
    return _law_scenarios(mean_units, mean_units, scenarios)


def negative_binomial_scenarios(
    mean_units: float, variance_units2: float, scenarios: int
) -> tuple[Scenario, ...]:
    """Return demand of 0 .. scenarios-1 units, negative binomial, renormalised.

    The law is that of Poisson demand whose mean is itself Gamma-distributed:
    `P(d) = Gamma(d + r) / (d! Gamma(r)) p^r (1 - p)^d`, where `p = mean / variance` and
    `r = mean^2 / (variance - mean)`.
    Raises DemandParameterError unless `variance_units2 > mean_units > 0` and `scenarios >= 1`.
    """
    if variance_units2 <= mean_units:
        right = f"greater than the mean, {mean_units:g}"
        raise DemandParameterError("variance_units2", right, variance_units2)
    return _law_scenarios(mean_units, variance_units2, scenarios)


def empirical_scenarios(history: Iterable[int] | Mapping[int, int]) -> tuple[Scenario, ...]:
    """Return the frequencies of a history as they are.

    A history is the units needed in each period, or periods counted by units.  Raises HistoryError.
    """
    counts = _counted(history)
    periods = counts.total()
    return tuple(Scenario(units, counts[units] / periods) for units in sorted(counts))


def stretched_scenarios(
    scenarios: Sequence[Scenario], mean: float, most_units: int
) -> tuple[Scenario, ...]:
    """Return demand of this mean, every d times as large as before, in whole units.

    What lies between two whole numbers goes to both, in the proportion that keeps the mean; what exceeds
    `most_units` becomes that.  Raises DemandParameterError unless `mean > 0`, and HistoryError if there
    is no demand to stretch.
    """
    if not 0 < mean < inf:
        raise DemandParameterError("mean_units", "positive", mean)
    before = mean_units(scenarios)
    if before == 0:
        raise HistoryError("has no demand at all, which no factor makes more")
    parts: dict[int, list[float]] = {}
    for item in scenarios:
        units = min(item.units * (mean / before), float(most_units))
        below = floor(units)
        parts.setdefault(below, []).append(item.probability * (below + 1 - units))
        parts.setdefault(below + 1, []).append(item.probability * (units - below))
    found = (Scenario(units, fsum(parts[units])) for units in sorted(parts))
    return tuple(item for item in found if item.probability > 0)


def truncated_scenarios(scenarios: Sequence[Scenario], most_scenarios: int) -> tuple[Scenario, ...]:
    """Return the scenarios of 0 .. most_scenarios-1 units, renormalised.

    Raises DemandParameterError if that leaves nothing.
    """
    kept = [item for item in scenarios if item.units < most_scenarios]
    total = fsum(item.probability for item in kept)
    if total <= 0:
        least = min((item.units for item in scenarios if item.probability > 0), default=0)
        raise DemandParameterError(
            "scenarios", f"greater than {least}, the least demand there is", most_scenarios
        )
    if len(kept) == len(scenarios):
        return tuple(scenarios)
    return tuple(Scenario(item.units, item.probability / total) for item in kept)


def tail_mass(mean_units: float, variance_units2: float, scenarios: int) -> float:
    """Return P(demand >= scenarios): what `poisson_scenarios` and its like cut off.

    Poisson if the variance is the mean, else negative binomial.  Exact to about 1e-12.
    Raises DemandParameterError.
    """
    _require_law(mean_units, variance_units2)
    zero = _log_chance_of_none(mean_units, variance_units2)
    weights = islice(_log_weights(mean_units, variance_units2), scenarios)
    return max(0.0, 1.0 - fsum(exp(zero + weight) for weight in weights))


def fit(history: Iterable[int] | Mapping[int, int], law: Law | None = None) -> Fitted:
    """Return the law of greatest likelihood; without `law`, the one of the two with the lower AIC.

    AIC is `2 parameters - 2 log-likelihood`; in a tie the Poisson law, which has one parameter fewer.
    Raises HistoryError for fewer than two periods or no demand at all, and NotOverdispersedError if a
    negative binomial law is asked for and the history does not vary enough for one.
    """
    counts = _counted(history)
    periods = counts.total()
    mean = sum(units * count for units, count in counts.items()) / periods
    if periods < 2 or mean == 0:
        what = "has only one period" if periods < 2 else "has no demand at all"
        raise HistoryError(f"{what}; nothing can be fitted to it: take it as empirical")
    variance = None if law is Law.POISSON else _likeliest_variance(counts, mean)
    if variance is None and law is Law.NEGATIVE_BINOMIAL:
        raise NotOverdispersedError(mean, _squares(counts, mean) / periods)
    poisson = _fitted(Law.POISSON, counts, mean, mean)
    if variance is None:
        return poisson
    spread = _fitted(Law.NEGATIVE_BINOMIAL, counts, mean, variance)
    return spread if law is not None or spread.aic < poisson.aic else poisson


def is_rejected(fitted: Fitted) -> bool:
    """Return whether a history is very unlikely under the law that fits it best.

    A history of zeros and large counts, say, has no law of the two; its frequencies are then nearer.
    """
    return fitted.p_value is not None and fitted.p_value < REJECTED_BELOW


def mean_units(scenarios: Sequence[Scenario]) -> float:
    """Return the expected demand of one request in one period."""
    return sum(scenario.probability * scenario.units for scenario in scenarios)


def _law_scenarios(
    mean_units: float, variance_units2: float, scenarios: int
) -> tuple[Scenario, ...]:
    _require_law(mean_units, variance_units2)
    if scenarios < 1:
        raise DemandParameterError("scenarios", "at least 1", scenarios)
    logs = list(islice(_log_weights(mean_units, variance_units2), scenarios))
    highest = max(logs)  # so that the likeliest weighs 1, and nothing overflows
    weights = [exp(item - highest) for item in logs]
    total = fsum(weights)
    return tuple(Scenario(units, weight / total) for units, weight in enumerate(weights))


def _log_weights(mean_units: float, variance_units2: float) -> Iterator[float]:
    """Yield `log(P(d) / P(0))` for d = 0, 1, ..: Poisson if the variance is the mean.

    Both laws belong to Panjer's class, `P(d + 1) / P(d) = (mean^2 / variance + a d) / (d + 1)` with
    `a = 1 - mean / variance`.  Unlike the Gamma function, this loses nothing where the laws meet.
    """
    start = mean_units / variance_units2 * mean_units
    slope = (variance_units2 - mean_units) / variance_units2
    total, units = 0.0, 0
    while True:
        yield total
        ratio = (start + slope * units) / (units + 1)
        total += log(ratio) if ratio > 0 else -inf
        units += 1


def _log_chance_of_none(mean_units: float, variance_units2: float) -> float:
    excess = variance_units2 - mean_units
    if excess == 0:
        return -mean_units
    return -(mean_units / excess) * mean_units * log1p(excess / mean_units)


def _require_law(mean_units: float, variance_units2: float) -> None:
    if not 0 < mean_units < inf:
        raise DemandParameterError("mean_units", "positive", mean_units)
    if not mean_units <= variance_units2 < inf:
        raise DemandParameterError("variance_units2", "at least the mean", variance_units2)


def _counted(history: Iterable[int] | Mapping[int, int]) -> Counter[int]:
    """Return in how many periods each number of units was needed; only what occurs."""
    counts = Counter(history)
    for units, periods in counts.items():
        if units < 0 or units % 1:
            raise HistoryError(f"must hold whole units of at least 0, not {units:g}")
        if periods < 0:
            raise HistoryError(f"cannot have {periods} periods of {units:g} units")
    if counts.total() == 0:
        raise HistoryError("is empty")
    return +counts


def _squares(counts: Counter[int], mean: float) -> float:
    return fsum(count * (units - mean) ** 2 for units, count in counts.items())


def _likeliest_variance(counts: Counter[int], mean: float) -> float | None:
    """Return the variance of the likeliest negative binomial law; None if that law is Poisson.

    The likeliest mean is the sample's.  The likelihood has one maximum in r if the variance exceeds the
    mean, and else keeps growing towards Poisson (Levin and Reeds 1977, Annals of Statistics 5); the score
    is `sum over j of (periods with more than j units) / (r + j) - periods log(1 + mean / r)`.
    """
    periods = counts.total()
    excess = _squares(counts, mean) / periods - mean
    if excess <= 0:
        return None
    falling = list(accumulate((counts[units] for units in range(max(counts))), initial=0))
    above = [periods - upto for upto in falling[1:]]

    def score(r: float) -> float:
        return fsum(n / (r + j) for j, n in enumerate(above)) - periods * log1p(mean / r)

    low = high = mean * mean / excess
    while score(low) <= 0:
        low /= 2
    while score(high) > 0:
        high *= 2
        if high > 1e8 * (1 + mean):  # rounding hides the root: no history can tell it from Poisson
            return None
    root = _root(score, low, high)
    variance = mean + mean * mean / root
    return variance if variance > mean else None


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function changes from positive to negative, by bisection of the logarithm."""
    while high > low * (1 + 1e-12):
        middle = sqrt(low * high)
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return sqrt(low * high)


def _fitted(law: Law, counts: Counter[int], mean: float, variance: float) -> Fitted:
    periods = counts.total()
    parameters = 1 if law is Law.POISSON else 2
    zero = _log_chance_of_none(mean, variance)
    weights = islice(_log_weights(mean, variance), max(counts) + 1)
    log_likelihood = fsum(counts[units] * (zero + log_w) for units, log_w in enumerate(weights))
    cells = _cells(counts, mean, variance)
    chi_square = fsum((observed - due) ** 2 / due for observed, due in cells)
    degrees = max(0, len(cells) - 1 - parameters)
    return Fitted(
        law=law,
        periods=periods,
        mean_units=mean,
        variance_units2=variance,
        log_likelihood=log_likelihood,
        aic=2 * parameters - 2 * log_likelihood,
        dispersion_index=_squares(counts, mean) / (periods - 1) / mean,
        chi_square=chi_square,
        degrees_of_freedom=degrees,
        p_value=_chi_square_tail(chi_square, degrees) if degrees else None,
    )


def _cells(counts: Counter[int], mean: float, variance: float) -> list[tuple[float, float]]:
    """Return (observed, expected) periods of runs of demands; the last run is open above."""
    total = float(counts.total())
    left_observed, left_expected = total, total
    zero, observed, expected, cells = _log_chance_of_none(mean, variance), 0.0, 0.0, []
    for units, weight in enumerate(_log_weights(mean, variance)):
        observed += counts[units]
        expected += total * exp(zero + weight)
        if left_expected - expected < LEAST_EXPECTED:
            break
        if expected >= LEAST_EXPECTED:
            cells.append((observed, expected))
            left_observed, left_expected = left_observed - observed, left_expected - expected
            observed = expected = 0.0
    return [*cells, (left_observed, left_expected)]


def _chi_square_tail(value: float, degrees: int) -> float:
    """Return the chance of a greater value (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    half = value / 2
    if half == 0:
        return 1.0
    start = degrees % 2 / 2
    powers = (start + step for step in range(degrees // 2))
    terms = [exp(power * log(half) - half - lgamma(power + 1)) for power in powers]
    return fsum([erfc(sqrt(half)) if degrees % 2 else 0.0, *terms])
