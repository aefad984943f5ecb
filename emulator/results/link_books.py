"""The books of link key: every block that neighbours share, at either end of its link.

A block is known by its request, its epoch and its link.  Both ends must have made and used the same of it.
What one end has made alone was never key if it has expired, or if whatever was delivered of its epoch came
over other link key: such blocks are half made.  Where keys are finite, no link has key that no full block
has brought.
"""

from __future__ import annotations

from math import isnan
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.results.accounts import Booked, booked, columns_of, unaccounted_bits
from emulator.results.fact_columns import Coded, Numbers, grouped
from emulator.results.spread_facts import SpreadFacts
from protos.core import KEY_MANAGER_PREFIX

Epoch = tuple[int, int]
"""A request and the serial of an epoch."""
Link = tuple[str, str]
"""The nodes of a link, in order of their names."""

_FULL = 1 - 1e-6  # a block; epochs add up to one but for rounding


class Deliveries(Protocol):
    """What was delivered of epochs."""

    def bits_of(self, epoch: Epoch) -> int:
        """Return how much of an epoch was delivered, at the end that got more."""

    def ends_of(self, request: int) -> tuple[str | None, str | None]:
        """Return the nodes that a request's keys were delivered at."""


class LinkBalance(NamedTuple):
    """What link key adds up to; `totals` are by column."""

    totals: Numbers
    unaccounted_bits: int
    half_made_bits: int


class _Entries(NamedTuple):
    """What key managers noted about link key, a column each; `side` is 0 or 1, which end of its link."""

    request: Numbers
    serial: Numbers
    link: Numbers
    side: Numbers
    column: Numbers
    bits: Numbers


class _Blocks(NamedTuple):
    """Every block: what it is known by, its accounts (block, side, column), and which sides noted it."""

    request: Numbers
    serial: Numbers
    link: Numbers
    accounts: Numbers
    is_noted: NDArray[np.bool_]


