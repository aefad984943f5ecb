"""Where keys come from: the block that each delivered key was cut from, and whether it still was good.

A key is known where it is delivered if its block was made there before, with as many keys.  Of a block the
last keys become void first, since they leave it oldest first; so one is void if its index is beyond what is
left.  Nothing here knows journals.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from emulator.results.fact_columns import Groups, Numbers, grouped
from protos.syntax import MediumCode


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
    block, index = _cut_from(changes, blocks, delivered.key, media)
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
    changes: Changes, blocks: Groups, keys: Any, media: Sequence[MediumCode | None]
) -> tuple[Numbers, Numbers]:
    """Return the block of every key and the index in it; -1 where there is none."""
    values = np.array([-1 if medium is None else medium.value for medium in media])
    request, serial = changes.request[blocks.first], changes.serial[blocks.first]
    medium = values[changes.medium[blocks.first]]
    units = np.where(medium >= 0, _most(blocks.of_row, blocks.count, changes), 0)
    block = np.repeat(np.arange(blocks.count), units)
    index = np.arange(len(block)) - (np.cumsum(units) - units)[block]
    names = key_names(*(column.tolist() for column in (request, medium, serial, units)))
    found = pc.index_in(keys.dictionary, value_set=names)
    row = found.fill_null(-1).to_numpy()[keys.indices.to_numpy()]
    return np.append(block, -1)[row], np.append(index, -1)[row]


def key_names(
    requests: Sequence[int], media: Sequence[int], serials: Sequence[int], counts: Sequence[int]
) -> Any:
    """Return the names (UUIDs) of the first keys of blocks, one block after the other, as an Arrow array.

    They are those of `controllers.key_store.key_names`, which a run has hundreds of thousands of.
    """
    places = [b"%d" % place for place in range(max(counts, default=0))]
    blocks = zip(requests, media, serials, counts, strict=True)
    digests = b"".join(
        [
            blake2b(key + place, digest_size=16, person=_PERSON).digest()
            for request, medium, serial, count in blocks
            for key in (b"%d/%d/%d/" % (request, medium, serial),)
            for place in places[:count]
        ]
    )
    bits = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 16).copy()
    bits[:, 6] = bits[:, 6] & 0x0F | 0x40  # version 4 and variant of RFC 9562
    bits[:, 8] = bits[:, 8] & 0x3F | 0x80
    digits = _HEXADECIMAL[bits].reshape(-1, 32)
    names = np.full((len(digits), 36), ord("-"), dtype=np.uint8)
    names[:, _DIGITS] = digits
    offsets = np.arange(len(names) + 1) * 36
    buffers = (pa.py_buffer(offsets.astype(np.int64)), pa.py_buffer(names))
    return pa.LargeStringArray.from_buffers(len(names), *buffers)


_PERSON = b"qsagin-key-id"
_HEXADECIMAL = np.frombuffer(bytes(range(256)).hex().encode(), dtype=np.uint8).reshape(256, 2)
_DIGITS = [place for place in range(36) if place not in {8, 13, 18, 23}]


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
