"""Scrapes over HTTP: plain text or OpenMetrics, compressed if asked for, all metrics or some by `name[]`.

One thread answers, however many connections there are, within the limits of `emulator.net.http_server`.
Whatever is asked for, most of that thread's time is left: a text is made at most every `FRESH_S`, and the
few answers that take longer are made one at a time.  Nothing here knows what the metrics are.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Callable
from threading import Thread
from typing import Protocol, TypeAlias

from prometheus_client import CollectorRegistry, make_asgi_app
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.net.http_server import HttpServer, listener_at

PATH = "/metrics"
FRESH_S = 0.2
MOST_WAITING = 16
_JOIN_S = 5.0
_GZIP_LEVEL = 4
_VERSION = re.compile(r"version=\s*([^;\s]*)")
_VERSIONS = frozenset({"0.0.1", "0.0.4", "1.0.0"})
_NAMES_AS_THEY_ARE = ("", "underscores", "allow-utf-8")  # of the escaping schemes of OpenMetrics
_SHARE = 4  # what takes long waits this many times as long before it is made again

_Encoder: TypeAlias = Callable[[Collector], bytes]


class Exposition(Collector, Protocol):
    """Metrics that are also there as ready-made text."""

    def text(self, encoder: _Encoder) -> str:
        """Return what the encoder would write, names being as they are."""


class ScrapeServer:
    """Answers scrapes from a thread of its own.  Raises `OSError` if the port is taken."""

    def __init__(self, metrics: Exposition, host: str, port: int) -> None:
        listener = listener_at(host, port)
        self.port: int = listener.getsockname()[1]
        self._server = HttpServer(application(metrics))
        self._thread = Thread(
            target=self._server.run, args=([listener],), name="scrapes", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer what has been asked, and hang up."""
        self._server.should_exit = True
        self._thread.join(_JOIN_S)


def application(metrics: Exposition) -> ASGIApp:
    """Return what answers scrapes: GET and HEAD, compressed or not."""
    return Starlette(routes=[Route(PATH, _Scrape(metrics), methods=["GET"])])


class _Scrape:
    """The application of prometheus_client, except that a scrape of everything takes ready-made text."""

    def __init__(self, metrics: Exposition) -> None:
        registry = CollectorRegistry()
        registry.register(metrics)
        self._selected: ASGIApp = make_asgi_app(registry)
        self._texts = _Texts(metrics)
        self._turn = asyncio.Semaphore()
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        request = Request(scope)
        accept = _known(",".join(request.headers.getlist("accept")))
        packed = gzip_accepted(request.headers.get("accept-encoding", ""))
        encoder, content_type = choose_encoder(accept)
        escaping = content_type.partition("escaping=")[2]
        if "name[]" in request.query_params or escaping not in _NAMES_AS_THEY_ARE:
            encoding = b"gzip" if packed else b"identity"
            named = [(b"accept", accept.encode()), (b"accept-encoding", encoding)]
            await self._take_turns({**scope, "headers": named}, receive, send)
            return
        headers = {"Content-Type": content_type, "Vary": "Accept-Encoding"}
        if packed:
            headers["Content-Encoding"] = "gzip"
        body = self._texts.body(encoder, content_type, packed=packed)
        await Response(body, headers=headers)(scope, receive, send)

    async def _take_turns(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what has to be made for this scrape alone, when those before it have been answered."""
        if self._waiting >= MOST_WAITING:
            refusal = PlainTextResponse("too many scrapes of some metrics\n", status_code=503)
            await refusal(scope, receive, send)
            return
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        began_s = time.monotonic()
        try:
            answer = await self._alone(scope)
        finally:
            rest_s = _SHARE * (time.monotonic() - began_s)
            asyncio.get_running_loop().call_later(rest_s, self._turn.release)
        for message in answer:
            await send(message)

    async def _alone(self, scope: Scope) -> list[Message]:
        """Return an answer, for which no client is waited for."""
        answer: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._selected(scope, receive, keep)
        return answer


def _known(accept: str) -> str:
    """Return the formats asked for but those of versions on which prometheus_client may fail."""
    formats = accept.split(",")
    return ",".join(item for item in formats if _VERSIONS.issuperset(_VERSION.findall(item)))


class _Texts:
    """What was made last, by what was asked for."""

    def __init__(self, metrics: Exposition) -> None:
        self._metrics = metrics
        self._made: dict[tuple[str, bool], tuple[float, bytes]] = {}

    def body(self, encoder: _Encoder, content_type: str, *, packed: bool) -> bytes:
        """Return all metrics as an encoder writes them, which is told by the content type."""
        kind, now_s = (content_type, packed), time.monotonic()
        until_s, body = self._made.get(kind, (now_s, b""))
        if until_s <= now_s:
            body = self._metrics.text(encoder).encode()
            if packed:
                body = gzip.compress(body, _GZIP_LEVEL)
            took_s = time.monotonic() - now_s
            self._made[kind] = now_s + max(FRESH_S, _SHARE * took_s), body
        return body