class LinkBooks:
    """Takes what key managers noted, then adds it up."""

    def __init__(self) -> None:
        self._links: dict[Link, int] = {}
        self._taken: list[_Entries] = []
        self._distilled_bits: dict[tuple[str, int, str], int] = {}
        self.early_bits = 0

    def take(self, entity: str, facts: SpreadFacts) -> None:
        """Take facts of a key manager about link key, in order, a row for each share."""
        node = entity.removeprefix(KEY_MANAGER_PREFIX)
        peer, links, sides = facts.coded("peer"), [], []
        for name in peer.names:
            first, second = sorted((node, name.removeprefix(KEY_MANAGER_PREFIX)))
            links.append(self._links.setdefault((first, second), len(self._links)))
            sides.append(int(node != first))
        entries = _Entries(
            request=facts.numbers("request"),
            serial=facts.numbers("serial"),
            link=peer.translated(links),
            side=peer.translated(sides),
            column=columns_of(facts.coded("kind")),
            bits=facts.numbers("bits"),
        )
        self._taken.append(entries)
        filled = facts.numbers("filled")
        if self._distilled_bits or not np.isnan(filled).all():
            told = filled.tolist(), facts.numbers("distilled_bits").tolist()
            self._hold_to_blocks(entity, entries, peer, *told)

    def _hold_to_blocks(
        self,
        entity: str,
        entries: _Entries,
        peer: Coded,
        filled: list[float],
        distilled_bits: list[int],
    ) -> None:
        """Hold what a link has for a reservation against the blocks that were full by then."""
        for row in np.flatnonzero(entries.column == Booked.MADE).tolist():
            store = (entity, int(entries.request[row]), peer.names[peer.indices[row]])
            if isnan(filled[row]) and store not in self._distilled_bits:
                continue
            left_bits = self._distilled_bits.get(store, 0) - int(entries.bits[row])
            if filled[row] >= _FULL:
                left_bits += distilled_bits[row]
            self.early_bits += max(0, -left_bits)
            self._distilled_bits[store] = max(0, left_bits)

    def balance(self, deliveries: Deliveries) -> LinkBalance:
        """Add up one end of every block; count what does not balance or differs, and half-made blocks."""
        blocks = self._blocks()
        rows, side = np.arange(len(blocks.request)), _fuller_side(blocks)
        counted, made = blocks.accounts[rows, side], blocks.accounts[:, :, Booked.MADE]
        differing = np.abs(made[:, 0] - made[:, 1])
        alone = np.flatnonzero(differing)
        epochs = [_epoch(blocks, block) for block in alone.tolist()]
        carried = self._carried(blocks, set(epochs), deliveries)
        is_half_made = np.array([epoch in carried for epoch in epochs], dtype=bool)
        is_half_made |= differing[alone] <= counted[alone, Booked.EXPIRED]
        half_made = int(differing[alone][is_half_made].sum())
        unaccounted = unaccounted_bits(blocks.accounts) + int(differing.sum()) - half_made
        return LinkBalance(counted.sum(axis=0), unaccounted, half_made)

    def _blocks(self) -> _Blocks:
        columns = zip(*self._taken, strict=True) if self._taken else [[_NONE]] * len(_NOTED)
        noted = _Entries(*(np.concatenate(column) for column in columns))
        groups = grouped(noted.request, noted.serial, noted.link)
        account = 2 * groups.of_row + noted.side
        is_noted = np.zeros(2 * groups.count, dtype=bool)
        is_noted[account] = True
        accounts = booked(2 * groups.count, account, noted.column, noted.bits)
        return _Blocks(
            noted.request[groups.first],
            noted.serial[groups.first],
            noted.link[groups.first],
            accounts.reshape(-1, 2, len(Booked)),
            is_noted.reshape(-1, 2),
        )

    def _carried(self, blocks: _Blocks, epochs: set[Epoch], deliveries: Deliveries) -> set[Epoch]:
        """Return the epochs of which nothing was delivered but what both ends of all links relayed."""
        if not epochs:
            return set()
        links: dict[Epoch, list[tuple[Link, int]]] = {epoch: [] for epoch in epochs}
        names = list(self._links)
        is_concerned = np.isin(blocks.serial, [serial for _, serial in epochs])
        for block in np.flatnonzero(is_concerned & blocks.is_noted.all(axis=1)).tolist():
            if (epoch := _epoch(blocks, block)) in links:
                bits = int(blocks.accounts[block, :, Booked.RELAYED].min())
                links[epoch].append((names[blocks.link[block]], bits))
        return {epoch for epoch, found in links.items() if _joined(deliveries, epoch, found)}


_NONE = np.array([], dtype=np.int64)
_NOTED = _Entries._fields


def _epoch(blocks: _Blocks, block: int) -> Epoch:
    return int(blocks.request[block]), int(blocks.serial[block])


def _fuller_side(blocks: _Blocks) -> Numbers:
    """Return which end of each block totals count: the one that made most, then relayed, then expired."""
    is_second = blocks.is_noted[:, 1] & ~blocks.is_noted[:, 0]
    is_open = blocks.is_noted.all(axis=1)
    for column in (Booked.MADE, Booked.RELAYED, Booked.EXPIRED):
        first, second = blocks.accounts[:, 0, column], blocks.accounts[:, 1, column]
        is_second |= is_open & (second > first)
        is_open &= first == second
    return is_second.astype(np.int64)


def _joined(deliveries: Deliveries, epoch: Epoch, links: list[tuple[Link, int]]) -> bool:
    """Tell whether links that relayed all that was delivered of an epoch join the ends of its request."""
    delivered = deliveries.bits_of(epoch)
    if not delivered:
        return True
    wide = [set(link) for link, bits in links if bits >= delivered]
    source, target = deliveries.ends_of(epoch[0])
    reached = {source}
    for _ in wide:
        reached.update(*(link for link in wide if link & reached))
    return target in reached
