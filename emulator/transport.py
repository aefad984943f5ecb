"""Connections between the actors of a run: gRPC over mutual TLS, so that each end is sure of the other.

A server takes nobody without a certificate of the run's authority, a client speaks to nobody but the
actor that it means.  Who calls is read from the certificate, never from the message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc

from emulator.identity import Identity, server_name

GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", 64 * 2**20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)

Context = grpc.aio.ServicerContext[Any, Any]


def new_server(*interceptors: grpc.aio.ServerInterceptor) -> grpc.aio.Server:
    """Return a server that is not bound yet."""
    return grpc.aio.server(options=_OPTIONS, interceptors=interceptors)


def bind(server: grpc.aio.Server, identity: Identity, host: str, former_address: str) -> str:
    """Bind a server to a former address if that is free, or else to any port; return the address."""
    credentials = grpc.ssl_server_credentials(
        [(identity.private_key, identity.certificate)],
        identity.authority,
        require_client_auth=True,
    )
    if former_address:
        with suppress(RuntimeError):
            server.add_secure_port(former_address, credentials)
            return former_address
    return f"{host}:{server.add_secure_port(f'{host}:0', credentials)}"


def callers(context: Context) -> frozenset[str]:
    """Return the URIs in the certificate of who calls: the actor, and the entities that live there."""
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
