"""What a notebook wants: experiments loaded or written in code, planned, compared and run; their tables.

`import emulator as qsagin` offers it.  Everything gives what the command line gives for the same
experiment: plans and costs to the last unit, runs with the same digest.  Experiments are values; `changed`
returns another one.  Mistakes raise what the command line prints (`BadInputError` and its kinds).  A run in
this process handles signals, as the command does, and so wants the main thread; one of processes is the
command itself, which is waited for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.build import loading
from emulator.build.loading import Origin
from emulator.build.problem import problem_of
from emulator.build.service import minding
from emulator.build.setup import Setup
from emulator.engines.job import Options
from emulator.report.paper_figures import comparison_rows
from emulator.results import decisions, ledger
from emulator.run import run as run_setup
from emulator.runtime.pacing import Pace
from emulator.store.files import Engine, read_summary
from emulator.sweep import realised, realised_table
from emulator.sweep.job import Nobody
from global_manager.provisioning import solve
from global_manager.provisioning.model import OwnPolicy, Plan, Policy
from global_manager.provisioning.own_policy import policy_named

if TYPE_CHECKING:
    import pandas as pd

PolicyName = str | Policy | type
_COMPARED = (Policy.STOCHASTIC, Policy.EXPECTED_VALUE, Policy.RANDOM, Policy.NONE)


class RunError(Exception):
    """A run could not be brought to its end, or its audit found faults."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True)
class Run:
    """A run that has ended: its folder, and the content of its summary.json.

    Without a folder of its own the run's files go when the last reference to this goes.
    """

    folder: Path
    summary: dict[str, Any] = field(repr=False)
    _scratch: TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)

    def ledger(self) -> pa.Table:
        """Return one row per request and period: units by medium, times in s, costs in monetary units."""
        return pq.read_table(self.folder / ledger.FILE)

    def decisions(self) -> pa.Table:
        """Return what the manager decided, in order, and why."""
        return pq.read_table(self.folder / decisions.FILE)

    def frame(self) -> pd.DataFrame:
        """Return the ledger as a pandas frame.  Raises `ImportError` without the extra `notebook`."""
        return self.ledger().to_pandas()


@dataclass(frozen=True)
class Compared:
    """What policies are expected to cost: a row each, and the textbook's values (RP, EEV, EV, WS, ...)."""

    rows: pa.Table
    values: pa.Table


