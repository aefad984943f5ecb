"""Keys that one node shares with one peer for one request.

Every key is in exactly one place: expected (the other end has not confirmed it), available, or
gone.  Nothing here knows about time, messages or media.  A key's bytes never appear in a `repr`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from uuid import UUID

from protos.mib import MediumCode

TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a unit's size, and its name."""

    id: str
    material: bytes = field(repr=False)

    @property
    def bits(self) -> int:
        """Length."""
        return 8 * len(self.material)

    @property
    def fingerprint(self) -> bytes:
        """A tag by which an audit compares both ends; it does not give the key."""
        return tag(self.material)


def tag(material: bytes) -> bytes:
    """Return the verification tag of a block of key."""
    return blake2b(material, digest_size=TAG_BYTES, person=b"qsagin-tag").digest()


def name_keys(
    request: int, medium: MediumCode, serial: int, material: bytes, key_bytes: int
) -> list[Key]:
    """Cut a block into keys, each named by a UUID that both ends derive alike."""
    return [
        Key(_key_id(request, medium, serial, place), material[start : start + key_bytes])
        for place, start in enumerate(range(0, len(material), key_bytes))
    ]


def _key_id(request: int, medium: MediumCode, serial: int, place: int) -> str:
    seed = f"{request}/{medium.value}/{serial}/{place}".encode()
    return str(
        UUID(bytes=blake2b(seed, digest_size=16, person=b"qsagin-key-id").digest(), version=4)
    )


class KeyStore:
    """The keys of one request at one end, oldest first, at most `capacity_units` of them."""

    def __init__(self, peer: str, end: str, capacity_units: int) -> None:
        self.peer = peer
        self.end = end
        self.capacity_units = capacity_units
        self._expected: dict[int, list[Key]] = {}
        self._available: OrderedDict[str, Key] = OrderedDict()

    @property
    def available_units(self) -> int:
        """Keys that can be consumed now."""
        return len(self._available)

    @property
    def room_units(self) -> int:
        """Keys that can still be made without exceeding the capacity."""
        expected = sum(len(keys) for keys in self._expected.values())
        return max(0, self.capacity_units - self.available_units - expected)

    def expect(self, serial: int, keys: list[Key]) -> None:
        """Hold keys until the other end confirms them."""
        self._expected[serial] = keys

    def expected(self, serial: int) -> list[Key]:
        """Return the keys held under a serial, which are then held no more."""
        return self._expected.pop(serial, [])

    def expected_serials(self) -> list[int]:
        """Return the serials still held."""
        return list(self._expected)

    def expected_before(self, serial: int) -> list[int]:
        """Return the serials still held that are older than this one."""
        return [held for held in self._expected if held < serial]

    def deposit(self, keys: Iterable[Key]) -> None:
        """Make keys available."""
        for key in keys:
            self._available[key.id] = key

    def consume(self, units: int) -> list[Key]:
        """Take out the oldest keys, as many as there are up to `units`."""
        count = min(units, len(self._available))
        return [self._available.popitem(last=False)[1] for _ in range(count)]

    def take(self, key_id: str) -> Key | None:
        """Take out a key by name, confirmed or not; None if it is not here (any more)."""
        if key_id in self._available:
            return self._available.pop(key_id)
        for keys in self._expected.values():
            for place, key in enumerate(keys):
                if key.id == key_id:
                    return keys.pop(place)
        return None

    def remaining(self) -> list[Key]:
        """Return all keys in hand, expected ones too."""
        held = [key for keys in self._expected.values() for key in keys]
        return [*self._available.values(), *held]
