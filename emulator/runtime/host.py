"""A host: one process with a gRPC server that runs one or more cores in emulated time.

In window t a host steps each of its cores that has messages or is due, commits their facts, sends
their messages and, when every receiver has taken them, says that it is done.  A message sent in
window t is consumed in window t+1, in the order (source, sequence), so what a core sees does not depend
on its host.  Every message crosses gRPC, also between cores of the same host.

If `Run` answers a window, all its messages have been taken and all its facts are committed; if it
fails, some may not have been.  A host that is killed may be restarted with the same configuration: it
then is what its journal says.  It has forgotten messages that it took and did not read, and the clock has
the others send them again.  Nothing here knows what a message means.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from emulator.build.roles import Role
from emulator.net.identity import Identity
from emulator.net.transport import ANYWHERE_HERE, GONE, Channels, Endpoint, bind, new_server
from emulator.runtime.envelopes import Envelopes, ManagementKeys
from emulator.runtime.glances import Glance
from emulator.runtime.grpc_services import CLOCK, HostServices
from emulator.runtime.hosted_cores import HostedCores
from emulator.runtime.message_faults import NO_FAULTS, MessageFaults
from emulator.runtime.sae_callers import SaeCallers
from emulator.store.journal import Journal
from emulator.store.registry import Registry
from emulator.store.sealing import Seal
from emulator.telemetry.reporting import (
    EXPORTER,
    ProcessMeter,
    Reporter,
    RpcMeter,
    WeatherOver,
    WindowMeter,
    server_of,
    telemetry,
    weather_measures,
    zeros,
)
from protos import wire
from protos.core import KEY_MANAGER_PREFIX, EntityOrder, Measure, Message
from protos.facts import Fact
from protos.gen.qsagin.v1 import (
    keys_pb2_grpc,
    management_pb2,
    management_pb2_grpc,
    runtime_pb2,
)
from protos.pdu import Pdu, Verb

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

Receipt = management_pb2.Receipt


class UndeliverableError(Exception):
    """A receiver is gone for good, or refuses a message."""

    def __init__(self, receiver: str, status: str) -> None:
        super().__init__(receiver, status)
        self.receiver, self.status = receiver, status

    def __str__(self) -> str:
        return f"{self.receiver} takes no messages any more ({self.status})"


class TakenDamagedError(Exception):
    """A receiver has taken a damaged message."""

    def __init__(self, receiver: str) -> None:
        super().__init__(receiver)
        self.receiver = receiver

    def __str__(self) -> str:
        return f"{self.receiver} has taken a message that was damaged"


@dataclass(frozen=True)
class HostConfig:
    """What a host is told when it starts and at every restart.

    Nothing is sent in windows after `most_windows`.  A checkpoint is made when the cores have computed for
    `checkpoint_after_s` since the last.  A volatile host keeps its journal in memory until it is stopped,
    and does not wait for lost hosts, since none comes back.  A shared run folder is on storage that several
    machines mount.  A host with a `sky` reports the weather.  Cores that `think` long run in a thread next
    to the event loop, so that their host answers meanwhile.  SAEs may call until window
    `serves_until`; None: never.
    """

    name: str
    roles: tuple[Role, ...]
    run_folder: str
    window_s: float
    sealing_key: bytes = field(repr=False)
    identity: Identity
    management_keys: ManagementKeys
    order: EntityOrder
    endpoint: Endpoint = ANYWHERE_HERE
    most_windows: int = 2**31
    checkpoint_after_s: float = 0.2
    volatile: bool = False
    sky: WeatherOver | None = None
    shared: bool = False
    message_faults: MessageFaults = NO_FAULTS
    thinks: bool = False
    serves_until: int | None = None


class Host:
    """See the module."""

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        folder = Path(config.run_folder)
        self._registry = Registry(folder)
        life = self._registry.claim(config.name)
        self._former_address = life.address
        self.incarnation = life.incarnation
        clock = self._registry.find(CLOCK)
        self._clock = clock.incarnation if clock else 0
        entities = config.order.sorted(role.entity for role in config.roles)
        self._journal = Journal(
            folder,
            config.name,
            entities,
            life.incarnation,
            volatile=config.volatile,
            shared=config.shared,
        )
        seal = Seal(config.sealing_key)
        self._cores = HostedCores(
            config.roles,
            config.window_s,
            self._journal,
            seal,
            math.inf if config.volatile else config.checkpoint_after_s,
            order=config.order,
            message_faults=config.message_faults,
            serves_until=config.serves_until,
        )
        self._at_home = asyncio.Lock()  # held while cores think, by whoever changes them
        self._thinking: asyncio.Task[None] | None = None
        self._envelopes = Envelopes(self._cores.told(config.management_keys))
        self._last_state = self._state()
        self.callers = SaeCallers(self._cores, self._at_home)
        self.also_measured: Callable[[], Iterator[Measure]] = lambda: iter(())
        if config.serves_until is not None:
            self._cores.doubt_answers()
        self._routes: dict[str, runtime_pb2.Route] = {}
        self._exporter: runtime_pb2.Route | None = None
        self._channels = Channels(config.identity)
        self._sky = config.sky and self._cores.told(config.sky)
        self._services = HostServices(self, self._envelopes, config.most_windows)
        self._server: grpc.aio.Server | None = None
        self._calls = RpcMeter(server_of(config.name))
        self._windows = WindowMeter(server_of(config.name))
        self._process = ProcessMeter(config.name)
        self._reporter = Reporter(
            self._channels, self._exporter_address, self._telemetry, self._at_home.locked
        )
        self._return_limit_s = 0.0 if config.volatile else _RETURN_LIMIT_S

    async def start(self) -> str:
        """Serve, where the incarnation before did if that is free; return the address."""
        self._server = new_server(self._calls)
        self._services.open(self._server)
        config = self._config
        address = bind(self._server, config.identity, config.endpoint, self._former_address)
        await self._server.start()
        self._registry.publish(self._config.name, address)
        return address

    async def stop(self) -> None:
        """Write down what is left, report once more, and stop serving."""
        self.callers.dismiss()
        async with self._at_home:
            await self._reporter.end()
            if self._server is not None:
                await self._server.stop(grace=0)
            entities = (role.entity for role in self._config.roles)
            self._cores.finish(self._envelopes.keys.left(entities, self._cores.last_window))
        await self._channels.close()
        self._journal.close()

    async def glance(self, entity: str) -> Glance | None:
        """Return what an entity here shows between two windows; None if it is out."""
        async with self._at_home:
            return self._cores.glance(entity)

    def wishes(self) -> AsyncIterator[None]:
        """Yield whenever somebody outside wants a window."""
        return self.callers.wishes()

    def obeys(self, clock: int) -> bool:
        """Return whether no later incarnation of the clock has been heard."""
        self._clock = max(self._clock, clock)
        return clock == self._clock

    async def take(self, batch: wire.Batch, messages: list[Message]) -> int:
        """Keep messages for the window after the one in which they were sent.

        Returns how many of them were repeats.  Raises `KeyError` for a destination that is not on this
        host.
        """
        async with self._at_home:
            return self._cores.take(batch, messages)

    def greet(self, routes: runtime_pb2.Routes) -> runtime_pb2.State:
        """Learn all addresses; return the state of this host."""
        self._routes = {route.entity: route for route in routes.routes}
        self._exporter = self._routes.pop(EXPORTER, None)
        self._reporter.begin()
        return self._last_state if self._at_home.locked() else self._state()

    async def hear(self, news: runtime_pb2.News) -> runtime_pb2.State:
        """Learn what will happen, as far as that is new; return how far this host has come."""
        async with self._at_home:
            for event in self._cores.hear(news.events, news.window):
                self._envelopes.hear(event)
                self._sky = self._sky and self._sky.with_event(event)
        return self._state()

    def _state(self) -> runtime_pb2.State:
        here = self._cores
        return runtime_pb2.State(
            last_window=here.last_window,
            wake_window=self._wake_window,
            totals=self._totals(),
            incarnation=self.incarnation,
        )

    async def run_window(self, window: int) -> runtime_pb2.Done:
        """Run one window to its end; one that has been run is only sent again."""
        began_s = time.perf_counter()
        if self._config.thinks:  # to the end, also if whoever has asked for it is gone
            self._thinking = asyncio.create_task(self._think(window))
            await asyncio.shield(self._thinking)
        else:
            async with self._at_home:
                self._cores.run(window, *self._also(window))
        outbox = self._cores.sent_in(window)
        await self._send(window, outbox)
        await self._send_damaged(window, self._cores.damaged_in(window))
        self.callers.hand_over()
        self._windows.observe(time.perf_counter() - began_s)
        return runtime_pb2.Done(
            window=window,
            wake_window=self._wake_window,
            written_to=sorted({message.destination for message in outbox} & self._routes.keys()),
            totals=self._totals(),
            unsettled=self._cores.is_waiting,
        )

    async def _think(self, window: int) -> None:
        async with self._at_home:
            self._last_state = self._state()
            await asyncio.to_thread(self._cores.run, window, *self._also(window))

    @property
    def _wake_window(self) -> int | None:
        """The window in which an entity here wants to run next, or keys rotate."""
        here = self._cores
        wakes = (here.wake_window, self._envelopes.keys.next_window(here.last_window))
        return min((window for window in wakes if window is not None), default=None)

    def _also(self, window: int) -> tuple[dict[str, list[Fact]], int | None]:
        """Return what else is noted in a window, and when keys rotate next."""
        keys, entities = self._envelopes.keys, (role.entity for role in self._config.roles)
        return keys.noted(entities, self._cores.last_window, window), keys.next_window(window)

    def _management_stores(self) -> Iterator[Measure]:
        keys = self._envelopes.keys
        due = keys.due(self._cores.last_window or 0)
        for role in self._config.roles:
            if role.entity.startswith(KEY_MANAGER_PREFIX):
                node = ("node", role.entity.removeprefix(KEY_MANAGER_PREFIX))
                bits = keys.left_bits(role.entity, due)
                yield Measure("management_key_store_available_bits", (node,), bits)

    async def resend(self, lost: runtime_pb2.Lost) -> Receipt:
        """Send again what another host has lost."""
        self.greet(lost.routes)
        async with self._at_home:
            sent = self._cores.sent_since(lost.window, lost.entities)
        count = 0
        for window, messages in sent:
            await self._send(window, messages)
            count += len(messages)
        return Receipt(accepted=count)

    def _totals(self) -> runtime_pb2.Totals:
        totals = self._cores.totals
        return runtime_pb2.Totals(
            demanded_units=totals.demanded_units,
            late_units=totals.late_units,
            shortfall_units=totals.shortfall_units,
            cost=totals.cost,
        )

    async def _send(self, window: int, outbox: list[Message]) -> None:
        batches: dict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in outbox:
            route, body = self._routes.get(message.destination), message.body
            if route is None:
                self._services.refuse("unknown destination", message.destination)
                continue
            method = _METHOD[body.verb] if isinstance(body, Pdu) else _KEY_TRAFFIC
            batches[route.actor, method].append(message)
        calls = [
            self._persist(method, window, batch) for (_, method), batch in sorted(batches.items())
        ]
        await asyncio.gather(*calls)

    async def _send_damaged(self, window: int, messages: list[Message]) -> None:
        """Send damaged messages one by one; each must be refused.

        Raises `TakenDamagedError` if it is not.
        """
        for message in messages:
            route, body = self._routes.get(message.destination), message.body
            if route is None or not isinstance(body, Pdu):
                continue
            sealed = wire.management_batch(window, [message])
            self._envelopes.close(sealed)
            text = sealed.messages[0].sealed
            sealed.messages[0].sealed = bytes([text[0] ^ 1]) + text[1:]
            channel = self._channels.to(route.actor, route.address)
            try:
                await self._deliver(channel, _METHOD[body.verb], sealed)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAUTHENTICATED or error.code() in GONE:
                    continue
                raise
            raise TakenDamagedError(route.actor)

    async def _persist(self, method: str, window: int, batch: list[Message]) -> None:
        """Send a batch; a receiver that is gone gets time to come back, perhaps on another machine.

        A receiver that is busy, with a plan for instance, is waited for.
        """
        ends_s = time.monotonic() + self._return_limit_s
        while True:
            route = self._routes[batch[0].destination]
            try:
                await self._call(
                    self._channels.to(route.actor, route.address), method, window, batch
                )
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    ends_s = time.monotonic() + self._return_limit_s
                elif error.code() not in GONE or time.monotonic() > ends_s:
                    raise UndeliverableError(route.actor, error.code().name) from error
                await asyncio.sleep(_RETRY_AFTER_S)

    async def _call(
        self, channel: grpc.aio.Channel, method: str, window: int, batch: list[Message]
    ) -> None:
        if method == _KEY_TRAFFIC:
            keys = keys_pb2_grpc.KeyManagerStub(channel)
            await keys.Exchange(wire.key_batch(window, batch), timeout=_DEADLINE_S)
            return
        sealed = wire.management_batch(window, batch)
        self._envelopes.close(sealed)
        await self._deliver(channel, method, sealed)

    async def _deliver(
        self, channel: grpc.aio.Channel, method: str, sealed: management_pb2.ManagementBatch
    ) -> None:
        verbs = [_METHOD[verb] for verb in _AGENT_VERBS]
        service = (
            management_pb2_grpc.AgentStub if method in verbs else management_pb2_grpc.StationStub
        )
        await getattr(service(channel), method)(sealed, timeout=_DEADLINE_S)

    def _exporter_address(self) -> str:
        return self._exporter.address if self._exporter is not None else ""

    def _telemetry(self, everything: bool) -> runtime_pb2.Telemetry:
        window = self._cores.last_window or 0
        emulated_s = window * self._config.window_s
        measures = self._measures(emulated_s) if everything else ()
        return telemetry(self._config.name, emulated_s, measures, self._cores.absences)

    def _measures(self, emulated_s: float) -> Iterator[Measure]:
        """Yield what observers may see of the host, of who lives here, and of the sky."""
        actor = ("actor", self._config.name)
        yield from zeros(self._config.name, (role.entity for role in self._config.roles))
        for reason, count in self._services.refused.items():
            yield Measure("refused_messages_total", (actor, ("reason", reason)), count)
        for fault, count in self._cores.befallen.items():
            yield Measure("message_faults_total", (actor, ("fault", fault)), count)
        yield Measure("management_keys_used_total", (actor,), self._envelopes.used)
        yield Measure("management_keys_overdue", (actor,), len(self._envelopes.overdue))
        oldest_s = self._envelopes.oldest_s(self._cores.last_window or 0)
        if oldest_s is not None:
            yield Measure("management_key_oldest_timestamp_seconds", (actor,), oldest_s)
        yield from self.also_measured()
        yield from self._calls.measures()
        yield from self._windows.measures()
        yield from self._process.measures()
        yield from self._management_stores()
        for measures in self._cores.measures():
            yield from measures
        if self._sky is not None:
            yield from weather_measures(self._sky, emulated_s)
