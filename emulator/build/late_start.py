"""What a plan costs over a whole run when some of its reservations have no key at first.

A plan is made for any period, and counts on what is reserved.  Where blocks of finite keys take longer than
a period to fill, reservations are paid for from the start and bring nothing until the first block of every
link of their path is full.  This adds up what is bought meanwhile; the plan itself does not weigh it, so
where first keys come late in a run, fewer reservations might cost less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from emulator.build.quantum_links import first_keys_of
from emulator.build.setup import Setup
from global_manager.provisioning.check import evaluate
from global_manager.provisioning.model import Allocation, Plan, Problem


def late_start_fields(setup: Setup, problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return the expected cost per period over the whole run, as a public field.

    There is none where all reservations have key from the first period on.
    """
    first_keys = {frozenset(ends): first for ends, first in first_keys_of(setup)}
    begins = [_first_period(item, first_keys) for item in plan.allocations]
    if max(begins, default=1) == 1:
        return {}
    periods = setup.experiment.demand.periods
    turns = sorted({1, *begins, periods + 1})
    total = 0.0
    for turn, following in pairwise(turns):
        recourse = _recourse(problem, plan.allocations, [first <= turn for first in begins])
        total += (following - turn) * (plan.first_stage_cost + recourse)
    return {"objective_over_run": total / periods}


def _first_period(allocation: Allocation, first_keys: dict[frozenset[str], int]) -> int:
    """Return the period, counted from 1, in which a reservation first has key."""
    hops = map(frozenset, pairwise(allocation.path))
    return max((first_keys.get(hop, 1) for hop in hops), default=1)


def _recourse(
    problem: Problem, allocations: Sequence[Allocation], has_begun: Sequence[bool]
) -> float:
    """Return what is expected to be bought in a period, with the key of some reservations alone."""
    serving = (
        item if begun else replace(item, path=(), wavelengths=())
        for item, begun in zip(allocations, has_begun, strict=True)
    )
    return evaluate(problem, serving).expected_recourse
