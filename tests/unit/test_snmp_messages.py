"""Messages that are read and written in one go are to pysnmp what it reads and writes itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pyasn1.error import PyAsn1Error

pytest.importorskip("pysnmp")
from pysnmp.entity.engine import SnmpEngine
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c
from pysnmp.proto.mpmod import rfc3412
from pysnmp.proto.secmod.rfc3414 import service

from emulator.management import messages
from emulator.management.messages import answer, asked, install
from protos.pdu import Arcs

_READS = (rfc1905.GetRequestPDU, rfc1905.GetNextRequestPDU, rfc1905.GetBulkRequestPDU)
_ARC = st.integers(0, 2**32 - 1)
_NAMES = st.lists(_ARC, min_size=1, max_size=20).map(lambda arcs: (1, 3, *arcs))
_NATURAL = st.integers(0, 2**31 - 1)
_NUMBER = st.integers(1 - 2**31, 2**31 - 1).filter(lambda n: n not in {-(2**7), -(2**15), -(2**23)})
_TEXT = st.binary(max_size=32)


def _pdu(kind: Any, numbers: tuple[int, int, int], names: list[Arcs], value: Any = None) -> Any:
    made = kind()
    for at, number in enumerate(numbers):
        made.setComponentByPosition(at, number)
    v2c.apiPDU.set_varbinds(made, [(rfc1902.ObjectName(n), value or v2c.null) for n in names])
    return made


def _scoped(pdu: Any, engine: bytes = b"engine", context: bytes = b"kme-1") -> Any:
    made = rfc3412.ScopedPDU()
    made.setComponentByPosition(0, engine)
    made.setComponentByPosition(1, context)
    made.setComponentByPosition(2)
    made.getComponentByPosition(2).setComponentByType(pdu.tagSet, pdu)
    return made


def _message(parts: tuple[int, int, int, int, int], security: bytes, data: Any) -> Any:
    version, number, size, flags, model = parts
    made = rfc3412.SNMPv3Message()
    made.setComponentByPosition(0, version)
    head = made.setComponentByPosition(1).getComponentByPosition(1)
    for at, value in enumerate((number, size, bytes([flags]), model)):
        head.setComponentByPosition(at, value)
    made.setComponentByPosition(2, security)
    at = 1 if isinstance(data, bytes) else 0  # of what is encrypted, or not
    made.setComponentByPosition(3).getComponentByPosition(3).setComponentByPosition(at, data)
    return made


def _parameters(parts: tuple[bytes, int, int, bytes, bytes, bytes]) -> Any:
    made = service.UsmSecurityParameters()
    for at, value in enumerate(parts):
        made.setComponentByPosition(at, value)
    return made


def _read(octets: bytes, spec: Any) -> Any:
    """Return what is read, or the error."""
    try:
        return decoder.decode(octets, asn1Spec=spec)[0]
    except PyAsn1Error as error:
        return type(error)


@given(
    st.sampled_from(_READS),
    st.tuples(_NUMBER, _NATURAL, _NATURAL),
    st.lists(_NAMES, min_size=1),
    _TEXT,
)
def test_what_is_asked_is_read_as_pysnmp_reads_it(
    kind: Any, numbers: tuple[int, int, int], names: list[Arcs], context: bytes
) -> None:
    octets = encoder.encode(_scoped(_pdu(kind, numbers, names), context=context))
    scoped, rest = decoder.decode(octets, asn1Spec=messages._Scoped())
    pdu = scoped.getComponentByPosition(2).getComponent()
    assert type(scoped) is messages._Scoped
    assert not rest
    assert (bytes(scoped[0]), bytes(scoped[1]), pdu.tagSet) == (b"engine", context, kind.tagSet)
    assert pdu.getComponentByPosition(0) == numbers[0]
    assert asked(pdu)[0] == tuple(names) == asked(_pdu(kind, numbers, names))[0]
    if kind is rfc1905.GetBulkRequestPDU:
        assert asked(pdu) == asked(_pdu(kind, numbers, names)) == (tuple(names), *numbers[1:])


@given(st.tuples(_NATURAL, st.integers(484, 2**31 - 1)), st.binary(), st.binary(max_size=2_000))
def test_a_message_and_its_parameters_are_read_and_written_as_by_pysnmp(
    numbers: tuple[int, int], text: bytes, data: bytes
) -> None:
    values = (b"e" * 17, *numbers, text[:32], text, b"12345678")
    security = encoder.encode(_parameters(values))
    octets = encoder.encode(_message((3, *numbers, 7, 3), security, data))
    read, _ = decoder.decode(octets, asn1Spec=messages._Message())
    assert type(read) is messages._Message
    assert encoder.encode(read) == octets
    found, _ = decoder.decode(read.getComponentByPosition(2), asn1Spec=messages._Parameters())
    assert type(found) is messages._Parameters
    assert encoder.encode(found) == security
    assert tuple(map(found.getComponentByPosition, range(6))) == values


@given(st.tuples(_NUMBER, st.integers(0, 18), _NATURAL), st.binary(max_size=200))
def test_an_answer_is_written_as_by_pysnmp(numbers: tuple[int, int, int], value: bytes) -> None:
    number, status, index = numbers
    request = _pdu(rfc1905.GetRequestPDU, (number, 0, 0), [(1, 3, 6)])
    read, _ = decoder.decode(encoder.encode(_scoped(request)), asn1Spec=messages._Scoped())
    bind = _pdu(rfc1905.ResponsePDU, numbers, [(1, 3, 6)], rfc1902.OctetString(value))
    binds = [encoder.encode(bind[3][0])]
    scoped = messages._Scoped(b"engine", b"kme-1", messages._Pdu())
    scoped[2].setComponentByType(None, answer(read[2].getComponent(), binds, status, index))
    assert encoder.encode(scoped) == encoder.encode(_scoped(bind))
    scoped[2].setComponentByType(None, answer(request, binds, status, index))
    assert encoder.encode(scoped) == encoder.encode(_scoped(bind))


_BULK = _scoped(_pdu(rfc1905.GetBulkRequestPDU, (7, 0, 250), [(1, 3, 6, 1), (1, 3, 300)]))
_SPECS = {
    messages._Message: rfc3412.SNMPv3Message(),
    messages._Parameters: service.UsmSecurityParameters(),
    messages._Scoped: rfc3412.ScopedPDU(),
}
_USUAL = (
    (messages._Message, _message((3, 5, 65_507, 7, 3), b"sec", b"data")),
    (messages._Message, _message((3, 5, 65_507, 4, 3), b"", _BULK)),
    (messages._Parameters, _parameters((b"engine", 1, 300, b"ops", b"a" * 24, b"12345678"))),
    (messages._Scoped, _BULK),
)


@given(st.sampled_from(_USUAL), st.data())
def test_other_octets_are_read_or_refused_as_by_pysnmp(
    known: tuple[Any, Any], data: st.DataObject
) -> None:
    kind, usual = known
    octets = bytearray(encoder.encode(usual))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(octets[: data.draw(st.integers(1, len(octets)))])
    for nonsense in (bytes(octets), cut):
        read, wanted = _read(nonsense, kind()), _read(nonsense, _SPECS[kind])
        if isinstance(read, kind):
            assert type(wanted) is type(_SPECS[kind])
            assert _values(read) == _values(wanted)
        else:
            assert read == wanted


def _values(read: Any) -> list[object]:
    """Return the parts of what was read, whoever has read it."""
    if isinstance(read, messages._Message | rfc3412.SNMPv3Message):
        head = [read.getComponentByPosition(1).getComponentByPosition(at) for at in range(4)]
        data = read.getComponentByPosition(3)
        if data.getName() == "plaintext":
            return [*map(int, head[:2]), *_values(data.getComponent())]
        flags = bytes(head.pop(2))
        return [*map(int, head), flags, bytes(read.getComponentByPosition(2)), data.getName()]
    if isinstance(read, messages._Parameters | service.UsmSecurityParameters):
        parts = [read.getComponentByPosition(at) for at in range(6)]
        return [*map(int, parts[1:3]), *(bytes(parts[at]) for at in (0, 3, 4, 5))]
    pdu = read.getComponentByPosition(2).getComponent()
    number = int(pdu.getComponentByPosition(0))
    return [bytes(read[0]), bytes(read[1]), pdu.tagSet, number, asked(pdu)]


def test_what_changes_something_or_is_of_another_level_is_left_to_pysnmp() -> None:
    change = _scoped(_pdu(rfc1905.SetRequestPDU, (1, 0, 0), [(1, 3)], rfc1902.Integer32(1)))
    valued = _scoped(_pdu(rfc1905.GetRequestPDU, (1, 0, 0), [(1, 3)], rfc1902.Integer32(1)))
    for scoped in (change, valued):
        assert _read(encoder.encode(scoped), messages._Scoped()) == scoped
    for flags, model, data in ((5, 3, b"data"), (4, 3, b"data"), (7, 4, b"data"), (7, 3, _BULK)):
        message = _message((3, 5, 65_507, flags, model), b"sec", data)
        assert type(_read(encoder.encode(message), messages._Message())) is rfc3412.SNMPv3Message


def test_pysnmp_reads_and_writes_by_it() -> None:
    engine = SnmpEngine()
    install(engine)
    processing = vars(engine.message_processing_subsystems[3])
    security = vars(engine.security_models[3])
    assert type(processing["_snmpMsgSpec"]) is messages._Message
    plain = vars(rfc3412.SnmpV3MessageProcessingModel())
    assert processing.keys() == plain.keys()
    assert security.keys() == vars(service.SnmpUSMSecurityModel()).keys()
