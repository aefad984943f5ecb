"""Octets of what agents show, and of what is asked of them (BER, X.690).

What is written here is what pysnmp would write, value by value, from objects of its own, which took most of
the time of a walk.  What is read is what has definite lengths; nothing here knows what else there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import add

from protos.pdu import Arcs, Missing

SEQUENCE = 0x30
_NAME = 0x06
_SHORT = 0x80  # a length below is one octet
_MOST_LENGTH_OCTETS = 2
_MOST_INTEGER_OCTETS = 4
_MOST_ARCS, _MOST_ARC = 128, 2**32 - 1  # RFC 2578, section 3.5
_MOST_VALUES = 65_536
_ABSENT = {
    Missing.NULL: b"\x05\x00",
    Missing.NO_SUCH_OBJECT: b"\x80\x00",
    Missing.NO_SUCH_INSTANCE: b"\x81\x00",
    Missing.END_OF_MIB_VIEW: b"\x82\x00",
}


class OddSpelling(Exception):  # noqa: N818
    """Octets are not in definite lengths, or not what was expected."""


@lru_cache(_MOST_VALUES)
def written_name(name: Arcs) -> bytes:
    """Return a name as octets."""
    first, second, *others = name
    return tlv(_NAME, b"".join(map(_arc, (40 * first + second, *others))))


def variable(name: Arcs, tag: int, value: int | bytes | Arcs) -> bytes:
    """Return a name and its value as octets."""
    return tlv(SEQUENCE, written_name(name) + _value(tag, value))


def variables(
    names: Sequence[bytes], tag: int, values: Iterable[int | bytes | Arcs]
) -> list[bytes]:
    """Return names, which are octets already, and their values, which are of one type, as octets."""
    bodies = list(map(add, names, map(_value, repeat(tag), values)))
    return [
        _HEADS[len(body)] + body if len(body) < _SHORT else tlv(SEQUENCE, body) for body in bodies
    ]


def absent(name: Arcs, why: Missing) -> bytes:
    """Return a name without a value as octets."""
    return tlv(SEQUENCE, written_name(name) + _ABSENT[why])


def tlv(tag: int, body: bytes) -> bytes:
    """Return a tag, a length in as few octets as possible, and what has it."""
    size = len(body)
    if size < _SHORT:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _SHORT | len(length))) + length + body


def integer(value: int) -> bytes:
    """Return the octets of a number, in as few as possible, without its tag."""
    return value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, signed=True)


@lru_cache(4_096)
def _arc(arc: int) -> bytes:
    """Return an arc in base 128, the last octet without the high bit."""
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))


def pieces(octets: bytes) -> list[tuple[int, bytes]]:
    """Return what octets consist of, by tag.  Raises `OddSpelling`."""
    found, at, size = [], 0, len(octets)
    while at < size:
        if at + 1 == size:
            raise OddSpelling
        tag, length = octets[at], octets[at + 1]
        at += 2
        if length >= _SHORT:
            count = length - _SHORT
            if not 0 < count <= _MOST_LENGTH_OCTETS:
                raise OddSpelling
            length = int.from_bytes(octets[at : at + count])
            at += count
        body = octets[at : at + length]
        at += length
        found.append((tag, body))
    if at != size:
        raise OddSpelling
    return found


def parts(octets: bytes, tags: tuple[int, ...]) -> list[bytes]:
    """Return what octets consist of, if it has these tags.  Raises `OddSpelling`."""
    found = pieces(octets)
    if tuple(tag for tag, _ in found) != tags:
        raise OddSpelling
    return [body for _, body in found]


def read_integer(octets: bytes) -> int:
    """Return a number of up to 32 bits.  Raises `OddSpelling`."""
    if not 0 < len(octets) <= _MOST_INTEGER_OCTETS:
        raise OddSpelling
    return int.from_bytes(octets, signed=True)


def read_name(octets: bytes) -> Arcs:
    """Return the arcs of a name.  Raises `OddSpelling`."""
    arcs, arc = [], 0
    for octet in octets:
        if octet == _SHORT and not arc:
            raise OddSpelling
        arc = arc << 7 | octet & 0x7F
        if octet < _SHORT:
            arcs.append(arc)
            arc = 0
    if not octets or octets[-1] >= _SHORT or len(arcs) >= _MOST_ARCS or max(arcs) > _MOST_ARC:
        raise OddSpelling
    first = min(arcs[0] // 40, 2)
    return (first, arcs[0] - 40 * first, *arcs[1:])


@lru_cache(_MOST_VALUES)
def _value(tag: int, value: int | bytes | Arcs) -> bytes:
    """Return a value as octets: many are the same, and most of the others are as they were."""
    if isinstance(value, int):
        return tlv(tag, integer(value))
    return tlv(tag, value) if isinstance(value, bytes) else written_name(value)


_HEADS = [bytes((SEQUENCE, size)) for size in range(_SHORT)]
