"""Doors to SAEs under load: ten thousand keys, each given at two ends and never again; a thousand callers.

A quarter of the keys is asked for a third time; of the others the journals tell.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from doors import NetworkWithDoors, RunningNetwork, write_experiment
from live_network import within

from emulator.access import AccessError, Client, Key
from emulator.access.certificates import AccessAuthority, write_credentials
from emulator.access.opening import announced
from emulator.results import sae_keys
from emulator.results.audit import audit

pytestmark = pytest.mark.system
KEYS = 10_000
IN_A_CALL = 100
CLIENTS = 16
CONNECTIONS = 1_000


def _experiment(folder: Path) -> Path:
    """Return an experiment in which a pair of SAEs can have more than a thousand keys per period."""
    law = {"poisson": {"mean_units": 1_500}}
    path = write_experiment(folder, periods=200, scenarios=100, distribution=law)
    fields = yaml.safe_load(path.read_text())
    fields["network"]["wavelengths"] = 6_000
    fields["demand"]["requests"] = fields["demand"]["requests"][:1]
    fields["access"]["saes"] = [s for s in fields["access"]["saes"] if s["node"] in "AC"]
    path.write_text(yaml.safe_dump(fields))
    return path


def _given(client: Client) -> list[Key]:
    ends_s = time.monotonic() + 120
    while True:
        try:
            return client.enc_keys("carol", IN_A_CALL)
        except AccessError as error:
            if error.status != 503 or time.monotonic() > ends_s:
                raise
        time.sleep(0.02)


def _refused(client: Client, master: str, name: str) -> int:
    try:
        client.dec_keys(master, [name])
    except AccessError as error:
        return error.status
    return 200


@pytest.mark.timeout(600)
def test_each_of_ten_thousand_keys_is_given_twice_and_never_a_third_time(tmp_path: Path) -> None:
    network = NetworkWithDoors(tmp_path / "run", 2, _experiment(tmp_path))
    given: list[Key] = []
    taken: list[Key] = []
    third: Counter[tuple[str, int]] = Counter()

    def take(number: int) -> None:
        alice, carol = network.client("alice"), network.client("carol")
        for _ in range(number):
            keys = _given(alice)
            given.extend(keys)
            taken.extend(carol.dec_keys("alice", [key.id for key in keys]))

    def ask_again(names: list[str]) -> None:
        carol, anna = network.client("carol"), network.client("anna")
        for name in names:
            third["carol", _refused(carol, "alice", name)] += 1
            third["anna", _refused(anna, "alice", name)] += 1

    def work() -> None:
        for sae in ("alice", "carol", "anna"):
            network.client(sae)  # whose credentials are then there for all threads
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(take, [KEYS // IN_A_CALL // CLIENTS + 1] * CLIENTS))
            names = [key.id for key in given]
            list(pool.map(ask_again, [names[first :: 4 * CLIENTS] for first in range(CLIENTS)]))

    within(500, network.during(work))
    assert len(given) >= KEYS
    assert len({key.id for key in given}) == len({key.key for key in given}) == len(given)
    assert {key.id: key.key for key in taken} == {key.id: key.key for key in given}
    assert len(taken) == len(given)
    asked_again = sum(len(given[first :: 4 * CLIENTS]) for first in range(CLIENTS))
    assert third == {("carol", 400): asked_again, ("anna", 400): asked_again}
    assert audit(tmp_path / "run").ok
    assert sae_keys.problems(tmp_path / "run") == []  # each given once to each, by the journals


async def _call(url: str, context: ssl.SSLContext, opened: asyncio.Barrier) -> tuple[int, int]:
    """Open a connection, wait until all are open, and call twice over it; return both statuses."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=context)
    found = []
    for _ in range(2):
        await opened.wait()
        writer.write(b"GET /api/v1/keys/carol/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = (
            int(i[15:]) for i in head.lower().split(b"\r\n") if i.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        found.append(int(head.split()[1]))
    writer.close()
    return found[0], found[1]


def test_a_thousand_connections_are_served_at_once(tmp_path: Path) -> None:
    running = RunningNetwork(tmp_path)
    authority = AccessAuthority.of(running.folder)
    write_credentials(tmp_path / "alice", authority.sae("alice"), authority.certificate)
    context = ssl.create_default_context(cafile=str(tmp_path / "alice" / "ca.pem"))
    context.load_cert_chain(tmp_path / "alice" / "certificate.pem", tmp_path / "alice" / "key.pem")
    url = announced(running.folder)["nodes"]["A"]["url"]

    async def all_at_once() -> list[tuple[int, int]]:
        opened = asyncio.Barrier(CONNECTIONS)
        return await asyncio.gather(*(_call(url, context, opened) for _ in range(CONNECTIONS)))

    try:
        found = within(120, all_at_once())
    finally:
        running.end()
    assert Counter(found) == {(200, 200): CONNECTIONS}
