"""What policies cost in the same worlds: each runs every seed, in process, and a floor is run besides.

All of them meet the same demand, weather and faults, which are functions of the seed (common random
numbers); that demand was the same is checked.  The floor `perfect-information` reserves knowing all demand
of its world, as another run of the seed has had it, and orders as every built-in policy does.  A run leaves
one small file; its folder goes.  What is made of these files is not known here.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emulator.build.assembly import Assembly, assemble
from emulator.build.loading import Origin
from emulator.build.stores import stores_of
from emulator.engines.job import Options
from emulator.input_checks import BadInputError
from emulator.results.ledger import LedgerRow, rows_of
from emulator.run import ResultsError, run
from emulator.runtime.pacing import Pace
from emulator.store.files import Engine
from emulator.sweep import pool
from emulator.sweep.job import Nobody
from emulator.sweep.runner import noting_signals
from global_manager.provisioning.check import InvalidProblemError
from global_manager.provisioning.hindsight import with_known_demand
from global_manager.provisioning.model import Policy
from global_manager.provisioning.stores import Store

_WORLDS_AT_A_TIME = 10
PERFECT = "perfect-information"
UNITS = ("demanded", "fiber", "satellite", "uav", "late", "shortfall")


@dataclass(frozen=True)
class Trial:
    """One policy in one world; `answer` is the file that it leaves.

    The floor gets the demand of its world from the answer `known` of another trial of the same seed.
    """

    experiment: Origin
    policy: str
    seed: int
    answer: Path
    known: Path | None = None

    @property
    def name(self) -> str:
        """What progress calls it."""
        return f"{self.policy}, seed {self.seed}"


@dataclass(frozen=True)
class Realised:
    """What one run of a policy cost, per period, and what it delivered, in all periods together.

    `units` and, by class, `classes` have the sums of the ledger's units; `demand` is by period and request.
    Costs are in monetary units.
    """

    policy: str
    seed: int
    cost: float
    cash: float
    periods: int
    units: Mapping[str, int]
    needed_s: float
    down_s: float
    classes: Mapping[str, Mapping[str, int]]
    failures: tuple[str, ...] = ()
    demand: tuple[tuple[int, ...], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Comparison:
    """All runs by policy, in the order of the seeds that every policy has finished, and what went wrong."""

    by_policy: Mapping[str, tuple[Realised, ...]]
    seeds: tuple[int, ...]
    problems: tuple[str, ...]
    stopped_by: int | None = None

    @property
    def all_problems(self) -> tuple[str, ...]:
        """Runs that failed, and rules that policies broke, a line each."""
        runs = (item for runs in self.by_policy.values() for item in runs)
        return (*self.problems, *(line for item in runs for line in item.failures))


class CommonDemandError(Exception):
    """Two policies met different demand in the world of one seed; their costs cannot be compared."""

    def __init__(self, seed: int, policy: str, other: str) -> None:
        super().__init__(seed, policy, other)
        self.seed, self.policy, self.other = seed, policy, other

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.policy} met another demand than {self.other}"


def compare(
    experiment: Origin,
    policies: Sequence[str],
    seeds: Sequence[int],
    jobs: int | None,
    ended: Callable[[str, str], None],
) -> Comparison:
    """Run every policy, and the floor, with every seed.  `ended` is told of each trial, and its problem.

    After a signal no trial is started.  Raises CommonDemandError.
    """
    received: list[int] = []
    problems: list[str] = []
    done: list[Trial] = []
    with TemporaryDirectory(prefix="qsagin-compare-") as scratch, noting_signals(received):
        for batch in _batches(experiment, policies, seeds, Path(scratch)):
            at_a_time = jobs or len(os.sched_getaffinity(0))
            for trial, problem in pool.spread(carry_out, batch, at_a_time, lambda: bool(received)):
                ended(trial.name, problem)
                problems += [f"{trial.name}: {problem}"] if problem else []
                done += [] if problem else [trial]
        answers = [_read(trial) for trial in done]
    return _compared(answers, (*policies, PERFECT), seeds, problems, received)


def _batches(
    experiment: Origin, policies: Sequence[str], seeds: Sequence[int], folder: Path
) -> Iterator[list[Trial]]:
    """Yield trials, some worlds at a time, so that an interrupted comparison has some, and their floors."""
    for begin in range(0, len(seeds), _WORLDS_AT_A_TIME):
        some = seeds[begin : begin + _WORLDS_AT_A_TIME]
        trials = [
            Trial(experiment, policy, seed, folder / f"{number}-{seed}.json")
            for seed in some
            for number, policy in enumerate(policies)
        ]
        yield trials
        yield [
            Trial(experiment, PERFECT, seed, folder / f"floor-{seed}.json", trials[first].answer)
            for first, seed in zip(range(0, len(trials), len(policies)), some, strict=True)
        ]


def carry_out(trial: Trial) -> str:
    """Run a policy in its world, and write the answer; return what went wrong, or nothing."""
    if trial.known is not None and not trial.known.exists():
        return "the run that tells its demand failed"
    policy = Policy.STOCHASTIC.value if trial.known else trial.policy
    options = Options(Pace(None), Engine.IN_PROCESS, kept=False, report=False)
    try:
        setup = trial.experiment.changed({"seed": trial.seed, "plan.policy": policy}).read()
        assembly = assemble(setup)
        if trial.known is not None:
            demand = json.loads(trial.known.read_text())["demand"]
            assembly = _knowing(assembly, demand, stores_of(setup))
        with TemporaryDirectory(prefix="qsagin-run-") as scratch:
            folder = Path(scratch, "run")
            outcome = run(setup, folder, options, Nobody(), assembly=assembly)
            rows = rows_of(folder)
    except (BadInputError, ResultsError, InvalidProblemError, OSError) as error:
        return " ".join(str(error).split())
    if outcome.stopped_by is not None:
        return f"ended by {signal.Signals(outcome.stopped_by).name}"
    if outcome.failure or not outcome.summary["audit"]["ok"]:
        return outcome.failure or "the audit found faults"
    answer = _realised(trial, outcome.summary, rows)
    trial.answer.write_text(json.dumps(asdict(answer)), encoding="utf-8")
    return ""


def _knowing(
    assembly: Assembly, demand: Sequence[Sequence[int]], stores: Sequence[Store]
) -> Assembly:
    """Return what is run if the manager knows all demand: it then has nothing to watch or to forecast."""
    manager = replace(
        assembly.manager,
        problem=with_known_demand(assembly.manager.problem, demand, stores),
        look_every_periods=0,
        foresee_every_periods=0,
    )
    return replace(assembly, manager=manager)


def _realised(trial: Trial, summary: dict[str, Any], rows: Sequence[LedgerRow]) -> Realised:
    periods = summary["periods"]
    kinds = sorted({row.application for row in rows})
    return Realised(
        trial.policy,
        trial.seed,
        sum(row.cost for row in rows) / periods,
        sum(row.cash for row in rows) / periods,
        periods,
        _units(rows),
        sum(row.needed_s for row in rows),
        sum(row.down_s for row in rows),
        {kind: _units([row for row in rows if row.application == kind]) for kind in kinds},
        tuple(summary.get("policy_failures", ())),
        tuple(
            tuple(row.demanded_units for row in rows if row.period == period)
            for period in range(periods)
        ),
    )


def _units(rows: Sequence[LedgerRow]) -> dict[str, int]:
    return {name: sum(getattr(row, f"{name}_units") for row in rows) for name in UNITS}


def _read(trial: Trial) -> Realised:
    fields = json.loads(trial.answer.read_text(encoding="utf-8"))
    demand = tuple(tuple(period) for period in fields["demand"])
    return Realised(**fields | {"failures": tuple(fields["failures"]), "demand": demand})


def _compared(
    done: Sequence[Realised],
    policies: Sequence[str],
    seeds: Sequence[int],
    problems: Sequence[str],
    received: Sequence[int],
) -> Comparison:
    """Keep the seeds that every policy has finished: only they can be paired."""
    found = {(item.policy, item.seed): item for item in done}
    whole = tuple(seed for seed in seeds if all((name, seed) in found for name in policies))
    for seed in whole:
        for name in policies[1:]:
            if found[name, seed].demand != found[policies[0], seed].demand:
                raise CommonDemandError(seed, name, policies[0])
    by_policy = {name: tuple(found[name, seed] for seed in whole) for name in policies}
    return Comparison(by_policy, whole, tuple(problems), received[0] if received else None)
