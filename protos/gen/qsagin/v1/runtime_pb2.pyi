from protos.gen.qsagin.v1 import keys_pb2 as _keys_pb2
from protos.gen.qsagin.v1 import management_pb2 as _management_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Route(_message.Message):
    __slots__ = ("entity", "actor", "address")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    actor: str
    address: str
    def __init__(self, entity: _Optional[str] = ..., actor: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class Routes(_message.Message):
    __slots__ = ("routes", "clock")
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    clock: int
    def __init__(self, routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ..., clock: _Optional[int] = ...) -> None: ...

class Totals(_message.Message):
    __slots__ = ("demanded_units", "late_units", "shortfall_units", "cost")
    DEMANDED_UNITS_FIELD_NUMBER: _ClassVar[int]
    LATE_UNITS_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_UNITS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    demanded_units: int
    late_units: int
    shortfall_units: int
    cost: int
    def __init__(self, demanded_units: _Optional[int] = ..., late_units: _Optional[int] = ..., shortfall_units: _Optional[int] = ..., cost: _Optional[int] = ...) -> None: ...

class Tick(_message.Message):
    __slots__ = ("window", "incarnation", "clock")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    window: int
    incarnation: int
    clock: int
    def __init__(self, window: _Optional[int] = ..., incarnation: _Optional[int] = ..., clock: _Optional[int] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ("window", "wake_window", "written_to", "totals", "failure", "unsettled")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    WAKE_WINDOW_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_TO_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    UNSETTLED_FIELD_NUMBER: _ClassVar[int]
    window: int
    wake_window: int
    written_to: _containers.RepeatedScalarFieldContainer[str]
    totals: Totals
    failure: str
    unsettled: bool
    def __init__(self, window: _Optional[int] = ..., wake_window: _Optional[int] = ..., written_to: _Optional[_Iterable[str]] = ..., totals: _Optional[_Union[Totals, _Mapping]] = ..., failure: _Optional[str] = ..., unsettled: _Optional[bool] = ...) -> None: ...

class State(_message.Message):
    __slots__ = ("last_window", "wake_window", "totals", "incarnation")
    LAST_WINDOW_FIELD_NUMBER: _ClassVar[int]
    WAKE_WINDOW_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    last_window: int
    wake_window: int
    totals: Totals
    incarnation: int
    def __init__(self, last_window: _Optional[int] = ..., wake_window: _Optional[int] = ..., totals: _Optional[_Union[Totals, _Mapping]] = ..., incarnation: _Optional[int] = ...) -> None: ...

class Lost(_message.Message):
    __slots__ = ("entities", "window", "routes")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    entities: _containers.RepeatedScalarFieldContainer[str]
    window: int
    routes: Routes
    def __init__(self, entities: _Optional[_Iterable[str]] = ..., window: _Optional[int] = ..., routes: _Optional[_Union[Routes, _Mapping]] = ...) -> None: ...

class News(_message.Message):
    __slots__ = ("events", "clock", "window")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedScalarFieldContainer[str]
    clock: int
    window: int
    def __init__(self, events: _Optional[_Iterable[str]] = ..., clock: _Optional[int] = ..., window: _Optional[int] = ...) -> None: ...

class Wish(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Listening(_message.Message):
    __slots__ = ("clock",)
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    clock: int
    def __init__(self, clock: _Optional[int] = ...) -> None: ...

class Mail(_message.Message):
    __slots__ = ("management", "keys")
    MANAGEMENT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    management: _containers.RepeatedCompositeFieldContainer[_management_pb2.ManagementBatch]
    keys: _containers.RepeatedCompositeFieldContainer[_keys_pb2.KeyBatch]
    def __init__(self, management: _Optional[_Iterable[_Union[_management_pb2.ManagementBatch, _Mapping]]] = ..., keys: _Optional[_Iterable[_Union[_keys_pb2.KeyBatch, _Mapping]]] = ...) -> None: ...

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

class Absence(_message.Message):
    __slots__ = ("entity", "start_s", "end_s")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    entity: str
    start_s: float
    end_s: float
    def __init__(self, entity: _Optional[str] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ...) -> None: ...

class Telemetry(_message.Message):
    __slots__ = ("host", "emulated_s", "samples", "absences")
    HOST_FIELD_NUMBER: _ClassVar[int]
    EMULATED_S_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    ABSENCES_FIELD_NUMBER: _ClassVar[int]
    host: str
    emulated_s: float
    samples: _containers.RepeatedCompositeFieldContainer[Sample]
    absences: _containers.RepeatedCompositeFieldContainer[Absence]
    def __init__(self, host: _Optional[str] = ..., emulated_s: _Optional[float] = ..., samples: _Optional[_Iterable[_Union[Sample, _Mapping]]] = ..., absences: _Optional[_Iterable[_Union[Absence, _Mapping]]] = ...) -> None: ...
