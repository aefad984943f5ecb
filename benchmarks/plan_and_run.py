"""Whether a run costs what its plan expects: both over many seeds, without faults.

Every seed draws its own requests, demands and skies.  What a plan expects is its exact cost, or where its
futures are drawn its mean cost on 2000 others.  The difference of both a seed, in per cent of what is
expected, has a mean and a 95 % confidence interval by Student's t; plan and run agree where it holds 0.

    python benchmarks/plan_and_run.py [EXPERIMENT [SEEDS]]
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bars import OK, UNCLEAR, Row, interval, tell, words
from quiet import Quiet

from emulator import run as running
from emulator.build.assembly import assemble
from emulator.build.futures import fresh_cost_of
from emulator.build.hourly_report import hourly_fresh
from emulator.build.loading import read
from emulator.build.manager_role import planner_of
from emulator.build.plan_files import read_allocations
from emulator.build.problem import hours_of
from emulator.build.setup import Setup
from emulator.engines.job import Options
from emulator.runtime.pacing import Pace
from emulator.store.files import PLAN, Engine
from global_manager.provisioning.check import make_plan
from global_manager.provisioning.hourly import plan_by_hours
from global_manager.provisioning.model import Termination

_EXPERIMENTS = ("tiny", "paper", "paper-drift", "sagin-metro")


def rows(name: str = "", seeds: str = "20") -> Iterator[Row]:
    """Compare every experiment over so many seeds."""
    for each in (name,) if name else _EXPERIMENTS:
        found = interval(
            [_excess(_without_faults(each, seed)) for seed in range(1, int(seeds) + 1)]
        )
        agrees = found.low <= 0 <= found.high
        bar = f"realised over expected cost of {each} without faults, {seeds} seeds"
        verdict = OK if agrees else UNCLEAR
        yield Row(bar, found.mean, "%", "an interval that holds 0", None, verdict, str(found))


def _without_faults(name: str, seed: int) -> Setup:
    setup = read(name)
    return setup.with_experiment(setup.experiment.model_copy(update={"seed": seed, "faults": []}))


def _excess(setup: Setup) -> float:
    """Return by how many per cent a run costs more than its plan expects."""
    options = Options(Pace.parse("max"), engine=Engine.IN_PROCESS, report=False)
    problem, policy = assemble(setup).problem, setup.experiment.plan.policy
    hours, periods = hours_of(setup), setup.experiment.demand.periods
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        outcome = running.run(setup, out, options, Quiet())
        reserved = read_allocations(out / PLAN, problem)
    realised = outcome.summary["cost"]["total"] / periods
    if hours is not None:
        plans = plan_by_hours(hours, planner_of(setup.experiment).solve, setup.experiment.plan.gap)
        fresh = hourly_fresh(setup, plans)
        expected = fresh["fresh"]["cost"] if fresh else plans.objective
    else:
        done = Termination.NOT_OPTIMIZED
        plan = make_plan(problem, policy, reserved, lower_bound=0.0, termination=done)
        expected = fresh_cost_of(setup, problem, plan).cost if problem.futures else plan.objective
    return float(100 * (realised / expected - 1))


if __name__ == "__main__":
    tell(rows(*words()))
