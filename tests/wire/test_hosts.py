"""Hosts and clock over real gRPC in one process: same outcome as without transport."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from pathlib import Path

import grpc
import pytest
from live_network import LiveNetwork, within

from emulator.build.loading import read, write
from emulator.config.schedule import MessageFaultEvent
from emulator.net.identity import Authority
from emulator.net.transport import Channels
from emulator.results.audit import audit
from emulator.runtime.clock import BarrierClock, ClockConfig, HostFailedError
from emulator.runtime.grpc_services import CLOCK
from emulator.runtime.pacing import Pace
from emulator.store import journals
from emulator.store.registry import Registry
from emulator.telemetry.reporting import EXPORTER, Reporter
from protos.core import GLOBAL_MANAGER, Timeline
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc


async def _run(
    folder: Path, hosts: int, stop_at: int | None = None, period_s: float | None = None
) -> str:
    """Run `tiny` on so many hosts; return the metrics at the end."""
    network = LiveNetwork(folder, hosts, period_s=period_s)
    await network.start()
    running = asyncio.create_task(network.run())
    while stop_at is not None and network.clock.window < stop_at:  # noqa: ASYNC110
        await asyncio.sleep(0)
    if stop_at is not None:
        network.clock.stop()
    await running
    for host in network.hosts.values():
        await host._reporter.report()
    body = await asyncio.to_thread(_get, network.metrics_url)
    await network.stop()
    return body


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        text: str = response.read().decode()
        return text


def test_the_outcome_is_the_same_on_one_host_and_on_one_for_each(tmp_path: Path) -> None:
    digests = set()
    for hosts in (1, 3, 7):
        within(60, _run(tmp_path / str(hosts), hosts))
        result = audit(tmp_path / str(hosts))
        assert result.ok
        assert result.management["used_bits"] > 0
        digests.add(result.digest)
    assert len(digests) == 1


def test_a_run_that_is_stopped_leaves_both_ends_in_agreement(tmp_path: Path) -> None:
    for stop_at in (3, 31, 53, 104):
        folder = tmp_path / str(stop_at)
        within(60, _run(folder, 2, stop_at))
        result = audit(folder)
        assert result.ok, result.fields()


def test_what_is_due_while_the_last_mail_is_delivered_does_not_depend_on_the_hosts(
    tmp_path: Path,
) -> None:
    """With so short a period an epoch begins while a stopped run comes to its end."""
    for stop_at in (35, 39, 45):
        digests = set()
        for hosts in (1, 3, 7):
            folder = tmp_path / f"{stop_at}-{hosts}"
            within(60, _run(folder, hosts, stop_at, period_s=9.0))
            result = audit(folder)
            assert result.ok, result.fields()
            digests.add(result.digest)
        assert len(digests) == 1


def test_the_exporter_shows_every_series_of_the_contract(tmp_path: Path) -> None:
    text = within(60, _run(tmp_path / "run", 2))
    for start in (
        'qsagin_key_shortfall_bits_total{application="avatar",node="A"}',
        'qsagin_provisioning_cost_total{medium="fiber",stage="reservation"}',
        'qsagin_keys_delivered_bits_total{medium="fiber",node="A"}',
        'qsagin_key_store_available_bits{node="A",peer="C"}',
        'qsagin_link_secret_key_rate_bits_per_second{link="A-B",medium="fiber"}',
        'qsagin_link_qber_ratio{link="A-B"}',
        'qsagin_node_up{node="A"} 1.0',
        'qsagin_controller_up{controller="global-manager"} 1.0',
        "qsagin_emulated_time_seconds",
        'qsagin_rpc_handled_total{code="OK",method="Set",server="key-managers"}',
        'qsagin_rpc_duration_seconds_bucket{le="+Inf",method="Exchange",server="key-managers"}',
        'qsagin_window_duration_seconds_count{server="clock"}',
        'qsagin_actor_restarts_total{actor="host-0"} 0.0',
        'qsagin_management_key_oldest_timestamp_seconds{actor="host-1"}',
        'qsagin_planned_cost_per_period{stage="recourse"}',
    ):
        assert any(line.startswith(start) for line in text.splitlines()), start


def test_a_host_that_stays_away_ends_the_run_with_its_name(tmp_path: Path) -> None:
    identity = Authority().issue(CLOCK, ())

    async def run_without_hosts() -> None:
        clock = BarrierClock(
            ClockConfig(
                {"host-7": ("kme-A",)},
                str(tmp_path),
                1.0,
                identity,
                Timeline(60.0, 60.0, 1),
                patience_s=0.2,
            )
        )
        try:
            await clock.run(1, Pace(None))
        finally:
            await clock.close()

    with pytest.raises(HostFailedError, match="host-7"):
        within(60, run_without_hosts())


@pytest.mark.parametrize(("text", "factor"), [("realtime", 1.0), ("max", None), ("12.5", 12.5)])
def test_a_pace_is_read(text: str, factor: float | None) -> None:
    assert Pace.parse(text).factor == factor


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "fast"])
def test_a_pace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="realtime, max or a positive factor"):
        Pace.parse(text)


def test_a_call_that_is_refused_is_counted_by_its_status(tmp_path: Path) -> None:
    async def work() -> str:
        network = LiveNetwork(tmp_path, 1)
        await network.start()
        where = Registry(tmp_path).find("host-0")
        assert where is not None
        channels = Channels(network.authority.issue("kme-Z", ["kme-Z"]))
        stub = runtime_pb2_grpc.HostStub(channels.to("host-0", where.address))
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Greet(runtime_pb2.Routes())
        await channels.close()
        await network.run()
        await network.hosts["host-0"]._reporter.report()
        body = await asyncio.to_thread(_get, network.metrics_url)
        await network.stop()
        return str(body)

    lines = within(60, work()).splitlines()
    series = (
        'qsagin_rpc_handled_total{code="PERMISSION_DENIED",method="Greet",server="key-managers"}'
    )
    assert f"{series} 1.0" in lines


def test_emulated_time_goes_on_between_windows_at_the_pace_of_the_run(tmp_path: Path) -> None:
    async def work() -> list[float]:
        network = LiveNetwork(tmp_path, 1)
        await network.start()
        running = asyncio.create_task(network.clock.run(network.last_window, Pace(100.0)))
        seen_s = []
        while network.clock.emulated_s < 20:
            seen_s.append(network.clock.emulated_s)
            await asyncio.sleep(0)
        network.clock.stop()
        await running
        await network.stop()
        return seen_s

    seen_s = within(60, work())
    assert seen_s == sorted(seen_s)
    assert any(at_s % 1.0 for at_s in seen_s)


def test_who_is_busy_or_has_much_to_say_reports_only_that_it_is_there(tmp_path: Path) -> None:
    said: list[bool] = []
    busy = False

    def slowly(everything: bool) -> runtime_pb2.Telemetry:
        said.append(everything)
        began_s = time.perf_counter()
        while everything and time.perf_counter() < began_s + 0.05:
            pass
        return runtime_pb2.Telemetry(host="host-0")

    async def run() -> None:
        nonlocal busy
        network = LiveNetwork(tmp_path, 1)
        await network.start()
        found = Registry(tmp_path).find(EXPORTER)
        assert found is not None
        channels = Channels(network.authority.issue("host-0", ()))
        reporter = Reporter(channels, lambda: found.address, slowly, lambda: busy)
        reporter.begin()
        while len(said) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert said == [True, False, False]
        await reporter.end()
        assert said[-1]
        busy = True
        idle = Reporter(channels, lambda: found.address, slowly, lambda: busy)
        idle.begin()
        while len(said) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert not said[-1]
        await idle.end()
        await channels.close()
        await network.stop()

    within(60, run())


def test_a_host_whose_manager_thinks_answers_meanwhile(tmp_path: Path) -> None:
    async def run() -> None:
        network = LiveNetwork(tmp_path, 1)
        await network.start()
        (host,) = network.hosts.values()
        async with host._at_home:
            await asyncio.to_thread(host._cores.run, 0)
            state = host.greet(runtime_pb2.Routes())
            assert not state.HasField("last_window")
        assert host.greet(runtime_pb2.Routes()).last_window == 0
        await network.stop()

    within(60, run())


def test_a_window_that_is_asked_for_again_while_the_manager_thinks_is_run_once(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        network = LiveNetwork(tmp_path, 1)
        await network.start()
        (host,) = network.hosts.values()
        asked = asyncio.create_task(host.run_window(0))
        while not host._at_home.locked():  # noqa: ASYNC110
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert (await host.run_window(0)).window == 0
        await network.stop()

    within(60, run())
    planned = "SELECT count(*) FROM fact WHERE kind = 'planned'"
    assert list(journals.rows(tmp_path, GLOBAL_MANAGER, planned)) == [(1,)]


def test_a_new_clock_knows_who_waits_for_an_answer(tmp_path: Path) -> None:
    """Also those who have nothing to do in the window in which the old one was lost."""
    waiting = within(60, _waiting_after_the_clock_is_lost(tmp_path))
    assert all(known == waits for known, waits in waiting)
    assert any(waits for _, waits in waiting)


async def _waiting_after_the_clock_is_lost(folder: Path) -> list[tuple[set[str], set[str]]]:
    """Run `tiny` with losses; lose the clock in some windows, and return who waits as (known, true)."""
    setup = read("tiny")
    loss = MessageFaultEvent(kind="message-fault", at_s=0, drop=0.6)
    setup = setup.with_experiment(setup.experiment.model_copy(update={"faults": [loss]}))
    network = LiveNetwork(folder, 7, experiment=str(write(setup, folder)))
    await network.start()
    running, found = asyncio.create_task(network.run()), []
    for window in (40, 47, 53, 60, 66):
        while network.clock.window < window and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
        network.clock.stop()
        running = await network.lose_clock(running)
        running.cancel()
        await network.clock._take_up()
        true = {name for name, host in network.hosts.items() if host._cores.is_waiting}
        found.append((set(network.clock._awaiting), true))
        running = asyncio.create_task(network.run())
    await running
    await network.stop()
    return found
