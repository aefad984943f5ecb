"""A run of processes that is begun from Python has the results of one in this process."""

from __future__ import annotations

import pytest

import emulator as qsagin

pytestmark = pytest.mark.cluster


def test_a_run_of_processes_has_the_digest_and_ledger_of_one_in_this_process() -> None:
    tiny = qsagin.load("tiny", seed=11)
    here, there = tiny.run(), tiny.run(engine="processes", hosts=1)
    assert here.summary["digest"] == there.summary["digest"]
    assert here.ledger().equals(there.ledger())
    assert here.summary["seed"] == 11
