"""Accounts of key: what becomes of every bit, and which fact books it as what.

An account is a row of an array with a column for each member of `Booked`.  What was made is in one of the
other columns, or unaccounted for.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from emulator.results.fact_columns import Coded, Numbers
from protos.facts import FactKind


class Booked(IntEnum):
    """A column of an account."""

    MADE = 0
    DELIVERED = 1
    RELAYED = 2
    EXPIRED = 3
    DESTROYED = 4
    STORED = 5


class KeyFacts(NamedTuple):
    """Facts about key as one key manager noted them, a column each; `column` is of `Booked`.

    `key_id`, `fingerprint` (hexadecimal) and `details` are Arrow arrays.
    """

    column: Numbers
    request: Numbers
    serial: Numbers
    medium: Coded
    peer: Coded
    end: Coded
    units: Numbers
    bits: Numbers
    key_id: Any
    fingerprint: Any
    details: Any

    def chosen(self, rows: NDArray[np.bool_]) -> KeyFacts:
        """Return some of the facts."""
        mask = pa.array(rows)
        return KeyFacts(
            self.column[rows],
            self.request[rows],
            self.serial[rows],
            self.medium.chosen(rows),
            self.peer.chosen(rows),
            self.end.chosen(rows),
            self.units[rows],
            self.bits[rows],
            self.key_id.filter(mask),
            self.fingerprint.filter(mask),
            self.details.filter(mask),
        )


BOOKED_AS = {
    FactKind.GENERATED: Booked.MADE,
    FactKind.CREATED: Booked.MADE,
    FactKind.DELIVERED: Booked.DELIVERED,
    FactKind.RELAYED: Booked.RELAYED,
    FactKind.EXPIRED: Booked.EXPIRED,
    FactKind.DESTROYED: Booked.DESTROYED,
    FactKind.STORED: Booked.STORED,
}
"""The column of an account that each kind of fact about key is booked in."""


def booked(accounts: int, account: Numbers, column: Numbers, bits: Numbers) -> Numbers:
    """Return so many accounts, an array (account, column); entries are given by account and column."""
    sums = np.zeros((accounts, len(Booked)), dtype=np.int64)
    np.add.at(sums.reshape(-1), account * len(Booked) + column, bits)
    return sums


def unaccounted_bits(accounts: Numbers) -> int:
    """Return by how much what was made differs from what became of it, over all accounts."""
    return int(np.abs(2 * accounts[..., Booked.MADE] - accounts.sum(axis=-1)).sum())
