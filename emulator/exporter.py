"""The exporter: one process that shows the whole run to Prometheus, on one fixed port.

Hosts report their measures about once a second; a scrape shows the last that each has said.  Names
and units follow Prometheus conventions.  A host that has not reported for a while is shown as down.
It runs no core, so that rendering a scrape delays nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from emulator.host import EXPORTER
from emulator.identity import Identity, uri
from emulator.registry import Registry
from emulator.transport import Context, bind, callers, new_server
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX
from protos.gen.qsagin.v1 import management_pb2, runtime_pb2, runtime_pb2_grpc

PREFIX = "qsagin_"
METRICS = "metrics"
STALE_AFTER_S = 5.0

HELP = {
    "key_shortfall_bits_total": "Key that applications asked for and did not get at once.",
    "provisioning_cost_total": "Money spent, in the experiment's monetary units.",
    "keys_delivered_bits_total": "Key delivered to applications, counted at each end.",
    "key_store_available_bits": "Key that can be delivered now.",
    "link_secret_key_rate_bits_per_second": "Secret key rate of one wavelength or service.",
    "link_qber_ratio": "Quantum bit error ratio, as a fraction.",
    "link_up": "Whether a fiber makes key.",
    "link_alarm": "Whether a fiber is down for this cause: loss of signal, or noise.",
    "lit_wavelengths": "Wavelengths reserved on a fiber.",
    "management_keys_used_total": "Keys that have sealed management messages, by pair and rotation.",
    "management_keys_overdue": "Pairs that had no new management key when it was due.",
    "refused_messages_total": "Messages that a host did not take, by reason.",
    "uavs": "UAVs by state.",
    "orders_total": "On-demand orders by outcome; those that failed had been accepted.",
    "provisioning_refunds_total": "What orders that failed gave back of the cost.",
    "satellite_forecast_total": "Satellite contacts by first forecast and by what the sky was.",
    "planned_cost_per_period": "Expected cost of a provisioning period under the plan.",
    "plan_gap_ratio": "Relative gap between the plan's cost and a proven lower bound.",
}


@dataclass(frozen=True)
class ExporterConfig:
    """Where the run is, and where to listen; port 0: any, the same in every life."""

    run_folder: str
    metrics_port: int
    identity: Identity
    bind_host: str = "127.0.0.1"


class _Reports(Collector):
    """The last report of every host, as metric families."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, runtime_pb2.Telemetry]] = {}

    def keep(self, report: runtime_pb2.Telemetry) -> None:
        """Replace what the host said before."""
        self._reports[report.host] = (time.monotonic(), report)

    def collect(self) -> Iterator[Metric]:
        """Yield all families, samples with the same labels added up."""
        reports = list(self._reports.values())
        emulated_s = max((report.emulated_s for _, report in reports), default=0.0)
        yield GaugeMetricFamily(
            PREFIX + "emulated_time_seconds", "Emulated time since the start.", emulated_s
        )
        yield from _up(reports)
        sums: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for _, report in reports:
            for sample in report.samples:
                labels = tuple((label.name, label.value) for label in sample.labels)
                family = sums.setdefault(sample.metric, {})
                family[labels] = family.get(labels, 0.0) + sample.value
        for name, words in HELP.items():
            yield from _family(name, words, sums.get(name, {}))


class Exporter:
    """The actor; the registry tells where it takes reports, and the URL of its metrics."""

    def __init__(self, config: ExporterConfig) -> None:
        self._config = config
        self._registry = Registry(Path(config.run_folder))
        self._former_address = self._registry.claim(EXPORTER).address
        self._reports = _Reports()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Serve reports and scrapes.  Raises `OSError` if the port is taken."""
        registry = CollectorRegistry()
        registry.register(self._reports)
        http, _ = start_http_server(self._port(), self._config.bind_host, registry)
        self._registry.publish(
            METRICS, f"http://{self._config.bind_host}:{http.server_port}/metrics"
        )
        self._server = new_server()
        runtime_pb2_grpc.add_ExporterServicer_to_server(_ReportDoor(self._reports), self._server)
        address = bind(
            self._server, self._config.identity, self._config.bind_host, self._former_address
        )
        await self._server.start()
        self._registry.publish(EXPORTER, address)

    async def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            await self._server.stop(grace=0)

    def _port(self) -> int:
        former = self._registry.find(METRICS)
        if self._config.metrics_port or former is None:
            return self._config.metrics_port
        return urlsplit(former.address).port or 0


class _ReportDoor(runtime_pb2_grpc.ExporterServicer):
    def __init__(self, reports: _Reports) -> None:
        self._reports = reports

    async def Report(  # noqa: N802
        self, request: runtime_pb2.Telemetry, context: Context
    ) -> management_pb2.Receipt:
        """Keep a host's report about itself."""
        if uri(request.host) not in callers(context):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not its own name")
        self._reports.keep(request)
        return management_pb2.Receipt(accepted=len(request.samples))


def _up(reports: list[tuple[float, runtime_pb2.Telemetry]]) -> Iterator[Metric]:
    nodes = GaugeMetricFamily(PREFIX + "node_up", "Whether a QKD node reports.", labels=["node"])
    controllers = GaugeMetricFamily(
        PREFIX + "controller_up",
        "Whether a controller or the manager reports.",
        labels=["controller"],
    )
    for heard_s, report in reports:
        up = float(time.monotonic() - heard_s < STALE_AFTER_S)
        for sample in report.samples:
            if sample.metric != "up":
                continue
            entity = sample.labels[0].value
            if entity in (*CONTROLLERS, GLOBAL_MANAGER):
                controllers.add_metric([entity], up)
            else:
                nodes.add_metric([entity.removeprefix(KEY_MANAGER_PREFIX)], up)
    yield nodes
    yield controllers


def _family(
    name: str, words: str, samples: dict[tuple[tuple[str, str], ...], float]
) -> Iterator[Metric]:
    if not samples:
        return
    labels = [label for label, _ in next(iter(samples))]
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(PREFIX + name, words, labels=labels)
    for values, number in samples.items():
        family.add_metric([value for _, value in values], number)
    yield family
