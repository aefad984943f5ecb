"""Whoever waits in this process for the answers that cores give to SAEs.

An answer is handed over when its window is committed and all that it sends has been taken.  A call whose
caller is gone is withdrawn, or its answer is unsure.  Who only wants to look at a node is no caller: a
window is wanted for its sake, so that it sees the present, but no input comes of it.  Nothing here knows
how callers came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from emulator.runtime.hosted_cores import HostedCores
from protos.access import Answer, Call, Outcome
from protos.core import Stock
from protos.node_status import NodeStatus

_LOOK_WAITS_S = 1.0
_LOOKS_EVERY_S = 0.1


class SaeCallers:
    """The callers of one host; `at_home` is held by whoever changes its cores."""

    def __init__(self, cores: HostedCores, at_home: asyncio.Lock) -> None:
        self._cores, self._at_home = cores, at_home
        self._waiting: dict[int, asyncio.Future[Answer]] = {}  # by ticket
        self._wanted = asyncio.Event()  # a window
        self._is_over = False
        self._ran = asyncio.Event()  # a window, since the last
        self._ran_s = -_LOOKS_EVERY_S
        self._seen: dict[str, NodeStatus] = {}

    async def ask(self, entity: str, call: Call) -> Answer:
        """Have a call answered in the next window.  Raises `KeyError` for who cannot be called."""
        if self._is_over:
            return Answer(0, Outcome.AWAY)
        ticket = self._cores.calls.add(entity, call)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = answer
        self._wanted.set()
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled():  # it came too late
                self.may_be_lost(entity, answer.result())
            raise
        finally:
            del self._waiting[ticket]
            self._cores.calls.withdraw(ticket)

    def has_left(self, entity: str, answer: Answer) -> None:
        """Take note that an answer was sent."""
        self._cores.calls.sent(entity, answer.number)
        self._wanted.set()

    def may_be_lost(self, entity: str, answer: Answer) -> None:
        """Take note that an answer could perhaps not be sent."""
        self._cores.calls.unsure(entity, answer.number)
        self._wanted.set()

    async def stock(self, entity: str, target: str) -> Stock | None:
        """Return what an entity could give now for SAEs of a node; see `protos.core.Answering`."""
        async with self._at_home:
            return self._cores.calls.core_of(entity).stock(target)

    async def status(self, entity: str) -> NodeStatus:
        """Return how a node is after the next window, or as it was after the last if that takes long.

        Whoever looks soon after another sees the same.  Raises `KeyError` for who cannot be called.
        """
        self._cores.calls.core_of(entity)
        if time.monotonic() - self._ran_s > _LOOKS_EVERY_S and not self._is_over:
            self._wanted.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ran.wait(), _LOOK_WAITS_S)
        if entity not in self._seen:
            async with self._at_home:
                self._seen[entity] = self._cores.status(entity)
        return self._seen[entity]

    async def wishes(self) -> AsyncIterator[None]:
        """Yield whenever a window is wanted."""
        if self._cores.calls.are_waiting:
            self._wanted.set()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            yield

    def hand_over(self) -> None:
        """Give callers the answers of the windows that are over."""
        self._seen = {}
        self._ran_s = time.monotonic()
        self._ran.set()
        self._ran = asyncio.Event()
        for item in self._cores.calls.answers():
            caller = self._waiting.get(item.ticket)
            if caller is not None and not caller.done():
                caller.set_result(item.answer)
            elif item.answer.outcome is Outcome.GIVEN:
                self.may_be_lost(item.entity, item.answer)

    def dismiss(self) -> None:
        """Answer everybody that the run is over, also whoever comes later."""
        self._is_over = True
        for caller in self._waiting.values():
            if not caller.done():
                caller.set_result(Answer(0, Outcome.AWAY))
