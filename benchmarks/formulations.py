"""390 random instances: what `solve` finds against a plain MIP of the same program, written apart from it.

The instances and the plain program (flows on arcs, every wavelength and scenario spelled out) are those of
tests/unit/provisioning; HiGHS solves it through PuLP on one thread, as it does everything here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from bars import Row, at_least, at_most, none, tell

from global_manager.provisioning import Plan, Problem, solve

_TESTS = Path(__file__).parent.parent / "tests" / "unit" / "provisioning"
_INSTANCES = 390
_SAME = 1e-7


def rows() -> Iterator[Row]:
    """Solve every instance by both, turn by turn."""
    instance, plain = _of_tests()
    plans: list[Plan] = []
    best: list[float] = []
    own_s = plain_s = 0.0
    for seed in range(_INSTANCES):
        problem = instance(seed)
        took_s, plan = _timed(partial(solve, problem))
        own_s += took_s
        took_s, optimum = _timed(partial(plain, problem))
        plain_s += took_s
        plans.append(plan)
        best.append(optimum)
    pairs = list(zip(plans, best, strict=True))
    equal = sum(abs(plan.objective - cost) <= _SAME * max(1.0, cost) for plan, cost in pairs)
    false = sum(plan.lower_bound > cost + _SAME * max(1.0, cost) for plan, cost in pairs)
    narrow = sum(plan.gap <= 0.01 for plan in plans)
    yield at_least("random instances at their optimum", equal / _INSTANCES, "", 0.995)
    yield at_least("random instances with a gap of 1 % or less", narrow / _INSTANCES, "", 0.99)
    yield none("random instances with a false bound", false, "")
    note = f"{own_s:.1f} s and {plain_s:.1f} s of processor time"
    yield at_most("processor time against the plain MIP", own_s / plain_s, "times", 1.5, note)


def _of_tests() -> tuple[Callable[[int], Problem], Callable[[Problem], float]]:
    sys.path.append(str(_TESTS))
    oracles: Any = import_module("provisioning_oracles")
    instance: Callable[[int], Problem] = import_module("random_instances").random_instance
    return instance, lambda problem: oracles.arc_flow(problem, oracles.highs())


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began_s = time.process_time()
    answer = work()
    return time.process_time() - began_s, answer


if __name__ == "__main__":
    tell(rows())
