"""Key traffic as values: what local key managers say to each other, one bundle a neighbour and step.

A key of a request is named by (request, medium, serial): the serial is the epoch of a fiber channel
or the number of an on-demand order.  Nothing here is a key; ciphertext is a one-time pad's.  All are
tuples, because a run has millions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from protos.syntax import MediumCode


class Relay(NamedTuple):
    """`units` end-to-end keys on their way, encrypted with the key of the link just crossed.

    `errors` is how many bits of the link's block were wrong, as the sender found.
    """

    request: int
    epoch: int
    units: int
    ciphertext: bytes
    errors: int = 0


class Confirm(NamedTuple):
    """The target holds the first `units` of these keys; `tag` is its verification tag of them."""

    request: int
    medium: MediumCode
    serial: int
    units: int
    tag: bytes


class Delivered(NamedTuple):
    """The source gave these keys to its application for `period`; the target does the same.

    What a source tells a target to do with keys is numbered from 1 on, by pair of source and target.
    """

    request: int
    medium: MediumCode
    period: int
    key_ids: tuple[str, ...]
    number: int = 0


class Assigned(NamedTuple):
    """Keys that were delivered are for these SAEs of the target's node, who share them with `master`.

    Each key of `key_bits` is made of whole units, given by `unit_ids` in their order, and is known by one
    of the `names`.  With `pad`, the units are a one-time pad instead, under which the keys are sent.
    """

    request: int
    master: str
    slaves: tuple[str, ...]
    key_bits: int
    names: tuple[str, ...]
    unit_ids: tuple[str, ...]
    pad: bytes = b""
    number: int = 0


class Discard(NamedTuple):
    """These keys are void at both ends: tags differed, or they are no longer needed."""

    request: int
    medium: MediumCode
    serial: int
    number: int = 0


class Ack(NamedTuple):
    """The target has carried out all instructions of the source up to `number`."""

    number: int


KeyTraffic = Relay | Confirm | Delivered | Assigned | Discard | Ack
_PLACES = {
    kind: place for place, kind in enumerate((Relay, Confirm, Delivered, Assigned, Discard, Ack))
}


class KeyBundle(NamedTuple):
    """All that one node says to another in a step, by kind, and in its order within each kind."""

    items: tuple[KeyTraffic, ...]

    @classmethod
    def of(cls, items: Iterable[KeyTraffic]) -> KeyBundle:
        """Put together what was said in any order."""
        return cls(tuple(sorted(items, key=_place)))


def _place(item: KeyTraffic) -> int:
    return _PLACES[type(item)]
