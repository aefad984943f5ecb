"""Notifications of agents, as net-snmp's snmptrapd takes them: each, and once, whatever is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from monitoring import free_port, tool, until
from patience import patient

pytestmark = pytest.mark.system
pytest.importorskip("pysnmp")
SECRETS = {
    "QSAGIN_SNMP_OPS_AUTH": "ops-authenticates",
    "QSAGIN_SNMP_OPS_PRIV": "ops-encrypts",
}
EXPERIMENT = """
name: told
seed: 7
network: {topology: nsfnet, link_km: 80, wavelengths: 20}
demand:
  periods: 12
  period_s: 60
  distribution: {poisson: {mean_units: 3.3333}}
  requests: {avatar: 4, digital-twin: 4}
access: {snmp: {users: [{name: ops, role: manager}]}}
faults:
  - {kind: fiber-cut, link: ["1", "2"], at_s: 200, until_s: 400}
  - {kind: message-fault, duplicate: 0.5, drop: 0.1, at_s: 100, until_s: 500}
"""
KILLS = """
  - {kind: process, actor: global-manager, action: kill, at_s: 250}
  - {kind: process, actor: clock, action: kill, at_s: 350}
  - {kind: process, actor: fiber-controller, action: kill, at_s: 300}
"""
NOTICES = "1.3.6.1.4.1.8072.9999.9999.24.3"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of an snmptrapd, and what it logs."""
    port, log = free_port(), tmp_path / "traps.log"
    settings = tmp_path / "snmptrapd.conf"
    settings.write_text(
        "createUser ops SHA-256 ops-authenticates AES ops-encrypts\nauthUser log ops priv\n"
    )
    words = ["-f", "-C", "-c", str(settings), "-Lf", str(log), "-On", "-m", ""]
    environment = os.environ | {"SNMP_PERSISTENT_DIR": str(tmp_path / "persistent")}
    daemon = subprocess.Popen([tool("snmptrapd"), *words, f"udp:127.0.0.1:{port}"], env=environment)
    try:
        until(log.exists, "snmptrapd writes its log")
        yield port, log
    finally:
        daemon.terminate()
        daemon.wait(patient(10))


def _names(log: Path) -> Counter[str]:
    return Counter(re.findall(rf"\.{NOTICES}\.1\.0 = STRING: \"([^\"]*)\"", log.read_text()))


def _in_journal(folder: Path) -> set[str]:
    from emulator.management.notices import notices_after

    return {notice.id for _, notices in notices_after(folder, -1) for notice in notices}


@pytest.mark.parametrize("engine", ["in-process", "processes"])
def test_every_notification_arrives_once_whatever_is_killed(
    receiver: tuple[int, Path], tmp_path: Path, engine: str
) -> None:
    port, log = receiver
    source, folder = tmp_path / "experiment.yaml", tmp_path / "run"
    source.write_text(EXPERIMENT + (KILLS if engine == "processes" else ""))
    words = ["--engine", engine, "--pace", "60", "--trap-to", f"127.0.0.1:{port}"]
    words += ["--hosts", "2"] if engine == "processes" else []
    command = [sys.executable, "-m", "emulator", "run", str(source), "--out", str(folder)]
    run = subprocess.Popen(
        [*command, "--json", *words],
        env=os.environ | SECRETS,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        until(lambda: len(_names(log)) > 20, "notifications arrive")
        psutil.Process(run.pid).children()[0].send_signal(signal.SIGKILL)  # it is resumed
        out, _ = run.communicate(timeout=patient(150))
    finally:
        run.kill()
    assert json.loads(out)["complete"]
    told = _names(log)
    assert set(told) == _in_journal(folder)
    assert len(told) > 60
    again = told - Counter(set(told))
    assert again.total() <= 1  # the one under way when the command was killed
    kinds = re.findall(r"1\.3\.6\.1\.6\.3\.1\.1\.4\.1\.0 = OID: \.([0-9.]+)", log.read_text())
    assert {f"1.3.6.1.4.1.8072.9999.9999.24.0.{arc}" for arc in (1, 2, 4, 6)} <= set(kinds)
