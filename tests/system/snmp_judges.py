"""Clients of others at a run's SNMP engine, and messages that nobody should send."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import environments
from monitoring import free_port, tool, until

MODULES = ("SNMPv2-SMI", "SNMPv2-TC", "SNMPv2-CONF", "HCNUM-TC", "SNMP-FRAMEWORK-MIB")
PROTOS = Path(__file__).parents[2] / "protos"
OBJECTS = "1.3.6.1.4.1.8072.9999.9999.24.1"
_COMMUNITY = bytes.fromhex(
    "302902010104067075626c6963a01c020412345678020100020100300e300c06082b060102010103000500"
)
_DISCOVERY = bytes.fromhex(
    "303e020103301102042b6f2d1f020300ffe30401040201030410300e0400020100020100040004000400"
    "301404000400a00e020439d5a1bf0201000201003000"
)
Names = list[tuple[int, ...]]


def table(port: int, who: tuple[str, ...], folder: Path) -> str:
    """Return what snmptable makes of the fibers, by the module and those that it imports."""
    with zipfile.ZipFile(environments.wheel("mibs", folder)) as archive:
        for name in MODULES:
            (folder / name).write_bytes(archive.read(f"pysmi/mibs/asn1/{name}"))
    command = [tool("snmptable"), "-v3", "-l", "authPriv", "-x", "AES", *who]
    command += ["-M", f"{folder}:{PROTOS}", "-m", "QSAGIN-MIB", "-n", "fiber-controller"]
    command += ["-Cf", ",", f"127.0.0.1:{port}", "qsFiberStateTable"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def starts(names: Names, count: int) -> Iterator[tuple[int, ...]]:
    """Yield names that are there, or nearly."""
    chance = random.Random(11)
    for _ in range(count):
        name = list(chance.choice(names))
        if chance.random() < 0.7:
            name[chance.randrange(4, len(name))] += chance.choice((-1, 1, 1_000))
        yield tuple(max(0, arc) for arc in name[: chance.randrange(6, len(name) + 1)])


def fuzz(port: int, count: int) -> None:
    """Send messages that are cut off or have wrong octets, no faster than they are read."""
    chance = random.Random(7)
    with ExitStack() as sockets:
        senders = [
            sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for _ in range(8)
        ]
        for number in range(count):
            message = bytearray(chance.choice((_COMMUNITY, _DISCOVERY)))
            if number % 3 == 0:
                del message[chance.randrange(len(message)) :]
            for _ in range(number % 3 * 2):
                message[chance.randrange(len(message) or 1)] = chance.randrange(256)
            senders[number % 8].sendto(bytes(message), ("127.0.0.1", port))
            if number % 150 == 0:
                time.sleep(0.1)


def flood(port: int, per_s: int, for_s: float) -> int:
    """Send requests as fast as this; return how many."""
    began_s, count = time.monotonic(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while (passed_s := time.monotonic() - began_s) < for_s:
            while count < passed_s * per_s:
                sender.sendto(_COMMUNITY, ("127.0.0.1", port))
                count += 1
            time.sleep(0.002)
    return count


def gufo_walk(port: int) -> Names:
    """Return the names that gufo_snmp walks to."""
    from gufo.snmp import Aes128Key, Sha256Key, User
    from gufo.snmp.sync import SnmpSession

    user = User(
        "ops",
        auth_key=Sha256Key(b"ops-authenticates"),
        priv_key=Aes128Key(b"ops-encrypts"),
    )
    with SnmpSession(addr="127.0.0.1", port=port, user=user, timeout=10.0) as session:
        return [tuple(map(int, name.split("."))) for name, _ in session.getbulk("1.3.6.1")]


_MODULE = f"""
qsagin:
  version: 3
  timeout: 5s
  auth: {{security_level: authPriv, username: ops, password: ops-authenticates, auth_protocol: SHA256,
    priv_protocol: AES, priv_password: ops-encrypts, context_name: fiber-controller}}
  walk: [{OBJECTS}.12]
  metrics:
  - name: qsFiberStateOperStatus
    oid: {OBJECTS}.12.1.4
    type: gauge
    indexes: [{{labelname: fiber, type: gauge}}]
    lookups:
    - {{labels: [fiber], labelname: a, oid: {OBJECTS}.12.1.2, type: DisplayString}}
    - {{labels: [fiber], labelname: b, oid: {OBJECTS}.12.1.3, type: DisplayString}}
"""


@contextmanager
def exporter(folder: Path) -> Iterator[Callable[[int], dict[str, bool]]]:
    """Yield what tells, by prometheus-snmp-exporter, which links are up."""
    settings, own = folder / "snmp.yml", free_port()
    settings.write_text(_MODULE)
    command = [tool("prometheus-snmp-exporter"), f"--config.file={settings}"]
    command += [f"--web.listen-address=127.0.0.1:{own}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=dict(os.environ))

    def links(port: int) -> dict[str, bool]:
        text = _got(f"http://127.0.0.1:{own}/snmp?module=qsagin&target=127.0.0.1:{port}")
        found = re.findall(r'qsFiberStateOperStatus\{a="(.*?)",b="(.*?)",.*?\} (\d)', text)
        return {f"{a}-{b}": status == "1" for a, b, status in found}

    try:
        until(lambda: _got(f"http://127.0.0.1:{own}/metrics"), "the exporter answers")
        yield links
    finally:
        process.terminate()
        process.wait(10)


def links_of_metrics(port: int) -> dict[str, bool]:
    """Return which links are up by the run's own metrics."""
    text = _got(f"http://127.0.0.1:{port}/metrics")
    found = re.findall(r'^qsagin_link_up\{link="(.*?)"\} ([\d.]+)', text, re.MULTILINE)
    return {link: float(value) == 1 for link, value in found}


def _got(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
