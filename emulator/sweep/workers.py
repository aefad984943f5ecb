"""Jobs on the machines of a Ray cluster: handed out, retried on another machine, interrupted at the end.

Nothing here knows what a job is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

from emulator.launch import LOOK_EVERY_S, cause_of

_JOB_RETRIES = 2
_JOB_END_LIMIT_S = 90.0
Job = TypeVar("Job")


def spread(
    work: Callable[[Job], str], jobs: Sequence[Job], at_a_time: int, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, str]]:
    """Have work done for every job, a limited number at a time, on machines with a free CPU.

    Yields each job when it is done, with its result, which is the error if it raised one.  Jobs of a
    lost machine start again on another.  Once `stopped`, no job is started, and those under way are
    interrupted by a `KeyboardInterrupt`, waited for, and not yielded.
    """
    begin = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", max_retries=_JOB_RETRIES)(work)
    waiting, under_way = list(reversed(jobs)), dict[Any, Job]()
    while (waiting or under_way) and not stopped():
        while waiting and len(under_way) < at_a_time:
            job = waiting.pop()
            under_way[begin.remote(job)] = job
        done, _ = ray.wait(list(under_way), timeout=LOOK_EVERY_S)
        for reference in done:
            yield under_way.pop(reference), _result(reference)
    for reference in under_way:
        ray.cancel(reference)
    if under_way:
        ray.wait(list(under_way), num_returns=len(under_way), timeout=_JOB_END_LIMIT_S)


def _result(reference: Any) -> str:
    try:
        return str(ray.get(reference))
    except ray.exceptions.RayError as error:
        return cause_of(error)
