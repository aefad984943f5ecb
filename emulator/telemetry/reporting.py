"""Reports to the exporter: about once a second an actor says that it is there; nobody waits for an answer.

How it is it says as often as that takes at most a hundredth of its time, for one with hundreds of key
managers has much to say; and not while it is busy.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import grpc

from emulator.runtime.transport import Channels
from protos.core import Measure
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

EXPORTER = "exporter"
_REPORT_EVERY_S = 1.0
_SHARE = 0.01

_log = logging.getLogger(__name__)


class Reporter:
    """Reports what `telemetry` returns to the exporter's `address`, if it has one by now.

    `telemetry` is called with whether everything is to be said, or only that the actor is there.
    """

    def __init__(
        self,
        channels: Channels,
        address: Callable[[], str],
        telemetry: Callable[[bool], runtime_pb2.Telemetry],
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._channels, self._address, self._telemetry = channels, address, telemetry
        self._is_busy = is_busy
        self._task: asyncio.Task[None] | None = None
        self._next_s = 0.0

    def begin(self) -> None:
        """Report regularly from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._report_regularly())

    async def end(self) -> None:
        """Report once more and never again; an actor that has not begun says nothing."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            await self.report()

    def abandon(self) -> None:
        """Fall silent at once."""
        if self._task is not None:
            self._task.cancel()

    async def report(self) -> None:
        """Report everything now."""
        await self._report(everything=True)

    async def _report(self, *, everything: bool) -> None:
        address = self._address()
        if not address:
            return
        began_s = time.perf_counter()
        report = self._telemetry(everything)
        ended_s = time.perf_counter()
        if everything:
            self._next_s = ended_s + (ended_s - began_s) / _SHARE
        stub = runtime_pb2_grpc.ExporterStub(self._channels.to(EXPORTER, address))
        try:
            await stub.Report(report, timeout=_REPORT_EVERY_S)
        except grpc.aio.AioRpcError as error:
            _log.warning("the exporter does not answer: %s", error.code().name)
            self._next_s = 0.0

    async def _report_regularly(self) -> None:
        while True:
            is_time = time.perf_counter() >= self._next_s
            await self._report(everything=is_time and not self._is_busy())
            await asyncio.sleep(_REPORT_EVERY_S)


def telemetry(
    host: str,
    emulated_s: float,
    measures: Iterable[Measure],
    absences: Iterable[tuple[str, float, float]] = (),
) -> runtime_pb2.Telemetry:
    """Return a report; one without measures says that the actor is there, and that all is as it was.

    `absences` says which entities the schedule has do nothing, since when and until when.
    """
    report = runtime_pb2.Telemetry(host=host, emulated_s=emulated_s)
    for measure in measures:
        labels = [runtime_pb2.Label(name=name, value=value) for name, value in measure.labels]
        report.samples.add(metric=measure.metric, labels=labels, value=measure.value)
    for entity, start_s, end_s in absences:
        report.absences.add(entity=entity, start_s=start_s, end_s=end_s)
    return report
