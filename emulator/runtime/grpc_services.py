"""The gRPC services of a host, and what each caller may send.

A message is taken only if its source is named in the caller's certificate, and a management message only if
it is sealed under the key in force; the clock's orders are taken only from the clock.  A batch is taken
completely or not at all.  Every refusal is counted by its reason and logged by name; content is never
logged.  Nothing here knows what a message means.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn, Protocol

import grpc
from google.protobuf.message import DecodeError

from emulator.net.identity import uri
from emulator.net.transport import Context, callers
from emulator.runtime.envelopes import EnvelopeError, Envelopes
from protos import wire
from protos.core import Message
from protos.gen.qsagin.v1 import (
    keys_pb2,
    keys_pb2_grpc,
    management_pb2,
    management_pb2_grpc,
    runtime_pb2,
    runtime_pb2_grpc,
)
from protos.pdu import Pdu, Verb

CLOCK = "clock"
MOST_MESSAGES = 100_000

Batch = management_pb2.ManagementBatch
Receipt = management_pb2.Receipt

_log = logging.getLogger(__name__)


class HostApi(Protocol):
    """What the services need of their host, `emulator.runtime.host.Host`."""

    incarnation: int

    def obeys(self, clock: int) -> bool:
        """Return whether no later incarnation of the clock has been heard."""

    async def take(self, batch: wire.Batch, messages: list[Message]) -> int:
        """Keep messages for the next window; return how many of them had been read before."""

    def greet(self, routes: runtime_pb2.Routes) -> runtime_pb2.State:
        """Learn all addresses; return the state of this host."""

    async def run_window(self, window: int) -> runtime_pb2.Done:
        """Run one window to its end."""

    async def hear(self, news: runtime_pb2.News) -> runtime_pb2.State:
        """Learn of events to come; return the state of this host."""

    def wishes(self) -> AsyncIterator[None]:
        """Yield whenever a window is wanted."""

    async def resend(self, lost: runtime_pb2.Lost) -> Receipt:
        """Send again what another host has lost."""


class HostServices:
    """All services of a host.  `refused` counts refusals by reason."""

    def __init__(self, host: HostApi, envelopes: Envelopes, most_windows: int) -> None:
        self._host, self._envelopes = host, envelopes
        self._most_windows = most_windows
        self._window = 0
        self._taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def open(self, server: grpc.aio.Server) -> None:
        """Add the services to a server."""
        management_pb2_grpc.add_AgentServicer_to_server(_Agent(self), server)
        management_pb2_grpc.add_StationServicer_to_server(_Station(self), server)
        keys_pb2_grpc.add_KeyManagerServicer_to_server(_KeyManager(self), server)
        runtime_pb2_grpc.add_HostServicer_to_server(_Clock(self._host, self), server)

    def refuse(self, reason: str, who: str) -> None:
        """Count and log something that was not taken."""
        self.refused[reason] += 1
        _log.warning("refused from or for %s: %s", who, reason)

    async def deny(
        self, context: Context, status: grpc.StatusCode, reason: str, who: str = ""
    ) -> NoReturn:
        """End a call that is refused; a caller without a name is logged by its address."""
        self.refuse(reason, who or context.peer() or "")
        await context.abort(status, reason)
        raise AssertionError  # abort raises

    async def take_management(self, verb: Verb, batch: Batch, context: Context) -> Receipt:
        """Take a batch whose messages are all of one verb."""
        await self._check(batch, context)
        try:
            opened = self._envelopes.open(batch)
            messages = wire.management_messages(opened)
        except EnvelopeError as error:
            await self.deny(context, grpc.StatusCode.UNAUTHENTICATED, error.reason, error.source)
        except (ValueError, DecodeError):
            await self.deny(context, grpc.StatusCode.INVALID_ARGUMENT, "malformed")
        if any(isinstance(item.body, Pdu) and item.body.verb is not verb for item in messages):
            await self.deny(
                context, grpc.StatusCode.INVALID_ARGUMENT, "wrong verb", messages[0].source
            )
        return await self._take(opened, messages, context)

    async def take_keys(self, batch: keys_pb2.KeyBatch, context: Context) -> Receipt:
        """Take a batch of key traffic."""
        await self._check(batch, context)
        try:
            messages = wire.key_messages(batch)
        except ValueError:
            await self.deny(context, grpc.StatusCode.INVALID_ARGUMENT, "malformed")
        return await self._take(batch, messages, context)

    async def _take(self, batch: wire.Batch, messages: list[Message], context: Context) -> Receipt:
        if self._is_too_much(batch.window, messages):
            await self.deny(
                context, grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", messages[0].source
            )
        try:
            repeated = await self._host.take(batch, messages)
        except KeyError as error:
            await self.deny(context, grpc.StatusCode.NOT_FOUND, "unknown destination", str(error))
        self.refused["repeated"] += repeated
        return Receipt(accepted=len(messages) - repeated)

    async def _check(self, batch: wire.Batch, context: Context) -> None:
        """Refuse what is from another time, empty, or in another's name."""
        sources, known = [message.source for message in batch.messages], callers(context)
        if batch.window > self._most_windows or not sources:
            await self.deny(context, grpc.StatusCode.INVALID_ARGUMENT, "malformed")
        for source in sources:
            if uri(source) not in known:
                await self.deny(
                    context, grpc.StatusCode.PERMISSION_DENIED, "not its own name", source
                )

    def _is_too_much(self, window: int, messages: Sequence[Message]) -> bool:
        """Whether a source has sent more than `MOST_MESSAGES` in one window."""
        if window != self._window:
            self._window, self._taken = window, Counter()
        self._taken.update(message.source for message in messages)
        return any(self._taken[message.source] > MOST_MESSAGES for message in messages)


class _Agent(management_pb2_grpc.AgentServicer):
    """Takes PDUs to be answered, in the next window."""

    def __init__(self, services: HostServices) -> None:
        self._services = services

    async def Get(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await self._services.take_management(Verb.GET, request, context)

    async def GetNext(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await self._services.take_management(Verb.GET_NEXT, request, context)

    async def GetBulk(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await self._services.take_management(Verb.GET_BULK, request, context)

    async def Set(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await self._services.take_management(Verb.SET, request, context)


class _Station(management_pb2_grpc.StationServicer):
    """Takes answers and notifications."""

    def __init__(self, services: HostServices) -> None:
        self._services = services

    async def Response(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await self._services.take_management(Verb.RESPONSE, request, context)

    async def Trap(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await self._services.take_management(Verb.TRAP, request, context)

    async def Inform(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await self._services.take_management(Verb.INFORM, request, context)


class _KeyManager(keys_pb2_grpc.KeyManagerServicer):
    """Takes key traffic."""

    def __init__(self, services: HostServices) -> None:
        self._services = services

    async def Exchange(self, request: keys_pb2.KeyBatch, context: Context) -> Receipt:  # noqa: N802
        """Keep a batch for the next window."""
        return await self._services.take_keys(request, context)


class _Clock(runtime_pb2_grpc.HostServicer):
    """Obeys the barrier clock only."""

    def __init__(self, host: HostApi, services: HostServices) -> None:
        self._host, self._services = host, services

    async def Greet(self, request: runtime_pb2.Routes, context: Context) -> runtime_pb2.State:  # noqa: N802
        await self._check(context, request.clock)
        return self._host.greet(request)

    async def Resend(self, request: runtime_pb2.Lost, context: Context) -> Receipt:  # noqa: N802
        await self._check(context, request.routes.clock)
        return await self._host.resend(request)

    async def Hear(self, request: runtime_pb2.News, context: Context) -> runtime_pb2.State:  # noqa: N802
        await self._check(context, request.clock)
        return await self._host.hear(request)

    async def Listen(  # noqa: N802
        self, request: runtime_pb2.Listening, context: Context
    ) -> AsyncIterator[runtime_pb2.Wish]:
        """Pass on that windows are wanted."""
        await self._check(context, request.clock)
        async for _ in self._host.wishes():
            yield runtime_pb2.Wish()

    async def Run(  # noqa: N802
        self, request_iterator: AsyncIterator[runtime_pb2.Tick], context: Context
    ) -> AsyncIterator[runtime_pb2.Done]:
        """Run window after window; a failure is told to the clock, not swallowed."""
        async for tick in request_iterator:
            await self._check(context, tick.clock)
            if tick.incarnation != self._host.incarnation:
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another incarnation")
            try:
                yield await self._host.run_window(tick.window)
            except Exception as error:  # noqa: BLE001 - whatever it is, the clock must hear of it
                _log.exception("window %d failed", tick.window)
                words = " ".join(f"{type(error).__name__}: {error}".split())
                yield runtime_pb2.Done(window=tick.window, failure=words)

    async def _check(self, context: Context, incarnation: int) -> None:
        if uri(CLOCK) not in callers(context):
            await self._services.deny(context, grpc.StatusCode.PERMISSION_DENIED, "not the clock")
        if not self._host.obeys(incarnation):
            await self._services.deny(
                context, grpc.StatusCode.FAILED_PRECONDITION, "a former clock"
            )
