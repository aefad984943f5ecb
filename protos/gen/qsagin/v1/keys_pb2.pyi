from protos.gen.qsagin.v1 import management_pb2 as _management_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Relay(_message.Message):
    __slots__ = ("request", "epoch", "units", "ciphertext", "errors")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    request: int
    epoch: int
    units: int
    ciphertext: bytes
    errors: int
    def __init__(self, request: _Optional[int] = ..., epoch: _Optional[int] = ..., units: _Optional[int] = ..., ciphertext: _Optional[bytes] = ..., errors: _Optional[int] = ...) -> None: ...

class Confirm(_message.Message):
    __slots__ = ("request", "medium", "serial", "tag", "units")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MEDIUM_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    request: int
    medium: int
    serial: int
    tag: bytes
    units: int
    def __init__(self, request: _Optional[int] = ..., medium: _Optional[int] = ..., serial: _Optional[int] = ..., tag: _Optional[bytes] = ..., units: _Optional[int] = ...) -> None: ...

class Delivered(_message.Message):
    __slots__ = ("request", "medium", "period", "key_ids", "number")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MEDIUM_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    KEY_IDS_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    request: int
    medium: int
    period: int
    key_ids: _containers.RepeatedScalarFieldContainer[str]
    number: int
    def __init__(self, request: _Optional[int] = ..., medium: _Optional[int] = ..., period: _Optional[int] = ..., key_ids: _Optional[_Iterable[str]] = ..., number: _Optional[int] = ...) -> None: ...

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

class Settled(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class KeyMessage(_message.Message):
    __slots__ = ("source", "destination", "sequence", "relay", "confirm", "delivered", "discard", "settled", "assigned")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RELAY_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    DISCARD_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    source: str
    destination: str
    sequence: int
    relay: Relay
    confirm: Confirm
    delivered: Delivered
    discard: Discard
    settled: Settled
    assigned: Assigned
    def __init__(self, source: _Optional[str] = ..., destination: _Optional[str] = ..., sequence: _Optional[int] = ..., relay: _Optional[_Union[Relay, _Mapping]] = ..., confirm: _Optional[_Union[Confirm, _Mapping]] = ..., delivered: _Optional[_Union[Delivered, _Mapping]] = ..., discard: _Optional[_Union[Discard, _Mapping]] = ..., settled: _Optional[_Union[Settled, _Mapping]] = ..., assigned: _Optional[_Union[Assigned, _Mapping]] = ...) -> None: ...

class KeyBatch(_message.Message):
    __slots__ = ("window", "messages")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    window: int
    messages: _containers.RepeatedCompositeFieldContainer[KeyMessage]
    def __init__(self, window: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[KeyMessage, _Mapping]]] = ...) -> None: ...
