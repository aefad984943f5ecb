"""The client of doors to SAEs, against doors that are lost in the middle of an answer."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from emulator.access import AccessError, Client
from emulator.access.certificates import AccessAuthority, write_credentials

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
BODY = b'{"keys": []}'


@contextmanager
def _door(folder: Path, answer: bytes) -> Iterator[Client]:
    """Yield a client of a door that answers one call with these octets, and is gone."""
    authority = AccessAuthority.new()
    write_credentials(folder / "sae", authority.sae("alice"), authority.certificate)
    write_credentials(folder / "door", authority.door("A", ["127.0.0.1"]), authority.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "door" / "certificate.pem", folder / "door" / "key.pem")

    def serve() -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as door:
            asked = b""
            while not asked.endswith(b"}"):
                asked += door.recv(65_536)
            door.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        files = [folder / "sae" / name for name in ("certificate.pem", "key.pem", "ca.pem")]
        with Client(f"https://127.0.0.1:{listener.getsockname()[1]}", *files) as client:
            yield client
        thread.join()


@pytest.mark.parametrize("octets", [0, 1, len(BODY) - 1])
def test_an_answer_that_is_cut_off_is_no_answer(tmp_path: Path, octets: int) -> None:
    answer = HEAD % len(BODY) + BODY[:octets]
    with _door(tmp_path, answer) as client, pytest.raises(HTTPException):
        client.enc_keys("carol")


def test_an_answer_that_is_whole_is_read(tmp_path: Path) -> None:
    with _door(tmp_path, HEAD % len(BODY) + BODY) as client:
        assert client.enc_keys("carol") == []


def test_an_answer_that_is_whole_and_no_json_is_refused(tmp_path: Path) -> None:
    answer = HEAD % 2 + b"no"
    refused = pytest.raises(AccessError, match="no JSON object")
    with _door(tmp_path, answer) as client, refused:
        client.enc_keys("carol")
