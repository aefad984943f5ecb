"""What a scraper gets over HTTP: formats, compression, selections."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from live_network import LiveNetwork, within
from prometheus_client.parser import text_string_to_metric_families

from emulator.net.identity import Authority
from emulator.net.transport import Channels
from emulator.store.registry import Registry
from emulator.telemetry import scrapes
from emulator.telemetry.exporter import METRICS, Exporter, ExporterConfig
from emulator.telemetry.metrics import FAMILIES, STANDARD, Kind, UndeclaredMetricError
from emulator.telemetry.reporting import EXPORTER, Reporter, telemetry
from protos.core import Measure
from protos.gen.qsagin.v1 import runtime_pb2

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
RESIDENTS = {"host-0": ("kme-A", "kme-B")}


class Answer:
    """What has come back, decompressed."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers = answer.status, answer.headers
        self.raw = answer.read()
        packed = self.headers["Content-Encoding"] == "gzip"
        self.text = (gzip.decompress(self.raw) if packed else self.raw).decode()


Ask = Callable[..., Answer]


def _exporter(folder: Path, port: int = 0) -> Exporter:
    identity = Authority().issue(EXPORTER, ())
    return Exporter(ExporterConfig(str(folder), port, identity, RESIDENTS))


def _netloc(folder: Path) -> str:
    found = Registry(folder).find(METRICS)
    assert found is not None
    return urlsplit(found.address).netloc


def _scrape(folder: Path, accept: str) -> str:
    connection = http.client.HTTPConnection(_netloc(folder), timeout=10)
    connection.request("GET", "/metrics", headers={"Accept": accept})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer.text


def _with_exporter(folder: Path, look: Callable[[Ask], None]) -> None:
    """Have `look` ask a live exporter, which knows a little, from another thread."""

    async def work() -> None:
        exporter = _exporter(folder)
        await exporter.start()
        labels = (("link", "A-B"),)
        told = [Measure("link_qber_ratio", labels, 0.03), Measure("link_up", labels, 1.0)]
        exporter._reports.keep(telemetry("host-0", 7.0, told))

        def ask(path: str = "/metrics", method: str = "GET", **headers: str) -> Answer:
            connection = http.client.HTTPConnection(_netloc(folder), timeout=10)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = Answer(connection.getresponse())
            connection.close()
            return answer

        try:
            await asyncio.to_thread(look, ask)
        finally:
            await exporter.stop()

    within(60, work())


def test_a_scraper_gets_the_format_it_asks_for(tmp_path: Path) -> None:
    def look(ask: Ask) -> None:
        plain = ask()
        assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert '\nqsagin_link_qber_ratio{link="A-B"} 0.03\n' in plain.text
        assert "# TYPE qsagin_actor_restarts_total counter\n" in plain.text
        assert "# EOF" not in plain.text
        strict = ask(Accept=OPENMETRICS)
        assert strict.headers["Content-Type"].startswith(
            "application/openmetrics-text; version=1.0"
        )
        assert '\nqsagin_link_qber_ratio{link="A-B"} 0.03\n' in strict.text
        assert "# TYPE qsagin_actor_restarts counter\n" in strict.text
        assert strict.text.endswith("# EOF\n")
        dotted = ask(Accept=f"{OPENMETRICS};escaping=dots")
        assert dotted.headers["Content-Type"].endswith("escaping=dots")
        assert '\nqsagin__link__qber__ratio{link="A-B"} 0.03\n' in dotted.text

    _with_exporter(tmp_path, look)


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_a_scraper_gets_it_compressed_if_it_takes_that(tmp_path: Path, accept: str) -> None:
    def look(ask: Ask) -> None:
        packed = ask(Accept=accept, Accept_Encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert int(packed.headers["Content-Length"]) == len(packed.raw) < len(packed.text) / 3
        plain = ask(Accept=accept, Accept_Encoding="identity")
        assert plain.headers["Content-Encoding"] is None
        headers = [_headers_of(answer) for answer in (packed, plain)]
        assert headers[0] == headers[1]

    _with_exporter(tmp_path, look)


def _headers_of(answer: Answer) -> list[str]:
    return [line for line in answer.text.splitlines() if line.startswith("#")]


def test_a_scraper_may_ask_for_some_metrics_by_name(tmp_path: Path) -> None:
    def look(ask: Ask) -> None:
        some = ask("/metrics?name[]=qsagin_link_up&name[]=qsagin_node_up")
        lines = {line for line in some.text.splitlines() if not line.startswith("#")}
        assert lines == {
            'qsagin_link_up{link="A-B"} 1.0',
            'qsagin_node_up{node="A"} 1.0',
            'qsagin_node_up{node="B"} 1.0',
        }
        one = ask("/metrics?name%5B%5D=process_max_fds", Accept=OPENMETRICS, Accept_Encoding="gzip")
        assert one.headers["Content-Type"].startswith("application/openmetrics-text")
        assert 'process_max_fds{actor="exporter"}' in one.text
        assert one.text.endswith("# EOF\n")
        assert len(one.text.splitlines()) == 4

    _with_exporter(tmp_path, look)


def test_a_head_request_gets_no_body_and_other_methods_and_paths_are_refused(
    tmp_path: Path,
) -> None:
    def look(ask: Ask) -> None:
        head = ask(method="HEAD")
        assert (head.status, head.raw) == (200, b"")
        assert head.headers["Content-Type"] == ask().headers["Content-Type"]
        assert ask(method="POST").status == 405
        assert ask("/").status == 404

    _with_exporter(tmp_path, look)


def test_a_scrape_shows_what_was_reported_a_moment_ago(tmp_path: Path) -> None:
    async def work() -> None:
        exporter = _exporter(tmp_path)
        await exporter.start()
        for qber in (0.03, 0.04):
            told = [Measure("link_qber_ratio", (("link", "A-B"),), qber)]
            exporter._reports.keep(telemetry("host-0", 7.0, told))
            for accept in ("text/plain", OPENMETRICS):
                line = f'qsagin_link_qber_ratio{{link="A-B"}} {qber}'
                while line not in await asyncio.to_thread(_scrape, tmp_path, accept):
                    pass
        await exporter.stop()

    within(60, work())


def test_too_many_scrapes_of_some_metrics_are_refused_and_the_others_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrapes, "MOST_WAITING", 0)

    def look(ask: Ask) -> None:
        assert ask("/metrics?name[]=qsagin_link_up").status == 503
        assert ask(Accept=f"{OPENMETRICS};escaping=dots").status == 503
        assert ask().status == 200

    _with_exporter(tmp_path, look)


