"""A problem under a trace: its demand is what was seen, period by period, instead of a law.

All periods of the trace count alike.  Skies are what the problem has, independently of the trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emulator.build.demand import requests_of, with_joint
from emulator.build.demand_files import read_trace
from emulator.build.setup import Setup
from emulator.build.stores import stores_of
from global_manager.provisioning.hindsight import through_stores
from global_manager.provisioning.model import Future, Problem
from global_manager.provisioning.second_stage import joint_futures
from global_manager.provisioning.shared_recourse import has_pools

Needs = Sequence[tuple[int, ...]]
"""By period, the units of every request."""


def under_trace(setup: Setup, problem: Problem, file: Path) -> Problem:
    """Return the problem of a setup with the demand of a trace.  Raises DemandFileError."""
    needs = read_trace(file, requests_of(setup), None)
    if setup.experiment.keys.matters_to_plan:
        return replace(problem, requests=through_stores(problem.requests, needs, stores_of(setup)))
    joint = tuple((count / len(needs), units) for units, count in Counter(needs).items())
    requests = with_joint(problem.requests, joint)
    seen = replace(problem, requests=requests, joint=joint, correlation=0.0)
    return _with_futures(problem, seen, needs) if has_pools(problem) else seen


def _with_futures(problem: Problem, seen: Problem, needs: Needs) -> Problem:
    """Return a problem with pools with a future for every different period and sky."""
    skies: dict[tuple[tuple[bool, ...], tuple[bool, ...]], float] = {}
    for future in joint_futures(problem):
        sky = future.usable, future.flies
        skies[sky] = skies.get(sky, 0.0) + future.probability
    futures = tuple(
        Future(count / len(needs) * chance, units, *sky)
        for units, count in Counter(needs).items()
        for sky, chance in skies.items()
    )
    return replace(seen, futures=futures)
