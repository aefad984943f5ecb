"""A client of a key manager's door, for SAEs that are written in Python.

One client speaks for one SAE to one node, over one connection at a time, which is opened again when it has
been idle; it is not for several threads at once.  It needs nothing but the standard library.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

_IDLE_S = 2.0  # the server hangs up on who is idle for longer than 5 s
_MOST_BYTES = 16 * 2**20


class AccessError(Exception):
    """A call was refused (`status` 400, 401), or cannot be served now (503); `details` are as answered."""

    def __init__(self, status: int, message: str, details: Sequence[Any] = ()) -> None:
        super().__init__(status, message, tuple(details))
        self.status, self.message, self.details = status, message, tuple(details)

    def __str__(self) -> str:
        return f"{self.status}: {self.message}"


@dataclass(frozen=True)
class Key:
    """A key, and its name, by which the SAE at the other end takes its copy."""

    id: str
    key: bytes = field(repr=False)


class Client:
    """See the module.  `node_url` is as in `access.json`; the others are files in PEM.

    Every method raises `AccessError` for what the server refuses, and `OSError` or
    `http.client.HTTPException` if it does not answer.
    """

    def __init__(
        self,
        node_url: str,
        certificate: str | Path,
        key: str | Path,
        ca: str | Path,
        *,
        timeout_s: float = 30.0,
    ) -> None:
        url = urlsplit(node_url)
        if url.scheme != "https" or not url.hostname:
            raise ValueError(f"node_url must be https://HOST:PORT, not {node_url}")
        context = ssl.create_default_context(cafile=str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(str(certificate), str(key))
        self._connection = HTTPSConnection(
            url.hostname, url.port, context=context, timeout=timeout_s
        )
        self._path = url.path.rstrip("/")
        self._used_s = 0.0

    def status(self, peer: str) -> dict[str, Any]:
        """Return what the node says of keys for this SAE and a peer (`Status` of the standard)."""
        return self._call("GET", f"{quote(peer, safe='')}/status")

    def enc_keys(
        self, slave: str, number: int = 1, size: int | None = None, additional: Iterable[str] = ()
    ) -> list[Key]:
        """Take new keys, of `size` bits each, that the slave and the additional slaves can take too."""
        asked: dict[str, Any] = {"number": number}
        if size is not None:
            asked["size"] = size
        if others := list(additional):
            asked["additional_slave_SAE_IDs"] = others
        return _keys(self._call("POST", f"{quote(slave, safe='')}/enc_keys", asked))

    def dec_keys(self, master: str, key_ids: Iterable[str]) -> list[Key]:
        """Take this SAE's copies of keys that a master has taken, by their names."""
        asked = {"key_IDs": [{"key_ID": name} for name in key_ids]}
        return _keys(self._call("POST", f"{quote(master, safe='')}/dec_keys", asked))

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, verb: str, path: str, asked: Any = None) -> dict[str, Any]:
        if time.monotonic() - self._used_s > _IDLE_S:
            self._connection.close()
        body = None if asked is None else json.dumps(asked)
        headers = {"Accept": "application/json"}
        headers |= {"Content-Type": "application/json"} if body else {}
        try:
            self._connection.request(verb, f"{self._path}/api/v1/keys/{path}", body, headers)
            answer = self._connection.getresponse()
            text = _whole(answer)
        except (OSError, HTTPException):
            self._connection.close()
            raise
        self._used_s = time.monotonic()
        return _document(answer, text)


def _whole(answer: HTTPResponse) -> bytes:
    """Return the body of an answer, which may be cut off as all else that comes over a connection."""
    text = answer.read(_MOST_BYTES)
    if answer.length and len(text) < _MOST_BYTES:
        raise IncompleteRead(text, answer.length)
    return text


def _document(answer: HTTPResponse, text: bytes) -> dict[str, Any]:
    """Return what was answered.  Raises `AccessError`."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AccessError(answer.status, f"answers what is no JSON object ({answer.reason})")
    if answer.status != 200:
        message, details = str(found.get("message", answer.reason)), found.get("details", ())
        raise AccessError(answer.status, message, details if isinstance(details, list) else ())
    return found


def _keys(found: dict[str, Any]) -> list[Key]:
    try:
        return [
            Key(str(item["key_ID"]), base64.b64decode(item["key"], validate=True))
            for item in found["keys"]
        ]
    except (KeyError, TypeError, binascii.Error) as error:
        raise AccessError(200, "answers what is no container of keys") from error
