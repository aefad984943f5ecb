"""Plans that weigh the tail: mean and CVaR of a period's cost, out of sample, with and without a risk.

Prints for `tiny`, `paper` (whose wavelengths do not bind), `paper-w80`, `paper-w20` (one draw of demand for
all requests), and `paper-w20` with a draw for each request and with draws of correlation 0.3, a row per
weight of CVaR at .95: mean and CVaR on 10,000 fresh futures, the same for all weights, their standard
errors, and how far both are from those of the plan without a risk.  Then by how much any plan could lower
CVaR, whatever its mean: the bound of weight 1, on the plan's own futures.  And the bars: by how much CVaR
falls at the most among plans whose mean rises by at most 2 %.  With a file as an argument, draws the
frontiers as a PNG.  Takes some ten minutes of one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from bars import Row, at_least, tell, words

from emulator.build.futures import risk_fields
from emulator.build.loading import read
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.config.risk import RiskOptions
from emulator.report.plotting import COLOURS, MUTED, Axes, Figure, save
from global_manager.provisioning import solve

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
LEVEL = 0.95
MOST_MEAN, LEAST_FALL = 0.02, 0.05


@dataclass(frozen=True)
class Point:
    """What a plan of one weight costs on fresh futures, in monetary units per period.

    `bound` is that of its objective, and `sampled_cvar` its CVaR, on the futures that it was made for.
    """

    weight: float
    gap: float
    bound: float
    sampled_cvar: float
    mean: float
    mean_error: float
    cvar: float
    error: float


def setups() -> Iterator[tuple[str, Setup]]:
    """Yield the experiments, by name."""
    yield "tiny", read("tiny")
    yield "paper", read("paper")
    yield "paper-w80", read("paper-w80")
    paper = read("paper-w20")
    for name, correlation in (("one draw", True), ("draws apart", False), ("correlation 0.3", 0.3)):
        demand = paper.experiment.demand.model_copy(update={"correlated": correlation})
        changed = paper.experiment.model_copy(update={"demand": demand})
        yield f"paper-w20, {name}", paper.with_experiment(changed)


def point(setup: Setup, weight: float) -> Point:
    """Plan with a weight of CVaR, and price that on fresh futures."""
    experiment = setup.experiment
    risk = RiskOptions(level=LEVEL, weight=weight)
    options = experiment.plan.model_copy(update={"risk": risk})
    setup = setup.with_experiment(experiment.model_copy(update={"plan": options}))
    problem = problem_of(setup)
    plan = solve(problem, gap=experiment.plan.gap)
    found: dict[str, Any] = risk_fields(setup, problem, plan)["risk"]
    fresh = found["out_of_sample"]
    return Point(
        weight,
        plan.gap,
        plan.lower_bound,
        found["cvar"],
        fresh["mean"],
        fresh["mean_standard_error"],
        fresh["cvar"],
        fresh["standard_error"],
    )


def best_fall(points: list[Point]) -> Point:
    """Return the point of least CVaR whose mean is at most 2 % above that of the first."""
    near = [item for item in points if item.mean <= points[0].mean * (1 + MOST_MEAN)]
    return min(near, key=lambda item: item.cvar)


def rows(picture: Path | None) -> Iterator[Row]:
    """Plan for every experiment and weight."""
    frontiers: dict[str, list[Point]] = {}
    for name, setup in setups():
        points = frontiers[name] = [point(setup, weight) for weight in WEIGHTS]
        for item in points:
            yield _told(name, item, points[0])
        best = best_fall(points)
        fall, note = 1 - best.cvar / points[0].cvar, f"weight {best.weight:g}"
        bar = f"{name}: fall of CVaR .95 at a mean of at most 2 % more"
        most = 1 - points[-1].bound / points[0].sampled_cvar
        yield Row(
            f"{name}: no plan of any mean has a CVaR .95 that is lower by more than", most, ""
        )
        is_paper = name.startswith("paper-w")
        yield (
            at_least(bar, fall, "", LEAST_FALL, note) if is_paper else Row(bar, fall, "", note=note)
        )
    if picture is not None:
        draw(frontiers, picture)


def draw(frontiers: dict[str, list[Point]], picture: Path) -> None:
    """Draw CVaR over mean, relative to the plan without a risk; `paper-w20` at the right."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    colours = cycle(COLOURS.values())
    for (name, points), colour in zip(frontiers.items(), colours, strict=False):
        _frontier(panels[int(name.startswith("paper-w20"))], name, points, colour)
    for axes in panels:
        axes.axvline(100 * MOST_MEAN, color=MUTED, linewidth=0.8, linestyle=":")
        axes.axhline(-100 * LEAST_FALL, color=MUTED, linewidth=0.8, linestyle=":")
        axes.set_xlabel("mean cost of a period against no risk, %")
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("CVaR .95 of it against no risk, %")
    figure.suptitle("Mean and CVaR by weight of CVaR, on the same 10,000 fresh futures")
    save(figure, picture, dpi=150)


def _frontier(axes: Axes, name: str, points: list[Point], colour: str) -> None:
    first = points[0]
    shown: tuple[float, float] | None = None
    means = [100 * (item.mean / first.mean - 1) for item in points]
    tails = [100 * (item.cvar / first.cvar - 1) for item in points]
    axes.plot(means, tails, marker="o", markersize=3.5, color=colour, label=name)
    for item, x, y in zip(points, means, tails, strict=True):
        place = x, y
        if place != shown:
            axes.annotate(f"{item.weight:g}", place, (3, 3), textcoords="offset points", fontsize=6)
        shown = place


def _told(name: str, item: Point, first: Point) -> Row:
    changes = f"mean {item.mean / first.mean - 1:+.2%}, CVaR {item.cvar / first.cvar - 1:+.2%}"
    note = (
        f"mean {item.mean:,.0f} (standard error {item.mean_error:,.0f}); CVaR's standard error "
        f"{item.error:,.0f}; {changes}; gap {item.gap:.3%}"
    )
    return Row(f"{name}, weight {item.weight:g}: CVaR .95", item.cvar, "", note=note)


if __name__ == "__main__":
    tell(rows(next(map(Path, words()), None)))
