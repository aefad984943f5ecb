"""Connections between the actors of a run: gRPC over mutual TLS, so that each end is sure of the other.

A server accepts only callers with a certificate of the run's authority; a client speaks only to the actor
that it means.  A caller's identity is read from its certificate, never from a message.

Strangers get no further than the handshake, for which they have `HANDSHAKE_S`.  They cost a server no
thread, and never its last file descriptor.  What callers may ask at once is limited, too, far above what
a run needs.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import grpc

from emulator.net.addresses import LOOPBACK
from emulator.net.identity import Identity, server_name

GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
HANDSHAKE_S = 10.0
MOST_CONNECTIONS = 4096
MOST_MESSAGE_BYTES = 64 * 2**20
_MOST_CALLS = 4096  # at a time; what is more is refused
_MOST_CALLS_PER_CONNECTION = 1024
_IDLE_S = 600.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # neither loopback nor the machines of a cluster lie behind one
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 2_000),  # a machine that is gone sends nothing, not even a farewell
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
)

Context = grpc.aio.ServicerContext[Any, Any]


class NoFreePortError(Exception):
    """Every port that an actor may listen on is taken."""

    def __init__(self, host: str, ports: range) -> None:
        super().__init__(host, ports)
        self.host, self.ports = host, ports

    def __str__(self) -> str:
        return f"no port from {self.ports.start} to {self.ports.stop - 1} is free at {self.host}"


@dataclass(frozen=True)
class Endpoint:
    """Where an actor may listen: the address of its machine, and the ports; None: any port.

    An empty address stands for the one by which other machines reach the actor's machine.
    """

    host: str = LOOPBACK
    ports: range | None = None

    def at(self, machine: str) -> Endpoint:
        """Return the endpoint of an actor that is started on the machine with this address."""
        return self if self.host else replace(self, host=machine)

    def bind(self, actor: str, former_address: str, listen: Callable[[str, int], int]) -> str:
        """Have `listen` take a port: that of the last incarnation if it is free; return the address.

        `listen` returns the port, and raises `OSError` or `RuntimeError` if it is taken.  Each actor begins
        to search at a point of its own in the range.  Raises `NoFreePortError`.
        """
        host, _, port = former_address.rpartition(":")
        if host == self.host:
            with suppress(OSError, RuntimeError):
                return f"{host}:{listen(host, int(port))}"
        if self.ports is None:
            return f"{self.host}:{listen(self.host, 0)}"
        start = int.from_bytes(blake2b(actor.encode(), digest_size=4).digest()) % len(self.ports)
        for candidate in (*self.ports[start:], *self.ports[:start]):
            with suppress(OSError, RuntimeError):
                return f"{self.host}:{listen(self.host, candidate)}"
        raise NoFreePortError(self.host, self.ports)


ANYWHERE_HERE = Endpoint()


def new_server(*interceptors: grpc.aio.ServerInterceptor) -> grpc.aio.Server:
    """Return a server that is not bound yet.

    Its clients get at most half of the file descriptors that the process may have.  Connections have no
    greatest age, since the clock's call to a host lasts for the run.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_limited = descriptors != resource.RLIM_INFINITY
    connections = min(MOST_CONNECTIONS, descriptors // 2) if is_limited else MOST_CONNECTIONS
    options = (
        *_OPTIONS,
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1_000)),
        ("grpc.max_connection_idle_ms", int(_IDLE_S * 1_000)),
        ("grpc.max_concurrent_streams", _MOST_CALLS_PER_CONNECTION),
        ("grpc.http2.max_ping_strikes", 2),
    )
    return grpc.aio.server(
        options=options, interceptors=interceptors, maximum_concurrent_rpcs=_MOST_CALLS
    )


def bind(
    server: grpc.aio.Server, identity: Identity, endpoint: Endpoint, former_address: str
) -> str:
    """Bind a server to its former address if that is free, or else as the endpoint says."""
    credentials = grpc.ssl_server_credentials(
        [(identity.private_key, identity.certificate)],
        identity.authority,
        require_client_auth=True,
    )

    def listen(host: str, port: int) -> int:
        return server.add_secure_port(f"{host}:{port}", credentials)

    return endpoint.bind(identity.name, former_address, listen)


def callers(context: Context) -> frozenset[str]:
    """Return the URIs in the caller's certificate: the actor, and the entities that live there."""
    return frozenset(item.decode() for item in context.auth_context().get("peer_uri", ()))


class Channels:
    """The channels of one actor to others, each opened when it is first needed."""

    def __init__(self, identity: Identity) -> None:
        self._credentials = grpc.ssl_channel_credentials(
            identity.authority, identity.private_key, identity.certificate
        )
        self._open: dict[tuple[str, str], grpc.aio.Channel] = {}

    def to(self, actor: str, address: str) -> grpc.aio.Channel:
        """Return the channel to an actor at an address."""
        if (actor, address) not in self._open:
            name = ("grpc.ssl_target_name_override", server_name(actor))
            self._open[actor, address] = grpc.aio.secure_channel(
                address, self._credentials, options=(*_OPTIONS, name)
            )
        return self._open[actor, address]

    async def close(self) -> None:
        """Close them all."""
        await asyncio.gather(*(channel.close() for channel in self._open.values()))
