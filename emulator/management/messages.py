"""Messages of SNMPv3 as pysnmp handles them, read and written in one go where they are spelt as usual.

What a message means, whom it is from and whether it is believed is decided by pysnmp.  Only its octets are
read and written here, through the maps by type that the codecs of pyasn1 have: the header, the security
parameters, the scoped PDU, and in it what a reader asks.  pyasn1 makes dozens of objects of each of these,
which took most of the time of a request.  Whatever is not spelt as RFC 3412, 3414 and 3416 have it, in
definite lengths, and whatever changes something, is read by pyasn1, which reads all there is, and refuses
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import base, univ
from pysnmp.entity.engine import SnmpEngine
from pysnmp.proto import rfc1905
from pysnmp.proto.api import v2c
from pysnmp.proto.mpmod import rfc3412
from pysnmp.proto.secmod.rfc3414 import service

from emulator.management.ber import (
    SEQUENCE,
    OddSpelling,
    integer,
    parts,
    pieces,
    read_integer,
    read_name,
    tlv,
)
from protos.pdu import Arcs

_INTEGER, _OCTETS, _NULL, _NAME = 0x02, 0x04, 0x05, 0x06
_MOST = 2**31 - 1
_LEAST_SIZE = 484  # RFC 3412, msgMaxSize
_MOST_TEXT_OCTETS = 32  # RFC 3411, SnmpEngineID and SnmpAdminString of a user or context
_VERSION = _USM = 3
_ENCRYPTED = 0x03  # RFC 3412, msgFlags: authFlag and privFlag
_LEVELS = ((_ENCRYPTED, _OCTETS), (0, 0x30))  # authPriv, and noAuthNoPriv to learn an engine-id
_RESPONSE = 0xA2
_VARIABLES = 3  # of the four parts of a PDU
_READS = {
    0xA0: rfc1905.GetRequestPDU.tagSet,
    0xA1: rfc1905.GetNextRequestPDU.tagSet,
    0xA5: rfc1905.GetBulkRequestPDU.tagSet,
}


def install(engine: SnmpEngine) -> None:
    """Have an engine read and write its messages so."""
    engine.message_processing_subsystems[_VERSION] = _Processing()
    engine.security_models[_USM] = _Security()


def asked(pdu: Any) -> tuple[tuple[Arcs, ...], int, int]:
    """Return the names in a request, and, if it is a GetBulk, its non-repeaters and max-repetitions."""
    if isinstance(pdu, _Asked):
        return pdu.names, pdu.found[1], pdu.found[2]
    names = tuple(tuple(name) for name, _ in v2c.apiPDU.get_varbinds(pdu))
    if pdu.tagSet != rfc1905.GetBulkRequestPDU.tagSet:
        return names, 0, 0
    once = v2c.apiBulkPDU.get_non_repeaters(pdu)
    return names, int(once), int(v2c.apiBulkPDU.get_max_repetitions(pdu))


def answer(pdu: Any, binds: Sequence[bytes], status: int, index: int) -> Any:
    """Return the answer to a request; its variables are octets."""
    if isinstance(pdu, _Asked):
        return _Answer(pdu.found[0], status, index, b"".join(binds))
    made = v2c.apiPDU.get_response(pdu)
    v2c.apiPDU.set_error_status(made, status)
    v2c.apiPDU.set_error_index(made, index)
    made.setComponentByPosition(
        _VARIABLES,
        variables(binds),
        verifyConstraints=False,
        matchTags=False,
        matchConstraints=False,
    )
    return made


def variables(found: Sequence[bytes]) -> Any:
    """Return variables as the list of a PDU of pysnmp."""
    made = _Written()
    made.octets = b"".join(found)
    return made


class _Octets(bytes):
    """Octets that are new in every message, with so much of pyasn1's OctetString as pysnmp uses."""

    def asOctets(self) -> bytes:  # noqa: N802
        """Return them."""
        return self

    def __radd__(self, before: list[int]) -> list[int]:
        return [*before, *self]


class _Parts:
    """Parts one after the other, with so much of pyasn1's Sequence as pysnmp uses."""

    tagSet = univ.Sequence.tagSet  # noqa: N815
    tagMap = univ.Sequence().tagMap  # noqa: N815
    typeId = base.Asn1Item.getTypeId()  # noqa: N815
    most = 6
    fresh: ClassVar[dict[int, Callable[[], Any]]] = {}

    def __init__(self, *found: Any) -> None:
        self.found = [*found] or [None] * self.most

    def getComponentByPosition(self, at: int) -> Any:  # noqa: N802
        """Return a part."""
        return self.found[at]

    __getitem__ = getComponentByPosition

    def setComponentByPosition(  # noqa: N802
        self, at: int, value: Any = None, **_: object
    ) -> _Parts:
        """Set a part; without a value, to one that has nothing yet."""
        self.found[at] = self.fresh[at]() if value is None else value
        return self

    def octets(self, encode: Callable[[Any], bytes]) -> bytes:
        """Return it as it is sent; `encode` is for parts that are pyasn1's."""
        raise NotImplementedError


