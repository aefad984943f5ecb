"""The keys that an actor's entities have in store, as tables of its journal.

A row stands for one key in hand: whose it is, whether it is available, and its material, sealed under its
name.  A key is burned here, its row deleted and overwritten, in the transaction of the window that delivers
or voids it.  Tables change only inside a transaction of the journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emulator.store.sealing import Seal
from protos.key_changes import KeyChange, KeysConfirmed, KeysGone, KeysHeld, StoreOpened

_STORES = """
CREATE TABLE IF NOT EXISTS key_store (
    entity INTEGER, request INTEGER, medium TEXT, peer TEXT, "end" TEXT, key_bits INTEGER,
    capacity INTEGER, PRIMARY KEY (entity, request, medium)
) WITHOUT ROWID"""
_KEYS = """
CREATE TABLE IF NOT EXISTS stored_key (
    entity INTEGER, request INTEGER, medium TEXT, serial INTEGER, place INTEGER, key_id TEXT,
    state TEXT, size_bits INTEGER, material BLOB,
    PRIMARY KEY (entity, request, medium, serial, place)
) WITHOUT ROWID"""
SCHEMA = (_STORES, _KEYS)
EXPECTED, AVAILABLE = "expected", "available"
_OPEN = "REPLACE INTO key_store VALUES (?, ?, ?, ?, ?, ?, ?)"
_HOLD = "INSERT INTO stored_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BLOCK = "WHERE entity = ? AND request = ? AND medium = ? AND serial = ?"
_CONFIRM = f"UPDATE stored_key SET state = '{AVAILABLE}' {_BLOCK}"  # noqa: S608
_BURN = f"DELETE FROM stored_key {_BLOCK} AND key_id = ?"  # noqa: S608
STORES = """
SELECT r.name, s.request, s.medium, s.peer, s."end", key_bits, capacity,
    coalesce(sum(state = 'available'), 0), count(key_id), coalesce(sum(size_bits), 0)
FROM key_store AS s JOIN entities AS r ON r.number = s.entity
    LEFT JOIN stored_key AS k USING (entity, request, medium)
GROUP BY s.entity, s.request, s.medium"""
_Values = tuple[str | int | bytes, ...]
_Block = tuple[int, int, str, int]


class KeysDifferError(Exception):
    """What an entity should have in store is not what its journal says; it must not serve."""

    def __init__(self, entity: str, keys: int) -> None:
        super().__init__(entity, keys)
        self.entity, self.keys = entity, keys

    def __str__(self) -> str:
        return f"{self.entity}: its key stores and its journal differ in {self.keys} keys"


@dataclass
class KeyRows:
    """Changes of one window as rows; since a key goes one way only, kinds can be written one by one."""

    opened: list[_Values] = field(default_factory=list)
    held: list[_Values] = field(default_factory=list)
    confirmed: list[_Block] = field(default_factory=list)
    burned: list[_Values] = field(default_factory=list)

    def add(self, entity: int, changes: Iterable[KeyChange], seal: Seal | None) -> None:
        """Add what has become of the keys of one entity; without a seal, material is left out."""
        for change in changes:
            match change:
                case StoreOpened(request, medium, peer, end, key_bits, capacity_units):
                    store = (entity, request, medium.name.lower())
                    self.opened.append((*store, peer, end, key_bits, capacity_units))
                case KeysHeld(keys=keys):
                    block = _block(entity, change)
                    for key in keys:
                        material = seal.close(key.material, key.id) if seal else b""
                        row = (*block, key.index, key.id, EXPECTED, key.bits, material)
                        self.held.append(row)
                case KeysConfirmed():
                    self.confirmed.append(_block(entity, change))
                case KeysGone(key_ids=key_ids):
                    block = _block(entity, change)
                    self.burned += [(*block, key_id) for key_id in key_ids]


class KeyTable:
    """The tables of one journal."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def apply(self, rows: KeyRows) -> None:
        """Write changes down.

        Raises `sqlite3.IntegrityError` for a key that comes but is here, or goes but is not here.
        """
        self._connection.executemany(_OPEN, rows.opened)
        self._connection.executemany(_HOLD, rows.held)
        self._connection.executemany(_CONFIRM, rows.confirmed)
        if rows.burned:
            burned = self._connection.executemany(_BURN, rows.burned).rowcount
            if burned != len(rows.burned):
                raise sqlite3.IntegrityError("a key goes that is not here")

    def clear(self) -> None:
        """Forget everything."""
        for table in ("key_store", "stored_key"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608

    def compare(self, held: Mapping[str, tuple[int, Iterable[KeyChange]]], seal: Seal) -> None:
        """Compare the tables with what entities hold, given as (number, changes) by name.

        Raises `KeysDifferError`, and `SealBrokenError` for material that is not what was sealed.
        """
        for name, (entity, changes) in held.items():
            found = {
                row[5]: (*row[:-1], seal.open(row[-1], row[5]))
                for row in self._connection.execute(
                    "SELECT * FROM stored_key WHERE entity = ?", (entity,)
                )
            }
            expected = _rows_of(entity, changes)
            differing = sum(found.get(k) != expected.get(k) for k in found.keys() | expected.keys())
            if differing:
                raise KeysDifferError(name, differing)


def _rows_of(entity: int, changes: Iterable[KeyChange]) -> dict[str, _Values]:
    """Return the rows that changes make of nothing, by key, with their material unsealed."""
    changes = list(changes)
    available = {_block(entity, change) for change in changes if isinstance(change, KeysConfirmed)}
    rows: dict[str, _Values] = {}
    for change in changes:
        if isinstance(change, KeysHeld):
            block = _block(entity, change)
            state = AVAILABLE if block in available else EXPECTED
            for key in change.keys:
                rows[key.id] = (*block, key.index, key.id, state, key.bits, key.material)
    return rows


def _block(entity: int, change: KeysHeld | KeysConfirmed | KeysGone) -> _Block:
    return entity, change.request, change.medium.name.lower(), change.serial
