"""The exporter under load: how long a scrape takes, and what reporting costs a run.

`python benchmarks/exporter.py [PAIRS]` starts a real exporter process, has 24 nodes and then 1000 (on
50 hosts) report once a second, as many samples each as a key manager of `paper` has, and scrapes
meanwhile.  Then it runs `paper` with two hosts in pairs, one scraped every second and one left alone,
and compares windows a second, and processor time a window (of all actors, the exporter too), which
other work on the machine disturbs less. It stops when a confidence interval of the first says on which
side of the bar the mean lies, or after so many pairs.  What a host spends on measuring itself is timed
in this process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
from bars import Interval, Row, at_most, interval, surely_at_most, tell, words
from pairs import Spent, run_paper

from emulator.runtime.identity import Authority
from emulator.runtime.registry import FILE, Registry
from emulator.runtime.transport import Channels
from emulator.telemetry.exporter import METRICS, Exporter, ExporterConfig
from emulator.telemetry.metering import RpcMeter
from emulator.telemetry.reporting import EXPORTER, telemetry
from protos.core import Measure
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

_SCRAPES = 20
_PEERS = 12
_FEWEST_PAIRS = 4
_MOST_LOST = 2.0  # per cent


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


def host_measures(host: str) -> Iterator[Measure]:
    """Yield what a host reports of itself."""
    actor = ("actor", host)
    yield Measure("refused_messages_total", (actor, ("reason", "repeated")), 0.0)
    yield Measure("management_keys_used_total", (actor,), 12.0)
    yield Measure("management_keys_overdue", (actor,), 0.0)
    yield Measure("management_key_oldest_timestamp_seconds", (actor,), 0.0)
    yield from _metered().measures()


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


def scrapes(hosts: int, nodes_each: int, folder: Path) -> tuple[list[float], int]:
    """Return how long scrapes took while so many hosts reported, and how many series there were."""
    residents = {
        f"host-{host}": tuple(f"kme-n{host}x{place}" for place in range(nodes_each))
        for host in range(hosts)
    }
    authority = Authority()
    config = ExporterConfig(str(folder), 0, authority.issue(EXPORTER, ()), residents)
    Registry(folder)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(config,))
    process.start()
    reports = {
        Channels(authority.issue(host, names)): report(host, names)
        for host, names in residents.items()
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
    return telemetry(host, 1.0, chain(host_measures(host), *nodes))


async def _load(
    reports: Mapping[Channels, runtime_pb2.Telemetry], address: str, url: str
) -> tuple[list[float], int]:
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
    took_s, text = [], b""
    for _ in range(_SCRAPES):
        began_s = time.perf_counter()
        text = await asyncio.to_thread(_get, url)
        took_s.append(time.perf_counter() - began_s)
        await asyncio.sleep(0.1)
    load.cancel()
    await asyncio.gather(load, return_exceptions=True)
    await asyncio.gather(*(channels.close() for channels in reports))
    return took_s, sum(not line.startswith(b"#") for line in text.splitlines())


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310
        return bytes(answer.read())


def cost_of_scraping(folder: Path, pairs: int) -> Iterator[Row]:
    """Compare runs that are scraped with runs left alone, in pairs, until it is clear enough.

    Each pair begins with the other one of the two, so that a machine that grows busier favours neither.
    """
    found: list[tuple[Spent, Spent]] = []
    for pair in range(pairs):
        order = (False, True) if pair % 2 else (True, False)
        spent = {scraped: _run(folder / f"{pair}-{scraped}", scraped=scraped) for scraped in order}
        found.append((spent[True], spent[False]))
        if len(found) >= _FEWEST_PAIRS and _is_clear(interval(_slower(found))):
            break
    note = f"{len(found)} pairs"
    slower, cpu = interval(_slower(found)), interval(_dearer(found))
    yield surely_at_most("window rate lost to scraping", slower, "%", _MOST_LOST, note)
    yield surely_at_most("processor time added by scraping", cpu, "%", _MOST_LOST, note)


def _is_clear(found: Interval) -> bool:
    return found.high <= _MOST_LOST or found.low > _MOST_LOST


def _slower(found: Sequence[tuple[Spent, Spent]]) -> list[float]:
    return [100 * (1 - scraped.windows_per_s / alone.windows_per_s) for scraped, alone in found]


def _dearer(found: Sequence[tuple[Spent, Spent]]) -> list[float]:
    return [100 * (scraped.cpu_s_a_window / alone.cpu_s_a_window - 1) for scraped, alone in found]


def _run(out: Path, *, scraped: bool) -> Spent:
    return run_paper(out, meanwhile=_scraping(out) if scraped else None)


@contextmanager
def _scraping(out: Path) -> Iterator[None]:
    ended = threading.Event()
    scraper = threading.Thread(target=_scrape_until, args=(out, ended))
    scraper.start()
    try:
        yield
    finally:
        ended.set()
        scraper.join()


def _scrape_until(out: Path, ended: threading.Event) -> None:
    while not ended.wait(1.0):
        if (out / FILE).exists() and (found := Registry(out).find(METRICS)):
            with suppress(OSError):  # it has just ended
                _get(found.address)


def cost_of_measuring() -> tuple[float, float]:
    """Return what one report of a host with 12 nodes costs it, and what metering adds to a call."""
    began_s = time.perf_counter()
    report("host-0", [f"kme-n{place}" for place in range(12)])
    report_s = time.perf_counter() - began_s

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

    return report_s, asyncio.run(per_call())


def rows(pairs: str = "10") -> Iterator[Row]:
    """Measure everything."""
    for hosts, nodes_each, wanted_ms in ((24, 1, 20), (50, 20, 200)):
        with tempfile.TemporaryDirectory() as folder:
            took_s, series = scrapes(hosts, nodes_each, Path(folder))
        note = f"median of {len(took_s)}; most {1000 * max(took_s):.0f} ms; {series} series"
        name = f"scrape of {hosts * nodes_each} nodes"
        yield at_most(name, 1000 * statistics.median(took_s), "ms", wanted_ms, note)
    report_s, call_s = cost_of_measuring()
    yield Row("a report of 12 nodes, once a second", 1000 * report_s, "ms")
    yield Row("metering of a call", 1e6 * call_s, "us")
    with tempfile.TemporaryDirectory() as folder:
        yield from cost_of_scraping(Path(folder), int(pairs))


if __name__ == "__main__":
    tell(rows(*words()))
