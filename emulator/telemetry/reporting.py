"""What an actor measures about itself, and its reports to the exporter.

Windows, calls and the process are measured with prometheus_client, in registries of the actor's own; a
restarted actor begins at zero, and whoever adds up must know.  One interceptor sees every call that a
server answers; streams, which last as long as the run, it lets pass.  About once a second an actor
reports that it is there; nobody waits for an answer.  Full reports are paced to cost at most 1 % of the
actor's time and are skipped while it is busy.  A measure that is not declared raises in the actor that
reports it, and ends its reports.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, Protocol, TypeAlias

import grpc
from prometheus_client import CollectorRegistry

from emulator.net.transport import Channels, Context
from emulator.telemetry.metrics import (
    FAMILY_OF,
    PREFIX,
    UndeclaredMetricError,
    check,
    process_registry,
)
from emulator.world.events import EventAware
from protos.core import (
    CONTROLLERS,
    GLOBAL_MANAGER,
    KEY_MANAGER_PREFIX,
    SATELLITE_CONTROLLER,
    Measure,
)
from protos.gen.qsagin.v1 import keys_pb2, management_pb2, runtime_pb2, runtime_pb2_grpc
from protos.syntax import MediumCode

EXPORTER = "exporter"
KEY_MANAGERS = "key-managers"
_REPORT_EVERY_S = 1.0
_SHARE = 0.01
_RPC_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
_WINDOW_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_SERVICES = (
    (management_pb2, "Agent"),
    (management_pb2, "Station"),
    (keys_pb2, "KeyManager"),
    (runtime_pb2, "Host"),
)
# Values of labels that are known before anything is counted.
_MEDIA = tuple(medium.name.lower() for medium in MediumCode)
_SKIES = ("clear", "cloudy")
MESSAGE_FAULTS = ("partition", "drop", "corrupt", "delay", "duplicate")
REFUSALS = (
    "a former clock",
    "malformed",
    "not its own name",
    "not sealed",
    "not the clock",
    "repeated",
    "stale key",
    "tampered",
    "too many",
    "unknown destination",
    "wrong verb",
)

_log = logging.getLogger(__name__)
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic for type checkers only


def server_of(actor: str) -> str:
    """Return what an actor's server is called in metrics: those of key managers share a name."""
    return actor if actor in (*CONTROLLERS, GLOBAL_MANAGER) else KEY_MANAGERS


class ProcessMeter:
    """The standard metrics of this process, as those of an actor."""

    def __init__(self, actor: str) -> None:
        self._actor = ("actor", actor)
        self._registry = process_registry()

    def measures(self) -> Iterator[Measure]:
        """Yield what observers may see."""
        return _measures(self._registry, self._actor)


class WindowMeter:
    """How long windows took."""

    def __init__(self, server: str) -> None:
        self._registry = CollectorRegistry()
        family = FAMILY_OF["window_duration_seconds_count"]
        self._durations = family.histogram(self._registry, _WINDOW_BOUNDS_S).labels(server)

    def observe(self, duration_s: float) -> None:
        """Count a window."""
        self._durations.observe(duration_s)

    def measures(self) -> Iterator[Measure]:
        """Yield what observers may see."""
        return _measures(self._registry)


class RpcMeter(grpc.aio.ServerInterceptor):
    """Counts and times every call of a server."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._handlers: dict[str, Handler] = {}
        self._registry = CollectorRegistry()
        self._handled = FAMILY_OF["rpc_handled_total"].counter(self._registry)
        family = FAMILY_OF["rpc_duration_seconds_count"]
        self._durations = family.histogram(self._registry, _RPC_BOUNDS_S)
        for method in _methods():
            self._handled.labels(server, method, "OK")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return a handler that is measured, the same for every call of a method."""
        path = handler_call_details.method
        if path not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler
            self._handlers[path] = self._metered(path.rpartition("/")[2], handler)
        return self._handlers[path]

    def measures(self) -> Iterator[Measure]:
        """Yield what observers may see."""
        return _measures(self._registry)

    def _metered(self, method: str, handler: Handler) -> Handler:
        inner: Any = handler.unary_unary
        durations = self._durations.labels(self._server, method)

        async def call(request: object, context: Context) -> object:
            began_s, code = time.perf_counter(), "UNKNOWN"
            try:
                answer = await inner(request, context)
                code = "OK"
            except grpc.aio.AbortError:
                code = context.code().name
                raise
            finally:
                durations.observe(time.perf_counter() - began_s)
                self._handled.labels(self._server, method, code).inc()
            return answer

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )


class _Site(Protocol):
    @property
    def name(self) -> str:
        """The node that stands there."""


class WeatherOver(EventAware, Protocol):
    """The weather over some sites; processes that do not report it need not load it."""

    @property
    def sites(self) -> Sequence[_Site]:
        """All sites."""

    def opaque(self, site: str, at_s: float) -> float:
        """Return how much of the sky is covered."""

    def visibility_km(self, site: str, at_s: float) -> float:
        """Return how far one can see."""

    def wind_m_s(self, site: str, at_s: float) -> float:
        """Return how fast the wind is."""