@dataclass(frozen=True)
class ComparedRuns:
    """What policies cost in the same worlds: a row each, and every run, in all and by class.

    `problems` are runs that failed and rules that policies broke, a line each.
    """

    rows: pa.Table
    runs: pa.Table
    classes: pa.Table
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """A checked experiment on its network, and where it comes from."""

    origin: Origin = field(repr=False)
    setup: Setup = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Its name."""
        return self.setup.experiment.name

    @property
    def seed(self) -> int:
        """Its seed, of which everything random is a function."""
        return self.setup.experiment.seed

    def changed(self, changes: Mapping[str, Any]) -> Experiment:
        """Return another experiment: fields by their dotted names.  Raises `ExperimentError`."""
        return _experiment(self.origin.changed(changes))

    def plan(
        self,
        *,
        policy: PolicyName | None = None,
        gap: float | None = None,
        time_limit_s: float | None = None,
    ) -> Plan:
        """Solve the provisioning program, as `qsagin plan` does.

        Raises `InvalidProblemError`, and `PolicyError` for a policy of one's own.
        """
        wanted = self._with(policy, {} if gap is None else {"plan.gap": gap})
        options = wanted.setup.experiment.plan
        return solve(
            problem_of(wanted.setup),
            options.policy,
            gap=options.gap,
            time_limit_s=time_limit_s,
            seed=wanted.seed,
            rounding=options.expected_value_rounding,
        )

    def compare(
        self, policies: Sequence[PolicyName] = (), requests: Sequence[int] | None = None
    ) -> Compared:
        """Price the built-in policies, and own ones, on scenarios, as `qsagin compare` does.

        `requests` are numbers of requests, if they are generated.  Raises `PolicyError`.
        """
        own = [name for name in map(_policy, policies) if isinstance(name, OwnPolicy)]
        rows, values, _ = comparison_rows(self.setup, requests, lambda _progress: None, own)
        return Compared(pa.Table.from_pylist(rows), pa.Table.from_pylist(values))

    def compare_realised(
        self, seeds: int, policies: Sequence[PolicyName] = (), *, jobs: int | None = None
    ) -> ComparedRuns:
        """Run the built-in policies, and own ones, in that many common worlds (`compare --realised`).

        Worlds are the seed of the experiment and those after it; runs are made by `jobs` processes
        (None: one per CPU), which a script must be ready for (`if __name__ == "__main__"`).
        """
        own = [name for name in map(_policy, policies) if isinstance(name, OwnPolicy)]
        names = [*(policy.value for policy in minding(self.setup, _COMPARED)), *own]
        worlds = range(self.seed, self.seed + seeds)
        found = realised.compare(self.origin, names, worlds, jobs, lambda _trial, _problem: None)
        if not found.seeds:
            raise RunError(next(iter(found.problems), "no run has ended"))
        by_policy = realised_table.with_hindsight(found)
        rows = realised_table.rows_of(by_policy, Policy.STOCHASTIC.value)
        runs, classes = realised_table.tables_of(by_policy)
        return ComparedRuns(pa.Table.from_pylist(rows), runs, classes, found.all_problems)

    def run(
        self,
        *,
        policy: PolicyName | None = None,
        engine: str = Engine.IN_PROCESS,
        hosts: int | None = None,
        out: str | Path | None = None,
    ) -> Run:
        """Run the whole emulation to its end; in this process, or as processes, with the same results.

        `out` is a new folder for the results; None: one that goes with the `Run`.  Raises `RunError`.
        """
        wanted, scratch = self._with(policy, {}), None
        if out is None:
            scratch = TemporaryDirectory(prefix="qsagin-run-")
            out = Path(scratch.name, "run")
        folder = Path(out)
        go = _in_process if Engine(engine) is Engine.IN_PROCESS else _as_processes
        with _private():
            summary = go(wanted.setup, folder, hosts)
        return Run(folder, summary, scratch)

    def _with(self, policy: PolicyName | None, changes: Mapping[str, Any]) -> Experiment:
        named = {} if policy is None else {"plan.policy": str(_policy(policy))}
        return self.changed({**changes, **named}) if named or changes else self


def load(
    source: str | Path, *, seed: int | None = None, changes: Mapping[str, Any] | None = None
) -> Experiment:
    """Read an experiment: a YAML file, or a built-in name.

    `seed` replaces its seed, `changes` fields by their dotted names.  Raises `ExperimentError`.
    """
    own_seed = {} if seed is None else {"seed": seed}
    return _experiment(Origin(str(source)).changed({**(changes or {}), **own_seed}))


def define(fields: Mapping[str, Any], *, folder: str | Path = ".") -> Experiment:
    """Make an experiment of what its file would say; paths in it are relative to the folder.

    Raises `ExperimentError`.
    """
    return _experiment(Origin(str(Path(folder, "experiment.yaml")), fields))


def open_run(folder: str | Path) -> Run:
    """Return a run that has ended.  Raises `FormatError`, and `RunError` if it has not ended."""
    summary = read_summary(Path(folder))
    if summary is None:
        raise RunError(f"{folder}: has no results; resume it by `qsagin run --resume {folder}`")
    return Run(Path(folder), summary)


def _experiment(origin: Origin) -> Experiment:
    return Experiment(origin, origin.read())


def _policy(policy: PolicyName) -> Policy | OwnPolicy:
    """Return a policy by its name, or of its class.  Raises `ValueError` if there cannot be one."""
    if isinstance(policy, type):
        return policy_named(f"{policy.__module__}:{policy.__qualname__}")
    return Policy(policy) if policy in set(Policy) else policy_named(str(policy))


def _in_process(setup: Setup, folder: Path, hosts: int | None) -> dict[str, Any]:
    if hosts is not None:
        raise RunError("hosts concerns processes; leave it out, or say engine='processes'")
    outcome = run_setup(setup, folder, Options(Pace(None), Engine.IN_PROCESS), Nobody())
    if outcome.stopped_by is not None:
        raise KeyboardInterrupt
    return _sound(outcome.summary, outcome.failure)


def _as_processes(setup: Setup, folder: Path, hosts: int | None) -> dict[str, Any]:
    """Have the command run the experiment as it is, and wait for it."""
    with TemporaryDirectory(prefix="qsagin-experiment-") as scratch:
        words = [str(loading.write(setup, Path(scratch))), "--out", str(folder)]
        words += [] if hosts is None else ["--hosts", str(hosts)]
        command = [sys.executable, "-m", "emulator", "run", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    summary = read_summary(folder) if folder.exists() else None
    if summary is None:
        raise RunError(done.stderr.strip() or f"ended with status {done.returncode}")
    return _sound(summary, str(summary["failure"]))


def _sound(summary: dict[str, Any], failure: str) -> dict[str, Any]:
    if failure or not summary["audit"]["ok"]:
        raise RunError(failure or "the audit found faults")
    return summary


@contextmanager
def _private() -> Iterator[None]:
    """Make new files readable by their owner only, as the command does."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
