"""A host: one process with a gRPC server that runs one or more cores in emulated time.

In window t a host steps each of its cores that has messages or is due, commits their facts, sends
their messages and, when every receiver has taken them, says that it is done.  A message sent in
window t is consumed in window t+1, in the order (source, sequence): what a core sees does not depend
on which host it is on.  Every message crosses gRPC, also between cores of the same host.

If `Run` answers a window, all its messages have been taken and all its facts are committed; if it
fails, some may not have been.  Nothing here knows what a message means.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from emulator.journal import Journal
from emulator.mailbox import Mailbox
from emulator.roles import Role
from protos import wire
from protos.core import Core, Message, Totals
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
_REPORT_EVERY_S = 1.0
GRPC_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", 64 * 2**20),
)

Batch = management_pb2.ManagementBatch
Receipt = management_pb2.Receipt
Context = grpc.aio.ServicerContext[Any, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HostConfig:
    """What a host is told when it starts."""

    roles: tuple[Role, ...]
    run_folder: str
    window_s: float
    bind_address: str = "127.0.0.1:0"


@dataclass
class _Resident:
    """A core at home on this host."""

    core: Core
    journal: Journal
    mailbox: Mailbox = field(default_factory=Mailbox)
    wake_window: int | None = 0
    last_window: int = 0


class Host:
    """See the module."""

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        folder = Path(config.run_folder)
        self._residents = {
            role.entity: _Resident(role.build(), Journal(folder, role.entity))
            for role in sorted(config.roles, key=lambda role: role.entity)
        }
        self._routes: dict[str, str] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._server: grpc.aio.Server | None = None
        self._reporter: asyncio.Task[None] | None = None
        self._window = 0
        self._address = ""

    async def start(self) -> tuple[str, tuple[str, ...]]:
        """Serve; return the address and the entities that live there."""
        self._server = grpc.aio.server(options=GRPC_OPTIONS)
        management_pb2_grpc.add_AgentServicer_to_server(_AgentDoor(self), self._server)
        management_pb2_grpc.add_StationServicer_to_server(_StationDoor(self), self._server)
        keys_pb2_grpc.add_KeyManagerServicer_to_server(_KeyDoor(self), self._server)
        runtime_pb2_grpc.add_HostServicer_to_server(_ClockDoor(self), self._server)
        port = self._server.add_insecure_port(self._config.bind_address)
        await self._server.start()
        self._address = f"{self._config.bind_address.rsplit(':', 1)[0]}:{port}"
        return self._address, tuple(self._residents)

    async def stop(self) -> None:
        """Write down what is left, report once more, and stop serving."""
        if self._reporter is not None:
            self._reporter.cancel()
            with suppress(asyncio.CancelledError):
                await self._reporter
            await self._report()
        for resident in self._residents.values():
            resident.journal.commit(resident.last_window, resident.core.close())
            resident.journal.close()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))
        if self._server is not None:
            await self._server.stop(grace=0)

    def take(self, window: int, messages: list[Message]) -> Receipt:
        """Keep messages that were sent in `window` for the next.

        Raises `KeyError` for a destination that does not live here.
        """
        for message in messages:
            self._residents[message.destination].mailbox.put(window + 1, message)
        return Receipt(accepted=len(messages))

    async def run_window(self, tick: runtime_pb2.Tick) -> runtime_pb2.Done:
        """Run one window to its end."""
        self._window = tick.window
        if tick.routes:
            self._routes = {route.entity: route.address for route in tick.routes}
            self._reporter = asyncio.create_task(self._report_regularly())
        outbox = self._step_cores(tick.window)
        written_to = await self._send(tick.window, outbox)
        return self._done(tick.window, written_to)

    def _step_cores(self, window: int) -> list[Message]:
        outbox: list[Message] = []
        for resident in self._residents.values():
            inbox = resident.mailbox.read(window)
            if inbox or (resident.wake_window is not None and resident.wake_window <= window):
                outbox += self._step(resident, window, inbox)
        return outbox

    def _step(self, resident: _Resident, window: int, inbox: list[Message]) -> list[Message]:
        resident.last_window = window
        step = resident.core.step(window * self._config.window_s, inbox)
        resident.wake_window = self._window_of(step.wake_s, window)
        resident.journal.commit(window, step.facts)
        return step.outbox

    def _window_of(self, wake_s: float | None, now: int) -> int | None:
        if wake_s is None:
            return None
        return max(now + 1, math.ceil(wake_s / self._config.window_s - 1e-9))

    async def _send(self, window: int, outbox: list[Message]) -> list[str]:
        batches: dict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in outbox:
            body = message.body
            method = _METHOD[body.verb] if isinstance(body, Pdu) else _KEY_TRAFFIC
            batches[self._routes[message.destination], method].append(message)
        calls = [self._call(*place, window, batch) for place, batch in sorted(batches.items())]
        await asyncio.gather(*calls)
        return sorted({address for address, _ in batches})

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

    def _done(self, window: int, written_to: list[str]) -> runtime_pb2.Done:
        wakes = [r.wake_window for r in self._residents.values() if r.wake_window is not None]
        totals = sum((r.core.totals() for r in self._residents.values()), Totals())
        return runtime_pb2.Done(
            window=window,
            wake_window=min(wakes, default=None),
            written_to=written_to,
            demanded_units=totals.demanded_units,
            late_units=totals.late_units,
            shortfall_units=totals.shortfall_units,
            cost=totals.cost,
        )

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
        report = runtime_pb2.Telemetry(
            address=self._address, emulated_s=self._window * self._config.window_s
        )
        for entity, resident in self._residents.items():
            report.samples.add(metric="up", labels=[_label("entity", entity)], value=1)
            for measure in resident.core.measures():
                labels = [_label(name, value) for name, value in measure.labels]
                report.samples.add(metric=measure.metric, labels=labels, value=measure.value)
        return report


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
    return host.take(batch.window, messages)


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
        return self._host.take(request.window, wire.key_messages(request))


class _ClockDoor(runtime_pb2_grpc.HostServicer):
    """Obeys the barrier clock."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def Run(  # noqa: N802
        self, request_iterator: AsyncIterator[runtime_pb2.Tick], _: object
    ) -> AsyncIterator[runtime_pb2.Done]:
        """Run window after window; a failure is told to the clock, not swallowed."""
        async for tick in request_iterator:
            try:
                yield await self._host.run_window(tick)
            except Exception as error:  # noqa: BLE001 - whatever it is, the clock must hear of it
                _log.exception("window %d failed", tick.window)
                yield runtime_pb2.Done(
                    window=tick.window, failure=f"{type(error).__name__}: {error}"
                )
