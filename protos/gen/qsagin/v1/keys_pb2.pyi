from protos.gen.qsagin.v1 import management_pb2 as _management_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Relays(_message.Message):
    __slots__ = ("request", "epoch", "units", "errors", "n_bytes", "ciphertext")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    N_BYTES_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    request: _containers.RepeatedScalarFieldContainer[int]
    epoch: _containers.RepeatedScalarFieldContainer[int]
    units: _containers.RepeatedScalarFieldContainer[int]
    errors: _containers.RepeatedScalarFieldContainer[int]
    n_bytes: _containers.RepeatedScalarFieldContainer[int]
    ciphertext: bytes
    def __init__(self, request: _Optional[_Iterable[int]] = ..., epoch: _Optional[_Iterable[int]] = ..., units: _Optional[_Iterable[int]] = ..., errors: _Optional[_Iterable[int]] = ..., n_bytes: _Optional[_Iterable[int]] = ..., ciphertext: _Optional[bytes] = ...) -> None: ...

class Confirms(_message.Message):
    __slots__ = ("request", "medium", "serial", "units", "n_bytes", "tag")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MEDIUM_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    N_BYTES_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    request: _containers.RepeatedScalarFieldContainer[int]
    medium: _containers.RepeatedScalarFieldContainer[int]
    serial: _containers.RepeatedScalarFieldContainer[int]
    units: _containers.RepeatedScalarFieldContainer[int]
    n_bytes: _containers.RepeatedScalarFieldContainer[int]
    tag: bytes
    def __init__(self, request: _Optional[_Iterable[int]] = ..., medium: _Optional[_Iterable[int]] = ..., serial: _Optional[_Iterable[int]] = ..., units: _Optional[_Iterable[int]] = ..., n_bytes: _Optional[_Iterable[int]] = ..., tag: _Optional[bytes] = ...) -> None: ...

class Delivered(_message.Message):
    __slots__ = ("request", "medium", "period", "number", "units", "key_ids")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MEDIUM_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    KEY_IDS_FIELD_NUMBER: _ClassVar[int]
    request: _containers.RepeatedScalarFieldContainer[int]
    medium: _containers.RepeatedScalarFieldContainer[int]
    period: _containers.RepeatedScalarFieldContainer[int]
    number: _containers.RepeatedScalarFieldContainer[int]
    units: _containers.RepeatedScalarFieldContainer[int]
    key_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request: _Optional[_Iterable[int]] = ..., medium: _Optional[_Iterable[int]] = ..., period: _Optional[_Iterable[int]] = ..., number: _Optional[_Iterable[int]] = ..., units: _Optional[_Iterable[int]] = ..., key_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Assigned(_message.Message):
    __slots__ = ("request", "master", "slaves", "key_bits", "names", "unit_ids", "ciphertext", "number")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MASTER_FIELD_NUMBER: _ClassVar[int]
    SLAVES_FIELD_NUMBER: _ClassVar[int]
    KEY_BITS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    UNIT_IDS_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    request: int
    master: str
    slaves: _containers.RepeatedScalarFieldContainer[str]
    key_bits: int
    names: _containers.RepeatedScalarFieldContainer[str]
    unit_ids: _containers.RepeatedScalarFieldContainer[str]
    ciphertext: bytes
    number: int
    def __init__(self, request: _Optional[int] = ..., master: _Optional[str] = ..., slaves: _Optional[_Iterable[str]] = ..., key_bits: _Optional[int] = ..., names: _Optional[_Iterable[str]] = ..., unit_ids: _Optional[_Iterable[str]] = ..., ciphertext: _Optional[bytes] = ..., number: _Optional[int] = ...) -> None: ...

class Discard(_message.Message):
    __slots__ = ("request", "medium", "serial", "number")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MEDIUM_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    request: int
    medium: int
    serial: int
    number: int
    def __init__(self, request: _Optional[int] = ..., medium: _Optional[int] = ..., serial: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class KeyMessage(_message.Message):
    __slots__ = ("source", "destination", "sequence", "relays", "confirms", "delivered", "assigned", "discards", "settled")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RELAYS_FIELD_NUMBER: _ClassVar[int]
    CONFIRMS_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    DISCARDS_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    source: str
    destination: str
    sequence: int
    relays: Relays
    confirms: Confirms
    delivered: Delivered
    assigned: _containers.RepeatedCompositeFieldContainer[Assigned]
    discards: _containers.RepeatedCompositeFieldContainer[Discard]
    settled: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, source: _Optional[str] = ..., destination: _Optional[str] = ..., sequence: _Optional[int] = ..., relays: _Optional[_Union[Relays, _Mapping]] = ..., confirms: _Optional[_Union[Confirms, _Mapping]] = ..., delivered: _Optional[_Union[Delivered, _Mapping]] = ..., assigned: _Optional[_Iterable[_Union[Assigned, _Mapping]]] = ..., discards: _Optional[_Iterable[_Union[Discard, _Mapping]]] = ..., settled: _Optional[_Iterable[int]] = ...) -> None: ...

class KeyBatch(_message.Message):
    __slots__ = ("window", "messages")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    window: int
    messages: _containers.RepeatedCompositeFieldContainer[KeyMessage]
    def __init__(self, window: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[KeyMessage, _Mapping]]] = ...) -> None: ...
