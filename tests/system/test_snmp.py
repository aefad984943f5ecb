"""A run with SNMP beside it, as net-snmp sees it: walks, users, refusals, noise, and the same digest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import snmp_judges
from monitoring import free_port, tool, until
from patience import patient

pytestmark = pytest.mark.system
pytest.importorskip("pysnmp")
SECRETS = {
    "QSAGIN_SNMP_OPS_AUTH": "ops-authenticates",
    "QSAGIN_SNMP_OPS_PRIV": "ops-encrypts",
    "QSAGIN_SNMP_EYE_AUTH": "eye-authenticates",
    "QSAGIN_SNMP_EYE_PRIV": "eye-encrypts",
}
EXPERIMENT = """
name: looked-at
seed: 7
network: {topology: nsfnet, link_km: 80, wavelengths: 20}
demand:
  periods: 30
  period_s: 60
  distribution: {poisson: {mean_units: 3.3333}}
  requests: {avatar: 4, digital-twin: 4}
access:
  snmp:
    users: [{name: ops, role: manager}, {name: eye, authentication: sha-512}]
    communities: [{name: public}]
"""
OPS = ("-u", "ops", "-a", "SHA-256", "-A", "ops-authenticates", "-X", "ops-encrypts")
EYE = ("-u", "eye", "-a", "SHA-512", "-A", "eye-authenticates", "-X", "eye-encrypts")
QSAGIN = ".1.3.6.1.4.1.8072.9999.9999.24"
MIB_2 = (1, 3, 6, 1, 2, 1)  # whose variables stay; reservations come and go
USM = ".1.3.6.1.6.3.15.1.1"
Run = tuple[subprocess.Popen[str], int, int]


def _run(folder: Path, *words: str, experiment: Path | None = None) -> subprocess.Popen[str]:
    source = experiment or folder / "experiment.yaml"
    if experiment is None:
        source.write_text(EXPERIMENT)
    command = [sys.executable, "-m", "emulator", "run", str(source), "--json", *words]
    return subprocess.Popen(
        command,
        env=os.environ | SECRETS,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _digest(run: subprocess.Popen[str]) -> str:
    out, _ = run.communicate(timeout=patient(200))
    assert run.returncode == 0
    return str(json.loads(out)["digest"])


def _ask(port: int, name: str, who: tuple[str, ...], *words: str) -> tuple[int, str]:
    security = ("-v2c",) if who[0] == "-c" else ("-v3", "-l", "authPriv", "-x", "AES")
    common = ("-t", "3", "-r", "3", "-On", "-m", "")
    address = f"127.0.0.1:{port}"
    head = [value for value in words if value != words[-1]]
    command = [tool(name), *security, *who, *common, *head, address, words[-1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def _is_up(port: int) -> bool:
    return _ask(port, "snmpget", OPS, ".1.3.6.1.2.1.1.3.0")[0] == 0


@pytest.fixture(params=["in-process", "processes"])
def looked_at(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    """A run that takes its time, and the port of its SNMP engine."""
    tool("snmpget")
    port, metrics = free_port(), 0
    words = ["--engine", request.param, "--pace", "30", "--snmp-port", str(port)]
    if request.param == "processes":
        metrics = free_port()
        words += ["--hosts", "2", "--metrics-port", str(metrics)]
    run = _run(tmp_path, "--out", str(tmp_path / "run"), *words)
    try:
        until(lambda: _is_up(port), "the SNMP engine answers")
        yield run, port, metrics
    finally:
        if run.poll() is None:
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=patient(60))


def _units_reserved(port: int) -> bool:
    column = f"{QSAGIN}.1.1.1.5"
    return f"{column}.0 =" in _ask(port, "snmpwalk", OPS, "-n", "fiber-controller", column)[1]


def _names(text: str) -> list[tuple[int, ...]]:
    lines = [line for line in text.splitlines() if line.startswith(".") and "No more" not in line]
    return [tuple(map(int, line.split(" = ")[0].strip(".").split("."))) for line in lines]


def test_operators_see_what_they_may_and_the_run_is_what_it_would_have_been(
    looked_at: Run, tmp_path: Path
) -> None:
    run, port, metrics = looked_at
    until(lambda: _units_reserved(port), "the network has reserved wavelengths")
    status, text = _ask(port, "snmpbulkwalk", OPS, "-Cr30", "-n", "fiber-controller", ".1")
    names = _names(text)
    assert status == 0
    assert names == sorted(set(names))
    assert f"{QSAGIN}.1.12.1.4.0 = INTEGER: 1" in text
    assert f"{QSAGIN}.1.1.1." in text  # reservations: a manager may read them
    _, text = _ask(port, "snmpbulkwalk", EYE, "-n", "fiber-controller", QSAGIN)
    assert f"{QSAGIN}.1.12.1.4.0 = INTEGER: 1" in text
    assert f"{QSAGIN}.1.1.1." not in text
    _, text = _ask(port, "snmpwalk", ("-c", "public"), f"{QSAGIN}.1.16.1.2")
    assert {"fiber-controller", "global-manager"} <= {
        part.split('"')[0] for part in text.split('"')
    }

    refusals = {
        "Unknown user": ("-u", "who", *OPS[2:]),
        "Authentication failure": (*OPS[:5], "not-the-phrase", *OPS[6:]),
    }
    for words, who in refusals.items():
        status, text = _ask(port, "snmpget", who, ".1.3.6.1.2.1.1.3.0")
        assert status != 0
        assert words in text
    assert _ask(port, "snmpget", ("-c", "private"), ".1.3.6.1.2.1.1.3.0")[0] != 0
    status, text = _ask(port, "snmpget", OPS, "-n", "nobody", ".1.3.6.1.2.1.1.3.0")
    assert status != 0
    _ask(port, "snmpget", OPS, "-Z", "1,1000000", ".1.3.6.1.2.1.1.3.0")  # another time
    counted = _ask(port, "snmpwalk", OPS, USM)[1]
    for arc in (2, 3, 5):  # not in time window, unknown user name, wrong digest
        assert f"{USM}.{arc}.0 = Counter32: " in counted
        assert f"{USM}.{arc}.0 = Counter32: 0" not in counted
    _set_and_refused(port)
    if metrics:
        _judged(port, metrics, tmp_path)
    assert run.poll() is None
    digest = _digest(run)
    written = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*.*"))
    assert not any(secret.encode() in written for secret in SECRETS.values())
    recorded = tmp_path / "run" / "experiment.yaml"
    assert recorded.read_text().count("kind: operator-set") == 4
    assert digest == _digest(_run(tmp_path, "--engine", "in-process", experiment=recorded))
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {"an operator asked for it"} < {item["reason"] for item in summary["replans"]}


def _judged(port: int, metrics: int, folder: Path) -> None:
    """Have others look, and send what nobody should."""
    rows = snmp_judges.table(port, OPS, folder).splitlines()
    assert "qsFiberStateA,qsFiberStateB,qsFiberStateOperStatus,qsFiberStateCause" in rows
    assert "2,3,down,admin" in rows
    names = _names(_ask(port, "snmpbulkwalk", OPS, "-Cr100", ".1.3.6.1")[1])
    assert snmp_judges.gufo_walk(port) == names
    at = ("-n", "fiber-controller")
    names = _names(_ask(port, "snmpbulkwalk", OPS, "-Cr250", *at, ".1")[1])
    for start in snmp_judges.starts(names, 12):
        words = (*at, "." + ".".join(map(str, start)))
        found = _names(_ask(port, "snmpbulkget", OPS, "-Cr70", *words)[1])
        assert found == sorted(set(found))
        assert all(name > start for name in found)
        follows = [name for name in names if name > start][:30]
        assert {name for name in follows if name[:6] == MIB_2} <= set(found)
        walked = _names(_ask(port, "snmpbulkwalk", OPS, "-Cr70", *words)[1])
        assert walked == sorted(set(walked))
        assert all(name[: len(start)] == start for name in walked)
        inside = {name for name in names if name[: len(start)] == start}
        assert {name for name in inside if name[:6] == MIB_2} <= set(walked)
    with snmp_judges.exporter(folder) as links:
        own = snmp_judges.links_of_metrics(metrics)
        assert len(own) == 22
        assert not all(own.values())
        until(lambda: links(port) == snmp_judges.links_of_metrics(metrics), "both tell the same")
    _noisy(port)


def _noisy(port: int) -> None:
    """20,000 messages that are none, and 5,000 requests a second; an operator is still answered."""
    snmp_judges.fuzz(port, 20_000)
    until(lambda: _is_up(port), "it still answers")
    sent = snmp_judges.flood(port, 5_000, 2.0)
    until(lambda: _is_up(port), "it still answers")
    dropped = f"{QSAGIN}.1.22.1.2.1"
    asked = (_ask(port, "snmpget", OPS, name)[1] for name in (dropped, ".1.3.6.1.2.1.11.6.0"))
    counts = [int(text.rsplit(" ", 1)[1]) for text in asked]
    assert sent > 8_000
    assert counts[0] > 2_000  # of the flood; what finds no place in its buffer, the kernel drops
    assert counts[1] > 2_000  # that could not be read as messages


def _set_and_refused(port: int) -> None:
    """Take a fiber and a node out of service, change a threshold, ask for a plan; and what may not be."""
    fiber, node = f"{QSAGIN}.1.18.1.2.3", f"{QSAGIN}.1.19.1.3.2"
    at = ("-n", "fiber-controller")
    assert f"{fiber} = INTEGER: 2" in _set(port, OPS, at, fiber, "i", "2")
    _, text = _ask(port, "snmpget", OPS, *at, f"{QSAGIN}.1.12.1.5.3")
    assert "INTEGER: 4" in text  # out of service
    assert f"{node} = INTEGER: 2" in _set(port, OPS, at, node, "i", "2")
    threshold = f"{QSAGIN}.1.20.1.2.1"
    assert f"{threshold} = Gauge32: 90000" in _set(port, OPS, at, threshold, "u", "90000")
    plan = f"{QSAGIN}.1.21.1.2.1"
    assert f"{plan} = INTEGER: 2" in _set(port, OPS, ("-n", "global-manager"), plan, "i", "2")
    for reason, who, values in (
        ("noAccess", EYE, (fiber, "i", "1")),
        ("noAccess", OPS, (f"{QSAGIN}.1.1.1.5.0", "i", "1")),
        ("wrongType", OPS, (fiber, "u", "1")),
        ("wrongValue", OPS, (fiber, "i", "7")),
        ("noCreation", OPS, (fiber, "i", "1", f"{QSAGIN}.1.18.1.2.999", "i", "1")),
        ("notWritable", OPS, (".1.3.6.1.2.1.1.6.0", "s", "here")),
    ):
        assert reason in _set(port, who, at, *values)


def _set(port: int, who: tuple[str, ...], at: tuple[str, ...], *values: str) -> str:
    security = ("-v3", "-l", "authPriv", "-x", "AES")
    common = ("-t", "5", "-r", "3", "-On", "-m", "")
    command = [tool("snmpset"), *security, *who, *at, *common, f"127.0.0.1:{port}", *values]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr
