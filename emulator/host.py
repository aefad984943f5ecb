"""A host: one process with a gRPC server that runs one or more cores in emulated time.

In window t a host steps each of its cores that has messages or is due, commits their facts, sends
their messages and, when every receiver has taken them, says that it is done.  A message sent in
window t is consumed in window t+1, in the order (source, sequence): what a core sees does not depend
on which host it is on.  Every message crosses gRPC, also between cores of the same host.

If `Run` answers a window, all its messages have been taken and all its facts are committed; if it
fails, some may not have been.  A host that is killed may be started again with the same configuration:
it then is what its journal says, has forgotten messages that it took and did not read, and the clock
has the others send them again.  Nothing here knows what a message means.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from emulator.journal import Journal
from emulator.registry import Registry
from emulator.residents import Residents
from emulator.roles import Role
from emulator.sealing import Seal
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

EXPORTER = "exporter"
_METHOD = {
    Verb.GET: "Get",
    Verb.GET_NEXT: "GetNext",
    Verb.GET_BULK: "GetBulk",
    Verb.SET: "Set",
    Verb.RESPONSE: "Response",
    Verb.TRAP: "Trap",
    Verb.INFORM: "Inform",
}
_AGENT_VERBS = (Verb.GET, Verb.GET_NEXT, Verb.GET_BULK, Verb.SET)
_KEY_TRAFFIC = "Exchange"
_DEADLINE_S = 30.0
_RETURN_LIMIT_S = 60.0
_RETRY_AFTER_S = 0.05
_REPORT_EVERY_S = 1.0
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
GRPC_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", 64 * 2**20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)

Batch = management_pb2.ManagementBatch
Receipt = management_pb2.Receipt
Context = grpc.aio.ServicerContext[Any, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HostConfig:
    """What a host is told when it starts, and again when it starts anew.

    A checkpoint is made when the cores have computed for `checkpoint_after_s` since the last.  A
    volatile host keeps its journal in memory until it is stopped.
    """

    name: str
    roles: tuple[Role, ...]
    run_folder: str
    window_s: float
    sealing_key: bytes = field(repr=False)
    bind_host: str = "127.0.0.1"
    checkpoint_after_s: float = 0.2
    volatile: bool = False


class Host:
    """See the module."""

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        folder = Path(config.run_folder)
        self._registry = Registry(folder)
        life = self._registry.claim(config.name)
        self._former_address = life.address
        self.incarnation = life.incarnation
        entities = sorted(role.entity for role in config.roles)
        self._journal = Journal(
            folder, config.name, entities, life.incarnation, volatile=config.volatile
        )
        seal = Seal(config.sealing_key)
        self._residents = Residents(
            config.roles, config.window_s, self._journal, seal, config.checkpoint_after_s
        )
        self._routes: dict[str, str] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._server: grpc.aio.Server | None = None
        self._reporter: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Serve, where the incarnation before did if that is free; return the address."""
        self._server = grpc.aio.server(options=GRPC_OPTIONS)
        management_pb2_grpc.add_AgentServicer_to_server(_AgentDoor(self), self._server)
        management_pb2_grpc.add_StationServicer_to_server(_StationDoor(self), self._server)
        keys_pb2_grpc.add_KeyManagerServicer_to_server(_KeyDoor(self), self._server)
        runtime_pb2_grpc.add_HostServicer_to_server(_ClockDoor(self), self._server)
        address = bind(self._server, self._config.bind_host, self._former_address)
        await self._server.start()
        self._registry.publish(self._config.name, address)
        return address

    async def stop(self) -> None:
        """Write down what is left, report once more, and stop serving."""
        if self._reporter is not None:
            self._reporter.cancel()
            with suppress(asyncio.CancelledError):
                await self._reporter
            self._reporter = None
            await self._report()
        self._residents.finish()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))
        if self._server is not None:
            await self._server.stop(grace=0)
        self._journal.close()

    def take(self, batch: wire.Batch, messages: list[Message]) -> Receipt:
        """Keep messages for the window after the one in which they were sent.

        Raises `KeyError` for a destination that does not live here.
        """
        self._residents.take(batch, messages)
        return Receipt(accepted=len(messages))

    def greet(self, routes: runtime_pb2.Routes) -> runtime_pb2.State:
        """Learn where everybody is; return how far this host has come."""
        self._routes = {route.entity: route.address for route in routes.routes}
        if self._reporter is None:
            self._reporter = asyncio.create_task(self._report_regularly())
        here = self._residents
        return runtime_pb2.State(
            last_window=here.last_window,
            wake_window=here.wake_window,
            mail_window=here.mail_window,
            totals=self._totals(),
            incarnation=self.incarnation,
        )

    async def run_window(self, window: int) -> runtime_pb2.Done:
        """Run one window to its end; one that has been run is only sent again."""
        self._residents.run(window)
        outbox = self._residents.sent_in(window)
        await self._send(window, outbox)
        return runtime_pb2.Done(
            window=window,
            wake_window=self._residents.wake_window,
            written_to=sorted({message.destination for message in outbox}),
            totals=self._totals(),
        )

    async def resend(self, lost: runtime_pb2.Lost) -> Receipt:
        """Send again what somebody has lost."""
        self.greet(lost.routes)
        count = 0
        for window, messages in self._residents.sent_since(lost.window, lost.entities):
            await self._send(window, messages)
            count += len(messages)
        return Receipt(accepted=count)

    def _totals(self) -> runtime_pb2.Totals:
        totals = self._residents.totals
        return runtime_pb2.Totals(
            demanded_units=totals.demanded_units,
            late_units=totals.late_units,
            shortfall_units=totals.shortfall_units,
            cost=totals.cost,
        )

    async def _send(self, window: int, outbox: list[Message]) -> None:
        batches: dict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in outbox:
            body = message.body
            method = _METHOD[body.verb] if isinstance(body, Pdu) else _KEY_TRAFFIC
            batches[self._routes[message.destination], method].append(message)
        calls = [
            self._persist(method, window, batch) for (_, method), batch in sorted(batches.items())
        ]
        await asyncio.gather(*calls)

    async def _persist(self, method: str, window: int, batch: list[Message]) -> None:
        """Send a batch; a receiver that is gone is given time to come back, perhaps elsewhere."""
        ends_s = time.monotonic() + _RETURN_LIMIT_S
        while True:
            try:
                await self._call(self._routes[batch[0].destination], method, window, batch)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in GONE or time.monotonic() > ends_s:
                    raise
                await asyncio.sleep(_RETRY_AFTER_S)

    async def _call(self, address: str, method: str, window: int, batch: list[Message]) -> None:
        channel = self._channel(address)
        if method == _KEY_TRAFFIC:
            keys = keys_pb2_grpc.KeyManagerStub(channel)
            await keys.Exchange(wire.key_batch(window, batch), timeout=_DEADLINE_S)
            return
        verbs = [_METHOD[verb] for verb in _AGENT_VERBS]
        service = (
            management_pb2_grpc.AgentStub if method in verbs else management_pb2_grpc.StationStub
        )
        await getattr(service(channel), method)(
            wire.management_batch(window, batch), timeout=_DEADLINE_S
        )

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, options=GRPC_OPTIONS)
        return self._channels[address]

    async def _report_regularly(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(_REPORT_EVERY_S)

    async def _report(self) -> None:
        address = self._routes.get(EXPORTER)
        if address is None:
            return
        stub = runtime_pb2_grpc.ExporterStub(self._channel(address))
        try:
            await stub.Report(self._telemetry(), timeout=_REPORT_EVERY_S)
        except grpc.aio.AioRpcError as error:
            _log.warning("the exporter does not answer: %s", error.code().name)

    def _telemetry(self) -> runtime_pb2.Telemetry:
        window = self._residents.last_window or 0
        report = runtime_pb2.Telemetry(
            host=self._config.name, emulated_s=window * self._config.window_s
        )
        for entity, measures in self._residents.measures():
            report.samples.add(metric="up", labels=[_label("entity", entity)], value=1)
            for measure in measures:
                labels = [_label(name, value) for name, value in measure.labels]
                report.samples.add(metric=measure.metric, labels=labels, value=measure.value)
        return report


def bind(server: grpc.aio.Server, host: str, former_address: str) -> str:
    """Bind a server to a former address if that is free, or else to any port; return the address."""
    if former_address:
        with suppress(RuntimeError):
            server.add_insecure_port(former_address)
            return former_address
    return f"{host}:{server.add_insecure_port(f'{host}:0')}"


def _label(name: str, value: str) -> runtime_pb2.Label:
    return runtime_pb2.Label(name=name, value=value)


async def _take(host: Host, verb: Verb, batch: Batch, context: Context) -> Receipt:
    """Keep a batch for the next window, if every message in it is of the method's verb."""
    try:
        messages = wire.management_messages(batch)
    except ValueError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    if any(isinstance(m.body, Pdu) and m.body.verb is not verb for m in messages):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a {verb.name} PDU")
    return host.take(batch, messages)


class _AgentDoor(management_pb2_grpc.AgentServicer):
    """Takes requests; they are answered in the next window."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def Get(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await _take(self._host, Verb.GET, request, context)

    async def GetNext(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await _take(self._host, Verb.GET_NEXT, request, context)

    async def GetBulk(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await _take(self._host, Verb.GET_BULK, request, context)

    async def Set(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await _take(self._host, Verb.SET, request, context)


class _StationDoor(management_pb2_grpc.StationServicer):
    """Takes answers and notifications."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def Response(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await _take(self._host, Verb.RESPONSE, request, context)

    async def Trap(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await _take(self._host, Verb.TRAP, request, context)

    async def Inform(self, request: Batch, context: Context) -> Receipt:  # noqa: N802
        return await _take(self._host, Verb.INFORM, request, context)


class _KeyDoor(keys_pb2_grpc.KeyManagerServicer):
    """Takes key traffic."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def Exchange(self, request: keys_pb2.KeyBatch, _: object) -> Receipt:  # noqa: N802
        """Keep a batch for the next window."""
        return self._host.take(request, wire.key_messages(request))


class _ClockDoor(runtime_pb2_grpc.HostServicer):
    """Obeys the barrier clock."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def Greet(self, request: runtime_pb2.Routes, _: object) -> runtime_pb2.State:  # noqa: N802
        return self._host.greet(request)

    async def Resend(self, request: runtime_pb2.Lost, _: object) -> Receipt:  # noqa: N802
        return await self._host.resend(request)

    async def Run(  # noqa: N802
        self, request_iterator: AsyncIterator[runtime_pb2.Tick], context: Context
    ) -> AsyncIterator[runtime_pb2.Done]:
        """Run window after window; a failure is told to the clock, not swallowed."""
        async for tick in request_iterator:
            if tick.incarnation != self._host.incarnation:
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another incarnation")
            try:
                yield await self._host.run_window(tick.window)
            except Exception as error:  # noqa: BLE001 - whatever it is, the clock must hear of it
                _log.exception("window %d failed", tick.window)
                yield runtime_pb2.Done(
                    window=tick.window, failure=f"{type(error).__name__}: {error}"
                )
