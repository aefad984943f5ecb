"""Where keys come from: the block that each delivered key was cut from, and whether it still was good.

A key is known where it is delivered if its block was made there before, with as many keys.  Of a block the
last keys become void first, since they leave it oldest first; so one is void if its index is beyond what is
left.  Nothing here knows journals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from controllers.key_store import key_names
from emulator.results.fact_columns import Numbers, grouped
from protos.mib import MediumCode


class Changes(NamedTuple):
    """Units that were made of blocks, or voided, by entities, in their order; a column each."""

    order: Numbers
    entity: Numbers
    request: Numbers
    serial: Numbers
    medium: Numbers
    units: Numbers
    is_made: NDArray[np.bool_]


class Delivered(NamedTuple):
    """Keys by their names (an Arrow dictionary array), as they were delivered by entities."""

    order: Numbers
    entity: Numbers
    key: Any


class Origins(NamedTuple):
    """Of each delivered key: whether it was made there before, its block's serial, whether it was void."""

    is_known: NDArray[np.bool_]
    serial: Numbers
    is_void: NDArray[np.bool_]


def origins(changes: Changes, delivered: Delivered, media: Sequence[MediumCode | None]) -> Origins:
    """Follow delivered keys to their blocks; `media` says which medium a number stands for, if any."""
    blocks = grouped(changes.request, changes.serial, changes.medium)
    known_by = [
        (int(changes.request[row]), media[changes.medium[row]], int(changes.serial[row]))
        for row in blocks.first.tolist()
    ]
    block, index = _cut_from(known_by, _most(blocks.of_row, blocks.count, changes), delivered.key)
    pairs = grouped(
        np.concatenate([blocks.of_row, block]), np.concatenate([changes.entity, delivered.entity])
    ).of_row
    changed, wanted = np.split(pairs, [len(changes.order)])
    made, left = _as_of(changes, changed, wanted, delivered.order)
    is_known = (block >= 0) & (index < made)
    serials = changes.serial[blocks.first] if blocks.count else np.array([-1])
    return Origins(is_known, serials[block], is_known & (index >= left))


def _most(block: Numbers, count: int, changes: Changes) -> Numbers:
    """Return how many keys of each block anybody made at most."""
    most = np.zeros(count, dtype=np.int64)
    np.maximum.at(most, block, np.where(changes.is_made, changes.units, 0))
    return most


def _cut_from(
    known_by: list[tuple[int, MediumCode | None, int]], most: Numbers, keys: Any
) -> tuple[Numbers, Numbers]:
    """Return the block of every key and the index in it; -1 where there is none."""
    names: list[str] = []
    blocks: list[int] = []
    indices: list[int] = []
    for block, ((request, medium, serial), units) in enumerate(
        zip(known_by, most.tolist(), strict=True)
    ):
        if medium is not None:
            names += key_names(request, medium, serial, units)
            blocks += [block] * units
            indices += range(units)
    found = pc.index_in(keys.dictionary, value_set=pa.array(names, pa.large_string()))
    row = found.fill_null(-1).to_numpy()[keys.indices.to_numpy()]
    return np.array([*blocks, -1], dtype=np.int64)[row], np.array([*indices, -1], dtype=np.int64)[
        row
    ]


def _as_of(
    changes: Changes, changed: Numbers, wanted: Numbers, order: Numbers
) -> tuple[Numbers, Numbers]:
    """Return how many keys of a block an entity had made at most, and had left, when one was delivered.

    `changed` and `wanted` say which block of which entity a change or a delivery is about.
    """
    sort = np.lexsort((changes.order, changed))
    about, units = changed[sort], changes.units[sort]
    made = np.where(changes.is_made[sort], units, 0)
    signed = np.where(changes.is_made[sort], units, -units)
    begins = np.searchsorted(about, about)
    total = np.cumsum(signed)
    left = total - (total - signed)[begins]
    step = int(made.max(initial=0)) + 1
    most = np.maximum.accumulate(made + about * step) - about * step
    span = int(max(changes.order.max(initial=0), order.max(initial=0))) + 1
    moments = about * span + changes.order[sort]
    last = np.searchsorted(moments, wanted * span + order) - 1
    is_there = (last >= 0) & (np.append(about, -1)[last] == wanted)
    return np.where(is_there, np.append(most, 0)[last], 0), np.where(
        is_there, np.append(left, 0)[last], 0
    )
