"""Who outside the network takes keys from it, and what they asked in a former run.

What was asked is kept beside the experiment, a line of JSON per call.  A run adds what is asked of it to a
copy in its folder, so that the experiment of that folder, run again without any SAE, is the same run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from controllers.key_access import NO_ACCESS, NodeAccess
from emulator.build.data_files import DataFileError
from emulator.build.demand import requests_of
from emulator.build.setup import Setup, part
from emulator.config.access import EXTERNAL
from emulator.config.experiment import Experiment
from emulator.input_checks import InputFileError, read_text
from emulator.store.files import write_atomically
from protos import access
from protos.access import Asked, Call

ASKED = "asked.jsonl"
_MOST_BYTES = 2_000_000_000
_FIELDS = {"node", "window", "number", "call"}


@dataclass(frozen=True)
class Recorded:
    """A call at a node, as it stands in the file."""

    node: str
    window: int
    number: int
    call: Call


def with_asked_found(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with the path from here of what was asked.  Raises `DataFileError`."""
    section = experiment.access
    if section is None or section.asked is None:
        return experiment
    path = folder / section.asked
    try:
        wrong = next(_mistakes(path), "")
    except InputFileError as error:
        wrong = f"{error.field}: {error.problem}"
    if wrong:
        raise DataFileError("access.asked", f"{section.asked}: {wrong}")
    found = section.model_copy(update={"asked": str(path)})
    return experiment.model_copy(update={"access": found})


def recorded(path: Path) -> Iterator[Recorded]:
    """Yield what a file says was asked.  Raises `InputFileError`, and `ValueError` for a broken line."""
    for line in read_text(path, _MOST_BYTES).split("\n"):
        if not line:
            continue
        found = json.loads(line)
        if not isinstance(found, dict) or found.keys() != _FIELDS:
            raise ValueError("is no call of an SAE")
        call = access.read_back(json.dumps(found["call"]))
        yield Recorded(str(found["node"]), int(found["window"]), int(found["number"]), call)


def write_asked(path: Path, calls: Iterable[Recorded]) -> None:
    """Write calls as `recorded` reads them, by window, node and number."""
    by_time = sorted(calls, key=lambda item: (item.window, item.node, item.number))
    write_atomically(path, "".join(f"{_line(item)}\n" for item in by_time))


@part
def accesses_of(setup: Setup) -> Mapping[str, NodeAccess]:
    """Return what each node is told of SAEs."""
    section = setup.experiment.access
    nodes = [node.name for node in setup.topology.nodes]
    if section is None:
        return dict.fromkeys(nodes, NO_ACCESS)
    saes = {sae.id: sae.node for sae in section.saes}
    requests: dict[str, dict[str, int]] = defaultdict(dict)
    incoming: dict[str, set[int]] = defaultdict(set)
    for index, item in enumerate(requests_of(setup)):
        if item.application == EXTERNAL:
            requests[item.source][item.target] = index
            incoming[item.target].add(index)
    asked = _asked_by_node(setup)
    return {
        node: NodeAccess(saes, requests[node], frozenset(incoming[node]), tuple(asked[node]))
        for node in nodes
    }


def _asked_by_node(setup: Setup) -> dict[str, list[Asked]]:
    section, window_s = setup.experiment.access, setup.experiment.clock.window_s
    found: dict[str, list[Asked]] = defaultdict(list)
    if section is not None and section.asked is not None:
        for item in recorded(Path(section.asked)):
            found[item.node].append(Asked(item.number, item.window * window_s, item.call))
    for calls in found.values():
        calls.sort(key=lambda call: (call.at_s, call.number))
    return found


def _mistakes(path: Path) -> Iterator[str]:
    try:
        for _ in recorded(path):
            pass
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, InputFileError):
            raise
        yield f"is not what a run has written of its SAEs ({error})"


def _line(item: Recorded) -> str:
    call = access.written(item.call)
    head = json.dumps({"node": item.node, "window": item.window, "number": item.number})
    return f'{head[:-1]}, "call": {call}}}'
