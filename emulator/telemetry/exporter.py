"""The exporter: one process that shows the whole run to Prometheus, on one fixed port.

Actors report their measures about once a second; a scrape shows the last that each has said.  Most of the
text is made when a report comes, so that a scrape is short: prometheus_client writes the name and labels of
a series once, then only values change.  An actor that has not reported for a while is shown as down, and so
is an entity that is out by schedule although its process reports.  Counters never fall while the exporter
lives: what an actor had counted before its restart is carried over.  A sum over hosts is shown only when
every host has reported its part, so that it does not seem to begin again when the exporter does.

The exporter runs no core, so that answering a scrape delays nobody.  It alone loads a web server
(`emulator.telemetry.scrapes`).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import grpc
from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from emulator.net.identity import Identity, uri
from emulator.net.transport import ANYWHERE_HERE, Context, Endpoint, bind, callers, new_server
from emulator.store.registry import Registry
from emulator.telemetry.metrics import FAMILIES, FAMILY_OF, STANDARD, Kind, UndeclaredMetricError
from emulator.telemetry.reporting import EXPORTER, ProcessMeter
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX, Measure
from protos.gen.qsagin.v1 import management_pb2, runtime_pb2, runtime_pb2_grpc

METRICS = "metrics"
STALE_AFTER_S = 5.0

Encoder: TypeAlias = Callable[[Collector], bytes]
_Series: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class RunInfo:
    """Which run this is."""

    experiment: str = ""
    seed: int = 0
    version: str = ""
    policy: str = ""


@dataclass(frozen=True)
class ExporterConfig:
    """Where the run is, which entities live on each host, and where to listen.

    Metrics port 0 is any port, the same in every life.
    """

    run_folder: str
    metrics_port: int
    identity: Identity
    hosts: Mapping[str, tuple[str, ...]]
    run: RunInfo = field(default_factory=RunInfo)
    endpoint: Endpoint = ANYWHERE_HERE


class Exporter:
    """The actor; the registry tells where it takes reports, and the URL of its metrics."""

    def __init__(self, config: ExporterConfig) -> None:
        self._config = config
        self._registry = Registry(Path(config.run_folder))
        self._former_address = self._registry.claim(EXPORTER).address
        self._process = ProcessMeter(EXPORTER)
        self._reports = Reports(config.hosts, own=self._own)
        self._server: grpc.aio.Server | None = None
        self._end_scrapes: Callable[[], None] | None = None

    async def start(self) -> None:
        """Serve reports and scrapes.  Raises `OSError` if the port is taken."""
        self._registry.publish(METRICS, self._show())
        self._server = new_server()
        runtime_pb2_grpc.add_ExporterServicer_to_server(_ReportService(self._reports), self._server)
        config = self._config
        address = bind(self._server, config.identity, config.endpoint, self._former_address)
        await self._server.start()
        self._registry.publish(EXPORTER, address)

    async def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            await self._server.stop(grace=0)
        if self._end_scrapes is not None:
            await asyncio.to_thread(self._end_scrapes)

    def _own(self) -> Iterator[Measure]:
        """Yield what the exporter knows without being told."""
        run = self._config.run
        labels = tuple((name, str(value)) for name, value in asdict(run).items())
        yield Measure("run_info", labels, 1.0)
        restarts = dict.fromkeys((EXPORTER, *self._config.hosts), 0)
        for name, where in self._registry.everybody().items():
            if name != METRICS:
                restarts[name] = where.incarnation - 1
        for name, count in restarts.items():
            yield Measure("actor_restarts_total", (("actor", name),), float(count))
        yield from self._process.measures()

    def _show(self) -> str:
        """Serve scrapes; return the URL."""
        from emulator.telemetry.scrapes import PATH, ScrapeServer  # every actor loads this module

        def listen(host: str, port: int) -> int:
            server = ScrapeServer(self._reports, host, port)
            self._end_scrapes = server.stop
            return server.port

        endpoint, port = self._config.endpoint, self._config.metrics_port
        if port:
            return f"http://{endpoint.host}:{listen(endpoint.host, port)}{PATH}"
        former = self._registry.find(METRICS)
        former_address = urlsplit(former.address).netloc if former else ""
        return f"http://{endpoint.bind(METRICS, former_address, listen)}{PATH}"


class _ReportService(runtime_pb2_grpc.ExporterServicer):
    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def Report(  # noqa: N802
        self, request: runtime_pb2.Telemetry, context: Context
    ) -> management_pb2.Receipt:
        """Keep an actor's report about itself."""
        if uri(request.host) not in callers(context):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not its own name")
        try:
            self._reports.keep(request)
        except UndeclaredMetricError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return management_pb2.Receipt(accepted=len(request.samples))


