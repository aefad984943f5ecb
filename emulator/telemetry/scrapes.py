"""Scrapes over HTTP: plain text or OpenMetrics, compressed if asked for, all metrics or some by `name[]`.

One thread answers, however many connections there are; whoever connects and asks for nothing is hung up
on.  Nothing here knows what the metrics are.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from threading import Thread
from typing import Protocol

import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

PATH = "/metrics"
PATIENCE_S = 5.0
_LAST_WORDS_S = 1.0
_GZIP_LEVEL = 4
_NAMES_AS_THEY_ARE = ("", "underscores", "allow-utf-8")  # of the escaping schemes of OpenMetrics


class Exposition(Collector, Protocol):
    """Metrics that are also there as ready-made text."""

    def text(self, encoder: Callable[[Collector], bytes]) -> str:
        """Return what the encoder would write, names being as they are."""


class HttpServer:
    """Answers HTTP from a thread of its own.  Raises `OSError` if the port is taken."""

    def __init__(self, metrics: Exposition, host: str, port: int) -> None:
        listener = socket.create_server((host, port))
        self.port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            application(metrics),
            http=_Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            timeout_keep_alive=int(PATIENCE_S),
            timeout_graceful_shutdown=int(_LAST_WORDS_S),
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(
            target=self._server.run, args=([listener],), name="scrapes", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer what has been asked, and hang up."""
        self._server.should_exit = True
        self._thread.join()


def application(metrics: Exposition) -> ASGIApp:
    """Return what answers scrapes: GET and HEAD, compressed or not."""
    route = Route(PATH, _Scrape(metrics), methods=["GET"])
    squeeze = Middleware(GZipMiddleware, compresslevel=_GZIP_LEVEL)
    return Starlette(routes=[route], middleware=[squeeze])


class _Scrape:
    """The application of prometheus_client, except that a scrape of everything takes ready-made text."""

    def __init__(self, metrics: Exposition) -> None:
        self._metrics, registry = metrics, CollectorRegistry()
        registry.register(metrics)
        self._selected: ASGIApp = make_asgi_app(registry, disable_compression=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        request = Request(scope)
        encoder, content_type = choose_encoder(",".join(request.headers.getlist("accept")))
        escaping = content_type.partition("escaping=")[2]
        if "name[]" in request.query_params or escaping not in _NAMES_AS_THEY_ARE:
            await self._selected(scope, receive, send)
            return
        body = self._metrics.text(encoder).encode()
        answer = Response(body, headers={"Content-Type": content_type})
        await answer(scope, receive, send)


class _Impatient(H11Protocol):
    """Hangs up on whoever connects and does not ask for anything in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self.loop.call_later(PATIENCE_S, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None:  # no request has come whole
            self.transport.close()
