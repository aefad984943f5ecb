"""Variables that are written as octets are what pysnmp, which reads them here, would have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder

pytest.importorskip("pysnmp")
from pysnmp.proto import rfc1902, rfc1905

from emulator.management.encoding import encoded
from emulator.management.messages import variables
from emulator.management.objects import Absent, Cell, Type
from protos.pdu import Arcs, Missing

_ARC = st.integers(0, 2**32 - 1)
_NAMES = st.lists(_ARC, min_size=1, max_size=20).map(lambda arcs: (1, 3, *arcs))
_UNSIGNED = st.integers(0, 2**32 - 1)
_VALUES: dict[Type, st.SearchStrategy[int | bytes | Arcs]] = {
    Type.INTEGER: st.integers(-(2**31), 2**31 - 1),
    Type.UNSIGNED: _UNSIGNED,
    Type.COUNTER32: _UNSIGNED,
    Type.GAUGE32: _UNSIGNED,
    Type.TICKS: _UNSIGNED,
    Type.COUNTER64: st.integers(0, 2**64 - 1),
    Type.OCTETS: st.binary(max_size=300),
    Type.NAME: _NAMES,
}
_CELLS = st.sampled_from(list(Type)).flatmap(
    lambda kind: st.builds(Cell, _NAMES, st.just(kind), _VALUES[kind])
)
_ABSENT = {
    Missing.NO_SUCH_OBJECT: rfc1905.noSuchObject,
    Missing.NO_SUCH_INSTANCE: rfc1905.noSuchInstance,
    Missing.END_OF_MIB_VIEW: rfc1905.endOfMibView,
    Missing.NULL: rfc1905.unSpecified,
}


@given(
    st.lists(_CELLS, max_size=5), st.lists(st.tuples(_NAMES, st.sampled_from(Missing)), max_size=3)
)
def test_octets_are_read_as_what_was_written(
    cells: list[Cell], missing: list[tuple[Arcs, Missing]]
) -> None:
    written = encoder.encode(
        variables(
            [*map(Cell.octets, cells), *(Absent(name, why).octets() for name, why in missing)]
        )
    )
    found, rest = decoder.decode(written, asn1Spec=rfc1905.VarBindList())
    assert not rest
    read = [(bind[0], bind[1].getComponent(innerFlag=True)) for bind in found]
    wanted = [encoded(cell) for cell in cells]
    wanted += [(rfc1902.ObjectName(name), _ABSENT[why]) for name, why in missing]
    assert [(tuple(name), value.tagSet, bytes(encoder.encode(value))) for name, value in read] == [
        (tuple(name), value.tagSet, bytes(encoder.encode(value))) for name, value in wanted
    ]
