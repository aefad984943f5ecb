"""Chance without generators: every question has its number, whoever asks, in whatever order.

A number is the keyed BLAKE2b hash of its question, so that processes agree without state and without
sequence.  Whoever asks for a purpose of its own does so under its own key or name.
"""

from __future__ import annotations

from hashlib import blake2b

Word = str | int


def number(question: tuple[Word, ...], key: bytes = b"", person: bytes = b"") -> float:
    """Return the number in [0, 1) that belongs to a question, of 53 bits."""
    words = "\x1f".join(map(str, question)).encode()
    digest = blake2b(words, digest_size=8, key=key, person=person).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
