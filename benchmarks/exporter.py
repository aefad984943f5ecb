"""The exporter under load: how long a scrape takes, and what reporting costs a run.

`python benchmarks/exporter.py` starts a real exporter process, has 24 nodes and then 1000 (on 50 hosts)
report once a second, as many samples each as a key manager of `paper` has, and scrapes meanwhile, plain
and compressed.  What a host spends on measuring itself is timed in this process.  What scraping costs a
run: `scraping.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
from bars import Row, at_most, tell

from emulator.net.identity import Authority
from emulator.net.transport import Channels
from emulator.store.registry import Registry
from emulator.telemetry.exporter import METRICS, Exporter, ExporterConfig
from emulator.telemetry.reporting import EXPORTER, ProcessMeter, RpcMeter, telemetry, zeros
from protos.core import Measure
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

_SCRAPES = 20
_PEERS = 12


def node_measures(node: str) -> Iterator[Measure]:
    """Yield what a key manager shows."""
    here = ("node", node)
    for kind in ("avatar", "digital-twin", "ai-model"):
        for what in ("demanded", "shortfall", "lapsed"):
            labels = (here, ("application", kind))
            yield Measure(f"key_{what}_bits_total", labels, 123_456.0)
    for medium in ("fiber", "satellite", "uav"):
        yield Measure("keys_delivered_bits_total", (here, ("medium", medium)), 123_456.0)
    for place in range(_PEERS):
        for what in ("available", "capacity"):
            yield Measure(f"key_store_{what}_bits", (here, ("peer", f"n{place}")), 1024.0)
    yield Measure("key_store_oldest_key_timestamp_seconds", (here,), 60.0)
    for place in range(2):
        link = ("link", f"{node}-n{place}")
        yield Measure("link_secret_key_rate_bits_per_second", (link, ("medium", "fiber")), 684.2)
        yield Measure("link_qber_ratio", (link,), 0.0329)
        yield Measure("link_up", (link,), 1.0)


def host_measures(host: str, entities: Sequence[str]) -> Iterator[Measure]:
    """Yield what a host reports of itself."""
    actor = ("actor", host)
    yield from zeros(host, entities)
    yield from _process(host).measures()
    yield Measure("refused_messages_total", (actor, ("reason", "repeated")), 0.0)
    yield Measure("management_keys_used_total", (actor,), 12.0)
    yield Measure("management_keys_overdue", (actor,), 0.0)
    yield Measure("management_key_oldest_timestamp_seconds", (actor,), 0.0)
    yield from _metered().measures()


@cache
def _process(host: str) -> ProcessMeter:
    return ProcessMeter(host)


@cache
def _metered() -> RpcMeter:
    """Return the meter of a server that has answered one call by each of four methods."""
    meter = RpcMeter("key-managers")

    async def work() -> None:
        for method in ("Set", "Response", "Exchange", "Greet"):
            await (await _intercepted(meter, method)).unary_unary(None, None)

    asyncio.run(work())
    return meter


async def _intercepted(meter: RpcMeter, method: str) -> Any:
    async def answer(_request: object, _context: object) -> None:
        return None

    async def continuation(_details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(answer)

    class Details:
        """What an interceptor is told of a call."""

    details: Any = Details()
    details.method = f"/qsagin.v1.Station/{method}"
    return await meter.intercept_service(continuation, details)


def _serve(config: ExporterConfig) -> None:
    async def work() -> None:
        await Exporter(config).start()
        await asyncio.Event().wait()

    asyncio.run(work())


def scrapes(
    hosts: int, nodes_each: int, folder: Path
) -> tuple[list[float], list[float], int, float]:
    """Return what scrapes took while so many hosts reported.

    That is: seconds of plain and of compressed ones, the number of series, and MB of a compressed one.
    """
    living = {
        f"host-{host}": tuple(f"kme-n{host}x{place}" for place in range(nodes_each))
        for host in range(hosts)
    }
    authority = Authority()
    config = ExporterConfig(str(folder), 0, authority.issue(EXPORTER, ()), living)
    Registry(folder)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(config,))
    process.start()
    reports = {
        Channels(authority.issue(host, names)): report(host, names)
        for host, names in living.items()
    }
    try:
        _until(lambda: (Registry(folder).find(EXPORTER) or _NOWHERE).address)
        found = Registry(folder).everybody()
        return asyncio.run(_load(reports, found[EXPORTER].address, found[METRICS].address))
    finally:
        process.terminate()
        process.join()


class _NOWHERE:
    address = ""


def _until(what: Callable[[], object], limit_s: float = 20.0) -> None:
    ends_s = time.monotonic() + limit_s
    while not what():
        if time.monotonic() > ends_s:
            raise TimeoutError(f"did not happen within {limit_s} s")
        time.sleep(0.05)


def report(host: str, entities: Sequence[str]) -> runtime_pb2.Telemetry:
    """Return what a host with these key managers reports."""
    nodes = [node_measures(entity.removeprefix("kme-")) for entity in entities]
    return telemetry(host, 1.0, chain(host_measures(host, entities), *nodes))


async def _load(
    reports: Mapping[Channels, runtime_pb2.Telemetry], address: str, url: str
) -> tuple[list[float], list[float], int, float]:
    stubs = {
        runtime_pb2_grpc.ExporterStub(channels.to(EXPORTER, address)): told
        for channels, told in reports.items()
    }

    async def report_for_ever() -> None:
        while True:
            for stub, told in stubs.items():
                await stub.Report(told)
                await asyncio.sleep(1.0 / len(stubs))

    for stub, told in stubs.items():
        await stub.Report(told)
    load = asyncio.create_task(report_for_ever())
    plain, packed = await _timed(url, "identity"), await _timed(url, "gzip")
    load.cancel()
    await asyncio.gather(load, return_exceptions=True)
    await asyncio.gather(*(channels.close() for channels in reports))
    text = gzip.decompress(packed[1])
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    return plain[0], packed[0], series, len(packed[1]) / 1e6


async def _timed(url: str, encoding: str) -> tuple[list[float], bytes]:
    """Return how long scrapes took, and what the last has answered."""
    took_s, body = [], b""
    for _ in range(_SCRAPES):
        began_s = time.perf_counter()
        body = await asyncio.to_thread(_get, url, encoding)
        took_s.append(time.perf_counter() - began_s)
        await asyncio.sleep(0.1)
    return took_s, body


def _get(url: str, encoding: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return bytes(answer.read())


def cost_of_measuring() -> tuple[float, float]:
    """Return what one report of a host with 12 nodes costs it, and what metering adds to a call."""
    reports_s = []
    for _ in range(_SCRAPES):
        began_s = time.perf_counter()
        report("host-0", [f"kme-n{place}" for place in range(12)])
        reports_s.append(time.perf_counter() - began_s)

    async def per_call(calls: int = 20_000) -> float:
        metered = await _intercepted(RpcMeter("key-managers"), "Exchange")

        async def answer(_request: object, _context: object) -> None:
            return None

        took_s = []
        for behaviour in (answer, metered.unary_unary):
            began_s = time.perf_counter()
            for _ in range(calls):
                await behaviour(None, None)
            took_s.append(time.perf_counter() - began_s)
        return (took_s[1] - took_s[0]) / calls

    return statistics.median(reports_s), asyncio.run(per_call())


def rows() -> Iterator[Row]:
    """Measure everything."""
    for hosts, nodes_each, wanted_ms in ((24, 1, 20), (50, 20, 200)):
        with tempfile.TemporaryDirectory() as folder:
            plain_s, packed_s, series, packed_mb = scrapes(hosts, nodes_each, Path(folder))
        name = f"scrape of {hosts * nodes_each} nodes"
        for took_s, how, what in (
            (plain_s, "", f"{series} series"),
            (packed_s, ", compressed", f"{packed_mb:.2f} MB"),
        ):
            note = f"median of {len(took_s)}; most {1000 * max(took_s):.0f} ms; {what}"
            yield at_most(name + how, 1000 * statistics.median(took_s), "ms", wanted_ms, note)
    report_s, call_s = cost_of_measuring()
    yield Row("a report of 12 nodes, once a second", 1000 * report_s, "ms")
    yield Row("metering of a call", 1e6 * call_s, "us")


if __name__ == "__main__":
    tell(rows())
