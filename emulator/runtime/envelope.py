"""Envelopes: management messages sealed under keys that are themselves made by quantum key distribution.

Every pair of entities shares a key of 256 bits, which a new one follows every `rotation_s` of emulated
time.  The first is pre-shared, the others come from the quantum channel between the two; while no fiber
of a key manager's node yields key, there is no new one and the old stays in use: that is *overdue*, and
counted.  Both ends compute the serial in force from the window in which a message was sent, so that a
message under any other key is refused.  The text is the PDU; source, destination, sequence and window are
authenticated with it.  Nothing here knows what a PDU says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from emulator.nature.happenings import Happening
from emulator.nature.world import World
from protos.core import KEY_MANAGER_PREFIX
from protos.gen.qsagin.v1 import management_pb2
from protos.mib import MediumCode

KEY_BYTES = 32
Batch = management_pb2.ManagementBatch
_KEPT_KEYS = 4
_Pair = tuple[str, str]


class EnvelopeError(Exception):
    """A message is not sealed as it must be; `reason` says how, `source` who it claims to be from."""

    def __init__(self, reason: str, source: str) -> None:
        super().__init__(reason, source)
        self.reason, self.source = reason, source

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


@dataclass(frozen=True)
class ManagementKeys:
    """The keys of all pairs, as a pure function of emulated time."""

    world: World
    window_s: float
    rotation_s: float

    def told(self, happening: Happening) -> ManagementKeys:
        """Return the keys of the world in which that happens too."""
        return replace(self, world=self.world.told(happening))

    def due(self, window: int) -> int:
        """Return which key should be in force in a window."""
        return int(window * self.window_s // self.rotation_s)

    def serial(self, a: str, b: str, due: int) -> int:
        """Return which key is in force between two entities when `due` should be; perhaps an older."""
        found = due
        while found > 0 and not (self._yields(a, found) and self._yields(b, found)):
            found -= 1
        return found

    def key(self, a: str, b: str, serial: int) -> bytes:
        """Return a key, the same for both ends."""
        first, second = sorted((a, b))
        return self.world.block(f"management/{first}/{second}", serial, KEY_BYTES)

    def _yields(self, entity: str, serial: int) -> bool:
        """Whether an entity's node can make key when a serial is due; controllers always can."""
        if not entity.startswith(KEY_MANAGER_PREFIX):
            return True
        node, at_s = entity.removeprefix(KEY_MANAGER_PREFIX), serial * self.rotation_s
        return any(
            self.world.sample(MediumCode.FIBER, node, peer, at_s).usable
            for peer in self._neighbours.get(node, ())
        )

    @cached_property
    def _neighbours(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for a, b, _ in self.world.fibers:
            found.setdefault(a, []).append(b)
            found.setdefault(b, []).append(a)
        return found


class Envelopes:
    """Closes and opens the messages of one actor.

    `used` counts every (pair, serial) that has been in use here; `overdue` holds the pairs whose key was
    overdue when it was used last.  Of each pair the last keys are kept, for messages that are sent again.
    """

    def __init__(self, keys: ManagementKeys) -> None:
        self._keys = keys
        self._ciphers: dict[_Pair, dict[int, AESGCM]] = {}
        self._serials: dict[_Pair, tuple[int, int]] = {}
        self.used = 0
        self.overdue: set[_Pair] = set()

    def hear(self, happening: Happening) -> None:
        """Learn of something that happens after the window that is under way."""
        self._keys = self._keys.told(happening)

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
        now = self._keys.due(window)
        serials = [serial for due, serial in self._serials.values() if due == now]
        return min(serials) * self._keys.rotation_s if serials else None

    def _in_force(self, a: str, b: str, window: int) -> int:
        first, second = sorted((a, b))
        due = self._keys.due(window)
        known, serial = self._serials.get((first, second), (-1, 0))
        if known != due:
            serial = self._keys.serial(a, b, due)
            self._serials[first, second] = due, serial
            change = self.overdue.add if serial < due else self.overdue.discard
            change((first, second))
        return serial

    def _cipher(self, a: str, b: str, serial: int) -> AESGCM:
        first, second = sorted((a, b))
        kept = self._ciphers.setdefault((first, second), {})
        if serial in kept:
            return kept[serial]
        cipher = AESGCM(self._keys.key(a, b, serial))
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
