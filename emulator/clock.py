"""The barrier clock: which hosts run in which window, and how fast emulated time passes.

Emulated time advances in windows.  A host runs in a window if somebody wrote to it in the window
before, or if one of its cores asked to be woken then; the others are left in peace, and windows in
which nobody would do anything pass without a message.  That changes no outcome: a core that is not
due and has no mail does nothing.  The next window begins when all hosts of this one are done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc

from emulator.host import GRPC_OPTIONS
from protos.core import Totals
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

_DRAIN_LIMIT = 1_000


class HostFailedError(Exception):
    """A host could not finish a window, or is gone."""

    def __init__(self, address: str, window: int, problem: str) -> None:
        super().__init__(address, window, problem)
        self.address, self.window, self.problem = address, window, problem

    def __str__(self) -> str:
        return f"host {self.address} failed in window {self.window}: {self.problem}"


@dataclass(frozen=True)
class Pace:
    """Emulated seconds a wall second; None: as fast as it goes."""

    factor: float | None

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Read `realtime`, `max` or a positive factor.  Raises `ValueError`."""
        if text in ("realtime", "max"):
            return cls(1.0 if text == "realtime" else None)
        try:
            factor = float(text)
        except ValueError:
            factor = 0.0
        if not 0 < factor < float("inf"):
            raise ValueError(f"must be realtime, max or a positive factor, not {text}")
        return cls(factor)


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    window: int
    windows_run: int
    totals: Totals


class BarrierClock:
    """Runs hosts window by window; `addresses` maps entities to the hosts that they live on."""

    def __init__(self, addresses: Mapping[str, str], hosts: list[str], window_s: float) -> None:
        self._addresses = addresses
        self._window_s = window_s
        self._due: dict[str, int | None] = dict.fromkeys(hosts, 0)
        self._mail: set[str] = set()
        self._totals: dict[str, Totals] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._calls: dict[str, grpc.aio.StreamStreamCall[runtime_pb2.Tick, runtime_pb2.Done]] = {}
        self._stopping = asyncio.Event()
        self.window = 0
        self.windows_run = 0

    def stop(self) -> None:
        """End the run after the window that is under way."""
        self._stopping.set()

    async def run(
        self, last_window: int, pace: Pace, on_window: Callable[[Progress], None]
    ) -> None:
        """Run up to and including `last_window`, or until stopped; then let what is under way end.

        Raises `HostFailedError`.
        """
        began_s = time.monotonic()
        while not self._stopping.is_set():
            window = self._next_window()
            if window is None or window > last_window:
                break
            await self._wait_until(window, began_s, pace)
            if self._stopping.is_set():
                break
            await self._run_window(window, self._hosts_of(window))
            on_window(Progress(window, self.windows_run, sum(self._totals.values(), Totals())))
        if not self._stopping.is_set():
            self.window = last_window
        await self._drain()

    async def close(self) -> None:
        """End the streams."""
        for call in self._calls.values():
            if not call.done():
                await call.done_writing()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    async def _drain(self) -> None:
        """Deliver what has been sent, so that both ends of everything agree."""
        for _ in range(_DRAIN_LIMIT):
            if not self._mail:
                return
            await self._run_window(self.window + 1, sorted(self._mail))

    def _next_window(self) -> int | None:
        if self._mail:
            return self.window + 1
        return min((due for due in self._due.values() if due is not None), default=None)

    def _hosts_of(self, window: int) -> list[str]:
        due = {host for host, at in self._due.items() if at is not None and at <= window}
        return sorted(due | self._mail)

    async def _wait_until(self, window: int, began_s: float, pace: Pace) -> None:
        if pace.factor is None:
            return
        ahead_s = began_s + window * self._window_s / pace.factor - time.monotonic()
        if ahead_s > 0:
            try:
                await asyncio.wait_for(self._stopping.wait(), timeout=ahead_s)
            except TimeoutError:
                return

    async def _run_window(self, window: int, hosts: list[str]) -> None:
        self.window = window
        self._mail = set()
        for done in await asyncio.gather(*(self._tick(host, window) for host in hosts)):
            self._mail.update(done.written_to)
        self.windows_run += 1

    async def _tick(self, host: str, window: int) -> runtime_pb2.Done:
        tick = runtime_pb2.Tick(window=window)
        if host not in self._calls:
            self._open(host)
            for entity, address in self._addresses.items():
                tick.routes.add(entity=entity, address=address)
        call = self._calls[host]
        try:
            await call.write(tick)
            done = await call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise HostFailedError(host, window, f"is gone ({type(error).__name__})") from error
        if not isinstance(done, runtime_pb2.Done):
            raise HostFailedError(host, window, "closed its stream")
        if done.failure:
            raise HostFailedError(host, window, done.failure)
        self._due[host] = done.wake_window if done.HasField("wake_window") else None
        self._totals[host] = Totals(
            done.demanded_units, done.late_units, done.shortfall_units, done.cost
        )
        return done

    def _open(self, host: str) -> None:
        self._channels[host] = grpc.aio.insecure_channel(host, options=GRPC_OPTIONS)
        self._calls[host] = runtime_pb2_grpc.HostStub(self._channels[host]).Run()
