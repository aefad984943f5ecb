"""One end of an IPsec tunnel with a post-quantum pre-shared key (RFC 8784) from a node.

See `renewal` beside it.  charon is told over vici.  Each key has an identity of its own, its key_ID.  The
slave end loads the key; the master end loads it too, has charon set up a new security association with it,
and then ends the one before.  A connection requires its key: without one nothing is set up.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vici
from renewal import Key, options, run

NAME = "qkd"


class StrongSwan:
    """A connection of charon; `connection` is as in vici's `load-conn`, without its key."""

    def __init__(self, vici_socket: str, connection: Mapping[str, Any], *, leads: bool) -> None:
        channel = socket.socket(socket.AF_UNIX)
        channel.connect(vici_socket)
        self._charon = vici.Session(channel)
        self._connection, self._leads = connection, leads
        self._key_id = ""

    def share(self, secret: bytes, owners: list[str]) -> None:
        """Load the classical secret by which both ends are authenticated."""
        self._charon.load_shared({"id": NAME, "type": "ike", "data": secret, "owners": owners})

    def install(self, key: Key) -> None:
        """Load a key and, at the master end, set up the tunnel with it.  Raises `OSError`."""
        former = self._associations()
        try:
            self._load(key)
            if self._leads:
                self._all(self._charon.initiate({"child": NAME, "ike": NAME, "timeout": "5000"}))
        except vici.exception.CommandException as error:
            raise OSError(str(error)) from error
        if self._leads:
            self._end(former)

    def remove(self) -> None:
        """End the tunnel, and forget its key."""
        self._end(self._associations())
        self._forget(self._key_id)
        self._key_id = ""

    def _load(self, key: Key) -> None:
        shared = {"id": key.id, "type": "ppk", "data": key.key, "owners": [key.id]}
        self._charon.load_shared(shared)
        told = {"ppk_id": key.id, "ppk_required": "yes"}
        self._charon.load_conn({NAME: {**self._connection, **told}})
        self._forget(self._key_id)
        self._key_id = key.id

    def _forget(self, key_id: str) -> None:
        if key_id:
            self._charon.unload_shared({"id": key_id})

    def _associations(self) -> list[str]:
        """Return the numbers of all security associations."""
        found = (one for many in self._charon.list_sas({"ike": NAME}) for one in many.values())
        return [one["uniqueid"].decode() for one in found]

    def _end(self, numbers: list[str]) -> None:
        for number in numbers:
            try:
                self._all(
                    self._charon.terminate({"ike-id": number, "timeout": "1000", "force": "yes"})
                )
            except vici.exception.CommandException:
                continue  # the other end was faster

    @staticmethod
    def _all(lines: Any) -> None:
        """Wait until charon has done something."""
        for _ in lines:
            pass


def connection_of(told: Any) -> dict[str, Any]:
    """Return a connection that is authenticated by a shared secret and protects two prefixes."""
    children = {NAME: {"local_ts": [told.local_ts], "remote_ts": [told.remote_ts]}}
    children[NAME] |= {"esp_proposals": ["aes256-sha256"], "start_action": "none"}
    return {
        "version": "2",
        "local_addrs": [told.local],
        "remote_addrs": [told.remote],
        "proposals": ["aes256-sha256-x25519"],
        "unique": "never",  # the former association lasts until the new one is there
        "local": {"auth": "psk", "id": told.local},
        "remote": {"auth": "psk", "id": told.remote},
        "children": children,
    }


def main() -> None:
    """Be one end, as the command line says."""
    parser = options(
        "Renew the post-quantum pre-shared key of a strongSwan tunnel from a QKD node."
    )
    parser.add_argument("--vici", required=True, metavar="SOCKET")
    parser.add_argument("--local", required=True, metavar="IP")
    parser.add_argument("--remote", required=True, metavar="IP")
    parser.add_argument("--local-ts", required=True, metavar="PREFIX")
    parser.add_argument("--remote-ts", required=True, metavar="PREFIX")
    parser.add_argument("--secret", required=True, type=Path, help="file with the classical secret")
    told = parser.parse_args()
    tunnel = StrongSwan(told.vici, connection_of(told), leads=bool(told.lead))
    tunnel.share(told.secret.read_bytes().strip(), [told.local, told.remote])
    run(told, tunnel)


if __name__ == "__main__":
    main()
