"""What became of the fiber links in a run: blocks and their errors, and alarms; read from the journals.

A block is counted once, at one end of its link.  An alarm is raised when the fiber controller finds a link
down and cleared when it finds it up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator.build.quantum_links import QuantumLink
from emulator.runtime import journal
from protos.core import FIBER_CONTROLLER, FactKind, key_manager_of

_MEASURED = f"kind = '{FactKind.GENERATED}' AND note LIKE 'qber %'"
_BLOCKS = (
    f"SELECT peer, sum({_MEASURED}), sum({_MEASURED} AND note LIKE '%discarded'), "  # noqa: S608
    f"avg(CAST(substr(note, 6, 6) AS REAL)) FILTER (WHERE {_MEASURED}), "
    f"sum(bits) FILTER (WHERE kind = '{FactKind.RELAYED}') FROM fact WHERE medium = 'fiber' "
    f"AND kind IN ('{FactKind.GENERATED}', '{FactKind.RELAYED}') GROUP BY peer"
)
_ALARMS = f"SELECT window, peer, note FROM fact WHERE kind = '{FactKind.LINK}' ORDER BY rowid"  # noqa: S608


def with_blocks(run_folder: Path, links: tuple[QuantumLink, ...]) -> list[dict[str, Any]]:
    """Return the fields of every link with its blocks, those discarded, and the mean measured QBER.

    `carried_bits` are those that relaying has used up.
    """
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for node in sorted({item.link.a for item in links}):
        for peer, *numbers in _rows(run_folder, key_manager_of(node), _BLOCKS):
            found[node, str(peer)] = tuple(numbers)
    rows = []
    for item in links:
        blocks, discarded, qber, bits = found.get((item.link.a, item.link.b), (0, 0, None, None))
        measured = {"blocks": blocks, "discarded_blocks": discarded, "measured_qber": qber}
        measured["carried_bits"] = bits or 0
        rows.append(item.fields() | measured)
    return rows


def alarms(run_folder: Path, window_s: float) -> list[dict[str, Any]]:
    """Return every alarm of the fiber controller, in order, with when it was raised and cleared."""
    raised: list[dict[str, Any]] = []
    for window, link, note in _rows(run_folder, FIBER_CONTROLLER, _ALARMS):
        at_s = int(window) * window_s
        for alarm in raised:
            if alarm["link"] == link and alarm["cleared_s"] is None:
                alarm["cleared_s"] = at_s
        if note != "up":
            words = str(note).partition(": ")[2] or "no signal"
            raised.append({"link": link, "cause": words, "raised_s": at_s, "cleared_s": None})
    return raised


def _rows(run_folder: Path, entity: str, query: str) -> list[tuple[Any, ...]]:
    """Return what a journal says; nothing if the run was ended before there was one."""
    try:
        return list(journal.rows(run_folder, entity, query))
    except journal.JournalError:
        return []
