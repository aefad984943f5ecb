"""Variables of an answer as octets (BER, X.690), and as a list that pysnmp sends as it is.

Encoding values one by one as objects of pyasn1 took most of the time of a walk.  Only what agents show is
written here; messages, security and everything that comes in remain pysnmp's.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pyasn1.codec.ber import encoder
from pysnmp.proto import rfc1905

from emulator.management.objects import Cell, Type
from protos.pdu import Arcs, Missing

_SEQUENCE, _NAME = 0x30, 0x06
_MOST_NAMES = 65_536
_TAGS = {
    Type.INTEGER: 0x02,
    Type.OCTETS: 0x04,
    Type.NAME: _NAME,
    Type.COUNTER32: 0x41,
    Type.UNSIGNED: 0x42,
    Type.GAUGE32: 0x42,
    Type.TICKS: 0x43,
    Type.COUNTER64: 0x46,
}
_ABSENT = {
    Missing.NULL: b"\x05\x00",
    Missing.NO_SUCH_OBJECT: b"\x80\x00",
    Missing.NO_SUCH_INSTANCE: b"\x81\x00",
    Missing.END_OF_MIB_VIEW: b"\x82\x00",
}


def variable(cell: Cell) -> bytes:
    """Return a variable and its value as octets."""
    kind, value = cell.type, cell.value
    if isinstance(value, bytes):
        body = value
    elif isinstance(value, int):
        body = value.to_bytes(value.bit_length() // 8 + 1, signed=True)
    else:
        body = _arcs(value)
    return _tlv(_SEQUENCE, _name(cell.name) + _tlv(_TAGS[kind], body))


def absent(name: Arcs, why: Missing) -> bytes:
    """Return a variable without a value as octets."""
    return _tlv(_SEQUENCE, _name(name) + _ABSENT[why])


def variables(found: Iterable[bytes]) -> Any:
    """Return variables as the list of a PDU."""
    made = _Written()
    made.octets = b"".join(found)
    return made


def _tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + body


@lru_cache(_MOST_NAMES)
def _name(name: Arcs) -> bytes:
    """Return the name of a variable as octets: a poller asks for the same ones again and again."""
    return _tlv(_NAME, _arcs(name))


def _arcs(name: Arcs) -> bytes:
    first, second, *others = name
    return b"".join(map(_arc, (40 * first + second, *others)))


@lru_cache(4_096)
def _arc(arc: int) -> bytes:
    """Return an arc in base 128, the last octet without the high bit."""
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))


class _Written(rfc1905.VarBindList):  # type: ignore[misc]
    """A list of variables that has been encoded."""

    typeId = rfc1905.VarBindList.getTypeId()  # noqa: N815
    octets = b""


class _AsWritten(encoder.AbstractItemEncoder):  # type: ignore[misc]
    """Encodes what has been encoded."""

    def encodeValue(self, value: Any, *_: Any, **__: Any) -> tuple[bytes, bool, bool]:  # noqa: N802
        """Return the octets, that they are of other values, and that they are octets."""
        return value.octets, True, True


encoder.TYPE_MAP[_Written.typeId] = _AsWritten()