class Reports(Collector):
    """What all actors have reported last, as a collector of prometheus_client and as ready-made text.

    `hosts` are the entities that live on each host; others may report, too, and are not waited for.
    `now_s` tells Unix time; `own` yields what the exporter itself adds.  One thread may keep reports while
    another reads.
    """

    def __init__(
        self,
        hosts: Mapping[str, tuple[str, ...]],
        now_s: Callable[[], float] = time.time,
        own: Callable[[], Iterable[Measure]] = tuple,
    ) -> None:
        self._hosts, self._now_s, self._own = hosts, now_s, own
        self._actors: dict[str, _Actor] = {}
        self._lines = _Lines()

    def keep(self, report: runtime_pb2.Telemetry) -> None:
        """Replace what an actor said before.  Raises `UndeclaredMetricError`."""
        actor = self._actors.setdefault(report.host, _Actor())
        actor.hear(report, self._now_s(), self._lines)

    def text(self, encoder: Encoder = generate_latest) -> str:
        """Return all metrics as `encoder` would write them: what it adds to lines, it writes itself."""
        actors = dict(self._actors)
        lines: dict[str, list[str]] = defaultdict(list)
        for actor in actors.values():
            for name, text in actor.texts.items():
                lines[name].append(text)
        for series, value in self._common(actors):
            lines[FAMILY_OF[series[0]].name].append(self._lines.line(series, value))
        end = encoder(_Metrics()).decode()
        sections: list[str] = []
        for family in (*FAMILIES, *STANDARD):
            if family.name in lines:
                header = encoder(_Metrics((family.metric(),))).decode()
                sections += (header.removesuffix(end), *lines[family.name])
        return "".join((*sections, end))

    def describe(self) -> Iterator[Metric]:
        """Yield what there may be."""
        return (family.metric() for family in (*FAMILIES, *STANDARD))

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with their samples."""
        actors = dict(self._actors)
        told = [item for actor in actors.values() for item in actor.shown.items()]
        samples: dict[str, list[tuple[_Series, float]]] = defaultdict(list)
        for series, value in chain(told, self._common(actors)):
            samples[FAMILY_OF[series[0]].name].append((series, value))
        for family in (*FAMILIES, *STANDARD):
            if family.name in samples:
                metric = family.metric()
                for (name, labels), value in samples[family.name]:
                    metric.add_sample(family.prefix + name, dict(labels), value)
                yield metric

    def _common(self, actors: Mapping[str, _Actor]) -> Iterator[tuple[_Series, float]]:
        """Yield what is of no single actor, or of the exporter."""
        if all(name in actors and actors[name].values for name in self._hosts):
            yield from _sums(actors.values()).items()
        for measure in (*self._own(), *self._about(actors)):
            yield (measure.metric, measure.labels), measure.value

    def _about(self, actors: Mapping[str, _Actor]) -> Iterator[Measure]:
        """Yield how far the run is, who is up, and since when."""
        emulated_s = max((actor.emulated_s for actor in actors.values()), default=0.0)
        yield Measure("emulated_time_seconds", (), emulated_s)
        for name, actor in actors.items():
            yield Measure("last_report_timestamp_seconds", (("host", name),), actor.heard_s)
        fresh_s = self._now_s() - STALE_AFTER_S
        for host, entities in self._hosts.items():
            here = actors.get(host, _Actor())
            for entity in entities:
                is_out = here.is_out(entity, emulated_s)
                up = float(here.heard_s > fresh_s and not is_out)
                if entity in (*CONTROLLERS, GLOBAL_MANAGER):
                    yield Measure("controller_up", (("controller", entity),), up)
                else:
                    node = entity.removeprefix(KEY_MANAGER_PREFIX)
                    yield Measure("node_up", (("node", node),), up)


@dataclass
class _Actor:
    """One actor's last report, ready to be shown.

    `values` are as reported, `carried` what its former lives had counted.  Both together are in `addends`,
    if they are parts of a sum over hosts, else in `shown` and, as lines by family, in `texts`.
    """

    heard_s: float = 0.0
    emulated_s: float = 0.0
    values: dict[_Series, float] = field(default_factory=dict)
    carried: dict[_Series, float] = field(default_factory=dict)
    shown: dict[_Series, float] = field(default_factory=dict)
    addends: dict[_Series, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    absences: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def hear(self, report: runtime_pb2.Telemetry, now_s: float, lines: _Lines) -> None:
        """Replace what was said before, unless nothing is said but that the actor is there."""
        if report.samples:
            self._replace(report, lines)
        self.heard_s, self.emulated_s = now_s, report.emulated_s
        absences: dict[str, list[tuple[float, float]]] = {}
        for item in report.absences:
            absences.setdefault(item.entity, []).append((item.start_s, item.end_s))
        self.absences = absences

    def is_out(self, entity: str, emulated_s: float) -> bool:
        """Return whether an entity that lives here is out by schedule."""
        times = self.absences.get(entity, ())
        return any(start_s <= emulated_s < end_s for start_s, end_s in times)

    def _replace(self, report: runtime_pb2.Telemetry, lines: _Lines) -> None:
        values: dict[_Series, float] = {}
        for sample in report.samples:
            labels = tuple((label.name, label.value) for label in sample.labels)
            if sample.metric not in FAMILY_OF:
                raise UndeclaredMetricError(sample.metric, tuple(name for name, _ in labels))
            values[sample.metric, labels] = sample.value
        for series, before in self.values.items():
            if values.get(series, 0.0) < before and FAMILY_OF[series[0]].kind is not Kind.GAUGE:
                self.carried[series] = self.carried.get(series, 0.0) + before
        self.values = values
        self._prepare(lines)

    def _prepare(self, lines: _Lines) -> None:
        shown: dict[_Series, float] = {}
        addends: dict[_Series, float] = {}
        texts: dict[str, list[str]] = defaultdict(list)
        for series in {**self.values, **self.carried}:
            value = self.values.get(series, 0.0) + self.carried.get(series, 0.0)
            family = FAMILY_OF[series[0]]
            if family.is_sum:
                addends[series] = value
            else:
                shown[series] = value
                texts[family.name].append(lines.line(series, value))
        self.shown, self.addends = shown, addends
        self.texts = {name: "".join(some) for name, some in texts.items()}


class _Lines:
    """Lines of samples; what is before the value is written once, by prometheus_client."""

    def __init__(self) -> None:
        self._starts: dict[_Series, str] = {}

    def line(self, series: _Series, value: float) -> str:
        """Return the line of a sample, which is the same in all text formats."""
        start = self._starts.get(series)
        if start is None:
            start = self._starts[series] = _start(*series)
        return f"{start}{floatToGoString(value)}\n"  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class _Metrics(Collector):
    """Just these metrics."""

    metrics: tuple[Metric, ...] = ()

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self.metrics


def _sums(actors: Iterable[_Actor]) -> dict[_Series, float]:
    sums: dict[_Series, float] = {}
    for actor in actors:
        for series, value in actor.addends.items():
            sums[series] = sums.get(series, 0.0) + value
    return sums


def _start(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    """Return the line of a sample up to its value."""
    metric = Metric(FAMILY_OF[name].prefix + name, "", Kind.GAUGE)
    metric.add_sample(metric.name, dict(labels), 0.0)
    _, _, line = generate_latest(_Metrics((metric,))).decode().split("\n", 2)
    return line.removesuffix("0.0\n")
