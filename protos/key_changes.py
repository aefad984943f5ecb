"""Keys in hand, and the changes that a core reports, so that its shell can keep keys in a database.

A store is named by (request, medium) at one entity; a block of keys in it by its serial.  A key's life is
a line: held, perhaps confirmed, gone; a key that is gone never comes back.  A key's bytes never
appear in a `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from protos.syntax import MediumCode

TAG_BYTES = 16


def tag(material: bytes) -> bytes:
    """Return the verification tag of a block of key."""
    return blake2b(material, digest_size=TAG_BYTES, person=b"qsagin-tag").digest()


@dataclass(frozen=True, slots=True)
class Key:
    """One key, its name (a UUID), and its index in the block that it was cut from."""

    id: str
    material: bytes = field(repr=False)
    index: int = 0

    @property
    def bits(self) -> int:
        """Length."""
        return 8 * len(self.material)

    @property
    def fingerprint(self) -> bytes:
        """A tag by which an audit compares both ends; it does not give the key."""
        return tag(self.material)


@dataclass(frozen=True, slots=True)
class StoreOpened:
    """A store of keys shared with `peer` exists, with a capacity; `end` is "source" or "target"."""

    request: int
    medium: MediumCode
    peer: str
    end: str
    key_bits: int
    capacity_units: int


class KeysHeld(NamedTuple):
    """Keys of one block came into a store; they are expected, not yet confirmed."""

    request: int
    medium: MediumCode
    serial: int
    keys: tuple[Key, ...]


class KeysConfirmed(NamedTuple):
    """All keys of a block have become available."""

    request: int
    medium: MediumCode
    serial: int


class KeysGone(NamedTuple):
    """Keys of a block have left their store: delivered or destroyed, they must not be found again."""

    request: int
    medium: MediumCode
    serial: int
    key_ids: tuple[str, ...]


KeyChange = StoreOpened | KeysHeld | KeysConfirmed | KeysGone
