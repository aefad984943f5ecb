"""Sealed management messages, and the keys under which they travel.

A PDU between two entities is AES-256-GCM text, with source, destination, sequence and window
authenticated; whatever does not open is refused.  A node shares keys with the manager and with every
controller, one store per pair.  Every fiber of the node has one wavelength more than those that are
reserved, of which a share goes to these stores.  When a rotation is due (every `rotation_s` of emulated
time) they take in what the fibers have made since the last, as much as there is room for, and each gives
a key of 256 bits, which is in force from then on.  A store that has none keeps its old key in use: that
is *overdue*.  Key 0 was shared before the run, and so were all keys between the manager and the
controllers, which are at one site.

Keys are a pure function of emulated time and of what happens to fibers.  A store is counted in bits; both
ends derive a key from its name when it is withdrawn, as they do with blocks.  So both know the same, on
whatever host they are, and each notes every rotation for the audit.  After the last period nothing rotates.
These stores take nothing from the reservations of requests.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controllers.ports import LinkSample
from emulator.world.events import WorldEvent
from emulator.world.world import World
from protos.core import (
    FIBER_CONTROLLER,
    GLOBAL_MANAGER,
    KEY_MANAGER_PREFIX,
    SATELLITE_CONTROLLER,
    UAV_CONTROLLER,
    key_manager_of,
    steps_until,
)
from protos.facts import Fact, FactKind, Rotated
from protos.gen.qsagin.v1 import management_pb2
from protos.syntax import MediumCode

MANAGEMENT = "management"
KEY_BYTES = 32
KEY_BITS = 8 * KEY_BYTES
CENTRE = (GLOBAL_MANAGER, FIBER_CONTROLLER, SATELLITE_CONTROLLER, UAV_CONTROLLER)


@dataclass
class _Book:
    """The stores of one node, which are all alike, by rotation: what came, what is left, and the key."""

    gained_bits: array[int] = field(default_factory=lambda: array("q", [0]))
    left_bits: array[int] = field(default_factory=lambda: array("q", [0]))
    in_force: array[int] = field(default_factory=lambda: array("q", [0]))

    def rotate(self, offered_bits: int, room_bits: int) -> None:
        """Take in what is offered, up to the room for all, and give one key if there is one."""
        had = self.left_bits[-1]
        gained = min(offered_bits, room_bits - had)
        gives = had + gained >= KEY_BITS
        self.gained_bits.append(gained)
        self.left_bits.append(had + gained - KEY_BITS * gives)
        self.in_force.append(len(self.in_force) if gives else self.in_force[-1])


@dataclass(frozen=True)
class ManagementKeys:
    """The keys of all pairs.

    `share` is that of what one wavelength yields on each fiber of a node, for all its stores together;
    a store holds up to `stored_keys`.
    """

    world: World
    window_s: float
    rotation_s: float
    share: float = 0.1
    stored_keys: int = 4
    qber_limit: float = 0.11

    def with_event(self, event: WorldEvent) -> ManagementKeys:
        """Return the keys of the world in which that happens too."""
        return replace(self, world=self.world.with_event(event))

    def due(self, window: int) -> int:
        """Return which key should be in force in a window."""
        return min(self._last, int(window * self.window_s // self.rotation_s))

    def next_window(self, after: int | None) -> int | None:
        """Return the window of the next rotation after a window; None if there is none."""
        number = 1 if after is None else self.due(after) + 1
        if number > self._last:
            return None
        window = steps_until(number * self.rotation_s, self.window_s)
        return window if after is None else max(window, after + 1)

    def serial(self, a: str, b: str, due: int) -> int:
        """Return which key is in force between two entities when `due` should be; perhaps an older."""
        nodes = (name for name in (a, b) if name.startswith(KEY_MANAGER_PREFIX))
        return min((self._book(node, due).in_force[due] for node in nodes), default=due)

    def key(self, a: str, b: str, serial: int) -> bytes:
        """Return a key, the same for both ends."""
        return self.world.shared(MANAGEMENT, a, b, serial, KEY_BYTES)

    def left_bits(self, entity: str, due: int) -> int:
        """Return what the stores of a key manager hold together after a rotation."""
        return len(CENTRE) * self._book(entity, due).left_bits[due]

    def rotations(self, entity: str, after: int, due: int) -> Iterator[Fact]:
        """Yield what an entity notes about its stores after one rotation, up to another.

        `bits` came into the store, and `units` keys were withdrawn from it; none: it is overdue.
        """
        for number in range(after + 1, due + 1):
            for node, peer in self._pairs(entity):
                book = self._book(node, number)
                units = int(book.in_force[number] == number)
                yield Fact(
                    FactKind.ROTATED,
                    serial=number,
                    medium=MANAGEMENT,
                    peer=peer,
                    units=units,
                    bits=book.gained_bits[number],
                    details=Rotated(overdue=not units),
                )

    def stored(self, entity: str, due: int) -> Iterator[Fact]:
        """Yield what an entity notes about its stores in the end."""
        for node, peer in self._pairs(entity):
            bits = self._book(node, due).left_bits[due]
            if bits:
                yield Fact(FactKind.STORED, medium=MANAGEMENT, peer=peer, bits=bits)

    def noted(
        self, entities: Iterable[str], last: int | None, window: int
    ) -> dict[str, list[Fact]]:
        """Return what entities note, up to a window, about rotations since they last ran."""
        after, due = 0 if last is None else self.due(last), self.due(window)
        if after >= due:
            return {}
        found = ((entity, list(self.rotations(entity, after, due))) for entity in entities)
        return {entity: facts for entity, facts in found if facts}

    def left(self, entities: Iterable[str], last: int | None) -> dict[str, list[Fact]]:
        """Return what entities that last ran in a window note about the keys that are left."""
        due = 0 if last is None else self.due(last)
        return {entity: list(self.stored(entity, due)) for entity in entities}

    @property
    def _last(self) -> int:
        """The last rotation that is noted."""
        return int(self.world.timeline.end_s // self.rotation_s)

    def _pairs(self, entity: str) -> Iterator[tuple[str, str]]:
        """Yield the pairs of an entity: the key manager of each, and its peer."""
        if entity in CENTRE:
            yield from ((node, node) for node in self._fibers)
        elif entity in self._fibers:
            yield from ((entity, peer) for peer in CENTRE)

    def _book(self, node: str, due: int) -> _Book:
        book = self._books.setdefault(node, _Book())
        while len(book.in_force) <= due:
            offered = self._offered_bits(node, len(book.in_force))
            book.rotate(offered, self.stored_keys * KEY_BITS)
        return book

    def _offered_bits(self, node: str, number: int) -> int:
        """Return what the fibers of a node make for each of its stores until a rotation."""
        name, at_s = node.removeprefix(KEY_MANAGER_PREFIX), number * self.rotation_s
        since_s = at_s - self.rotation_s
        made_bps = 0.0
        for peer in self._fibers.get(node, ()):
            offer = self.world.sample(MediumCode.FIBER, name, peer, at_s, since_s)
            if offer.usable and offer.qber <= self.qber_limit:
                made_bps += offer.skr_bps * _distilled_share(offer, since_s, at_s)
        return int(self.share * made_bps * self.rotation_s / len(CENTRE))

    @cached_property
    def _books(self) -> dict[str, _Book]:
        return {}

    @cached_property
    def _fibers(self) -> dict[str, list[str]]:
        """The neighbours of every node that has any, by its key manager."""
        found: dict[str, list[str]] = {}
        for a, b, _ in self.world.fibers:
            found.setdefault(key_manager_of(a), []).append(b)
            found.setdefault(key_manager_of(b), []).append(a)
        return dict(sorted(found.items()))


def _distilled_share(offer: LinkSample, since_s: float, at_s: float) -> float:
    """Return how much of a link's mean rate is there in a time: that of the blocks that became full in it.

    Where keys are finite, fibers gather for management from the start of the run on, disturbed or not.
    """
    if not offer.block_s:
        return 1.0
    full = at_s // offer.block_s - since_s // offer.block_s
    return full * offer.block_s / (at_s - since_s)


Batch = management_pb2.ManagementBatch
_KEPT_KEYS = 4
_Pair = tuple[str, str]


class EnvelopeError(Exception):
    """A message is not sealed as it must be; `reason` says how, `source` is the sender that it claims."""

    def __init__(self, reason: str, source: str) -> None:
        super().__init__(reason, source)
        self.reason, self.source = reason, source

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class Envelopes:
    """Closes and opens the messages of one actor.

    `used` counts every (pair, serial) that has been in use here; `overdue` holds the pairs whose key was
    overdue when it was used last.  Of each pair the last keys are kept, for messages that are sent again.
    """

    def __init__(self, keys: ManagementKeys) -> None:
        self.keys = keys
        self._ciphers: dict[_Pair, dict[int, AESGCM]] = {}
        self._serials: dict[_Pair, tuple[int, int]] = {}
        self.used = 0
        self.overdue: set[_Pair] = set()

    def hear(self, event: WorldEvent) -> None:
        """Learn of something that happens after the window that is under way."""
        self.keys = self.keys.with_event(event)

    def close(self, batch: Batch) -> None:
        """Seal every message of a batch."""
        for message in batch.messages:
            serial = self._in_force(message.source, message.destination, batch.window)
            cipher = self._cipher(message.source, message.destination, serial)
            text = message.pdu.SerializeToString()
            message.ClearField("pdu")
            nonce, about = _nonce(message), _about(message, batch.window)
            message.sealed, message.key_serial = cipher.encrypt(nonce, text, about), serial

    def open(self, batch: Batch) -> Batch:
        """Return a batch with every message opened.  Raises `EnvelopeError`."""
        opened = Batch(window=batch.window)
        for message in batch.messages:
            if not message.sealed:
                raise EnvelopeError("not sealed", message.source)
            serial = self._in_force(message.source, message.destination, batch.window)
            if message.key_serial != serial:
                raise EnvelopeError("stale key", message.source)
            cipher = self._cipher(message.source, message.destination, serial)
            nonce, about = _nonce(message), _about(message, batch.window)
            try:
                text = cipher.decrypt(nonce, message.sealed, about)
            except InvalidTag as error:
                raise EnvelopeError("tampered", message.source) from error
            opened.messages.add(
                source=message.source,
                destination=message.destination,
                sequence=message.sequence,
                pdu=management_pb2.Pdu.FromString(text),
            )
        return opened

    def oldest_s(self, window: int) -> float | None:
        """Return since when the oldest of the keys that this rotation has used has been in force."""
        now = self.keys.due(window)
        serials = [serial for due, serial in self._serials.values() if due == now]
        return min(serials) * self.keys.rotation_s if serials else None

    def _in_force(self, a: str, b: str, window: int) -> int:
        first, second = sorted((a, b))
        due = self.keys.due(window)
        known, serial = self._serials.get((first, second), (-1, 0))
        if known != due:
            serial = self.keys.serial(a, b, due)
            self._serials[first, second] = due, serial
            change = self.overdue.add if serial < due else self.overdue.discard
            change((first, second))
        return serial

    def _cipher(self, a: str, b: str, serial: int) -> AESGCM:
        first, second = sorted((a, b))
        kept = self._ciphers.setdefault((first, second), {})
        if serial in kept:
            return kept[serial]
        cipher = AESGCM(self.keys.key(a, b, serial))
        if len(kept) < _KEPT_KEYS or serial > min(kept):
            kept[serial] = cipher
            self.used += 1
        if len(kept) > _KEPT_KEYS:
            del kept[min(kept)]
        return cipher


def _nonce(message: management_pb2.ManagementMessage) -> bytes:
    """Return 12 bytes that no other message under the same key has.

    A source numbers its messages; the first byte tells the two directions apart.
    """
    direction = message.source < message.destination
    return bytes([direction]) + message.sequence.to_bytes(11, "big")


def _about(message: management_pb2.ManagementMessage, window: int) -> bytes:
    words = (message.source, message.destination, str(message.sequence), str(window))
    return "\x1f".join(words).encode()
