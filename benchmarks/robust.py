"""Laws fitted to few periods: plans for the counts as they were, against plans for the worst law near them.

For three laws of demand, 2,000 histories of 10, 20 and 30 periods each are drawn.  A plan is made for the
counts as they were, and for the worst law within a Wasserstein distance of them (`plan.risk`), of at most 9
units, at the paper's prices where wavelengths do not bind.  What it then costs is exact, under the law that
made the history.  Prints, by radius, the mean cost over histories against the plan for the counts, with the
95 % confidence limit of the difference; the worst 5 % of histories; CVaR .95 of a period, on average; and
how often a plan costs no more than it promised.  Then the same with the wavelengths of `paper-w20`, where
requests compete, for 8 histories of 20 periods.  Takes a minute or two of one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from bars import Row, tell

from emulator.build.loading import read
from emulator.build.problem import problem_of
from global_manager.provisioning import Scenario, evaluate, solve
from global_manager.provisioning.demand import (
    empirical_scenarios,
    negative_binomial_scenarios,
    poisson_scenarios,
)
from global_manager.provisioning.model import Ball
from global_manager.provisioning.recourse import (
    expected_missing_units,
    newsvendor_units,
)
from global_manager.provisioning.risk import cvar
from global_manager.provisioning.robust import worst_case_law

RESERVED, BOUGHT = 5_480, 18_520  # a unit and hop, as the paper reads per span
MOST = 9
RADII = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0)
PERIODS = (10, 20, 30)
HISTORIES, WHOLE = 2_000, 8
SEED = 2_022

Law = tuple[Scenario, ...]
LAWS: dict[str, Law] = {
    "Poisson of mean 10/3": poisson_scenarios(10 / 3, MOST + 1),
    "negative binomial, variance 8": negative_binomial_scenarios(10 / 3, 8.0, MOST + 1),
    "mostly 0, else 9": (Scenario(0, 0.75), Scenario(9, 0.25)),
}


@dataclass(frozen=True)
class Costs:
    """What plans cost by history: mean of a period, CVaR .95 of it, and the mean that was promised."""

    mean: list[float]
    tail: list[float]
    promised: list[float]


def drawn(law: Law, periods: int, rng: np.random.Generator) -> Law:
    """Return the counts of a history as a law."""
    chances = np.array([item.probability for item in law])
    places = rng.choice(len(law), periods, p=chances / chances.sum())
    return empirical_scenarios([law[place].units for place in places])


def alone(law: Law, seen: Law, radius: float) -> tuple[float, float, float]:
    """Return mean, CVaR and promise of the plan for one request and hop."""
    near = worst_case_law(seen, Ball(radius, MOST))
    table = expected_missing_units(near)
    reserved = newsvendor_units(RESERVED, BOUGHT, table)
    short = np.array([max(0, item.units - reserved) for item in law], dtype=float)
    chances = np.array([item.probability for item in law])
    costs = RESERVED * reserved + BOUGHT * short
    promised = RESERVED * reserved + BOUGHT * float(table[min(reserved, len(table) - 1)])
    return float(chances @ costs), cvar(costs, chances, 0.95), promised


def rows() -> Iterator[Row]:
    """Draw histories, plan and price."""
    for name, law in LAWS.items():
        for periods in PERIODS:
            rng = np.random.default_rng([SEED, periods])
            seen = [drawn(law, periods, rng) for _ in range(HISTORIES)]
            found = {
                radius: Costs(*map(list, zip(*(alone(law, s, radius) for s in seen), strict=True)))
                for radius in RADII
            }
            best = alone(law, law, 0.0)[0]
            for radius, costs in found.items():
                yield _told(
                    f"{name}, {periods} periods, radius {radius:g}", costs, found[0.0], best
                )
    yield from _where_fibers_bind()


def _told(name: str, costs: Costs, nominal: Costs, best: float) -> Row:
    differences = np.array(costs.mean) / np.array(nominal.mean) - 1
    reach = 1.96 * float(differences.std(ddof=1)) / sqrt(len(differences))
    worst = np.quantile(costs.mean, 0.95) / best
    kept = np.mean([m <= p * (1 + 1e-9) for m, p in zip(costs.mean, costs.promised, strict=True)])
    note = (
        f"against the counts {differences.mean():+.2%} +- {reach:.2%}; worst 5 % of histories from "
        f"{worst:.3f} on; CVaR .95 {np.mean(costs.tail) / np.mean(nominal.tail) - 1:+.2%}; "
        f"promise kept in {kept:.1%}"
    )
    return Row(
        f"{name}: mean cost over the best", float(np.mean(costs.mean)) / best, "times", note=note
    )


def _where_fibers_bind() -> Iterator[Row]:
    """Yield what whole plans of `paper-w20` cost, for one history of all requests at a time."""
    problem = problem_of(read("paper-w20"))
    law, rng = problem.scenarios, np.random.default_rng(SEED)
    best = solve(problem).objective
    means: dict[float, list[float]] = {radius: [] for radius in (0.0, 0.5, 1.0)}
    for _ in range(WHOLE):
        seen = drawn(law, 20, rng)
        for radius, own in means.items():
            requests = tuple(replace(r, ball=Ball(radius, MOST)) for r in problem.requests)
            plan = solve(replace(problem, scenarios=seen, requests=requests))
            own.append(evaluate(problem, plan.allocations).total)
    for radius, own in means.items():
        changes = np.array(own) / np.array(means[0.0]) - 1
        note = f"against the counts {changes.min():+.2%} to {changes.max():+.2%}, {WHOLE} histories"
        name = f"paper-w20, 20 periods, radius {radius:g}: mean cost over the best"
        yield Row(name, float(np.mean(own)) / best, "times", note=note)


if __name__ == "__main__":
    tell(rows())
