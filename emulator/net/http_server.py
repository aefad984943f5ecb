"""HTTP servers of a run, which no client can hold up.

An event loop answers, so a connection costs no thread.  A request must have come whole within `REQUEST_S`
of the connection or of the last answer, headers and body together within `MOST_REQUEST_BYTES`, and an
answer must be taken within `ANSWER_S`; whoever is later is hung up on.  At most `MOST_CONNECTIONS` are
open, unless a kind of connection allows more: a newcomer takes the place of the one that has idled longest,
since turning newcomers away would let whoever came first keep everybody out.  Of clients that leave answers
unread, at most `MOST_UNREAD` stay.  A server that ends waits at most `LAST_WORDS_S` for its clients.
Nothing here knows what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from enum import IntEnum
from http import HTTPStatus

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
MOST_UNREAD = 32
MOST_HEADER_BYTES = 16 * 2**10
MOST_REQUEST_BYTES = 40 * 2**10
REQUEST_S = 5.0
ANSWER_S = 10.0  # after as long, Prometheus by default gives up a scrape
LAST_WORDS_S = 0.5
_LOOK_EVERY_S = 0.25
ACCEPTED_AT_ONCE = 64  # two such batches leave places for whoever has not been read from yet
_QUEUE = 4096  # kept by the kernel, which drops what is more; clients then try again after 1 s


class _Phase(IntEnum):
    """What a connection waits for, in the order in which connections have to make room."""

    REQUEST = 0
    READER = 1  # the client takes its answer
    ANSWER = 2  # ours to give


class HttpServer(uvicorn.Server):
    """A server of an application; `serve` takes the sockets to listen on."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                backlog=ACCEPTED_AT_ONCE,
                h11_max_incomplete_event_size=MOST_HEADER_BYTES,
                timeout_graceful_shutdown=1,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with a longer queue than is accepted in one turn of the loop."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_QUEUE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hang up on who idles at once, and on everybody else soon."""
        asyncio.get_running_loop().call_later(LAST_WORDS_S, self._abort)
        await super().shutdown(sockets)
        self._abort()
        await asyncio.sleep(0)  # transports close their sockets in the next turn of the loop

    def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Connection):
                connection.transport.abort()


class _Connection(H11Protocol):
    """One connection, with the limits of the module."""

    most_connections = MOST_CONNECTIONS
    _phase = _Phase.REQUEST
    _since_s = 0.0
    _request_bytes = 0
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and begin to wait for a request."""
        super().connection_made(transport)
        self._since_s = self.loop.time()
        _keep_freshest(self._others(), self.most_connections)
        self.loop.call_later(_LOOK_EVERY_S, self._watch)

    def data_received(self, data: bytes) -> None:
        """Take in what has come, unless it is too much."""
        self._request_bytes += len(data)
        if self._is_refused:
            return
        if self._request_bytes <= MOST_REQUEST_BYTES:
            super().data_received(data)
        else:
            self.send_400_response("too long")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or too long, and leave time to read the refusal.

        A close with unread data behind it would reset the connection before the client has read it.
        """
        self._is_refused = True
        if self.conn.our_state is not h11.IDLE:  # something is being answered
            self.transport.abort()
            return
        status = HTTPStatus.BAD_REQUEST
        if self._request_bytes > MOST_HEADER_BYTES:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\n"
        self.transport.write(f"{head}Connection: close\r\n\r\n{msg}\n".encode())
        self.transport.write_eof()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._since_s, self._request_bytes = self.loop.time(), 0
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Hold back what is to be written, and make room among those who do not read."""
        super().pause_writing()
        paused = [other for other in self._others() if other.flow.write_paused]
        _keep_freshest(paused, MOST_UNREAD)

    def shutdown(self) -> None:
        """Hang up, or have the answer that is under way be the last."""
        with contextlib.suppress(h11.LocalProtocolError):
            super().shutdown()
            return
        self.transport.abort()

    @property
    def age(self) -> tuple[_Phase, float]:
        """The phase and since when; the least is the first to make room."""
        phase = self._now_in()
        return phase, self._since_s if phase is self._phase else self.loop.time()

    def drop(self) -> None:
        """Hang up, whatever has not been sent."""
        self.connections.discard(self)
        self.transport.abort()

    def _others(self) -> list[_Connection]:
        """Return all connections of this server, this one too."""
        return [other for other in self.connections if isinstance(other, _Connection)]

    def _now_in(self) -> _Phase:
        if self.transport.get_write_buffer_size():
            return _Phase.READER
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return _Phase.REQUEST
        return _Phase.ANSWER

    def _watch(self) -> None:
        """Look repeatedly whether the client is too slow."""
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        self._phase, self._since_s = self.age
        limit_s = (REQUEST_S, ANSWER_S, math.inf)[self._phase]
        if self.loop.time() - self._since_s > limit_s:
            self.drop()
        else:
            self.loop.call_later(_LOOK_EVERY_S, self._watch)


def listener_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens.  Raises `OSError`.

    Connections inherit that nothing waits for company: asyncio says so only of sockets whose protocol is
    named, and without it an answer in two parts takes 40 ms, the delay of an acknowledgement.
    """
    listener = socket.create_server((host, port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _keep_freshest(connections: list[_Connection], most: int) -> None:
    """If there are more connections, drop the oldest, an eighth at once since sorting takes its time."""
    if len(connections) > most:
        by_age = sorted(connections, key=lambda connection: connection.age)
        for connection in by_age[: len(by_age) - most * 7 // 8]:
            connection.drop()
