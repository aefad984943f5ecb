"""What the manager decided in a run, when and why: the second table of the ledger, decisions.parquet.

Plans and plans made again, reservations set up and taken down, orders and what became of them, agents that
fell silent, and what it refused to believe; one row each, in order, from the manager's journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.runtime import journal
from global_manager.provisioning.model import Request
from protos.core import GLOBAL_MANAGER, FactKind

FILE = "decisions.parquet"
_KINDS = (
    FactKind.REPLANNED,
    FactKind.RESERVED,
    FactKind.VERIFIED,
    FactKind.ORDERED,
    FactKind.REFUSED,
    FactKind.BOUGHT,
    FactKind.FAILED,
    FactKind.AGENT,
    FactKind.REJECTED,
)
_QUERY = (
    "SELECT window, kind, request, period, medium, units, cost, peer, note FROM fact "  # noqa: S608
    f"WHERE kind IN ({', '.join(repr(kind.value) for kind in _KINDS)}) ORDER BY rowid"
)


@dataclass(frozen=True)
class Decision:
    """One decision; `request` is empty and `period` -1 where it concerns none."""

    at_s: float
    decision: str
    request: str
    period: int
    medium: str
    units: int
    cost: int
    about: str
    reason: str


def decisions(run_folder: Path, requests: Sequence[Request], window_s: float) -> list[Decision]:
    """Return all decisions of a run; none if it was ended before there was a journal."""
    try:
        rows = list(journal.rows(run_folder, GLOBAL_MANAGER, _QUERY))
    except journal.JournalError:
        return []
    return [
        Decision(
            at_s=_int(window) * window_s,
            decision=str(kind),
            request=requests[_int(place)].id if _int(place) >= 0 else "",
            period=_int(period),
            medium=str(medium),
            units=_int(units),
            cost=_int(cost),
            about=str(peer),
            reason=str(note),
        )
        for window, kind, place, period, medium, units, cost, peer, note in rows
    ]


def write(found: Sequence[Decision], run_folder: Path) -> None:
    """Write decisions as a Parquet file, zstd-compressed, one column a field."""
    names = [field.name for field in fields(Decision)]
    columns = {name: [getattr(item, name) for item in found] for name in names}
    pq.write_table(pa.table(columns), run_folder / FILE, compression="zstd")


def _int(value: object) -> int:
    return int(str(value))
