from protos.gen.qsagin.v1 import management_pb2 as _management_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Route(_message.Message):
    __slots__ = ("entity", "address")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    address: str
    def __init__(self, entity: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class Tick(_message.Message):
    __slots__ = ("window", "routes")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    window: int
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    def __init__(self, window: _Optional[int] = ..., routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ("window", "wake_window", "written_to", "demanded_units", "late_units", "shortfall_units", "cost", "failure")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    WAKE_WINDOW_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_TO_FIELD_NUMBER: _ClassVar[int]
    DEMANDED_UNITS_FIELD_NUMBER: _ClassVar[int]
    LATE_UNITS_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_UNITS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    window: int
    wake_window: int
    written_to: _containers.RepeatedScalarFieldContainer[str]
    demanded_units: int
    late_units: int
    shortfall_units: int
    cost: int
    failure: str
    def __init__(self, window: _Optional[int] = ..., wake_window: _Optional[int] = ..., written_to: _Optional[_Iterable[str]] = ..., demanded_units: _Optional[int] = ..., late_units: _Optional[int] = ..., shortfall_units: _Optional[int] = ..., cost: _Optional[int] = ..., failure: _Optional[str] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("metric", "labels", "value")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    metric: str
    labels: _containers.RepeatedCompositeFieldContainer[Label]
    value: float
    def __init__(self, metric: _Optional[str] = ..., labels: _Optional[_Iterable[_Union[Label, _Mapping]]] = ..., value: _Optional[float] = ...) -> None: ...

class Telemetry(_message.Message):
    __slots__ = ("address", "emulated_s", "samples")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    EMULATED_S_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    address: str
    emulated_s: float
    samples: _containers.RepeatedCompositeFieldContainer[Sample]
    def __init__(self, address: _Optional[str] = ..., emulated_s: _Optional[float] = ..., samples: _Optional[_Iterable[_Union[Sample, _Mapping]]] = ...) -> None: ...
