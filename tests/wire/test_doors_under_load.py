"""No client holds up an HTTP door of a run, whatever it does or leaves undone: exporter and live page.

Each door is a process of its own.  While hostile clients are connected, others must be answered at once,
and the door must have few threads and connections; later it must have got rid of them by itself.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import door as door_script
import pytest
from live_network import write_experiment_of

from emulator.net.http_server import ACCEPTED_AT_ONCE, MOST_CONNECTIONS, MOST_UNREAD
from emulator.store.journal import FOLDER
from emulator.store.registry import Registry
from emulator.telemetry.scrapes import MOST_WAITING

IDLE, SLOW = 1_200, 50
PROMPT_S = 1.0
LIMIT_S = 60.0  # for what should take a second or two; how fast a machine is proves nothing
MOST_THREADS = 64  # a pool for files, a few of gRPC; far fewer than there are connections
BIGGEST = {"exporter": "/metrics", "page": "/vendor/states-10m.json"}
USUAL = {"exporter": "/metrics", "page": "/api/run"}

Hostile = Callable[["Door", contextlib.ExitStack], None]


@dataclass
class Door:
    """A running process, and where it listens."""

    kind: str
    process: subprocess.Popen[str]
    address: tuple[str, int]

    @property
    def threads(self) -> int:
        """How many there are now."""
        return len(os.listdir(f"/proc/{self.process.pid}/task"))  # noqa: PTH208

    @property
    def sockets(self) -> int:
        """How many it has open."""
        found = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed just now
                found += str(descriptor.readlink()).startswith("socket:")
        return found

    def ask(self, path: str = "", method: str = "GET") -> tuple[int, bytes, float]:
        """Return status, body, and how long that took."""
        began_s = time.monotonic()
        connection = http.client.HTTPConnection(*self.address, timeout=LIMIT_S)
        connection.request(method, path or USUAL[self.kind])
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, time.monotonic() - began_s

    def connect(self, clients: contextlib.ExitStack, received_bytes: int = 0) -> socket.socket:
        """Return a connection that the stack closes."""
        client = clients.enter_context(socket.socket())
        if received_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_bytes)
        client.settimeout(LIMIT_S)
        client.connect(self.address)
        return client

    def request(self, path: str, method: str = "GET", headers: str = "") -> bytes:
        """Return a request as it is sent."""
        host, port = self.address
        return f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n".encode("latin-1")


def _until(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


@contextlib.contextmanager
def opened(kind: str, folder: Path, request_s: float, answer_s: float) -> Iterator[Door]:
    """Open a door that waits as long for its clients; end its process in any case."""
    if kind == "page":
        (folder / FOLDER).mkdir()
        write_experiment_of("tiny", folder)
    else:
        Registry(folder)
    said = folder / "said.txt"
    process = subprocess.Popen(
        [sys.executable, door_script.__file__, kind, str(folder), str(request_s), str(answer_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said.open("wb"),
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            where = urlsplit(process.stdout.readline())
            assert where.hostname is not None
            assert where.port is not None
            yield Door(kind, process, (where.hostname, where.port))
        finally:
            process.kill()
    assert said.read_text() == ""  # whatever clients do, it is no news


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> Iterator[None]:
    """Have this process open as many connections as the tests want."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module", params=["exporter", "page"])
