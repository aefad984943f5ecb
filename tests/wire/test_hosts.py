"""Hosts and clock over real gRPC in one process: same outcome as without transport."""

from __future__ import annotations

import asyncio
import math
import urllib.request
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest

from emulator.assembly import assemble
from emulator.audit import audit
from emulator.cast import cast_of
from emulator.clock import BarrierClock, HostFailedError, Pace, Progress
from emulator.exporter import Exporter, ExporterConfig
from emulator.host import EXPORTER, Host, HostConfig
from emulator.reading import read
from emulator.roles import FiberRole
from protos import wire
from protos.core import Message
from protos.gen.qsagin.v1 import management_pb2_grpc
from protos.pdu import Pdu, Verb


async def _run(folder: Path, hosts: int, stop_at: int | None = None) -> tuple[int, str]:
    """Run `tiny` on so many hosts; return the windows that were run, and the metrics at the end."""
    experiment, topology = read("tiny")
    assembly = assemble(experiment, topology)
    (folder / "journal").mkdir(parents=True)
    roles = cast_of(experiment, assembly).everybody
    servers = [Host(HostConfig(roles[i::hosts], str(folder), 1.0)) for i in range(hosts)]
    exporter = Exporter(ExporterConfig("127.0.0.1", 0))
    started = [await server.start() for server in servers]
    addresses = {entity: address for address, entities in started for entity in entities}
    addresses[EXPORTER], url = await exporter.start()
    clock = BarrierClock(addresses, [address for address, _ in started], 1.0)

    def on_window(progress: Progress) -> None:
        if stop_at is not None and progress.window >= stop_at:
            clock.stop()

    await clock.run(math.ceil(assembly.timeline.end_s), Pace(None), on_window)
    await clock.close()
    for server in servers:
        await server.stop()
    body = await asyncio.to_thread(_get, url)
    await exporter.stop()
    return clock.windows_run, body


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        text: str = response.read().decode()
        return text


def _within_a_minute(work: Coroutine[Any, Any, Any]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(limited())


def test_the_outcome_is_the_same_on_one_host_and_on_one_for_each(tmp_path: Path) -> None:
    digests = set()
    for hosts in (1, 3, 7):
        _within_a_minute(_run(tmp_path / str(hosts), hosts))
        result = audit(tmp_path / str(hosts))
        assert result.ok
        digests.add(result.digest)
    assert len(digests) == 1


def test_a_run_that_is_stopped_leaves_both_ends_in_agreement(tmp_path: Path) -> None:
    for stop_at in (3, 31, 53, 104):
        folder = tmp_path / str(stop_at)
        _within_a_minute(_run(folder, 2, stop_at))
        result = audit(folder)
        assert result.ok, result.fields()


def test_the_exporter_shows_every_series_of_the_contract(tmp_path: Path) -> None:
    _, text = _within_a_minute(_run(tmp_path / "run", 2))
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
    ):
        assert any(line.startswith(start) for line in text.splitlines()), start


def test_a_method_takes_only_pdus_of_its_own_verb(tmp_path: Path) -> None:
    async def send_a_set_through_the_door_for_get() -> grpc.StatusCode:
        (tmp_path / "journal").mkdir()
        assembly = assemble(*read("tiny"))
        host = Host(HostConfig((FiberRole(assembly.fiber, assembly.world),), str(tmp_path), 1.0))
        address, _ = await host.start()
        async with grpc.aio.insecure_channel(address) as channel:
            stub = management_pb2_grpc.AgentStub(channel)
            batch = wire.management_batch(
                0, [Message("x", "fiber-controller", 1, Pdu(Verb.SET, 1))]
            )
            try:
                await stub.Get(batch)
                return grpc.StatusCode.OK
            except grpc.aio.AioRpcError as error:
                return error.code()
            finally:
                await host.stop()

    code = _within_a_minute(send_a_set_through_the_door_for_get())
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_host_that_is_gone_ends_the_run_with_its_name() -> None:
    clock = BarrierClock({}, ["127.0.0.1:9"], 1.0)

    async def run() -> None:
        try:
            await clock.run(1, Pace(None), lambda _: None)
        finally:
            await clock.close()

    with pytest.raises(HostFailedError, match=r"127\.0\.0\.1:9"):
        _within_a_minute(run())


@pytest.mark.parametrize(("text", "factor"), [("realtime", 1.0), ("max", None), ("12.5", 12.5)])
def test_a_pace_is_read(text: str, factor: float | None) -> None:
    assert Pace.parse(text).factor == factor


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "fast"])
def test_a_pace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="realtime, max or a positive factor"):
        Pace.parse(text)
