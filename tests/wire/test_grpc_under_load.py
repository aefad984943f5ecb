"""No stranger disturbs a run by the gRPC doors of its hosts and its exporter, nor by that for scrapes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import select
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from live_network import LiveNetwork, within

from emulator.net import transport
from emulator.net.identity import Authority
from emulator.net.transport import Channels
from emulator.results.audit import audit
from emulator.store.registry import Registry
from emulator.telemetry.reporting import EXPORTER
from protos.gen.qsagin.v1 import (
    management_pb2,
    management_pb2_grpc,
    runtime_pb2,
    runtime_pb2_grpc,
)

DOORS = ("host-0", "host-1", EXPORTER)
REFUSAL = dict.fromkeys(DOORS, grpc.StatusCode.INVALID_ARGUMENT) | {
    EXPORTER: grpc.StatusCode.PERMISSION_DENIED
}  # how a door that works answers the call of a caller with a certificate
STRANGERS = 400  # at each door
MOST_MORE_THREADS = 16
LIMIT_S = 60.0

Strangers = Callable[[LiveNetwork, contextlib.ExitStack], Awaitable[None]]


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """Have this process open as many connections as the tests want."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _address(network: LiveNetwork, door: str) -> str:
    found = Registry(network.folder).find(door)
    assert found is not None
    return found.address


def _connect(
    network: LiveNetwork, clients: contextlib.ExitStack, door: str, text: bytes = b""
) -> socket.socket:
    host, port = _address(network, door).split(":")
    client = socket.create_connection((host, int(port)), timeout=LIMIT_S)
    clients.callback(client.close)
    client.sendall(text)
    return client


def _saying(text: bytes) -> Strangers:
    async def strangers(network: LiveNetwork, clients: contextlib.ExitStack) -> None:
        for door in DOORS:
            for _ in range(STRANGERS):
                with contextlib.suppress(ConnectionError):  # refused already
                    _connect(network, clients, door, text)

    return strangers


