"""The barrier clock: which hosts run in which window, and how fast emulated time passes.

Emulated time advances in windows.  A host runs in a window if somebody wrote to it in the window
before, or if one of its cores asked to be woken then; the others are left out, and windows in which
nobody would do anything pass without a message.  That changes no outcome: a core that is not due and
has no mail does nothing.  The next window begins when all hosts of this one are done.

If a host is lost during a window, the clock waits for it.  When it is back, the others send it again what
it had taken and not read, and the window is run again; hosts that have run it already only send again.  A
clock keeps nothing: if it is lost, the next one asks every host how far it is, and resumes from there.

Between two windows the clock takes injected faults (`emulator.runtime.injection`), gives them their time,
and informs every host before any runs the next window.  It also carries out the process faults of the
schedule.  Hosts that serve somebody outside may want a window at any time: the next that may begin.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import grpc

from emulator.net.identity import Identity
from emulator.net.transport import GONE, Channels
from emulator.runtime.grpc_services import CLOCK
from emulator.runtime.pacing import DRAIN_LIMIT, Pace, Progress, take_injected
from emulator.runtime.process_faults import do
from emulator.runtime.wishes import Wishes
from emulator.store.injection_table import Injections
from emulator.store.registry import Registry
from emulator.telemetry.reporting import EXPORTER, ProcessMeter, Reporter, WindowMeter, telemetry
from emulator.world.events import ProcessAction
from protos.core import Timeline, Totals, key_manager_of, steps_until
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

_REVIVALS = 5
_KNOCK_EVERY_S = 0.05
_KNOCK_LIMIT_S = 2.0
_LOOK_EVERY_S = 0.2


class HostFailedError(Exception):
    """A host could not finish a window, or is gone for good."""

    def __init__(self, host: str, window: int, problem: str) -> None:
        super().__init__(host, window, problem)
        self.host, self.window, self.problem = host, window, problem

    def __str__(self) -> str:
        return f"host {self.host} failed in window {self.window}: {self.problem}"


class _LostError(Exception):
    """A host does not answer."""


@dataclass(frozen=True)
class ProcessFault:
    """Something to be done to the process of an actor, an entity or a node before a window is run."""

    window: int
    actor: str
    action: ProcessAction
    wall_s: float


@dataclass(frozen=True)
class ClockConfig:
    """The entities on each host, by the host's name; the folder of the run; and the length of a window.

    The clock waits `patience_s` of wall time for a lost host.  `process_faults` are those of the schedule,
    `serving` the hosts that serve somebody outside.
    """

    hosts: Mapping[str, tuple[str, ...]]
    run_folder: str
    window_s: float
    identity: Identity
    timeline: Timeline
    patience_s: float = 60.0
    process_faults: tuple[ProcessFault, ...] = ()
    serving: frozenset[str] = frozenset()


class BarrierClock:
    """See the module.  Hosts that have heard a later incarnation do not obey."""

    def __init__(self, config: ClockConfig, own_incarnation: int = 1) -> None:
        self._config, self._own_incarnation = config, own_incarnation
        self._registry = Registry(Path(config.run_folder))
        self._hosts = sorted(config.hosts)
        self._home = {
            entity: host for host, entities in config.hosts.items() for entity in entities
        }
        self._due: dict[str, int | None] = dict.fromkeys(self._hosts, 0)
        self._mail: set[str] = set()
        self._totals: dict[str, Totals] = {}
        self._incarnation: dict[str, int] = {}
        self._channels = Channels(config.identity)
        self._wishes = Wishes(config.serving, self._channel)
        self._calls: dict[str, grpc.aio.StreamStreamCall[runtime_pb2.Tick, runtime_pb2.Done]] = {}
        self._stopping = asyncio.Event()
        self._windows = WindowMeter(CLOCK)
        self._process = ProcessMeter(CLOCK)
        self._reporter = Reporter(self._channels, self._exporter_address, self._telemetry)
        self._began_s, self._pace, self._awaited = 0.0, Pace(None), 0
        self._is_waiting = False
        self._injections = Injections(Path(config.run_folder))
        self._process_faults = list(config.process_faults)
        self._awaiting: set[str] = set()
        self.window = 0

    @property
    def progress(self) -> Progress:
        """The progress of the run."""
        return Progress(self.window, sum(self._totals.values(), Totals()), self._is_waiting)

    @property
    def emulated_s(self) -> float:
        """The emulated time, which at a given pace also advances between windows."""
        begun_s = self.window * self._config.window_s
        if self._pace.factor is None:
            return begun_s
        now_s = (time.monotonic() - self._began_s) * self._pace.factor
        return max(begun_s, min(now_s, self._awaited * self._config.window_s))

    def stop(self) -> None:
        """End the run after the window that is under way."""
        self._stopping.set()
        self._wishes.stirred.set()

    async def run(self, last_window: int, pace: Pace) -> None:
        """Run up to and including `last_window`, or until stopped; then let what is under way end.

        Raises `HostFailedError`.
        """
        self._reporter.begin()
        await self._take_up()
        self._pace, self._began_s = pace, time.monotonic()
        if pace.factor is not None:
            self._began_s -= self.window * self._config.window_s / pace.factor
        self._wishes.begin(self._own_incarnation)
        while not self._stopping.is_set():
            window = self._next_window()
            if window is None or window > last_window:
                break
            is_sooner = await self._wait_until(window, pace)
            if self._stopping.is_set():
                break
            if is_sooner:
                continue
            if await self._take_orders(window):
                continue  # somebody may want to run sooner now
            await self._run_window(window, self._hosts_of(window))
        if not self._stopping.is_set():
            self.window = max(self.window, last_window)
        self._wishes.end()
        await self._drain()

    async def close(self) -> None:
        """End reports and streams."""
        self._wishes.end()
        await self._reporter.end()
        for call in self._calls.values():
            if not call.done():
                await call.done_writing()
        await self._channels.close()
        self._injections.close()

    async def _take_orders(self, window: int) -> bool:
        """Carry out process faults that are due, take injected faults; return whether any was injected."""
        window_s = self._config.window_s
        for number, fault in enumerate(self._process_faults):
            if fault.window <= window and self._injections.is_new(f"{number} {fault}"):
                home = self._home.get(fault.actor) or self._home.get(key_manager_of(fault.actor))
                do(Path(self._config.run_folder), home or fault.actor, fault.action, fault.wall_s)
        fresh = list(take_injected(self._injections, window, window_s, self._config.timeline))
        self._process_faults += [
            ProcessFault(
                steps_until(taken.fault["at_s"], window_s),
                taken.fault["actor"],
                ProcessAction(taken.fault["action"]),
                taken.fault["wall_s"],
            )
            for taken in fresh
            if not taken.event
        ]
        if any(taken.event for taken in fresh):
            await asyncio.gather(*(self._tell(host) for host in self._hosts))
        return bool(fresh)

    async def _tell(self, host: str) -> None:
        """Tell a host everything injected so far; if it is lost, as soon as it is back."""
        texts = [item.event for item in self._injections.accepted() if item.event]
        if not texts:
            return
        while True:
            try:
                stub = runtime_pb2_grpc.HostStub(self._channel(host))
                news = runtime_pb2.News(
                    events=texts, clock=self._own_incarnation, window=max(0, self.window)
                )
                state = await stub.Hear(news)
                self._due[host] = state.wake_window if state.HasField("wake_window") else None
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in GONE:
                    raise
                self._incarnation[host] = (await self._greet(host)).incarnation

    async def _take_up(self) -> None:
        """Greet every host; if they have run before, finish the last window that any has begun.

        Hosts may have been lost while there was no clock to notice, so everything is sent again.  All run
        that window: a host with nothing to do in it may still wait for an answer, and says so.
        """
        await self._greet_all()
        await asyncio.gather(*(self._tell(host) for host in self._hosts))
        while True:
            states = await self._greet_all()
            reached = [item.last_window for item in states.values() if item.HasField("last_window")]
            if not reached:
                return
            window = max(reached)
            await self._restore_mail(tuple(self._home), window)
            before = dict(self._incarnation)
            states = await self._greet_all()
            went_on = any(state.last_window > window for state in states.values())
            if self._incarnation == before and not went_on:
                break
        for host, state in states.items():
            self._due[host] = state.wake_window if state.HasField("wake_window") else None
            self._totals[host] = _totals(state.totals)
        await self._run_window(window, self._hosts)

    async def _greet_all(self) -> dict[str, runtime_pb2.State]:
        states = await asyncio.gather(*(self._greet(host) for host in self._hosts))
        self._incarnation = {
            host: state.incarnation for host, state in zip(self._hosts, states, strict=True)
        }
        return dict(zip(self._hosts, states, strict=True))

    async def _drain(self) -> None:
        """Deliver what has been sent, so that both ends of everything agree.

        What faults have kept from being answered is sent again until it is answered.
        """
        for _ in range(DRAIN_LIMIT):
            if not self._mail and not self._awaiting:
                return
            await self._run_window(self.window + 1, self._hosts_of(self.window + 1))

    def _next_window(self) -> int | None:
        if self._mail:
            return self.window + 1
        due = [due for due in self._due.values() if due is not None]
        due += [self._soonest()] if self._wishes.hosts else []
        return min(due, default=None)

    def _soonest(self) -> int:
        """Return the next window that may begin."""
        if self._pace.factor is None:
            return self.window + 1
        window_s = self._config.window_s / self._pace.factor
        return max(math.ceil((time.monotonic() - self._began_s) / window_s), self.window + 1)

    def _hosts_of(self, window: int) -> list[str]:
        due = {host for host, at in self._due.items() if at is not None and at <= window}
        return sorted(due | self._mail | self._wishes.hosts)

    async def _wait_until(self, window: int, pace: Pace) -> bool:
        """Wait for the time of a window; return whether an earlier one may be wanted meanwhile."""
        self._awaited = window
        if pace.factor is None:
            return False
        is_sooner = False
        self._is_waiting = True
        window_s = self._config.window_s / pace.factor
        while (ahead_s := self._began_s + window * window_s - time.monotonic()) > 0:
            await self._wishes.stir(min(ahead_s, _LOOK_EVERY_S))
            now = self._soonest()
            is_sooner = bool(self._wishes.hosts) and now < window
            if is_sooner or self._stopping.is_set():
                break
            if await self._take_orders(min(window, now)):
                is_sooner = True
                break
        self._is_waiting = False
        return is_sooner

    async def _run_window(self, window: int, hosts: list[str]) -> None:
        began_s = time.perf_counter()
        self.window = window
        self._mail = set()
        answers = await asyncio.gather(*(self._tick(host, window) for host in hosts))
        self._windows.observe(time.perf_counter() - began_s)
        for done in answers:
            self._mail.update(
                self._home[entity] for entity in done.written_to if entity in self._home
            )

    async def _tick(self, host: str, window: int) -> runtime_pb2.Done:
        """Have a host run a window, even if it is lost and restarted meanwhile."""
        for _ in range(_REVIVALS):
            try:
                done = await self._ask(host, window)
            except _LostError:
                await self._bring_back(host, window)
                continue
            if done.failure:
                raise HostFailedError(host, window, done.failure)
            self._due[host] = done.wake_window if done.HasField("wake_window") else None
            self._totals[host] = _totals(done.totals)
            (self._awaiting.add if done.unsettled else self._awaiting.discard)(host)
            return done
        raise HostFailedError(host, window, f"was lost {_REVIVALS} times")

    async def _ask(self, host: str, window: int) -> runtime_pb2.Done:
        try:
            if host not in self._calls:
                self._calls[host] = runtime_pb2_grpc.HostStub(self._channel(host)).Run()
            call = self._calls[host]
            self._wishes.hosts.discard(host)  # what comes from now on wants another window
            incarnation = self._incarnation[host]
            own = self._own_incarnation
            await call.write(runtime_pb2.Tick(window=window, incarnation=incarnation, clock=own))
            done = await call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise _LostError from error
        if not isinstance(done, runtime_pb2.Done):
            raise _LostError
        return done

    async def _bring_back(self, host: str, window: int) -> None:
        """Wait for a lost host, and have all others send it what it may have lost."""
        self._calls.pop(host, None)
        self._incarnation[host] = (await self._greet(host)).incarnation
        await self._tell(host)
        await self._restore_mail(self._config.hosts[host], window)

    async def _restore_mail(self, entities: tuple[str, ...], window: int) -> None:
        """Have all hosts send again what these entities are to read in a window or the next."""
        lost = runtime_pb2.Lost(entities=entities, window=max(0, window - 1), routes=self._routes())
        await asyncio.gather(*(self._resend(other, lost) for other in self._hosts))

    async def _resend(self, host: str, lost: runtime_pb2.Lost) -> None:
        """Have a host send again; if it is lost too, wait until it is back and has replayed its mail."""
        while True:
            try:
                await runtime_pb2_grpc.HostStub(self._channel(host)).Resend(lost)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in GONE:
                    raise
                await self._greet(host)

    async def _greet(self, host: str) -> runtime_pb2.State:
        """Tell a host all addresses, as soon as it answers; return its state.

        It may move to another machine at any time, so each attempt is short.
        """
        ends_s = time.monotonic() + self._config.patience_s
        while True:
            try:
                stub = runtime_pb2_grpc.HostStub(self._channel(host))
                return await stub.Greet(self._routes(), timeout=_KNOCK_LIMIT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                    raise HostFailedError(host, self.window, "obeys a later clock") from error
                if time.monotonic() > ends_s:
                    raise HostFailedError(
                        host, self.window, f"is gone ({error.code().name})"
                    ) from error
                await asyncio.sleep(_KNOCK_EVERY_S)

    def _routes(self) -> runtime_pb2.Routes:
        where = self._registry.everybody()
        routes = runtime_pb2.Routes(clock=self._own_incarnation)
        for entity, host in (*self._home.items(), (EXPORTER, EXPORTER)):
            if host in where:
                routes.routes.add(entity=entity, actor=host, address=where[host].address)
        return routes

    def _exporter_address(self) -> str:
        found = self._registry.find(EXPORTER)
        return found.address if found else ""

    def _telemetry(self, everything: bool) -> runtime_pb2.Telemetry:
        measures = chain(self._windows.measures(), self._process.measures()) if everything else ()
        return telemetry(CLOCK, self.emulated_s, measures)

    def _channel(self, host: str) -> grpc.aio.Channel:
        """Return a channel to the present address of a host."""
        found = self._registry.find(host)
        return self._channels.to(host, found.address if found else "")


def _totals(totals: runtime_pb2.Totals) -> Totals:
    return Totals(totals.demanded_units, totals.late_units, totals.shortfall_units, totals.cost)


class Clock:
    """The actor: a barrier clock that reports its progress, and can be stopped."""

    def __init__(self, config: ClockConfig) -> None:
        life = Registry(Path(config.run_folder)).claim(CLOCK)
        self._clock = BarrierClock(config, life.incarnation)

    async def start(self) -> None:
        """Do nothing: the clock serves no calls."""

    async def run(self, last_window: int, pace: Pace) -> tuple[int, str]:
        """Run to the end; return the last window and what went wrong, empty if nothing did."""
        try:
            await self._clock.run(last_window, pace)
        except (HostFailedError, grpc.aio.AioRpcError) as error:
            return self._clock.window, str(error)
        return self._clock.window, ""

    async def progress(self) -> Progress:
        """Return how far the run has come."""
        return self._clock.progress

    async def halt(self) -> None:
        """End the run after the window that is under way."""
        self._clock.stop()

    async def stop(self) -> None:
        """End the streams."""
        await self._clock.close()
