from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verb(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERB_UNSPECIFIED: _ClassVar[Verb]
    VERB_GET: _ClassVar[Verb]
    VERB_GET_NEXT: _ClassVar[Verb]
    VERB_GET_BULK: _ClassVar[Verb]
    VERB_SET: _ClassVar[Verb]
    VERB_RESPONSE: _ClassVar[Verb]
    VERB_TRAP: _ClassVar[Verb]
    VERB_INFORM: _ClassVar[Verb]

class Exception(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXCEPTION_UNSPECIFIED: _ClassVar[Exception]
    EXCEPTION_NULL: _ClassVar[Exception]
    EXCEPTION_NO_SUCH_OBJECT: _ClassVar[Exception]
    EXCEPTION_NO_SUCH_INSTANCE: _ClassVar[Exception]
    EXCEPTION_END_OF_MIB_VIEW: _ClassVar[Exception]
VERB_UNSPECIFIED: Verb
VERB_GET: Verb
VERB_GET_NEXT: Verb
VERB_GET_BULK: Verb
VERB_SET: Verb
VERB_RESPONSE: Verb
VERB_TRAP: Verb
VERB_INFORM: Verb
EXCEPTION_UNSPECIFIED: Exception
EXCEPTION_NULL: Exception
EXCEPTION_NO_SUCH_OBJECT: Exception
EXCEPTION_NO_SUCH_INSTANCE: Exception
EXCEPTION_END_OF_MIB_VIEW: Exception

class ObjectIdentifier(_message.Message):
    __slots__ = ("arc",)
    ARC_FIELD_NUMBER: _ClassVar[int]
    arc: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, arc: _Optional[_Iterable[int]] = ...) -> None: ...

class VarBind(_message.Message):
    __slots__ = ("arc", "integer", "text", "object", "exception")
    ARC_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    arc: _containers.RepeatedScalarFieldContainer[int]
    integer: int
    text: str
    object: ObjectIdentifier
    exception: Exception
    def __init__(self, arc: _Optional[_Iterable[int]] = ..., integer: _Optional[int] = ..., text: _Optional[str] = ..., object: _Optional[_Union[ObjectIdentifier, _Mapping]] = ..., exception: _Optional[_Union[Exception, str]] = ...) -> None: ...

class Pdu(_message.Message):
    __slots__ = ("verb", "request_id", "error_status", "error_index", "non_repeaters", "max_repetitions", "varbinds", "trace_id", "oldest_open")
    VERB_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_INDEX_FIELD_NUMBER: _ClassVar[int]
    NON_REPEATERS_FIELD_NUMBER: _ClassVar[int]
    MAX_REPETITIONS_FIELD_NUMBER: _ClassVar[int]
    VARBINDS_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    OLDEST_OPEN_FIELD_NUMBER: _ClassVar[int]
    verb: Verb
    request_id: int
    error_status: int
    error_index: int
    non_repeaters: int
    max_repetitions: int
    varbinds: _containers.RepeatedCompositeFieldContainer[VarBind]
    trace_id: bytes
    oldest_open: int
    def __init__(self, verb: _Optional[_Union[Verb, str]] = ..., request_id: _Optional[int] = ..., error_status: _Optional[int] = ..., error_index: _Optional[int] = ..., non_repeaters: _Optional[int] = ..., max_repetitions: _Optional[int] = ..., varbinds: _Optional[_Iterable[_Union[VarBind, _Mapping]]] = ..., trace_id: _Optional[bytes] = ..., oldest_open: _Optional[int] = ...) -> None: ...

class ManagementMessage(_message.Message):
    __slots__ = ("source", "destination", "sequence", "pdu", "sealed", "key_serial")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PDU_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    KEY_SERIAL_FIELD_NUMBER: _ClassVar[int]
    source: str
    destination: str
    sequence: int
    pdu: Pdu
    sealed: bytes
    key_serial: int
    def __init__(self, source: _Optional[str] = ..., destination: _Optional[str] = ..., sequence: _Optional[int] = ..., pdu: _Optional[_Union[Pdu, _Mapping]] = ..., sealed: _Optional[bytes] = ..., key_serial: _Optional[int] = ...) -> None: ...

class ManagementBatch(_message.Message):
    __slots__ = ("window", "messages")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    window: int
    messages: _containers.RepeatedCompositeFieldContainer[ManagementMessage]
    def __init__(self, window: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[ManagementMessage, _Mapping]]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("accepted",)
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    def __init__(self, accepted: _Optional[int] = ...) -> None: ...
