"""Prints every alert that Alertmanager posts, one line each: a stand-in for whoever is called at night."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 1_000_000


class Door(BaseHTTPRequestHandler):
    """Takes Alertmanager's webhook messages, version 4."""

    def do_POST(self) -> None:
        """Print alerts; what is none is refused."""
        size = int(self.headers.get("Content-Length", 0))
        try:
            alerts = json.loads(self.rfile.read(min(size, MOST_BYTES)))["alerts"]
            lines = [_line(alert) for alert in alerts]
        except (ValueError, KeyError, TypeError):
            self.send_error(400, "no alerts")
            return
        print(*lines, sep="\n", flush=True)  # noqa: T201
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Say nothing of requests."""


def _line(alert: dict[str, dict[str, str]]) -> str:
    labels, words = alert["labels"], alert["annotations"]
    where = " ".join(f"{key}={labels[key]}" for key in sorted(labels.keys() - {"alertname"}))
    return f"{alert['status']}: {labels['alertname']} ({where}) {words.get('summary', '')}".rstrip()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
