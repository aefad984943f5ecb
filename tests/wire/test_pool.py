"""Worker processes of a sweep on this machine."""

from __future__ import annotations

import os
import time

from emulator.sweep import pool


def test_workers_do_all_jobs_and_tell_what_went_wrong() -> None:
    found = dict(pool.spread(float, ["1", "x", "2.5"], 2, lambda: False))
    assert found == {
        "1": "1.0",
        "x": "ValueError: could not convert string to float: 'x'",
        "2.5": "2.5",
    }


def test_a_lost_worker_takes_one_job_with_it() -> None:
    found = list(pool.spread(os._exit, [3, 4], 1, lambda: False))
    assert found == [(3, "its process was lost (status 3)"), (4, "its process was lost (status 4)")]


def test_jobs_under_way_are_ended_when_it_is_time() -> None:
    began_s, asked = time.monotonic(), iter((False, False, True))
    assert list(pool.spread(time.sleep, [60, 60, 60], 2, lambda: next(asked))) == []  # type: ignore[arg-type]
    assert time.monotonic() - began_s < 50