def door(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    """One door for all clients of a kind, so that what one leaves behind troubles the next."""
    with opened(request.param, tmp_path_factory.mktemp(request.param), 2.0, 3.0) as found:
        yield found


def idle(door: Door, clients: contextlib.ExitStack) -> None:
    """Many say nothing."""
    for _ in range(IDLE):
        door.connect(clients)


def slow_senders(door: Door, clients: contextlib.ExitStack) -> None:
    """Each sends its headers byte by byte."""
    senders = [door.connect(clients) for _ in range(SLOW)]
    text = door.request(USUAL[door.kind], headers="X-Long: " + "x" * 10_000 + "\r\n")

    def dribble() -> None:
        for byte in text:
            for sender in senders:
                sender.sendall(bytes([byte]))
            time.sleep(0.05)

    _meanwhile(dribble)


def slow_bodies(door: Door, clients: contextlib.ExitStack) -> None:
    """Each begins a body that never ends."""
    for _ in range(SLOW):
        head = door.request("/api/faults", "POST", "Content-Length: 1000\r\n")
        door.connect(clients).sendall(head + b"{")


def second_requests(door: Door, clients: contextlib.ExitStack) -> None:
    """Each is answered once, and begins another request."""
    for _ in range(SLOW):
        client = door.connect(clients)
        client.sendall(door.request(USUAL[door.kind], "HEAD"))
        assert client.recv(12) == b"HTTP/1.1 200"
        client.sendall(b"GET /")


def never_readers(door: Door, clients: contextlib.ExitStack) -> None:
    """Each asks for more than the kernel buffers, and takes nothing."""
    for _ in range(SLOW):
        client = door.connect(clients, received_bytes=4096)
        client.sendall(door.request(BIGGEST[door.kind]) * 60)


def viewers(door: Door, clients: contextlib.ExitStack) -> None:
    """Many watch for ever, where there is something to watch, and leave."""
    with contextlib.ExitStack() as watching:
        for _ in range(SLOW):
            door.connect(watching).sendall(door.request("/api/events"))


def askers(door: Door, clients: contextlib.ExitStack) -> None:
    """Each asks for what costs most to answer, again and again."""
    ends_s = time.monotonic() + 3

    def ask() -> None:
        while time.monotonic() < ends_s:
            door.ask(f"{BIGGEST[door.kind]}?name[]=qsagin_link_qber_ratio")

    for _ in range(SLOW):
        _meanwhile(ask)


def long_lines(door: Door, clients: contextlib.ExitStack) -> None:
    """Each asks for what has a name of a megabyte."""
    for _ in range(SLOW):
        client = door.connect(clients)
        with contextlib.suppress(ConnectionError):  # refused while it is still being sent
            client.sendall(b"GET /" + b"a" * 2**20)
        assert _status(client) in {431, None}


def long_headers(door: Door, clients: contextlib.ExitStack) -> None:
    """Each sends a thousand headers."""
    for _ in range(SLOW):
        client = door.connect(clients)
        with contextlib.suppress(ConnectionError):
            headers = "".join(f"X-{n}: {'x' * 100}\r\n" for n in range(1_000))
            client.sendall(door.request("/", headers=headers))
        assert _status(client) in {431, None}


def endless(door: Door, clients: contextlib.ExitStack) -> None:
    """Each sends a body without end as fast as it can, whether or not it has been answered."""
    chunked = "Transfer-Encoding: chunked\r\n"

    def send(method: str, path: str) -> None:
        client = door.connect(clients)
        with contextlib.suppress(OSError):
            client.sendall(door.request(path, method, chunked))
            while True:
                client.sendall(b"400\r\n" + b"x" * 0x400 + b"\r\n")

    senders = [_meanwhile(send, "GET", USUAL[door.kind]) for _ in range(3)]
    senders += [_meanwhile(send, "POST", "/api/faults") for _ in range(3)]
    for sender in senders:
        sender.join(LIMIT_S)
        assert not sender.is_alive()


def garbage(door: Door, clients: contextlib.ExitStack) -> None:
    """What is sent is no HTTP: TLS, NULs, another protocol, half of a character."""
    for text in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        bytes(64),
        b"SSH-2.0-OpenSSH_9.2p1",
        b"\xc3",
    ):
        for _ in range(SLOW):
            client = door.connect(clients)
            client.sendall(text + b"\r\n\r\n")
            assert _status(client) in {400, None}


def strange_wishes(door: Door, clients: contextlib.ExitStack) -> None:
    """Each wants a format, an encoding, a part or a name that there is not; nothing fails on it."""
    versions = ("abc", "1.x", "1.0.5", "9" * 5_000, "-1", '"1.0.0"', "1.0.0;escaping=" + "x" * 99)
    accepted = [f"application/openmetrics-text;version={version}" for version in versions]
    accepted += ["text/plain;version=\xd9.0.0", ",,;;=", "version=", "\xff\xfe"]
    wishes = [f"Accept: {item}\r\n" for item in accepted]
    wishes += [
        "Accept-Encoding: \xff\r\n",
        "Range: bytes=" + "0-1," * 999 + "\r\n",
        "Range: \xff=\r\n",
    ]
    for path in (BIGGEST[door.kind], f"{BIGGEST[door.kind]}?name[]=%ff%00", "/static/%00"):
        for wish in wishes:
            client = door.connect(clients)
            client.sendall(door.request(path, "HEAD", wish))
            assert (_status(client) or 500) < 500
            client.close()