def test_an_exporter_comes_back_where_it_was(tmp_path: Path) -> None:
    async def work() -> None:
        seen = []
        for _ in range(3):
            exporter = _exporter(tmp_path)
            await exporter.start()
            seen.append(_netloc(tmp_path))
            await exporter.stop()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(tuple(seen[-1].split(":")), timeout=5)  # type: ignore[arg-type]
        assert len(set(seen)) == 1
        assert not [thread for thread in threading.enumerate() if thread.name == "scrapes"]

    within(60, work())


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            exporter = _exporter(tmp_path, taken.getsockname()[1])
            with pytest.raises(OSError, match="in use"):
                await exporter.start()
            await exporter.stop()
        assert Registry(tmp_path).find(METRICS) is None

    within(60, work())


def test_a_network_that_has_not_run_shows_every_counter_and_every_process(tmp_path: Path) -> None:
    async def work() -> str:
        network = LiveNetwork(tmp_path, 2)
        await network.start()
        for host in network.hosts.values():
            host.greet(network.clock._routes())
            await host._reporter.report()
        await network.clock._reporter.report()
        text = network.exporter._reports.text()
        await network.stop()
        return text

    found = {family.name: family for family in text_string_to_metric_families(within(60, work()))}
    for family in STANDARD:
        name = family.name.removesuffix("_total")
        actors = {sample.labels["actor"] for sample in found[name].samples}
        assert actors == {"host-0", "host-1", "clock", EXPORTER}, name
    counters = {family.name for family in FAMILIES if family.kind is Kind.COUNTER}
    counters.remove("key_delivery_requests_total")  # of doors, and this network has none
    assert {f"qsagin_{name}".removesuffix("_total") for name in counters} <= found.keys()
    counted = found["qsagin_keys_delivered_bits"].samples
    assert {sample.value for sample in counted} == {0}


def test_an_actor_with_an_undeclared_metric_ends_its_reports_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def strange(_everything: bool) -> runtime_pb2.Telemetry:
        return telemetry("host-0", 0.0, [Measure("key_material", (), 1.0)])

    async def work() -> None:
        channels = Channels(Authority().issue("host-0", ()))
        reporter = Reporter(channels, lambda: "127.0.0.1:1", strange)
        reporter.begin()
        while not caplog.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with pytest.raises(UndeclaredMetricError, match="key_material"):
            await reporter.end()
        await channels.close()

    within(60, work())
    assert caplog.messages == ["there will be no more reports"]
