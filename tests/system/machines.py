"""Machines of a Ray cluster on one computer: network namespaces on a switch of their own, a raylet each.

Needs root and `ip`.  Nothing outside of the namespaces is touched, and they are removed with all that
runs in them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest
from patience import until

RAY = Path(sys.executable).with_name("ray")
HEALTH = {  # as in deploy/
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "3",
}
PORT = 6379


def need_namespaces() -> None:
    """Skip where the kernel grants none; for want of tools skip too, or fail if that may not be."""
    able = os.geteuid() == 0 and shutil.which("ip") is not None
    if not able and os.environ.get("CI") == "true":
        pytest.fail("needs root and the Debian package iproute2")
    if not able:
        pytest.skip("needs root and ip")
    trial = "q" + secrets.token_hex(3)
    if subprocess.run(["ip", "netns", "add", trial], capture_output=True, check=False).returncode:
        pytest.skip("nobody may make network namespaces here")
    _ip("netns", "del", trial)


class Machines:
    """So many machines; the first bears the head of the cluster.  Labels are `NAME=VALUE`.

    In place of the folder `hidden` all but the first see an empty one.
    """

    def __init__(self, labels: Sequence[str] = ("", ""), hidden: Path | None = None) -> None:
        self._name = "q" + secrets.token_hex(3)
        self._labels, self._hidden = labels, hidden
        self._folder = Path(tempfile.mkdtemp(prefix="qr", dir="/tmp"))
        (self._folder / "token").write_text(secrets.token_hex(32))
        self._raylets: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        _ip("netns", "add", self._name)
        self._within(None, "link", "add", "switch", "type", "bridge")
        self._within(None, "link", "set", "switch", "up")
        for place in range(len(self._labels)):
            self._plug(place)
        for place in range(len(self._labels)):
            self.start(place)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for place in range(len(self._labels)):
            self.end(place)
        for place in range(len(self._labels)):
            _ip("netns", "del", self._space(place))
        _ip("netns", "del", self._name)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """Where the head answers."""
        return f"{self.ip(0)}:{PORT}"

    def ip(self, place: int) -> str:
        """Return a machine's address."""
        return f"10.77.0.{place + 1}"

    def start(self, place: int) -> None:
        """Start a machine's part of Ray, and wait until it has joined."""
        role = ["--head", f"--port={PORT}"] if place == 0 else [f"--address={self.address}"]
        command = [str(RAY), "start", *role, f"--node-ip-address={self.ip(place)}", "--num-cpus=2"]
        command += [f"--temp-dir={self._folder / str(place)}", "--object-store-memory=80000000"]
        command += ["--disable-usage-stats", "--block"]
        if place == 0:
            command.append("--include-dashboard=false")
        if self._labels[place]:
            command.append(f"--labels={self._labels[place]}")
        if place and self._hidden:
            cover = f'mount -t tmpfs none {self._hidden} && exec "$@"'
            command = ["sh", "-c", cover, "sh", *command]
        log = self._folder / f"{place}.log"
        with log.open("wb") as out:
            self._raylets[place] = subprocess.Popen(
                self.command(place, command), stdout=out, stderr=out, env=self.environment
            )
        until(lambda: "Ray runtime started" in log.read_text() or self._broken(place, log))

    def command(self, place: int, words: Sequence[str]) -> list[str]:
        """Return what runs a command on a machine."""
        return ["ip", "netns", "exec", self._space(place), *words]

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the cluster is told."""
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._folder / "token")}
        return os.environ | HEALTH | token

    def pids(self, place: int) -> list[int]:
        """Return the processes that run on a machine."""
        return [int(pid) for pid in _ip("netns", "pids", self._space(place)).split()]

    def end(self, place: int) -> None:
        """End everything that runs on a machine, at once, as if its power had failed."""
        for pid in self.pids(place):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if place in self._raylets:
            self._raylets.pop(place).wait()

    def lose(self, place: int, loss: str) -> None:
        """Have a machine lose its raylet, all its processes (power), or its network (cable)."""
        if loss == "raylet":
            family = psutil.Process(self._raylets[place].pid).children(recursive=True)
            next(process for process in family if process.name() == "raylet").kill()
        elif loss == "power":
            self.end(place)
        else:
            self._within(None, "link", "set", f"to{place}", "down")

    def come_back(self, place: int) -> None:
        """Have a lost machine be there again: its network, and its part of Ray, started again."""
        self._within(None, "link", "set", f"to{place}", "up")
        self.end(place)
        self.start(place)

    def part(self, place: int, ports: str) -> None:
        """Have a machine and all others not reach each other's ports; Ray uses other ones."""
        self._rule("add", place, ports)

    def heal(self, place: int, ports: str) -> None:
        """Have them reach each other's ports again."""
        self._rule("del", place, ports)

    def _rule(self, verb: str, place: int, ports: str) -> None:
        for other in set(range(len(self._labels))) - {place}:
            for here, there in ((place, other), (other, place)):
                to = ("to", self.ip(there), "ipproto", "tcp", "dport", ports)
                self._within(here, "rule", verb, *to, "blackhole")

    def _broken(self, place: int, log: Path) -> bool:
        if self._raylets[place].poll() is not None:
            raise RuntimeError(log.read_text())
        return False

    def _plug(self, place: int) -> None:
        space = self._space(place)
        _ip("netns", "add", space)
        self._within(
            None, "link", "add", f"to{place}", "type", "veth", "peer", "eth0", "netns", space
        )
        self._within(None, "link", "set", f"to{place}", "master", "switch", "up")
        self._within(place, "address", "add", f"{self.ip(place)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self._within(place, "link", "set", device, "up")

    def _space(self, place: int) -> str:
        return f"{self._name}-{place}"

    def _within(self, place: int | None, *words: str) -> None:
        _ip("-n", self._name if place is None else self._space(place), *words)


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr}")
    return done.stdout
