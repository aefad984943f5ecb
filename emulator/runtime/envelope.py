"""Envelopes: management messages sealed under the management keys of the two who exchange them.

Both ends compute the serial in force from the window in which a message was sent, so that a message under
any other key is refused.  The text is the PDU; source, destination, sequence and window are authenticated
with it.  Nothing here knows what a PDU says, or where keys come from.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from emulator.runtime.management_keys import ManagementKeys
from emulator.world.events import WorldEvent
from protos.gen.qsagin.v1 import management_pb2

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

    def hear(self, happening: WorldEvent) -> None:
        """Learn of something that happens after the window that is under way."""
        self.keys = self.keys.with_event(happening)

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
