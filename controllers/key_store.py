"""Keys that one node shares with one peer for one request over one medium.

A block of keys is *expected* until the other end confirms it and *available* from then on; each of its
keys leaves once, consumed, taken or void, oldest block first.  Every change is reported as it happens, so
that the shell of the node can write it down.  Nothing here knows about clocks, messages or links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from protos.core import key_manager_of
from protos.key_changes import Key, KeyChange, KeysConfirmed, KeysGone, KeysHeld, StoreOpened, tag
from protos.syntax import MediumCode

Report = Callable[[KeyChange], None]


@dataclass
class _Block:
    """What is left of keys that were made together, by name, in their order."""

    keys: dict[str, Key]
    made_s: float
    is_available: bool = False


class KeyStore:
    """The keys of one request at one end, oldest first; a source fills it up to `capacity_units`."""

    def __init__(self, opened: StoreOpened, report: Report) -> None:
        self._request, self._medium = opened.request, opened.medium
        self.peer, self.end = opened.peer, opened.end
        self._key_bits = opened.key_bits
        self.capacity_units = opened.capacity_units
        self._blocks: dict[int, _Block] = {}
        self._report = report
        report(opened)

    @property
    def available_units(self) -> int:
        """Keys that can be consumed now."""
        return sum(len(block.keys) for block in self._blocks.values() if block.is_available)

    @property
    def held_units(self) -> int:
        """All keys in hand, expected ones too."""
        return sum(len(block.keys) for block in self._blocks.values())

    @property
    def room_units(self) -> int:
        """Keys that can still be made without exceeding the capacity."""
        return max(0, self.capacity_units - self.held_units)

    def is_filled_by(self, entity: str) -> bool:
        """Return whether this is the target's end, and an entity the key manager at the source."""
        return self.end == "target" and entity == key_manager_of(self.peer)

    def resize(self, capacity_units: int) -> None:
        """Change the capacity; keys that are held already stay."""
        if capacity_units != self.capacity_units:
            self.capacity_units = capacity_units
            self._report(self._opened())

    def expect(self, serial: int, keys: list[Key], made_s: float) -> None:
        """Hold the keys of a new block, made at `made_s`, until the other end confirms them."""
        self._blocks[serial] = _Block({key.id: key for key in keys}, made_s)
        self._report(KeysHeld(self._request, self._medium, serial, tuple(keys)))

    def confirm(self, serial: int, units: int, their_tag: bytes) -> bool:
        """Make the first keys of an expected block available if the other end has the same.

        The others it does not have: they are destroyed.  Return whether the keys are the same.
        """
        block = self._blocks.get(serial)
        if block is None or units > len(block.keys):
            return False
        keys = list(block.keys.values())
        if tag(b"".join(key.material for key in keys[:units])) != their_tag:
            return False
        if units < len(keys):
            self._remove(serial, block, keys[units:])
        if units:
            block.is_available = True
            self._report(KeysConfirmed(self._request, self._medium, serial))
        return True

    def void(self, serial: int) -> int:
        """Destroy what is left of a block, confirmed or not; return how many keys that were."""
        block = self._blocks.pop(serial, None)
        if block is None or not block.keys:
            return 0
        self._burn(serial, tuple(block.keys))
        return len(block.keys)

    def consume(self, units: int) -> list[Key]:
        """Take out the oldest available keys, at most `units`."""
        taken: list[Key] = []
        for serial, block in list(self._blocks.items()):
            if block.is_available and len(taken) < units:
                oldest = list(block.keys.values())[: units - len(taken)]
                self._remove(serial, block, oldest)
                taken += oldest
        return taken

    def take(self, key_id: str) -> Key | None:
        """Take out a key by name, confirmed or not; None if it is not here (any more)."""
        for serial, block in self._blocks.items():
            key = block.keys.get(key_id)
            if key is not None:
                self._remove(serial, block, [key])
                return key
        return None

    def available_since(self, made_s: float) -> list[int]:
        """Return the available blocks that were made then or before, oldest first."""
        return [
            serial
            for serial, block in self._blocks.items()
            if block.is_available and block.made_s <= made_s
        ]

    @property
    def oldest_s(self) -> float | None:
        """When the oldest available block was made."""
        made = (block.made_s for block in self._blocks.values() if block.is_available)
        return next(made, None)

    @property
    def oldest_serial(self) -> int:
        """The oldest available block; there must be one."""
        return next(serial for serial, block in self._blocks.items() if block.is_available)

    def units_made_until(self, made_s: float) -> int:
        """Return the available keys that were made then or before."""
        return sum(map(self.units_of, self.available_since(made_s)))

    def units_of(self, serial: int) -> int:
        """Return how many keys of a block are in hand."""
        return len(self._blocks[serial].keys) if serial in self._blocks else 0

    def changes(self) -> Iterator[KeyChange]:
        """Yield the changes that rebuild this store from empty."""
        yield self._opened()
        for serial, block in self._blocks.items():
            yield KeysHeld(self._request, self._medium, serial, tuple(block.keys.values()))
            if block.is_available:
                yield KeysConfirmed(self._request, self._medium, serial)

    def _remove(self, serial: int, block: _Block, keys: list[Key]) -> None:
        for key in keys:
            del block.keys[key.id]
        if not block.keys:
            del self._blocks[serial]
        self._burn(serial, tuple(key.id for key in keys))

    def _burn(self, serial: int, key_ids: tuple[str, ...]) -> None:
        self._report(KeysGone(self._request, self._medium, serial, key_ids))

    def _opened(self) -> StoreOpened:
        return StoreOpened(
            self._request,
            self._medium,
            self.peer,
            self.end,
            self._key_bits,
            self.capacity_units,
        )


