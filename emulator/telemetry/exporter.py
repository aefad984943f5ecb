"""The exporter: one process that shows the whole run to Prometheus, on one fixed port.

Actors report their measures about once a second; a scrape shows the last that each has said
(`emulator.telemetry.exposition`).  An actor that has not reported for a while is shown as down.  The
exporter runs no core, so that answering a scrape delays nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import grpc

from emulator.runtime.identity import Identity, uri
from emulator.runtime.registry import Registry
from emulator.runtime.transport import ANYWHERE_HERE, Context, Endpoint, bind, callers, new_server
from emulator.telemetry.exposition import Reports
from emulator.telemetry.reporting import EXPORTER
from protos.core import Measure
from protos.gen.qsagin.v1 import management_pb2, runtime_pb2, runtime_pb2_grpc

METRICS = "metrics"
PATH = "/metrics"
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class RunInfo:
    """Which run this is."""

    experiment: str = ""
    seed: int = 0
    version: str = ""


@dataclass(frozen=True)
class ExporterConfig:
    """Where the run is, who lives on each host, and where to listen.

    Metrics port 0 is any port, the same in every life.
    """

    run_folder: str
    metrics_port: int
    identity: Identity
    residents: Mapping[str, tuple[str, ...]]
    run: RunInfo = field(default_factory=RunInfo)
    endpoint: Endpoint = ANYWHERE_HERE


class Exporter:
    """The actor; the registry tells where it takes reports, and the URL of its metrics."""

    def __init__(self, config: ExporterConfig) -> None:
        self._config = config
        self._registry = Registry(Path(config.run_folder))
        self._former_address = self._registry.claim(EXPORTER).address
        self._reports = Reports(config.residents)
        self._server: grpc.aio.Server | None = None
        self._http: ThreadingHTTPServer | None = None

    async def start(self) -> None:
        """Serve reports and scrapes.  Raises `OSError` if the port is taken."""
        self._registry.publish(METRICS, f"http://{self._show()}{PATH}")
        self._server = new_server()
        runtime_pb2_grpc.add_ExporterServicer_to_server(_ReportDoor(self._reports), self._server)
        config = self._config
        address = bind(self._server, config.identity, config.endpoint, self._former_address)
        await self._server.start()
        self._registry.publish(EXPORTER, address)

    async def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            await self._server.stop(grace=0)
        if self._http is not None:
            await asyncio.to_thread(self._http.shutdown)
            self._http.server_close()

    def _text(self) -> str:
        return self._reports.text(self._own())

    def _own(self) -> Iterator[Measure]:
        """Yield what the exporter knows without being told."""
        run = self._config.run
        labels = (("experiment", run.experiment), ("seed", str(run.seed)), ("version", run.version))
        yield Measure("run_info", labels, 1.0)
        for name, where in self._registry.everybody().items():
            if name != METRICS:
                restarts = float(where.incarnation - 1)
                yield Measure("actor_restarts_total", (("actor", name),), restarts)

    def _show(self) -> str:
        """Serve scrapes; return the address."""

        def listen(host: str, port: int) -> int:
            self._http = _http_server(host, port, self._text)
            return self._http.server_port

        endpoint, port = self._config.endpoint, self._config.metrics_port
        if port:
            return f"{endpoint.host}:{listen(endpoint.host, port)}"
        former = self._registry.find(METRICS)
        return endpoint.bind(METRICS, urlsplit(former.address).netloc if former else "", listen)


class _ReportDoor(runtime_pb2_grpc.ExporterServicer):
    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def Report(  # noqa: N802
        self, request: runtime_pb2.Telemetry, context: Context
    ) -> management_pb2.Receipt:
        """Keep an actor's report about itself."""
        if uri(request.host) not in callers(context):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not its own name")
        self._reports.keep(request)
        return management_pb2.Receipt(accepted=len(request.samples))


def _http_server(host: str, port: int, text: Callable[[], str]) -> ThreadingHTTPServer:
    """Return a server, at work in a thread of its own, that answers scrapes with a text."""

    class Scrape(BaseHTTPRequestHandler):
        """Answers one GET."""

        def do_GET(self) -> None:
            """Send the text, whatever the query."""
            if urlsplit(self.path).path != PATH:
                self.send_error(HTTPStatus.NOT_FOUND, f"metrics are at {PATH}")
                return
            body = text().encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", _CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_values: object) -> None:  # noqa: A002
            """Keep quiet."""

    server = ThreadingHTTPServer((host, port), Scrape)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="scrapes", daemon=True).start()
    return server
