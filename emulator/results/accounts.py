"""Accounts of key: what becomes of every bit, and which fact books it as what.

An account is a row of an array with a column for each member of `Booked`.  What was made is in one of the
other columns, or unaccounted for.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

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


def columns_of(kind: Coded) -> Numbers:
    """Return the column that each fact is booked in; -1 for those that are not about key."""
    return kind.translated([_COLUMN_OF.get(name, -1) for name in kind.names])


_COLUMN_OF = {kind.value: int(column) for kind, column in BOOKED_AS.items()}


def booked(accounts: int, account: Numbers, column: Numbers, bits: Numbers) -> Numbers:
    """Return so many accounts, an array (account, column); entries are given by account and column."""
    sums = np.zeros((accounts, len(Booked)), dtype=np.int64)
    np.add.at(sums.reshape(-1), account * len(Booked) + column, bits)
    return sums


def unaccounted_bits(accounts: Numbers) -> int:
    """Return by how much what was made differs from what became of it, over all accounts."""
    return int(np.abs(2 * accounts[..., Booked.MADE] - accounts.sum(axis=-1)).sum())
