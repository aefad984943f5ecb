"""A live run under faults, watched by real servers: every alert arrives and every panel has data.

One story is played once, and told to all tests: both fibers fail and heal, processes are stopped and
killed, an intruder calls (on a network of its own, whose authority the test has), and the run ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import yaml
from live_network import LiveNetwork
from monitoring import (
    DEPLOY,
    Prometheus,
    Webhook,
    alertmanager,
    free_port,
    prometheus,
    until,
    webhook,
)

from emulator.clock import Pace
from emulator.registry import Registry
from emulator.transport import Channels
from protos.core import UAV_CONTROLLER
from protos.gen.qsagin.v1 import runtime_pb2, runtime_pb2_grpc

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
EXPERIMENT = Path(__file__).parent / "watched" / "watched.yaml"
KEY_MANAGERS = "host-4"
AT_ONCE = {
    "QsaginLinkDown",
    "QsaginLinkNoisy",
    "QsaginUavFleetSpent",
    "QsaginKeyShortfallBurn",
    "QsaginKeyStoreLow",
    "QsaginManagementKeysOverdue",
    "QsaginPlanGapHigh",
    "QsaginRecourseAbovePlan",
}
WHILE_STOPPED = {"QsaginNoProgress", "QsaginNodeDown", "QsaginControllerDown"}


@dataclass
class Story:
    """What was seen."""

    hook: Webhook
    rules: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("watched")
    with (
        webhook() as hook,
        alertmanager(folder / "alertmanager", hook) as alerts_to,
        prometheus(folder / "prometheus", alerts_to) as server,
    ):
        found = Story(hook)
        _play(found, server, folder)
        yield found


def _play(story: Story, server: Prometheus, folder: Path) -> None:
    hook, run_folder = story.hook, folder / "run"
    with _run(run_folder) as (run, address), _intruder(folder / "closed") as closed:
        server.watch([address, closed])
        _wait(hook, AT_ONCE)
        with _stopped(run_folder, UAV_CONTROLLER, KEY_MANAGERS):
            _wait(hook, WHILE_STOPPED)
        _kill(run_folder, UAV_CONTROLLER)
        _wait(hook, {"QsaginActorRestarted", "QsaginMessagesRefused", "QsaginRpcErrors"})
        until(lambda: hook.has("resolved", "QsaginLinkDown", link="A-B"), "the cut is over", 90)
        until(lambda: hook.has("resolved", "QsaginLinkNoisy", link="B-C"), "the tap is gone")
        _wait(hook, {"QsaginForecastPoor"})
        story.rules = server.rules()
        run.send_signal(signal.SIGINT)
        run.wait(60)
        _wait(hook, {"QsaginRunSilent"})


def _wait(hook: Webhook, names: set[str]) -> None:
    until(
        lambda: names <= hook.names("firing"), f"{names} arrive, beside {hook.names('firing')}", 90
    )


@contextmanager
def _run(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    words = ["run", str(EXPERIMENT), "--out", str(folder), "--pace", "40", "--hosts", "1"]
    with (folder.parent / "run.log").open("w") as log:
        run = subprocess.Popen(
            [sys.executable, "-m", "emulator", *words, "--metrics-port", str(port)],
            stdout=log,
            stderr=log,
        )
    try:
        yield run, f"127.0.0.1:{port}"
    finally:
        run.terminate()
        run.wait(60)


def _pid(folder: Path, name: str) -> int:
    return Registry(folder).everybody()[name].pid


@contextmanager
def _stopped(folder: Path, *names: str) -> Iterator[None]:
    """Stop processes, and have them go on."""
    pids = [_pid(folder, name) for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _kill(folder: Path, name: str) -> None:
    before = Registry(folder).everybody()[name]
    os.kill(before.pid, signal.SIGKILL)
    until(
        lambda: Registry(folder).everybody()[name].incarnation > before.incarnation,
        f"{name} comes back",
    )


@contextmanager
def _intruder(folder: Path) -> Iterator[str]:
    """Have a stranger with a certificate give orders, again and again; yield where that is to be seen."""
    ready, over, told = threading.Event(), threading.Event(), list[str]()

    async def work() -> None:
        network = LiveNetwork(folder, 1)
        await network.start()
        running = asyncio.create_task(network.clock.run(network.last_window, Pace(1.0)))
        where = Registry(folder).find("host-0")
        assert where is not None
        channels = Channels(network.authority.issue("kme-Z", ["kme-Z"]))
        stub = runtime_pb2_grpc.HostStub(channels.to("host-0", where.address))
        told.append(network.metrics_url.removeprefix("http://").removesuffix("/metrics"))
        ready.set()
        while not over.is_set():
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.Greet(runtime_pb2.Routes())
            await asyncio.sleep(0.2)
        network.clock.stop()
        await running
        await channels.close()
        await network.stop()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert ready.wait(30)
    try:
        yield told[0]
    finally:
        over.set()
        thread.join(60)


def test_every_alert_has_arrived(story: Story) -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    names = {rule["alert"] for group in groups for rule in group["rules"]}
    assert names - story.hook.names("firing") == set()


def test_what_has_healed_is_told_too(story: Story) -> None:
    assert {"QsaginLinkDown", "QsaginLinkNoisy", *WHILE_STOPPED} <= story.hook.names("resolved")


def test_alerts_name_what_they_are_about(story: Story) -> None:
    assert story.hook.has("firing", "QsaginLinkDown", link="A-B", cause="loss")
    assert story.hook.has("firing", "QsaginLinkNoisy", link="B-C", cause="noise")
    assert story.hook.has("firing", "QsaginControllerDown", controller=UAV_CONTROLLER)
    assert story.hook.has("firing", "QsaginActorRestarted", actor=UAV_CONTROLLER)
    assert story.hook.has("firing", "QsaginMessagesRefused", reason="not the clock")
    assert not story.hook.has("firing", "QsaginLinkDown", link="B-C")
    assert not story.hook.has("firing", "QsaginControllerDown", controller="global-manager")


def test_every_rule_can_be_evaluated(story: Story) -> None:
    assert {rule["health"] for rule in story.rules} == {"ok"}
