"""The results of a run told again from its journals, and held against the files that say them.

Whatever journals, experiment and plan determine must be in `summary.json` and `ledger.parquet` as it is
told now.  What no journal knows is left alone: wall times, restarts of processes, and outages that others
have measured.  `emulator.results.claims` adds up money and demand by a path of its own; here nothing is
independent of how results are made, and nothing that they say is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Any

from emulator.build.assembly import Assembly
from emulator.build.setup import Setup
from emulator.report.summary import results_again
from emulator.results import ledger
from emulator.results.audit import Audit
from emulator.results.claims import table_at
from emulator.results.ledger import Ledger
from emulator.store import journals
from emulator.store.files import PLAN, SUMMARY
from protos.core import steps_until

_ONLY_SAID = {
    "wall_s",
    "startup_s",
    "running_s",
    "restarts",
    "report_problem",
    "observed",
    "observed_problem",
    "audit",
}
_MOST_TOLD = 3
_ACCURACY = 1e-9  # sums of other processors and library versions may differ in the last digits


def differences(
    folder: Path, setup: Setup, assembly: Assembly, summary: Mapping[str, Any], audited: Audit
) -> list[str]:
    """Return what a folder says otherwise than its journals, a line each; some of many.

    `audited` is what the audit has found.
    """
    told = results_again(folder, setup, assembly, summary, audited)
    again = json.loads(json.dumps(told.summary))
    here = [f"{SUMMARY}: {line}" for line in _told(summary, again)]
    here += _ending_problems(folder, assembly, setup.experiment.clock.window_s, summary)
    if summary.get("complete") and told.summary["plan"] and not (folder / PLAN).exists():
        here.append(f"{PLAN} is missing")
    return here[:_MOST_TOLD] + _ledger_problems(folder, told.ledger)[:_MOST_TOLD]


def _told(said: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted((said.keys() | again.keys()) - _ONLY_SAID):
        yield from _different(name, said.get(name), again.get(name))


def _different(where: str, said: Any, again: Any) -> Iterator[str]:
    """Yield where two values of JSON differ, and how."""
    if isinstance(said, dict) and isinstance(again, dict):
        for name in sorted(said.keys() | again.keys()):
            yield from _different(f"{where}.{name}", said.get(name), again.get(name))
    elif isinstance(said, list) and isinstance(again, list) and len(said) == len(again):
        for number, pair in enumerate(zip(said, again, strict=True)):
            yield from _different(f"{where}.{number}", *pair)
    elif not _equal(said, again):
        yield f"{where} is {_short(said)}, but it follows from the journals that it is {_short(again)}"


def _equal(said: Any, again: Any) -> bool:
    if isinstance(said, float) and isinstance(again, float):
        return isclose(said, again, rel_tol=_ACCURACY, abs_tol=_ACCURACY)
    return bool(said == again) and isinstance(said, bool) == isinstance(again, bool)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _ending_problems(
    folder: Path, assembly: Assembly, window_s: float, summary: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what a summary says of the end that cannot be."""
    windows, last = summary["windows"], journals.last_window(folder)
    if windows < last:
        yield f"{SUMMARY}: windows is {windows}, but journals have window {last}"
    if summary["complete"] and windows < steps_until(assembly.timeline.end_s, window_s):
        yield f"{SUMMARY}: complete is true, but the last period ends after window {windows}"
    if not isclose(summary["emulated_s"], windows * window_s):
        yield f"{SUMMARY}: emulated_s is {summary['emulated_s']}, but windows last {window_s} s each"


def _ledger_problems(folder: Path, told: Ledger) -> list[str]:
    """Return which columns of the ledger's file are not as told."""
    again = ledger.table_of(told)
    written = table_at(folder / ledger.FILE)
    if written is None:
        return [f"{ledger.FILE} cannot be read"]
    if (written.column_names, written.num_rows) != (again.column_names, again.num_rows):
        return [f"{ledger.FILE} has other columns or rows than follow from the journals"]
    return [
        f"{ledger.FILE}: {name} is not what follows from the journals"
        for name in again.column_names
        if not all(map(_equal, written[name].to_pylist(), again[name].to_pylist()))
    ]