class _Header(_Parts):
    """RFC 3412, HeaderData."""

    most = 4

    def octets(self, _: Callable[[Any], bytes]) -> bytes:
        number, size, flags, model = self.found
        numbers = _number(number) + _number(size)
        return tlv(SEQUENCE, numbers + _text(flags) + _number(model))


class _Parameters(_Parts):
    """RFC 3414, UsmSecurityParameters."""

    typeId = base.Asn1Item.getTypeId()  # noqa: N815

    def octets(self, _: Callable[[Any], bytes]) -> bytes:
        engine, boots, now_s, user, authentication, privacy = self.found
        when = _number(boots) + _number(now_s)
        return tlv(
            SEQUENCE, _text(engine) + when + _text(user) + _text(authentication) + _text(privacy)
        )


class _Pdu(_Parts):
    """The one PDU in a scoped PDU, as pyasn1's Choice."""

    most = 1

    def setComponentByType(self, _tags: Any, value: Any, **_: object) -> None:  # noqa: N802
        """Set it."""
        self.found[0] = value

    def getComponent(self) -> Any:  # noqa: N802
        """Return it."""
        return self.found[0]

    def octets(self, encode: Callable[[Any], bytes]) -> bytes:
        pdu = self.found[0]
        return pdu.octets(encode) if isinstance(pdu, _Answer) else encode(pdu)


class _Scoped(_Parts):
    """RFC 3412, ScopedPDU."""

    typeId = base.Asn1Item.getTypeId()  # noqa: N815
    most = 3
    fresh: ClassVar = {2: _Pdu}

    def octets(self, encode: Callable[[Any], bytes]) -> bytes:
        engine, context, pdu = self.found
        return tlv(SEQUENCE, _text(engine) + _text(context) + pdu.octets(encode))


class _Data(_Parts):
    """RFC 3412, ScopedPduData: a scoped PDU, or what it is encrypted."""

    most = 2
    fresh: ClassVar = {0: _Scoped}

    def getName(self) -> str:  # noqa: N802
        """Return which it is."""
        return "plaintext" if self.found[1] is None else "encryptedPDU"

    def getComponent(self) -> Any:  # noqa: N802
        """Return the scoped PDU, if that is what it is."""
        return self.found[0]

    def octets(self, encode: Callable[[Any], bytes]) -> bytes:
        scoped, encrypted = self.found
        return scoped.octets(encode) if encrypted is None else _text(encrypted)


class _Message(_Parts):
    """RFC 3412, SNMPv3Message."""

    typeId = base.Asn1Item.getTypeId()  # noqa: N815
    most = 4
    fresh: ClassVar = {1: _Header, 3: _Data}

    def octets(self, encode: Callable[[Any], bytes]) -> bytes:
        version, header, parameters, data = self.found
        head = _number(version) + header.octets(encode) + _text(parameters)
        return tlv(SEQUENCE, head + data.octets(encode))


class _Asked(_Parts):
    """RFC 3416: a request to read; after the request-id come two numbers that only a GetBulk uses."""

    def __init__(self, tags: Any, names: tuple[Arcs, ...], *found: int) -> None:
        super().__init__(*found)
        self.tagSet, self.names = tags, names


class _Answer(_Parts):
    """RFC 3416, Response-PDU: request-id, error-status, error-index, and its variables as octets."""

    tagSet = rfc1905.ResponsePDU.tagSet  # noqa: N815

    def octets(self, _: Callable[[Any], bytes]) -> bytes:
        *numbers, found = self.found
        return tlv(_RESPONSE, b"".join(map(_number, numbers)) + tlv(SEQUENCE, found))


class _Written(rfc1905.VarBindList):  # type: ignore[misc]
    """A list of variables that has been encoded."""

    typeId = base.Asn1Item.getTypeId()  # noqa: N815
    octets = b""


def _message(body: bytes) -> _Message:
    *others, (kind, data) = pieces(body) or [(0, b"")]
    if [kind for kind, _ in others] != [_INTEGER, SEQUENCE, _OCTETS]:
        raise OddSpelling
    version, header, parameters = (octets for _, octets in others)
    number, size, flags, model = parts(header, (_INTEGER, _INTEGER, _OCTETS, _INTEGER))
    is_usual = (read_integer(version), read_integer(model), len(flags)) == (_VERSION, _USM, 1)
    if not is_usual or (flags[0] & _ENCRYPTED, kind) not in _LEVELS:
        raise OddSpelling
    read = _Header(_natural(number), _natural(size, _LEAST_SIZE), _known(flags), _USM)
    found = (_scoped(data), None) if kind == SEQUENCE else (None, _Octets(data))
    return _Message(_VERSION, read, parameters, _Data(*found))


