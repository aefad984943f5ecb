"""A live run under faults, watched by real servers: every alert arrives and every panel has data.

One story is played once, and told to all tests: both fibers fail and heal, processes are stopped and
killed, and the run ends.  An intruder calls on a network of its own, whose authority the test has, and
whose fiber controller refuses some of what was planned.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
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
    is_there,
    prometheus,
    until,
    webhook,
)

from emulator.build.manager_role import ManagerRole, StandardPlanner
from emulator.build.roles import FiberRole, Role
from emulator.net.transport import Channels
from emulator.runtime.pacing import Pace
from emulator.store.registry import Registry
from global_manager.provisioning.model import Plan, Problem
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


DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
Series = tuple[dict[str, str], float]


@dataclass
class Story:
    """What was seen: alerts, the health of rules, and by stage what all dashboards showed."""

    hook: Webhook
    run: str = ""
    rules: list[dict[str, str]] = field(default_factory=list)
    answers: dict[str, dict[str, list[Series]]] = field(default_factory=dict)

    def value(self, stage: str, title: str, **labels: str) -> float:
        """Return the highest value of a panel at a stage."""
        found = self.answers[stage][title]
        return max(value for its, value in found if labels.items() <= its.items())


def _questions() -> dict[str, list[str]]:
    """Return the expressions of every panel, and of every annotation, by title."""
    found: dict[str, list[str]] = {}
    for path in DASHBOARDS:
        page = json.loads(path.read_text())
        for panel in page["panels"]:
            if panel["type"] != "row":
                asked = [target["expr"] for target in panel["targets"]]
                assert found.setdefault(panel["title"], asked) == asked, panel["title"]
        for mark in page["annotations"]["list"]:
            found[f"marks: {mark['name']}"] = [mark["expr"]]
    return found


def _answers(server: Prometheus) -> dict[str, list[Series]]:
    """Ask all questions; a panel with an expression without an answer is empty."""
    found = {}
    for title, expressions in _questions().items():
        answers = [server.ask(text.replace("$run", ".*")) for text in expressions]
        series = [(item["metric"], float(item["value"][1])) for each in answers for item in each]
        found[title] = series if all(answers) else []
    return found


def _ask_all(server: Prometheus, limit_s: float = 40.0) -> dict[str, list[Series]]:
    """Ask all questions until every panel has data and a forecast was wrong, or it takes too long."""
    ends_s = time.monotonic() + limit_s
    while True:
        found = _answers(server)
        marks = {title for title in found if title.startswith("marks: ")}
        whole = all(found[title] for title in found.keys() - marks)
        if (whole and _has_failed(found)) or time.monotonic() > ends_s:
            return found
        time.sleep(1)


def _has_failed(found: dict[str, list[Series]]) -> bool:
    """Whether a contact that was promised was under clouds, which chance brings sooner or later."""
    contacts = found["Forecasts against what came"]
    return any(value > 0 for labels, value in contacts if labels.get("outcome") == "cloudy")


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
        story.run = address
        server.watch([address, closed])
        _wait(hook, AT_ONCE)
        story.answers["faults"] = _ask_all(server)
        with _stopped(run_folder, UAV_CONTROLLER, KEY_MANAGERS):
            _wait(hook, WHILE_STOPPED)
            story.answers["stopped"] = _answers(server)
        _kill(run_folder, UAV_CONTROLLER)
        _wait(hook, {"QsaginActorRestarted", "QsaginMessagesRefused", "QsaginRpcErrors"})
        back = "marks: Actors started again"
        until(lambda: _answers(server)[back], "the actor that was killed is marked")
        story.answers["killed"] = _answers(server)
        until(lambda: hook.has("resolved", "QsaginLinkDown", link="A-B"), "the cut is over", 90)
        until(lambda: hook.has("resolved", "QsaginLinkNoisy", link="B-C"), "the tap is gone")
        _wait(hook, {"QsaginForecastPoor", "QsaginReservationsRefused", "QsaginPlanFailed"})
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
        until(lambda: is_there(f"http://127.0.0.1:{port}/metrics"), "the run has begun", 90)
        yield run, f"127.0.0.1:{port}"
    finally:
        run.terminate()
        run.wait(60)


def _pid(folder: Path, name: str) -> int:
    return Registry(folder).everybody()[name].pid


@contextmanager
def _stopped(folder: Path, *names: str) -> Iterator[None]:
    """Have actors hang: whenever the watchdog has killed one and it is back, it is stopped again."""
    over = threading.Event()

    def send(number: signal.Signals) -> None:
        for name in names:
            with suppress(ProcessLookupError):
                os.kill(_pid(folder, name), number)

    def hold() -> None:
        while not over.wait(0.05):
            send(signal.SIGSTOP)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        send(signal.SIGCONT)


def _kill(folder: Path, name: str) -> None:
    before = Registry(folder).everybody()[name]
    with suppress(ProcessLookupError):  # the watchdog has done it
        os.kill(before.pid, signal.SIGKILL)
    until(
        lambda: Registry(folder).everybody()[name].incarnation > before.incarnation,
        f"{name} comes back",
    )


class _FailsAtFirst(StandardPlanner):
    """An optimizer that fails at the start, and a plan in place of none, so that something is reserved."""

    def solve(self, problem: Problem) -> Plan:
        raise ArithmeticError("no plan today")

    def reserve_nothing(self, problem: Problem) -> Plan:
        return super().solve(problem)


def _in_trouble(role: Role) -> Role:
    """Have an optimizer fail, and a fiber controller without a wavelength on its first fiber refuse."""
    if isinstance(role, ManagerRole):
        return replace(role, planner=_FailsAtFirst(**vars(role.planner)))
    if not isinstance(role, FiberRole):
        return role
    (a, b, _), *others = role.config.fibers
    return replace(role, config=replace(role.config, fibers=((a, b, 0), *others)))


@contextmanager
def _intruder(folder: Path) -> Iterator[str]:
    """Have a stranger with a certificate give orders, again and again; yield where that is to be seen."""
    ready, over, told = threading.Event(), threading.Event(), list[str]()

    async def work() -> None:
        network = LiveNetwork(folder, 1)
        network.configs = {
            name: replace(config, roles=tuple(map(_in_trouble, config.roles)))
            for name, config in network.configs.items()
        }
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


def test_every_panel_has_data(story: Story) -> None:
    panels = {title for title in _questions() if not title.startswith("marks: ")}
    assert len(panels) > 40
    assert {title for title in panels if not story.answers["faults"][title]} == set()


def test_every_annotation_marks_something(story: Story) -> None:
    marks = {title for title in _questions() if title.startswith("marks: ")}
    assert len(marks) == 4
    seen = {title for stage in story.answers.values() for title in marks if stage[title]}
    assert marks - seen == set()


def test_panels_show_that_fibers_have_failed(story: Story) -> None:
    assert story.value("faults", "Link alarms", link="A-B", cause="loss") == 1
    assert story.value("faults", "Link alarms", link="B-C", cause="noise") == 1
    assert story.value("faults", "Link alarms", link="A-B", cause="noise") == 0
    assert story.value("faults", "Links", instance=story.run) == 0
    assert story.value("faults", "Quantum bit error ratio", link="B-C") > 0.11
    assert story.value("faults", "Secret key rate of fibers", instance=story.run) == 0
    assert story.value("faults", "Filled", instance=story.run) == 0
    assert (
        story.value("faults", "Key that did not come at once, or never", instance=story.run) > 0.5
    )
    assert story.value("faults", "On-demand cost over plan") > 1.5
    assert story.value("faults", "Management keys overdue") > 0
    assert story.value("faults", "Gap to the proven bound") > 0.05
    assert story.value("faults", "Forecasts against what came", outcome="cloudy") > 0
    assert story.value("faults", "Messages struck", instance=story.run) > 0
    assert story.value("faults", "Alerts that fire", alertname="QsaginLinkDown") == 1


def test_panels_show_who_was_stopped_and_killed(story: Story) -> None:
    assert story.value("faults", "Nodes") == 1
    assert story.value("stopped", "Nodes", node="A", instance=story.run) == 0
    controllers = "Controllers and manager"
    assert story.value("stopped", controllers, controller=UAV_CONTROLLER, instance=story.run) == 0
    assert story.value("stopped", controllers, controller="global-manager") == 1
    assert story.value("stopped", "Emulated seconds a second", instance=story.run) == 0
    assert story.value("stopped", "Since the last report", host=UAV_CONTROLLER) > 5
    assert story.value("faults", "Actors started again") == 0
    assert story.value("killed", "Actors started again", actor=UAV_CONTROLLER) >= 1
    assert story.value("killed", "Messages refused", reason="not the clock") > 0
    assert story.value("killed", "Errors", server="key-managers") > 0
