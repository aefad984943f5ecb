"""Renew the pre-shared key of a tunnel at both of its ends, each from its own node.

The master end takes a new key at its node and tells the slave end the key's name over a control connection;
the slave end takes its copy at its own node, installs it and says so; then the master end installs its own.
So only names cross the control connection, and the slave end is ready before the master end begins.

No key, no tunnel: a key serves until the next renewal is due, and if there is no new one then, both ends
remove the old one.  The slave end also removes it if it has heard nothing for two renewals.  The control
connection is plain TCP: who can write to it can close the tunnel, but learns no key.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Protocol, TextIO

from emulator.access import AccessError, Client, Key

KEY_BITS = 256
_ANSWER_S = 10.0


class Tunnel(Protocol):
    """What holds the key at one end."""

    def install(self, key: Key) -> None:
        """Use a key from now on, in place of another."""

    def remove(self) -> None:
        """Let nothing pass any more; do nothing if nothing passes."""


@dataclass(frozen=True)
class Timing:
    """How long a key serves, and how long to wait before asking again where there was none."""

    every_s: float = 10.0
    retry_s: float = 0.2


class Master:
    """The end that takes new keys; see the module."""

    def __init__(
        self, client: Client, slave: str, tunnel: Tunnel, control: tuple[str, int]
    ) -> None:
        self._client, self._slave, self._tunnel, self._control = client, slave, tunnel, control
        self._channel: TextIO | None = None

    def renew(self) -> bool:
        """Renew the key at both ends, or remove it; return whether it was renewed."""
        try:
            key = self._client.enc_keys(self._slave, number=1, size=KEY_BITS)[0]
            if not self._tell(key.id):
                raise ConnectionError("the slave end has no copy")
            self._tunnel.install(key)
        except (AccessError, OSError, HTTPException) as problem:
            report(f"no new key: {problem}")
            self.close()
            return False
        report(f"renewed with {key.id}")
        return True

    def close(self) -> None:
        """Remove the key at this end, and have the slave end remove it."""
        self._tunnel.remove()
        try:
            self._tell(None)
        except OSError as problem:
            report(f"the slave end is not told: {problem}")

    def _tell(self, key_id: str | None) -> bool:
        """Tell the slave end the name of its key, or of none; return whether it is as wanted there."""
        try:
            if self._channel is None:
                connection = socket.create_connection(self._control, timeout=_ANSWER_S)
                self._channel = connection.makefile("rw", encoding="utf-8")
            self._channel.write(json.dumps({"key_ID": key_id}) + "\n")
            self._channel.flush()
            return bool(json.loads(self._channel.readline() or '{"ok": false}')["ok"])
        except (OSError, ValueError, KeyError) as problem:
            self._channel = None
            raise ConnectionError(str(problem)) from problem


class Slave:
    """The end that takes copies; see the module."""

    def __init__(self, client: Client, master: str, tunnel: Tunnel, silence_s: float) -> None:
        self._client, self._master, self._tunnel = client, master, tunnel
        self._silence_s = silence_s

    def serve(self, listener: socket.socket) -> None:
        """Follow one master end after the other, for ever."""
        listener.settimeout(self._silence_s)
        while True:
            try:
                connection, _ = listener.accept()
                connection.settimeout(self._silence_s)
                with connection, connection.makefile("rw", encoding="utf-8") as channel:
                    self._follow(channel)
            except (OSError, ValueError, KeyError) as problem:
                report(f"the master end is silent: {problem}")
                self._tunnel.remove()

    def _follow(self, channel: TextIO) -> None:
        while line := channel.readline():
            wanted = self._have(json.loads(line)["key_ID"])
            channel.write(json.dumps({"ok": wanted}) + "\n")
            channel.flush()

    def _have(self, key_id: str | None) -> bool:
        """Install a key, or none; return whether that was done."""
        if key_id is None:
            self._tunnel.remove()
            return True
        try:
            self._tunnel.install(self._copy(key_id))
        except (AccessError, OSError, HTTPException) as problem:
            report(f"no copy of {key_id}: {problem}")
            self._tunnel.remove()
            return False
        report(f"renewed with {key_id}")
        return True

    def _copy(self, key_id: str) -> Key:
        """Take a copy; ask once more if there was no answer, which is safe."""
        try:
            return self._client.dec_keys(self._master, [key_id])[0]
        except (OSError, HTTPException):
            return self._client.dec_keys(self._master, [key_id])[0]


def report(line: str) -> None:
    """Say on stderr what was done."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def options(description: str) -> argparse.ArgumentParser:
    """Return the options that every agent has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--node", required=True, help="URL of this end's node, as in access.json")
    parser.add_argument("--credentials", required=True, type=Path, help="folder of `qsagin access`")
    parser.add_argument("--peer-sae", required=True, help="the SAE at the other end")
    parser.add_argument(
        "--every", type=float, default=10.0, help="seconds a key serves (%(default)s)"
    )
    end = parser.add_mutually_exclusive_group(required=True)
    end.add_argument(
        "--lead", metavar="HOST:PORT", help="be the master end; where the other listens"
    )
    end.add_argument("--listen", metavar="HOST:PORT", help="be the slave end; where to listen")
    return parser


def run(told: argparse.Namespace, tunnel: Tunnel) -> None:
    """Be one end, until interrupted; then remove the key."""
    folder: Path = told.credentials
    files = [folder / name for name in ("certificate.pem", "key.pem", "ca.pem")]
    try:
        with Client(told.node, *files) as client:
            if told.lead:
                _lead(
                    Master(client, told.peer_sae, tunnel, _address(told.lead)), Timing(told.every)
                )
            slave = Slave(client, told.peer_sae, tunnel, silence_s=2 * told.every)
            with socket.create_server(_address(told.listen)) as listener:
                slave.serve(listener)
    finally:
        tunnel.remove()


def _lead(master: Master, timing: Timing, sleep: Callable[[float], None] = time.sleep) -> None:
    while True:
        sleep(timing.every_s if master.renew() else timing.retry_s)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