def weather_measures(sky: WeatherOver, at_s: float) -> Iterator[Measure]:
    """Yield what the weather is over every site."""
    for site in sky.sites:
        node = (("node", site.name),)
        yield Measure("sky_cover_ratio", node, sky.opaque(site.name, at_s))
        yield Measure("visibility_meters", node, 1000 * sky.visibility_km(site.name, at_s))
        yield Measure("wind_meters_per_second", node, sky.wind_m_s(site.name, at_s))


def zeros(actor: str, entities: Iterable[str]) -> Iterator[Measure]:
    """Yield at 0 the counters that a host will have, whose series are known before they count.

    A host yields them before its own measures, which take their place.
    """
    for reason in REFUSALS:
        yield Measure("refused_messages_total", (("actor", actor), ("reason", reason)), 0)
    for fault in MESSAGE_FAULTS:
        yield Measure("message_faults_total", (("actor", actor), ("fault", fault)), 0)
    for entity in entities:
        if entity.startswith(KEY_MANAGER_PREFIX):
            node = ("node", entity.removeprefix(KEY_MANAGER_PREFIX))
            for medium in _MEDIA:
                yield Measure("keys_delivered_bits_total", (node, ("medium", medium)), 0)
        elif entity == GLOBAL_MANAGER:
            yield Measure("periods_total", (), 0)
            yield Measure("plans_total", (), 0)
            yield Measure("failed_plans_total", (), 0)
            yield Measure("refused_reservations_total", (), 0)
        elif entity == SATELLITE_CONTROLLER:
            for promised, made in product(_SKIES, repeat=2):
                labels = (("forecast", promised), ("outcome", made))
                yield Measure("satellite_forecast_total", labels, 0)


def telemetry(
    host: str,
    emulated_s: float,
    measures: Iterable[Measure],
    absences: Iterable[tuple[str, float, float]] = (),
) -> runtime_pb2.Telemetry:
    """Return a report; one without measures says that the actor is there and that nothing has changed.

    Of several measures of one series the last counts.  `absences` says which entities are out by schedule,
    since when and until when.  Raises `UndeclaredMetricError`.
    """
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for measure in measures:
        check(measure.metric, tuple(name for name, _ in measure.labels))
        values[measure.metric, measure.labels] = measure.value
    report = runtime_pb2.Telemetry(host=host, emulated_s=emulated_s)
    for (metric, pairs), value in values.items():
        labels = [runtime_pb2.Label(name=name, value=text) for name, text in pairs]
        report.samples.add(metric=metric, labels=labels, value=value)
    for entity, start_s, end_s in absences:
        report.absences.add(entity=entity, start_s=start_s, end_s=end_s)
    return report


class Reporter:
    """Reports what `telemetry` returns to the exporter's `address`, if it has one by now.

    `telemetry` is called with whether everything is to be said, or only that the actor is there.
    """

    def __init__(
        self,
        channels: Channels,
        address: Callable[[], str],
        telemetry: Callable[[bool], runtime_pb2.Telemetry],
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._channels, self._address, self._telemetry = channels, address, telemetry
        self._is_busy = is_busy
        self._task: asyncio.Task[None] | None = None
        self._next_s = 0.0

    def begin(self) -> None:
        """Report regularly from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._report_regularly())

    async def end(self) -> None:
        """Report once more and never again; an actor that has not begun says nothing.

        Raises what has ended its reports before, if anything has.
        """
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            await self.report()

    def abandon(self) -> None:
        """Fall silent at once."""
        if self._task is not None:
            self._task.cancel()

    async def report(self) -> None:
        """Report everything now."""
        await self._report(everything=True)

    async def _report(self, *, everything: bool) -> None:
        address = self._address()
        if not address:
            return
        began_s = time.perf_counter()
        report = self._telemetry(everything)
        ended_s = time.perf_counter()
        if everything:
            self._next_s = ended_s + (ended_s - began_s) / _SHARE
        stub = runtime_pb2_grpc.ExporterStub(self._channels.to(EXPORTER, address))
        try:
            await stub.Report(report, timeout=_REPORT_EVERY_S)
        except grpc.aio.AioRpcError as error:
            _log.warning("the exporter does not answer: %s", error.code().name)
            self._next_s = 0.0

    async def _report_regularly(self) -> None:
        try:
            while True:
                is_time = time.perf_counter() >= self._next_s
                await self._report(everything=is_time and not self._is_busy())
                await asyncio.sleep(_REPORT_EVERY_S)
        except UndeclaredMetricError:
            _log.exception("there will be no more reports")
            raise


def _measures(registry: CollectorRegistry, *more: tuple[str, str]) -> Iterator[Measure]:
    """Yield the samples of a registry; not when series began, which a restart would change."""
    for metric in registry.collect():
        for sample in metric.samples:
            if not sample.name.endswith("_created"):
                labels = (*more, *sample.labels.items())
                yield Measure(sample.name.removeprefix(PREFIX), labels, sample.value)


def _methods() -> Iterator[str]:
    """Yield the methods that every host serves, but for streams."""
    for module, name in _SERVICES:
        for method in module.DESCRIPTOR.services_by_name[name].methods:
            if not method.server_streaming:
                yield method.name