class KeyStores:
    """All stores of one node, by request and medium."""

    def __init__(self, key_bits: int, report: Report) -> None:
        self._key_bits, self._report = key_bits, report
        self._fillers: set[str] = set()
        self._stores: dict[tuple[int, MediumCode], KeyStore] = {}

    def open(
        self, request: int, medium: MediumCode, peer: str, end: str, capacity_units: int
    ) -> KeyStore:
        """Return a store that has this capacity from now on; make it if there is none."""
        store = self._stores.get((request, medium))
        if store is None:
            opened = StoreOpened(request, medium, peer, end, self._key_bits, capacity_units)
            store = self._stores[request, medium] = KeyStore(opened, self._report)
            self._fillers |= {key_manager_of(peer)} if end == "target" else set()
        store.resize(capacity_units)
        return store

    def find(self, request: int, medium: MediumCode) -> KeyStore | None:
        """Return a store, if there is one."""
        return self._stores.get((request, medium))

    def are_filled_by(self, entity: str) -> bool:
        """Return whether an entity is the source of the keys of any store here."""
        return entity in self._fillers

    def of(self, medium: MediumCode) -> Iterator[tuple[int, KeyStore]]:
        """Yield the stores that one medium fills, with their requests."""
        return ((request, s) for (request, m), s in self._stores.items() if m is medium)

    def changes(self) -> Iterator[KeyChange]:
        """Yield the changes that rebuild all stores from empty."""
        for store in self._stores.values():
            yield from store.changes()


def name_keys(
    request: int, medium: MediumCode, serial: int, material: bytes, key_bytes: int
) -> list[Key]:
    """Cut a block into keys, each named by a UUID that both ends derive alike."""
    names = _key_names(request, medium, serial, -(-len(material) // key_bytes))
    return [
        Key(name, material[index * key_bytes : (index + 1) * key_bytes], index)
        for index, name in enumerate(names)
    ]


def key_name(request: int, medium: MediumCode, serial: int, index: int) -> str:
    """Return the name (a UUID) of the key that is cut from a block at an index."""
    return _named(f"{request}/{medium.value}/{serial}/{index}")


def key_names(request: int, medium: MediumCode, serial: int, count: int) -> list[str]:
    """Return the names of the first keys of a block."""
    block = f"{request}/{medium.value}/{serial}/"
    return [_named(f"{block}{index}") for index in range(count)]


def _named(key: str) -> str:
    text = blake2b(key.encode(), digest_size=16, person=b"qsagin-key-id").hexdigest()
    variant = _VARIANTS[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


_VARIANTS = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}
"""The digit of a UUID that says it is one of RFC 9562, by the digit that is there."""


@lru_cache(maxsize=1024)  # both ends of a block may be in this process
def _key_names(request: int, medium: MediumCode, serial: int, count: int) -> tuple[str, ...]:
    return tuple(key_names(request, medium, serial, count))
