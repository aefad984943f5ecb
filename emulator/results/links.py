"""The fiber links in a run, read from the journals: blocks and their errors, and alarms.

A block is counted once, at one end of its link.  An alarm is raised when the fiber controller finds a link
down and cleared when it finds it up.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from emulator.build.quantum_links import QuantumLink
from emulator.results import journal_queries
from emulator.results.journal_queries import Blocks
from protos.core import key_manager_of
from protos.facts import LinkCondition, label_of


def with_blocks(run_folder: Path, links: tuple[QuantumLink, ...]) -> list[dict[str, Any]]:
    """Return the fields of every link with its blocks, those discarded, and the mean measured QBER.

    `carried_bits` are those that relaying has used up.
    """
    found: dict[tuple[str, str], Blocks] = {}
    for node in dict.fromkeys(item.link.a for item in links):
        blocks = partial(journal_queries.blocks, run_folder, key_manager_of(node))
        found |= {(node, item.peer): item for item in journal_queries.if_any(blocks)}
    rows = []
    for item in links:
        made = found.get((item.link.a, item.link.b), Blocks(item.link.b, 0, 0, None, 0))
        measured: dict[str, Any] = {"blocks": made.blocks, "discarded_blocks": made.discarded}
        measured |= {"measured_qber": made.qber, "carried_bits": made.carried_bits}
        rows.append(item.fields() | measured)
    return rows


def alarms(run_folder: Path, window_s: float) -> list[dict[str, Any]]:
    """Return every alarm of the fiber controller, in order, with when it was raised and cleared.

    `link` is what people call the link; `ends` are its nodes.
    """
    raised: list[dict[str, Any]] = []
    states: Iterable[Any] = journal_queries.if_any(lambda: journal_queries.link_states(run_folder))
    for window, state in states:
        at_s = window * window_s
        for alarm in raised:
            if alarm["ends"] == list(state.link) and alarm["cleared_s"] is None:
                alarm["cleared_s"] = at_s
        if state.condition is not LinkCondition.UP:
            named = {"link": label_of(state.link), "ends": list(state.link)}
            times = {"raised_s": at_s, "cleared_s": None}
            raised.append(named | {"cause": state.cause} | times)
    return raised