async def _call(channels: Channels, network: LiveNetwork, door: str) -> grpc.StatusCode:
    """Return how a call ends; the least that each door takes."""
    channel = channels.to(door, _address(network, door))
    try:
        if door == EXPORTER:
            report = runtime_pb2.Telemetry(host="nobody")
            await runtime_pb2_grpc.ExporterStub(channel).Report(report, timeout=LIMIT_S)
        else:
            batch = management_pb2.ManagementBatch()
            await management_pb2_grpc.AgentStub(channel).Get(batch, timeout=LIMIT_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def foreign(network: LiveNetwork, clients: contextlib.ExitStack) -> None:
    """Many come with the certificate of another authority."""
    everybody = [Channels(Authority().issue("host-0", ())) for _ in range(20)]
    calls = [_call(channels, network, door) for channels in everybody for door in DOORS]
    assert set(await asyncio.gather(*calls)) == {grpc.StatusCode.UNAVAILABLE}
    for channels in everybody:
        await channels.close()


async def oversize(network: LiveNetwork, clients: contextlib.ExitStack) -> None:
    """One whom the run knows sends more than a message may have."""
    channels = Channels(network.authority.issue("stranger", ()))
    for door in DOORS:
        options = (("grpc.max_send_message_length", -1), *_to(door))
        credentials = channels._credentials
        async with grpc.aio.secure_channel(
            _address(network, door), credentials, options
        ) as channel:
            send = channel.unary_unary(_method(door))
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await send(bytes(transport.MOST_MESSAGE_BYTES + 1), timeout=LIMIT_S)
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await channels.close()


async def many_calls(network: LiveNetwork, clients: contextlib.ExitStack) -> None:
    """One whom the run knows calls more often at a time than it may; what is too much is refused."""
    channels = Channels(network.authority.issue("stranger", ()))
    for door in DOORS:
        calls = [_call(channels, network, door) for _ in range(3_000)]
        found = Counter(await asyncio.gather(*calls))
        assert found.pop(REFUSAL[door]) >= 1_000
        assert found.keys() <= {*transport.GONE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    await channels.close()


async def scrapers(network: LiveNetwork, clients: contextlib.ExitStack) -> None:
    """Many come to the door for HTTP; most say nothing, some never take their answer."""
    where = urlsplit(network.metrics_url)
    for place in range(STRANGERS):
        client = socket.create_connection((where.hostname, where.port), timeout=LIMIT_S)
        clients.callback(client.close)
        if place % 8 == 0:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n" * 100)


def _to(door: str) -> tuple[tuple[str, str], ...]:
    return (("grpc.ssl_target_name_override", transport.server_name(door)),)


def _method(door: str) -> str:
    return "/qsagin.v1.Exporter/Report" if door == EXPORTER else "/qsagin.v1.Agent/Get"


HELLO = bytes.fromhex("1603010200010001fc0303")  # a TLS client that says no more
STRANGE = {
    "silent": _saying(b""),
    "half-a-handshake": _saying(HELLO),
    "no-tls": _saying(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(64)),
    "garbage": _saying(b"GET /metrics HTTP/1.1\r\n\r\n"),
    "foreign-certificate": foreign,
    "oversize": oversize,
    "many-calls": many_calls,
    "scrapers": scrapers,
}


async def _run(folder: Path, strangers: Strangers | None) -> None:
    """Run `tiny` with strangers at all doors from before its first window on."""
    network = LiveNetwork(folder, 2)
    await network.start()
    with contextlib.ExitStack() as clients:
        running = asyncio.create_task(network.run())
        if strangers is not None:
            threads = _threads()
            await strangers(network, clients)
            channels = Channels(network.authority.issue("friend", ()))
            for door in DOORS:
                assert await _call(channels, network, door) is REFUSAL[door]
            await channels.close()
            assert _threads() <= threads + MOST_MORE_THREADS
        await running
        began_s = time.monotonic()
        await network.stop()
        assert time.monotonic() - began_s < 10  # about 1 on a quiet machine


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of `tiny` without strangers."""
    folder = tmp_path_factory.mktemp("quiet")
    within(LIMIT_S, _run(folder, None))
    return audit(folder).digest


@pytest.mark.parametrize("strangers", STRANGE.values(), ids=STRANGE)
def test_strangers_at_every_door_change_nothing(
    tmp_path: Path, digest: str, strangers: Strangers
) -> None:
    within(3 * LIMIT_S, _run(tmp_path, strangers))
    found = audit(tmp_path)
    assert found.ok, found.fields()
    assert found.digest == digest


def test_who_does_not_shake_hands_in_time_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "HANDSHAKE_S", 1.0)

    async def work() -> None:
        network = LiveNetwork(tmp_path, 2)
        await network.start()
        with contextlib.ExitStack() as clients:
            for door in DOORS:
                slow = [_connect(network, clients, door, text) for text in (b"", HELLO)]
                assert [await asyncio.to_thread(client.recv, 1) for client in slow] == [b"", b""]
        await network.stop()

    within(LIMIT_S, work())


def test_a_server_keeps_no_more_connections_than_it_may_and_those_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 20
    monkeypatch.setattr(transport, "MOST_CONNECTIONS", most)

    async def work() -> None:
        network = LiveNetwork(tmp_path, 2)
        await network.start()
        channels = Channels(network.authority.issue("friend", ()))
        for door in DOORS:
            await _call(channels, network, door)
        with contextlib.ExitStack() as clients:
            for door in DOORS:
                strangers = [_connect(network, clients, door) for _ in range(3 * most)]
                await asyncio.to_thread(_until_closed, strangers, 2 * most)
                assert await _call(channels, network, door) is REFUSAL[door]
        await channels.close()
        await network.stop()

    within(LIMIT_S, work())


def _until_closed(clients: list[socket.socket], wanted: int) -> None:
    """Wait until the other end has closed so many."""
    while len(select.select(clients, [], [], 0.1)[0]) < wanted:
        time.sleep(0.05)
