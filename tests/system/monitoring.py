"""The monitoring servers of Debian, set up from deploy/ as an operator would, and a webhook that they call.

Only addresses are changed: ports are free ones, and targets are those of the test.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from patience import patient

DEPLOY = Path(__file__).parents[2] / "deploy"


def tool(name: str) -> str:
    """Return where a Debian tool is; without it the test is skipped, or fails if CI is true."""
    found = shutil.which(name)
    if found is None:
        words = f"{name} is not installed; see .ci/apt.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(words)
    return found


def until(what: Callable[[], Any], told: str, limit_s: float = 60.0) -> Any:
    """Wait for something to become true, but not for ever."""
    ends_s = time.monotonic() + patient(limit_s)
    while time.monotonic() < ends_s:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{told}: not within {limit_s:g} s")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Webhook:
    """All alerts that have arrived, as (status, name, labels)."""

    url: str = ""
    heard: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def has(self, status: str, name: str, **labels: str) -> bool:
        """Return whether an alert has arrived in this status."""
        return any(
            (status, name) == (its_status, its_name) and labels.items() <= its_labels.items()
            for its_status, its_name, its_labels in list(self.heard)
        )

    def names(self, status: str) -> set[str]:
        """Return the alerts that have arrived in this status."""
        return {name for its_status, name, _ in list(self.heard) if its_status == status}


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Listen for alerts."""
    found = Webhook()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.heard += [
                (alert["status"], alert["labels"]["alertname"], alert["labels"])
                for alert in body["alerts"]
            ]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/alerts"
    yield found
    server.shutdown()
    server.server_close()


@contextmanager
def alertmanager(folder: Path, hook: Webhook) -> Iterator[str]:
    """Run Alertmanager with deploy/alertmanager, for this webhook; yield its address."""
    address = f"127.0.0.1:{free_port()}"
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(text.replace("http://127.0.0.1:9099/alerts", hook.url))
    options = [f"--web.listen-address={address}", "--cluster.listen-address="]
    with _server("prometheus-alertmanager", "alertmanager.yml", folder, address, *options):
        yield address


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus server with deploy/prometheus."""

    address: str
    folder: Path

    def watch(self, targets: list[str]) -> None:
        """Scrape these addresses from now on."""
        path = self.folder / "targets" / "qsagin.yml"
        path.with_suffix(".new").write_text(json.dumps([{"targets": targets}]))
        path.with_suffix(".new").rename(path)

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression is now: series with their values."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules, with their health."""
        groups = self._get("rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _get(self, what: str, **query: str) -> dict[str, Any]:
        words = urllib.parse.urlencode(query)
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{what}?{words}") as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


@contextmanager
def prometheus(folder: Path, alerts_to: str) -> Iterator[Prometheus]:
    """Run Prometheus with deploy/prometheus, which sends alerts to an address."""
    shutil.copytree(DEPLOY / "prometheus", folder)
    address = f"127.0.0.1:{free_port()}"
    found = Prometheus(address, folder)
    (folder / "targets" / "alertmanager.yml").write_text(json.dumps([{"targets": [alerts_to]}]))
    found.watch([])
    options = [f"--web.listen-address={address}", "--rules.alert.resend-delay=1s"]
    with _server("prometheus", "prometheus.yml", folder, address, *options):
        yield found


@contextmanager
def _server(name: str, config: str, folder: Path, address: str, *options: str) -> Iterator[None]:
    storage = "--storage.tsdb.path" if name == "prometheus" else "--storage.path"
    command = [tool(name), f"--config.file={config}", f"{storage}=data", *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: is_there(f"http://{address}/-/ready"), f"{name} is ready", 30)
        yield
    finally:
        process.terminate()
        process.wait(10)


def is_there(url: str) -> bool:
    """Return whether something answers well at an URL."""
    with suppress(OSError), urllib.request.urlopen(url):
        return True
    return False
