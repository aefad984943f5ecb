"""Windows that hosts want because somebody outside waits for them, as a clock hears of it.

A wish is heard from a host that serves, and is fulfilled when the host is told to run; what comes from then
on is another wish.  Nothing here knows when a window may begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import grpc

from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

_AGAIN_AFTER_S = 0.05


class Wishes:
    """See the module.  `stirred` is set whenever one comes."""

    def __init__(self, hosts: Iterable[str], channel_to: Callable[[str], grpc.aio.Channel]) -> None:
        self._serving, self._channel_to = sorted(hosts), channel_to
        self._listening: list[asyncio.Task[None]] = []
        self.hosts: set[str] = set()
        self.stirred = asyncio.Event()

    def begin(self, clock: int) -> None:
        """Listen to all hosts that serve, on behalf of this incarnation of the clock."""
        listening = (self._listen(host, clock) for host in self._serving)
        self._listening = [asyncio.create_task(task) for task in listening]

    def end(self) -> None:
        """Fulfil no wishes any more."""
        for task in self._listening:
            task.cancel()
        self.hosts = set()

    async def stir(self, within_s: float) -> None:
        """Wait for a wish, or whatever else sets `stirred`, but not for longer than this."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stirred.wait(), within_s)
        self.stirred.clear()

    async def _listen(self, host: str, clock: int) -> None:
        """Hear the wishes of a host, also after it was lost."""
        while True:
            with suppress(grpc.aio.AioRpcError):
                stub = runtime_pb2_grpc.HostStub(self._channel_to(host))
                async for _ in stub.Listen(runtime_pb2.Listening(clock=clock)):
                    self.hosts.add(host)
                    self.stirred.set()
            await asyncio.sleep(_AGAIN_AFTER_S)