def half_closed(door: Door, clients: contextlib.ExitStack) -> None:
    """Each leaves in the middle of a request or an answer, every second one with a reset."""
    for place in range(4 * SLOW):
        client = door.connect(clients, received_bytes=4096)
        whole = door.request(BIGGEST[door.kind])
        client.sendall(whole if place % 4 < 2 else whole[:-9])
        if place % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()


def all_at_once(door: Door, clients: contextlib.ExitStack) -> None:
    """All that stay connected."""
    for hostile in (never_readers, idle, slow_senders, slow_bodies, second_requests):
        hostile(door, clients)


HOSTILES = (
    idle, slow_senders, slow_bodies, second_requests, never_readers, viewers, askers, long_lines,
    long_headers, endless, garbage, strange_wishes, half_closed, all_at_once,
)  # fmt: skip


def _meanwhile(work: Callable[..., None], *values: object) -> threading.Thread:
    """Do something in a thread, until the door hangs up."""

    def until_hung_up() -> None:
        with contextlib.suppress(OSError):
            work(*values)

    thread = threading.Thread(target=until_hung_up, daemon=True)
    thread.start()
    return thread


def _status(client: socket.socket) -> int | None:
    """Return the status that comes; None if the connection was closed."""
    try:
        line = client.recv(12)
    except ConnectionError:
        return None
    return int(line.split()[1]) if line else None


@pytest.mark.parametrize("hostile", HOSTILES, ids=lambda hostile: hostile.__name__)
def test_others_are_answered_meanwhile_and_the_hostile_are_hung_up_on(
    door: Door, hostile: Hostile
) -> None:
    door.ask()
    sockets = door.sockets
    with contextlib.ExitStack() as clients:
        hostile(door, clients)
        answers = [door.ask() for _ in range(5)]
        assert [status for status, _, _ in answers] == [200] * 5
        assert min(took_s for *_, took_s in answers) < PROMPT_S
        assert door.threads < MOST_THREADS
        assert door.sockets <= sockets + MOST_CONNECTIONS + ACCEPTED_AT_ONCE
        _until(lambda: door.sockets <= sockets)
    assert door.ask()[0] == 200


def test_other_methods_are_refused_and_head_has_no_body(door: Door) -> None:
    assert door.ask(method="DELETE")[0] == 405
    status, body, _ = door.ask(method="HEAD")
    assert (status, body) == (200, b"")


@pytest.mark.parametrize("rest", ["", "Content-Length: 9\r\n"], ids=["unread", "unfinished"])
def test_scrapes_that_take_turns_do_not_wait_for_each_others_clients(
    tmp_path: Path, rest: str
) -> None:
    with opened("exporter", tmp_path, LIMIT_S, LIMIT_S) as door, contextlib.ExitStack() as clients:
        some = "/metrics?name[]=qsagin_link_qber_ratio"
        for _ in range(MOST_WAITING // 2):
            client = door.connect(clients, received_bytes=4096)
            client.sendall(door.request(some, headers=rest) * (1 if rest else 60))
        assert door.ask(some)[0] == 200


@pytest.mark.parametrize("kind", ["exporter", "page"])
def test_few_may_leave_their_answers_unread_and_the_end_waits_for_no_client(
    tmp_path: Path, kind: str
) -> None:
    with opened(kind, tmp_path, LIMIT_S, LIMIT_S) as door, contextlib.ExitStack() as clients:
        sockets = door.sockets
        never_readers(door, clients)
        door.ask()  # whoever came before has been accepted
        _until(lambda: door.sockets <= sockets + MOST_UNREAD)
        all_at_once(door, clients)
        for _ in range(5):
            door.connect(clients).sendall(door.request("/api/events"))
        door.ask()
        assert door.sockets > sockets + MOST_CONNECTIONS / 2
        assert door.process.stdin is not None
        assert door.process.stdout is not None
        began_s = time.monotonic()
        door.process.stdin.close()
        assert select.select([door.process.stdout], [], [], LIMIT_S)[0]
        closing_s = float(door.process.stdout.readline()) - began_s
        print(f"{kind} closed within {closing_s:.2f} s")
        assert closing_s < 5  # about 1 on a quiet machine
        assert door.process.wait(LIMIT_S) == 0
