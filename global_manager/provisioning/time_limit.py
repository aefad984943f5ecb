"""Solving against real time: in a process of its own, which is ended when it overruns.

A solver checks its clock when it likes; a process can be ended at any time. The child sends every plan
that is better than its last, and every bound; when time is up the best ones so far are the answer. The
first plan is placed as soon as the relaxation is solved; before that there is the plan that reserves
nothing, against the bound of requests that have everything to themselves. The child is spawned, never
forked: the caller may have threads.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from global_manager.provisioning.check import against
from global_manager.provisioning.model import OwnPolicy, Plan, Policy, Problem, Termination
from global_manager.provisioning.own_plan import Settings
from global_manager.provisioning.policies import plan_by
from global_manager.provisioning.price_decomposition import first_bound
from global_manager.provisioning.stochastic_plan import SolveProgress, Watch, nothing_reserved

_GRACE_S = 1.0
_LONGEST_POLL_S = 1e6  # the system takes no longer time


class SolverDiedError(Exception):
    """The solving process ended without an answer."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"the solving process ended with exit code {self.exit_code}"


@dataclass(frozen=True)
class _Final:
    plan: Plan


@dataclass(frozen=True)
class _Failed:
    error: Exception


def plan_within(
    problem: Problem,
    policy: Policy | OwnPolicy,
    settings: Settings,
    time_limit_s: float,
    progress: Callable[[SolveProgress], None],
) -> Plan:
    """Plan by the policy, or return the best plan known when `time_limit_s` of real time is over.

    Raises what the policy raises, and SolverDiedError if its process is lost.
    """
    deadline_wall_s = time.monotonic() + time_limit_s
    best = nothing_reserved(problem, policy, Termination.TIME_LIMIT)
    if policy is not Policy.DETERMINISTIC:  # whose plans may cost less than any that can be kept
        best = against(best, first_bound(problem))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_work, args=(theirs, problem, policy, settings), name="qsagin-solver", daemon=True
    )
    child.start()
    theirs.close()
    try:
        return _listen(ours, child.join, deadline_wall_s, best, progress)
    except EOFError as error:
        child.join(_GRACE_S)
        raise SolverDiedError(child.exitcode) from error
    finally:
        ours.close()
        child.kill()
        child.join()
        child.close()


def _listen(
    pipe: Connection,
    join: Callable[[float], None],
    deadline_wall_s: float,
    best: Plan,
    progress: Callable[[SolveProgress], None],
) -> Plan:
    """Take messages until the final one or the deadline; return the best plan."""
    while (left_s := deadline_wall_s - time.monotonic()) > 0 or pipe.poll(0):
        if not pipe.poll(min(max(0.0, left_s), _LONGEST_POLL_S)):
            continue
        match pipe.recv():
            case _Final(plan):
                join(_GRACE_S)
                return plan
            case _Failed(error):
                raise error
            case Plan() as plan if plan.objective <= best.objective:
                known = max(best.lower_bound, plan.lower_bound)
                best = against(replace(plan, termination=Termination.TIME_LIMIT), known)
            case SolveProgress() as news:
                if best.policy is Policy.STOCHASTIC:  # others report on subproblems
                    best = against(best, max(best.lower_bound, news.lower_bound))
                progress(news)
    return best


def _work(
    pipe: Connection, problem: Problem, policy: Policy | OwnPolicy, settings: Settings
) -> None:
    watch = Watch(progress=pipe.send, plan=pipe.send)
    try:
        pipe.send(_Final(plan_by(problem, policy, settings, watch)))
    except Exception as error:  # noqa: BLE001 - it crosses to the caller, who raises it
        pipe.send(_Failed(error))
