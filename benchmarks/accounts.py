"""What the accounts of a run cost: processor time of ledger, audit and all results, per million entries.

A fact may speak of many reservations or keys at once, and accounts book each; so an entry is a share of a
link's key, a key that was delivered, or a fact that speaks of one thing.  All results are told per million
facts as well, which say about three things each in `paper`.

Runs an experiment in this process, keeps its folder, and makes its accounts again, each the given number of
times; the least time counts.  *All results* are what a run makes before it writes any: ledger, decisions,
blocks of links, resilience and audit, of facts that are read once.  What `qsagin audit` does besides is
told: it follows the hashes of all journals, and compares the folder with its own sums.

    python benchmarks/accounts.py [EXPERIMENT [PERIODS [TIMES]]]
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bars import Row, at_most, tell, words
from quiet import Quiet

from emulator import run as running
from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.engines.job import Options
from emulator.report import summary
from emulator.results import claims, ledger
from emulator.results.audit import audit
from emulator.runtime.pacing import Pace
from emulator.store import journals
from emulator.store.files import Engine
from emulator.store.journal import FOLDER

_MOST_S = 2.0


def rows(name: str = "paper", periods: str = "190", times: str = "3") -> Iterator[Row]:
    """Run once, then make accounts."""
    setup = read(name)
    demand = setup.experiment.demand.model_copy(update={"periods": int(periods)})
    setup = setup.with_experiment(setup.experiment.model_copy(update={"demand": demand}))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "run")
        options = Options(Pace.parse("max"), engine=Engine.IN_PROCESS, report=False)
        told = running.run(setup, folder, options, Quiet()).summary
        yield from _accounts(folder, setup, told, int(times))


def _accounts(folder: Path, setup: Any, told: dict[str, Any], times: int) -> Iterator[Row]:
    assembly, (facts, entries) = assemble(setup), _counts(folder)
    millions = entries / 1e6
    experiment, requests = setup.experiment, assembly.problem.requests
    spans = (experiment.clock.window_s, experiment.demand.period_s)
    ending = summary.Ending(told["windows"], told["emulated_s"], told["wall_s"])
    audited = audit(folder, follow=False).fields()
    parts: dict[str, Callable[[], Any]] = {
        "ledger": lambda: ledger.read(folder, requests, *spans),
        "audit": lambda: audit(folder, follow=False),
        "hashes of journals": lambda: journals.faults(folder),
        "claims of the folder": lambda: claims.problems(folder, setup, told, audited),
    }
    note = f"{facts / 1e6:.2f} million facts with {millions:.2f} million entries"
    for part, make in parts.items():
        yield Row(f"accounts: {part}", _least_cpu_s(make, times) / millions, "s", note=note)
    all_s = _least_cpu_s(lambda: summary.results_of(folder, setup, assembly, ending), times)
    yield at_most("accounts: all results, a million entries", all_s / millions, "s", _MOST_S, note)
    yield Row("accounts: all results, a million facts", all_s / facts * 1e6, "s", note=note)


def _least_cpu_s(make: Callable[[], Any], times: int) -> float:
    """Return the processor time of the fastest of some tries."""
    found = []
    for _ in range(times):
        began_s = time.process_time()
        make()
        found.append(time.process_time() - began_s)
    return min(found)


def _counts(folder: Path) -> tuple[int, int]:
    """Return how many facts there are, and how many entries they stand for."""
    facts = entries = 0
    for path in (folder / FOLDER).glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute(_COUNTS).fetchone()
            facts, entries = facts + found[0], entries + found[1]
    return facts, entries


_COUNTS = """
SELECT count(*), sum(max(
    1,
    length(key_id) - length(replace(key_id, ' ', '')) + 1,
    coalesce(json_array_length(nullif(details, ''), '$.requests'), 0)
)) FROM fact"""


if __name__ == "__main__":
    tell(rows(*words()))
