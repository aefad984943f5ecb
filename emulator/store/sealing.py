"""Sealing: what holds key is written to disk under AES-256-GCM only.

The sealing key is made for one run, is given to its actors when they start, and is written nowhere.
A nonce is drawn at random for every sealed text; a run seals far fewer than the 2^32 texts that NIST
SP 800-38D, section 8.3, allows under one key.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class SealBrokenError(Exception):
    """A sealed text was altered, moved, or sealed under another key."""

    def __init__(self, context: str) -> None:
        super().__init__(context)
        self.context = context

    def __str__(self) -> str:
        return f"the seal of {self.context} is broken"


def new_key() -> bytes:
    """Return a sealing key."""
    return secrets.token_bytes(KEY_BYTES)


class Seal:
    """Seals and opens under one key; `context` says what a text is and is authenticated with it."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def close(self, text: bytes, context: str) -> bytes:
        """Return the sealed text: nonce, ciphertext, tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, text, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the text.  Raises `SealBrokenError`."""
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._aead.decrypt(nonce, rest, context.encode())
        except InvalidTag as error:
            raise SealBrokenError(context) from error
