"""The receiver of alerts that compose starts beside Alertmanager."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from monitoring import free_port, until

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


def test_the_receiver_of_alerts_prints_them_and_refuses_what_is_none() -> None:
    """Alertmanager posts to the port that compose gives the receiver, on the loopback that they share."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    config = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    url = config["receivers"][0]["webhook_configs"][0]["url"]
    assert url.startswith(f"http://127.0.0.1:{services['alerts']['command'][0]}/")
    assert services["alerts"]["network_mode"] == "service:alertmanager"

    port = free_port()
    receiver = [sys.executable, str(DEPLOY / "compose" / "alerts" / "log_alerts.py"), str(port)]
    with subprocess.Popen(receiver, stdout=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: _posted(port, b"{}") == 400, "answers")
            labels = {"alertname": "QsaginNodeDown", "node": "n1"}
            alert = {"status": "firing", "labels": labels, "annotations": {"summary": "n1 is down"}}
            assert _posted(port, json.dumps({"alerts": [alert]}).encode()) == 200
        finally:
            process.terminate()
        assert process.communicate()[0] == "firing: QsaginNodeDown (node=n1) n1 is down\n"


def _posted(port: int, body: bytes) -> int | None:
    """Return the status that a message gets; None: nobody answers yet."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/alerts", body)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return None
