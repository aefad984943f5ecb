"""Two hosts with a tunnel between them, in network namespaces, and the agents that renew its key.

The agents and the run are outside of the namespaces: they speak to WireGuard and charon over sockets in the
file system.  Only what goes through the tunnel, and the probe that measures it, is within.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from machines import need_namespaces, until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "examples"
ECHO_PORT = 7007
CHARON = Path("/usr/lib/ipsec/charon")


def need_tools(*tools: str) -> None:
    """Skip where hosts cannot be made, or a tool is lacking; fail for want of tools if CI is true."""
    need_namespaces()
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing or not Path("/dev/net/tun").exists():
        words = f"needs {', '.join(missing) or '/dev/net/tun'}; see .ci/apt.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(words)


class Hosts:
    """Two hosts, 0 and 1, on one wire; whatever was started on or for them ends with them."""

    def __init__(self) -> None:
        self.name = "q" + secrets.token_hex(3)
        self.folder = Path(tempfile.mkdtemp(prefix="qt", dir="/tmp"))
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for place in (0, 1):
            command("ip", "netns", "add", self.space(place))
            self.within(place, "ip", "link", "set", "lo", "up")
        peer = ("peer", "name", "wire", "netns", self.space(1))
        self.within(0, "ip", "link", "add", "wire", "type", "veth", *peer)
        for place in (0, 1):
            self.within(place, "ip", "address", "add", f"{self.outer(place)}/24", "dev", "wire")
            self.within(place, "ip", "link", "set", "wire", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._started):
            process.terminate()
        for process in self._started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for place in (0, 1):
            command("ip", "netns", "del", self.space(place))
        shutil.rmtree(self.folder, ignore_errors=True)

    def space(self, place: int) -> str:
        """Return the name of a host's namespace."""
        return f"{self.name}-{place}"

    def outer(self, place: int) -> str:
        """Return a host's address on the wire."""
        return f"10.78.0.{place + 1}"

    def inner(self, place: int) -> str:
        """Return a host's address in the tunnel."""
        return f"10.79.{place}.1"

    def within(self, place: int, *words: str, text: str | None = None) -> str:
        """Run a command on a host; return what it says."""
        return command("ip", "netns", "exec", self.space(place), *words, text=text)

    def start(self, name: str, *words: str, place: int | None = None, **environment: str) -> Path:
        """Start something, on a host if one is given; return the file of what it says."""
        log = self.folder / f"{name}.log"
        where = [] if place is None else ["ip", "netns", "exec", self.space(place)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*where, *words], stdout=out, stderr=out, env=os.environ | environment
            )
        self._started.append(process)
        return log

    def python(self, name: str, *words: str, place: int | None = None, more: str = "") -> Path:
        """Start one of the examples."""
        path = os.pathsep.join([str(ROOT), str(EXAMPLES), more])
        return self.start(name, sys.executable, *words, place=place, PYTHONPATH=path)

    def probe(self, run: Path, about: Mapping[str, str]) -> None:
        """Measure the tunnel from outside."""
        script, address = str(EXAMPLES / "probe.py"), f"{self.inner(1)}:{ECHO_PORT}"
        self.python("echo", script, "echo", address, place=1)
        told = [word for name, value in about.items() for word in (f"--{name}", value)]
        self.python("watch", script, "watch", address, "--run", str(run), *told, place=0)


class WireGuardEnds:
    """WireGuard at both hosts, without peers."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._keys = [command("wg", "genkey").strip() for _ in (0, 1)]
        for place in (0, 1):
            self._bring_up(place)

    def interface(self, place: int) -> str:
        """Return the name of an interface; it is that of its socket too."""
        return f"{self._hosts.name}w{place}"

    def words(self, place: int) -> list[str]:
        """Return what the agent of an end is told."""
        peer = 1 - place
        public = command("wg", "pubkey", text=self._keys[peer]).strip()
        words = [str(EXAMPLES / "wireguard" / "agent.py"), "--interface", self.interface(place)]
        words += ["--peer", public, "--endpoint", f"{self._hosts.outer(peer)}:51820"]
        return [*words, "--allowed-ips", f"{self._hosts.inner(peer)}/32"]

    def _bring_up(self, place: int) -> None:
        name, hosts = self.interface(place), self._hosts
        hosts.start(name, "wireguard-go", "--foreground", name, place=place)
        until(Path(f"/var/run/wireguard/{name}.sock").exists, 10)
        command("wg", "set", name, "private-key", "/dev/stdin", "listen-port", "51820",
                text=self._keys[place])  # fmt: skip
        hosts.within(place, "ip", "address", "add", f"{hosts.inner(place)}/32", "dev", name)
        hosts.within(place, "ip", "link", "set", name, "up", "mtu", "1400")
        hosts.within(place, "ip", "route", "add", f"{hosts.inner(1 - place)}/32", "dev", name)


class StrongSwanEnds:
    """charon at both hosts, in user space, without connections."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._secret = hosts.folder / "secret"
        self._secret.write_text(secrets.token_hex(32))
        for place in (0, 1):
            self._bring_up(place)

    def words(self, place: int) -> list[str]:
        """Return what the agent of an end is told."""
        peer, hosts = 1 - place, self._hosts
        words = [str(EXAMPLES / "strongswan" / "agent.py"), "--vici", str(self._socket(place))]
        words += ["--local", hosts.outer(place), "--remote", hosts.outer(peer)]
        words += [
            "--local-ts",
            f"{hosts.inner(place)}/32",
            "--remote-ts",
            f"{hosts.inner(peer)}/32",
        ]
        return [*words, "--secret", str(self._secret)]

    def _socket(self, place: int) -> Path:
        return self._hosts.folder / f"vici{place}"

    def _bring_up(self, place: int) -> None:
        hosts = self._hosts
        hosts.within(place, "ip", "address", "add", f"{hosts.inner(place)}/32", "dev", "lo")
        here = hosts.folder / f"run{place}"
        here.mkdir()
        settings = hosts.folder / f"charon{place}.conf"
        template = (EXAMPLES / "strongswan" / "charon.conf").read_text()
        settings.write_text(template.replace("/run/qkd/vici", str(self._socket(place))))
        # charon has its pid in /var/run, which both hosts would share
        script = f'mount --bind {here} /var/run && exec "$@"'
        words = ("unshare", "--mount", "sh", "-c", script, "sh", str(CHARON))
        hosts.start(f"charon{place}", *words, place=place, STRONGSWAN_CONF=str(settings))
        until(self._socket(place).exists, 20)


def agents(hosts: Hosts, words: Sequence[Sequence[str]], doors: Any, more: str = "") -> list[Path]:
    """Start an agent for each end; `doors` are pairs of a node's URL and a folder of credentials."""
    control, saes = f"127.0.0.1:{_free_port()}", ("alice", "bob")
    logs = []
    for place in (1, 0):
        url, folder = doors[place]
        told = ["--node", url, "--credentials", str(folder), "--peer-sae", saes[1 - place]]
        told += ["--every", "2", "--lead" if place == 0 else "--listen", control]
        logs.append(hosts.python(f"agent{place}", *words[place], *told, more=more))
    return logs


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def command(*words: str, text: str | None = None) -> str:
    """Run a command; return what it says.  Raises `RuntimeError`."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return done.stdout
