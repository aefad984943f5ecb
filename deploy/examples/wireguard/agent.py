"""One end of a WireGuard tunnel whose pre-shared key is renewed from a node; see `renewal` beside it.

The interface is there already, with a private key and a port, and without the peer.  The agent sets the
peer with each new key, and removes it where there is none.  A peer that is only changed goes on with its
session for minutes; one that is removed and set again must show that it has the new key at once.
"""

from __future__ import annotations

import base64
import subprocess
import time
from dataclasses import dataclass

from renewal import Key, options, run

_TRIES = 3
_HANDSHAKE_S = 1.0


@dataclass(frozen=True)
class WireGuard:
    """A peer at an interface."""

    interface: str
    public_key: str
    endpoint: str
    allowed_ips: str
    leads: bool

    def install(self, key: Key) -> None:
        """Set the peer again, with this key; the master end then waits until both ends use it."""
        words = ["preshared-key", "/dev/stdin", "endpoint", self.endpoint]
        words += ["allowed-ips", self.allowed_ips]
        words += ["persistent-keepalive", "10"] if self.leads else []  # begins a handshake at once
        text = base64.b64encode(key.key).decode() + "\n"
        for _ in range(_TRIES):
            self.remove()
            self._set(*words, text=text)
            if not self.leads or self._has_begun():
                return
        raise OSError("no handshake with the peer")

    def remove(self) -> None:
        """Remove the peer."""
        self._set("remove")

    def _has_begun(self) -> bool:
        """Wait for a handshake with the new key, but not for long: WireGuard itself waits for 5 s."""
        ends_s = time.monotonic() + _HANDSHAKE_S
        while time.monotonic() < ends_s:
            shown = _wg("show", self.interface, "latest-handshakes")
            if any(int(line.split()[1]) for line in shown.splitlines() if self.public_key in line):
                return True
            time.sleep(0.02)
        return False

    def _set(self, *words: str, text: str = "") -> None:
        """Change the peer.  Raises `OSError` if `wg` does not."""
        _wg("set", self.interface, "peer", self.public_key, *words, text=text)


def _wg(*words: str, text: str = "") -> str:
    done = subprocess.run(["wg", *words], input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip())
    return done.stdout


def main() -> None:
    """Be one end, as the command line says."""
    parser = options("Renew the pre-shared key of a WireGuard peer from a QKD node.")
    parser.add_argument("--interface", required=True)
    parser.add_argument("--peer", required=True, metavar="PUBLIC_KEY")
    parser.add_argument("--endpoint", required=True, metavar="HOST:PORT")
    parser.add_argument("--allowed-ips", required=True, metavar="PREFIXES")
    told = parser.parse_args()
    where = (told.interface, told.peer, told.endpoint, told.allowed_ips)
    run(told, WireGuard(*where, leads=bool(told.lead)))


if __name__ == "__main__":
    main()
