"""The fiber links in a run, read from the journals: blocks and their errors, and alarms.

A block is counted once, at one end of its link.  An alarm is raised when the fiber controller finds a link
down and cleared when it finds it up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emulator.build.quantum_links import QuantumLink
from emulator.results import journal_queries, spread_facts
from emulator.results.fact_columns import FactColumns
from emulator.store import journals
from protos.core import KEY_MANAGER_PREFIX
from protos.facts import FactKind, LinkCondition, label_of


class BlockBook:
    """Takes what key managers noted of the blocks of their links, then tells it by link."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], _Blocks] = defaultdict(_Blocks)

    def take(self, entity: str, facts: FactColumns) -> None:
        """Take facts of an entity."""
        node = entity.removeprefix(KEY_MANAGER_PREFIX)
        if node == entity:
            return
        of_links = spread_facts.of_links(facts)
        noted, shares = of_links.facts, of_links.shares
        kind, peer = noted.coded("kind"), noted.coded("peer")
        is_made = kind.is_one_of(FactKind.GENERATED)
        is_used = kind.is_one_of(FactKind.RELAYED)
        qber = shares.numbers("qber")
        is_measured = ~np.isnan(qber)
        of_facts = [
            np.bincount(shares.fact, is_measured, noted.count),
            np.bincount(shares.fact, np.where(is_measured, qber, 0.0), noted.count),
            of_links.discarded,
        ]
        parts = [*(is_made * column for column in of_facts), is_used * noted.numbers("bits")]
        sums = [np.bincount(peer.indices, part, len(peer.names)).tolist() for part in parts]
        for name, *found in zip(peer.names, *sums, strict=True):
            self._taken[node, name].add(*found)

    def blocks_of(self, node: str, peer: str) -> dict[str, Any]:
        """Return the fields of a link as its end at a node has them."""
        return self._taken[node, peer].fields()


@dataclass
class _Blocks:
    """Blocks that were measured, their QBER added up; blocks that were discarded; key used by relaying."""

    measured: int = 0
    sum_of_qber: float = 0.0
    discarded: int = 0
    carried_bits: int = 0

    def add(self, measured: float, qber: float, discarded: float, carried_bits: float) -> None:
        self.measured += int(measured)
        self.sum_of_qber += qber
        self.discarded += int(discarded)
        self.carried_bits += int(carried_bits)

    def fields(self) -> dict[str, Any]:
        return {
            "blocks": self.measured,
            "discarded_blocks": self.discarded,
            "measured_qber": self.sum_of_qber / self.measured if self.measured else None,
            "carried_bits": self.carried_bits,
        }


def with_blocks(
    run_folder: Path, links: tuple[QuantumLink, ...], book: BlockBook | None = None
) -> list[dict[str, Any]]:
    """Return the fields of every link with its blocks, those discarded, and the mean measured QBER.

    `carried_bits` are those that relaying has used up.  A `book` has taken all facts already.
    """
    if book is None:
        book = BlockBook()
        if journals.exists(run_folder):
            journal_queries.have_taken(run_folder, [book])
    return [item.fields() | book.blocks_of(item.link.a, item.link.b) for item in links]


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
