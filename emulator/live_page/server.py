"""Serves the page of one run to browsers on this machine.

It listens on loopback only, and answers only HTTP requests that name it as their host, so that no other
site can have a browser read the run under a name of its own.  Changing a run needs the token that is
printed with the URL; it follows `#`, which browsers do not send.  Browsers are told to load nothing from
elsewhere and to run no script but the page's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.build.loading import read
from emulator.live_page.feed import Feed
from emulator.net.http_server import LAST_WORDS_S, HttpServer, listener_at
from emulator.runtime.injection import submit
from emulator.store.files import EXPERIMENT

HOST = "127.0.0.1"
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_FAULT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_MOST_BYTES = 20_000


@dataclass(frozen=True)
class Access:
    """Where the page is, and the token that a POST must carry."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/#{self.token}"

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which a client may call this host."""
        return frozenset(f"{name}:{self.port}" for name in (HOST, "localhost"))


class Guard:
    """Refuses foreign host names, and adds the headers that keep a browser to this page."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what names this host."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        if scope["type"] == "http" and Headers(scope=scope).get("host") not in self._hosts:
            refusal = PlainTextResponse("this page is for this machine only\n", status_code=421)
            await refusal(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)


class Injecting:
    """Takes faults for a live run, one at a time, from clients with the token."""

    def __init__(self, run_folder: Path, token: str) -> None:
        self._folder, self._token = run_folder, token.encode()
        self._busy = asyncio.Lock()

    async def inject(self, request: Request) -> JSONResponse:
        """Answer with the window in which the fault begins, or with what is wrong with it, in one line."""
        shown = request.headers.get("x-qsagin-token", "").encode()
        if not secrets.compare_digest(shown, self._token):
            return _refusal("needs the token that came with the URL", 403)
        if self._busy.locked():
            return _refusal("another fault is on its way; try again", 429)
        async with self._busy:
            try:
                fault = _FAULT.validate_json(await _body(request))
                done = await asyncio.to_thread(submit, self._folder, fault)
            except ValidationError:
                return _refusal("must be a JSON object of fields", 400)
            except ValueError as error:
                return _refusal(str(error), 400)
        return JSONResponse({"window": done.window, "fault": done.fault})


def application(feed: Feed, access: Access) -> Starlette:
    """Return the page of a run as an ASGI application."""
    static = Path(str(files("emulator.live_page").joinpath("static")))
    vendor = Path(str(files("emulator.report").joinpath("vendor")))

    described = JSONResponse(feed.about()).body  # once, since it takes a while

    async def about(_request: Request) -> Response:
        return Response(described, media_type="application/json")

    async def page(_request: Request) -> FileResponse:
        return FileResponse(static / "index.html")

    async def events(_request: Request) -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            async for document in feed.documents():
                yield f"data: {document}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/run", about),
            Route("/api/events", events),
            Route("/api/faults", Injecting(feed.folder, access.token).inject, methods=["POST"]),
            Mount("/static", StaticFiles(directory=static)),
            Mount("/vendor", StaticFiles(directory=vendor)),
        ],
        middleware=[Middleware(Guard, hosts=access.hosts)],
    )


def serve(run_folder: Path, port: int, announce: Callable[[str], None], *, attached: bool) -> None:
    """Show a run until a signal or, if `attached` to it, until standard input is closed.

    Announces the URL as soon as it answers.  Raises what `emulator.build.loading.read` does, and
    `OSError` if the port is taken.
    """
    os.nice(19)
    feed = Feed(run_folder, read(str(run_folder / EXPERIMENT)), attached=attached)
    with listener_at(HOST, port) as listener:
        access = Access(listener.getsockname()[1], secrets.token_urlsafe(18))
        server = HttpServer(application(feed, access))
        announce(access.url)
        asyncio.run(_serve(server, listener, feed, attached=attached))


async def _serve(
    server: HttpServer, listener: socket.socket, feed: Feed, *, attached: bool
) -> None:
    loop = asyncio.get_running_loop()
    if attached:
        threading.Thread(target=_wait, args=(loop, feed.close), daemon=True).start()
    following = asyncio.create_task(_follow(server, feed, attached=attached))
    try:
        await server.serve([listener])
    finally:
        following.cancel()


async def _follow(server: HttpServer, feed: Feed, *, attached: bool) -> None:
    """Follow the run; the page of a live run ends with it, once all viewers know."""
    await feed.follow()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            await feed.told()
    server.should_exit = attached


def _wait(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call when the other end of standard input is closed."""
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(call)


async def _body(request: Request) -> bytes:
    """Return what was sent, if it is no more than a fault takes.  Raises `ValueError`."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > _MOST_BYTES:
            raise ValueError(f"must be at most {_MOST_BYTES} bytes")
    return found


def _refusal(words: str, status: int) -> JSONResponse:
    return JSONResponse({"error": words}, status)
