"""What a host measures about itself: calls by method and status, and how long they and its windows take.

One interceptor sees every call that a server answers; streams, which last as long as the run, it lets
pass.  A host that comes back begins at zero; whoever adds up must know.  One of them also tells what the
weather is.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import grpc

from emulator.runtime.transport import Context
from emulator.telemetry.metrics import RPC_BOUNDS_S, WINDOW_BOUNDS_S, Histogram
from emulator.world.events import EventAware
from protos.core import CONTROLLERS, GLOBAL_MANAGER, Measure

KEY_MANAGERS = "key-managers"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic for type checkers only


def server_of(actor: str) -> str:
    """Return what an actor's server is called in metrics: those of key managers are one."""
    return actor if actor in (*CONTROLLERS, GLOBAL_MANAGER) else KEY_MANAGERS


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


class WindowMeter:
    """How long windows took."""

    def __init__(self, server: str) -> None:
        self._labels = (("server", server),)
        self._durations = Histogram(WINDOW_BOUNDS_S)

    def observe(self, duration_s: float) -> None:
        """Count a window."""
        self._durations.observe(duration_s)

    def measures(self) -> Iterator[Measure]:
        """Yield what observers may see."""
        return self._durations.measures("window_duration_seconds", self._labels)


class RpcMeter(grpc.aio.ServerInterceptor):
    """Counts and times every call of a server."""

    def __init__(self, server: str) -> None:
        self._server = ("server", server)
        self._handlers: dict[str, Handler] = {}
        self._handled: Counter[tuple[str, str]] = Counter()
        self._durations: dict[str, Histogram] = defaultdict(lambda: Histogram(RPC_BOUNDS_S))

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
        for (method, code), count in self._handled.items():
            labels = (self._server, ("method", method), ("code", code))
            yield Measure("rpc_handled_total", labels, count)
        for method, durations in self._durations.items():
            yield from durations.measures(
                "rpc_duration_seconds", (self._server, ("method", method))
            )

    def _metered(self, method: str, handler: Handler) -> Handler:
        inner: Any = handler.unary_unary
        durations = self._durations[method]

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
                self._handled[method, code] += 1
            return answer

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )
