"""Reports to the exporter: about once a second an actor says how it is, and nobody waits for an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

import grpc

from emulator.runtime.transport import Channels
from protos.core import Measure
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

EXPORTER = "exporter"
_REPORT_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class Reporter:
    """Reports what `telemetry` returns to the exporter's `address`, if it has one by now."""

    def __init__(
        self,
        channels: Channels,
        address: Callable[[], str],
        telemetry: Callable[[], runtime_pb2.Telemetry],
    ) -> None:
        self._channels, self._address, self._telemetry = channels, address, telemetry
        self._task: asyncio.Task[None] | None = None

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
        """Report now."""
        address = self._address()
        if not address:
            return
        stub = runtime_pb2_grpc.ExporterStub(self._channels.to(EXPORTER, address))
        try:
            await stub.Report(self._telemetry(), timeout=_REPORT_EVERY_S)
        except grpc.aio.AioRpcError as error:
            _log.warning("the exporter does not answer: %s", error.code().name)

    async def _report_regularly(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(_REPORT_EVERY_S)


def telemetry(host: str, emulated_s: float, measures: Iterable[Measure]) -> runtime_pb2.Telemetry:
    """Return a report."""
    report = runtime_pb2.Telemetry(host=host, emulated_s=emulated_s)
    for measure in measures:
        labels = [runtime_pb2.Label(name=name, value=value) for name, value in measure.labels]
        report.samples.add(metric=measure.metric, labels=labels, value=measure.value)
    return report