def _parameters(body: bytes) -> _Parameters:
    kinds = (_OCTETS, _INTEGER, _INTEGER, _OCTETS, _OCTETS, _OCTETS)
    engine, boots, now_s, user, authentication, privacy = parts(body, kinds)
    when = _natural(boots), _natural(now_s)
    return _Parameters(
        _known(engine), *when, _known(user), _Octets(authentication), _Octets(privacy)
    )


def _scoped(body: bytes) -> _Scoped:
    *scope, (tag, pdu) = pieces(body) or [(0, b"")]
    if [kind for kind, _ in scope] != [_OCTETS, _OCTETS] or tag not in _READS:
        raise OddSpelling
    number, once, repeated, binds = parts(pdu, (_INTEGER, _INTEGER, _INTEGER, SEQUENCE))
    names = tuple(_asked_name(kind, bind) for kind, bind in pieces(binds))
    read = _Asked(_READS[tag], names, read_integer(number), _natural(once), _natural(repeated))
    return _Scoped(*(_known(octets) for _, octets in scope), _Pdu(read))


def _asked_name(kind: int, bind: bytes) -> Arcs:
    if kind != SEQUENCE:
        raise OddSpelling
    name, nothing = parts(bind, (_NAME, _NULL))
    if nothing:
        raise OddSpelling
    return read_name(name)


def _natural(octets: bytes, least: int = 0) -> int:
    number = read_integer(octets)
    if number < least:
        raise OddSpelling
    return number


def _known(octets: bytes) -> Any:
    """Return a text that is the same in many messages as pysnmp's."""
    if len(octets) > _MOST_TEXT_OCTETS:
        raise OddSpelling
    return _seen(octets)


@lru_cache(1_024)
def _seen(octets: bytes) -> Any:
    return univ.OctetString(octets)


def _number(value: Any) -> bytes:
    return tlv(_INTEGER, integer(int(value)))


def _text(value: Any) -> bytes:
    return tlv(_OCTETS, value.encode("latin-1") if isinstance(value, str) else bytes(value))


class _Reader:
    """Reads the octets of a type; what is spelt in another way, as pyasn1 reads it by its own type."""

    def __init__(self, read: Callable[[bytes], Any], spec: Any) -> None:
        self._read, self._spec = read, spec
        self._otherwise = decoder.TYPE_MAP[univ.Sequence.typeId]

    def valueDecoder(  # noqa: N802
        self, substrate: Any, _spec: Any, tags: Any, length: int, *rest: Any, **options: Any
    ) -> Iterator[Any]:
        """Yield what is read; see pyasn1."""
        start = substrate.tell()
        try:
            found = self._read(substrate.read(length))
        except OddSpelling:
            substrate.seek(start)
            yield from self._otherwise.valueDecoder(
                substrate, self._spec, tags, length, *rest, **options
            )
        else:
            yield found

    def indefLenValueDecoder(  # noqa: N802
        self, substrate: Any, _spec: Any, *rest: Any, **options: Any
    ) -> Iterator[Any]:
        """Yield what pyasn1 reads."""
        yield from self._otherwise.indefLenValueDecoder(substrate, self._spec, *rest, **options)


class _Writer:
    """Writes parts of a message."""

    def encode(self, value: _Parts, _spec: Any, encode: Callable[[Any], bytes], **_: Any) -> bytes:
        """Return it as it is sent; see pyasn1."""
        return value.octets(encode)


class _AsWritten(encoder.AbstractItemEncoder):  # type: ignore[misc]
    """Encodes what has been encoded."""

    def encodeValue(self, value: Any, *_: Any, **__: Any) -> tuple[bytes, bool, bool]:  # noqa: N802
        """Return the octets, that they are of other values, and that they are octets."""
        return value.octets, True, True


class _Processing(rfc3412.SnmpV3MessageProcessingModel):  # type: ignore[misc]
    """RFC 3412 as pysnmp has it, with messages that are read and written here."""

    SNMP_MSG_SPEC = _Message

    def __init__(self) -> None:
        super().__init__()
        self._SnmpV3MessageProcessingModel__scopedPDU = _Scoped()


class _Security(service.SnmpUSMSecurityModel):  # type: ignore[misc]
    """RFC 3414 as pysnmp has it, with parameters that are read and written here."""

    def __init__(self) -> None:
        super().__init__()
        self._SnmpUSMSecurityModel__securityParametersSpec = _Parameters()


encoder.TYPE_MAP[_Written.typeId] = _AsWritten()
for _kind in (_Message, _Parameters, _Scoped):
    encoder.TYPE_MAP[_kind.typeId] = _Writer()
decoder.TYPE_MAP[_Message.typeId] = _Reader(_message, rfc3412.SNMPv3Message())
decoder.TYPE_MAP[_Parameters.typeId] = _Reader(_parameters, service.UsmSecurityParameters())
decoder.TYPE_MAP[_Scoped.typeId] = _Reader(_scoped, rfc3412.ScopedPDU())
