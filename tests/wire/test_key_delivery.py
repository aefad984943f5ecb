"""The doors of key managers over real TLS: what SAEs get, what they do not, what a lost process costs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from doors import NetworkWithDoors, RunningNetwork, write_experiment
from live_network import LiveNetwork, within

from emulator.access import AccessError, Client
from emulator.access.certificates import AccessAuthority, Credentials, write_credentials
from emulator.access.opening import announced
from emulator.access.recording import record
from emulator.net.http_server import MOST_REQUEST_BYTES
from emulator.results import sae_keys
from emulator.results.audit import audit
from protos.access import GetKeyWithIds, Outcome

README = Path(__file__).parents[2] / "README.md"
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
NOWHERE = "00000000-0000-4000-8000-000000000000"


class _Shared(RunningNetwork):
    """A network that runs while the tests of this module do."""

    def raw(self, sae: str, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and document of a call that is made by hand."""
        client = self.network.client(sae)
        connection = client._connection
        text = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(verb, path, text, {"Content-Type": "application/json"} if text else {})
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(found)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Shared]:
    found = _Shared(tmp_path_factory.mktemp("doors"))
    yield found
    found.end()


def _until_given(client: Client, slave: str, number: int, **more: Any) -> Any:
    """Ask until there are enough keys: the network makes more all the time."""
    ends_s = time.monotonic() + 30
    while True:
        try:
            return client.enc_keys(slave, number, **more)
        except AccessError as error:
            if error.status != 503 or time.monotonic() > ends_s:
                raise
        time.sleep(0.05)


def test_two_saes_take_the_same_keys_once_each(shared: _Shared) -> None:
    alice, carol = shared.network.client("alice"), shared.network.client("carol/1")
    given = _until_given(alice, "carol/1", 5)
    taken = carol.dec_keys("alice", [key.id for key in given])
    assert [key.id for key in taken] == [key.id for key in given]
    assert [key.key for key in taken] == [key.key for key in given]
    assert {len(key.key) for key in given} == {32}
    with pytest.raises(
        AccessError, match="one or more keys specified are not found on KME"
    ) as third:
        carol.dec_keys("alice", [given[0].id])
    assert third.value.status == 400


def test_status_counts_what_can_be_given(shared: _Shared) -> None:
    alice = shared.network.client("alice")
    _until_given(alice, "carol/1", 1)
    before = alice.status("carol/1")
    assert before | {"stored_key_count": 0, "max_key_count": 0} == {
        "source_KME_ID": "kme-A",
        "target_KME_ID": "kme-C",
        "master_SAE_ID": "alice",
        "slave_SAE_ID": "carol/1",
        "key_size": 256,
        "stored_key_count": 0,
        "max_key_count": 0,
        "max_key_per_request": 128,
        "max_key_size": 4096,
        "min_key_size": 64,
        "max_SAE_ID_count": 16,
    }
    assert 0 <= before["stored_key_count"] <= before["max_key_count"]


def test_get_is_for_simple_calls(shared: _Shared) -> None:
    path = "/api/v1/keys/carol%2F1/enc_keys?number=2&size=128"
    ends_s = time.monotonic() + 30
    while (answer := shared.raw("alice", "GET", path))[0] == 503 and time.monotonic() < ends_s:
        time.sleep(0.05)
    status, found = answer
    assert status == 200
    assert [len(base64.b64decode(key["key"])) for key in found["keys"]] == [16, 16]
    name = found["keys"][0]["key_ID"]
    status, copy = shared.raw("carol/1", "GET", f"/api/v1/keys/alice/dec_keys?key_ID={name}")
    assert (status, copy) == (200, {"keys": found["keys"][:1]})


def test_several_slaves_get_the_same_key(shared: _Shared) -> None:
    given = _until_given(
        shared.network.client("alice"), "carol/1", 2, size=512, additional=["bob", "anna"]
    )
    for sae in ("carol/1", "bob", "anna"):
        taken = shared.network.client(sae).dec_keys("alice", [key.id for key in given])
        assert taken == given


def test_an_sae_shares_keys_with_itself_and_its_neighbour(shared: _Shared) -> None:
    alice, anna = shared.network.client("alice"), shared.network.client("anna")
    own = alice.enc_keys("alice", 2)
    assert alice.dec_keys("alice", [key.id for key in own]) == own
    near = alice.enc_keys("anna", 2)
    assert anna.dec_keys("alice", [key.id for key in near]) == near


def test_the_readme_encrypts_a_file_at_one_node_and_opens_it_at_another(
    shared: _Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = (block for block in PYTHON.findall(README.read_text()) if "AESGCM" in block)
    urls, authority = announced(shared.folder)["nodes"], AccessAuthority.of(shared.folder)
    for sae in ("alice", "carol"):
        write_credentials(tmp_path / sae, authority.sae(sae), authority.certificate)
    (tmp_path / "report").write_bytes(b"for carol only" * 1000)
    monkeypatch.chdir(tmp_path)
    _until_given(shared.network.client("alice"), "carol", 1)
    names = {"url": {"alice": urls["A"]["url"], "carol": urls["C"]["url"]}}
    exec(program, names)
    assert (tmp_path / "report.opened").read_bytes() == (tmp_path / "report").read_bytes()
    assert b"carol" not in names["sealed"]


def test_who_was_not_named_is_refused_and_takes_nothing_away(shared: _Shared) -> None:
    given = _until_given(shared.network.client("alice"), "carol/1", 1)
    for sae, master in (("alice", "alice"), ("bob", "alice"), ("carol/1", "bob")):
        with pytest.raises(AccessError) as refused:
            shared.network.client(sae).dec_keys(master, [given[0].id])
        assert refused.value.status in (400, 401)
    assert shared.network.client("carol/1").dec_keys("alice", [given[0].id]) == given


def test_a_stranger_at_the_same_node_is_told_that_the_key_is_not_for_it(shared: _Shared) -> None:
    given = shared.network.client("alice").enc_keys("alice", 1)
    with pytest.raises(AccessError) as refused:
        shared.network.client("anna").dec_keys("alice", [given[0].id])
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", "/api/v1/keys/nobody/status", None, 400),
        ("GET", "/api/v1/keys//status", None, 400),
        ("GET", "/api/v1/keys/a%0Ab%2Fstatus/status", None, 400),
        ("GET", "/api/v1/keys/bob/enc_keys?number=0", None, 400),
        ("GET", "/api/v1/keys/bob/enc_keys?number=129", None, 400),
        ("GET", "/api/v1/keys/bob/enc_keys?extension=1", None, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", {"number": 0}, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", {"number": 129}, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", {"size": 100}, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", {"size": 1_000_000_000}, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", {"additional_slave_SAE_IDs": ["nobody"]}, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", {"extension_mandatory": [{"abc_x": 1}]}, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", b"{" * 100, 400),
        ("POST", "/api/v1/keys/bob/enc_keys", b" " * (MOST_REQUEST_BYTES + 1), 400),
        ("POST", "/api/v1/keys/bob/dec_keys", {}, 400),
        ("GET", "/api/v1/keys/bob/dec_keys", None, 400),
        ("GET", f"/api/v1/keys/bob/dec_keys?key_ID={NOWHERE}", None, 400),
        ("GET", "/api/v1/keys/bob", None, 404),
        ("GET", "/", None, 404),
        ("DELETE", "/api/v1/keys/bob/enc_keys", None, 405),
        ("POST", "/api/v1/keys/bob/status", None, 405),
    ],
)
def test_what_cannot_be_is_refused_in_the_form_of_the_standard(
    shared: _Shared, verb: str, path: str, body: Any, status: int
) -> None:
    found, document = shared.raw("alice", verb, path, body)
    assert found == status
    assert isinstance(document["message"], str)
    assert document.keys() <= {"message", "details"}


def test_where_nothing_is_provisioned_the_answer_names_the_nodes(shared: _Shared) -> None:
    with pytest.raises(AccessError, match="from node C to node B") as refused:
        shared.network.client("carol/1").enc_keys("bob")
    assert refused.value.status == 400


def test_an_sae_of_another_node_is_sent_away(shared: _Shared) -> None:
    with pytest.raises(AccessError, match="names no SAE of node C") as refused:
        shared.network.client("alice", as_if="carol/1").status("alice")
    assert refused.value.status == 401


def _handshake(shared: _Shared, context: ssl.SSLContext) -> bytes:
    """Return what a door answers to whom this context makes; it must refuse."""
    url = urlsplit(announced(shared.folder)["nodes"]["A"]["url"])
    connection = HTTPSConnection(str(url.hostname), url.port, context=context, timeout=10)
    try:
        connection.request("GET", "/api/v1/keys/alice/status")
        return connection.getresponse().read()
    finally:
        connection.close()


def _context(shared: _Shared, credentials: Credentials | None, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=announced(shared.folder)["ca"])  # type: ignore[arg-type]
    if credentials is not None:
        write_credentials(folder, credentials, b"")
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def test_without_a_certificate_of_the_run_there_is_no_connection(
    shared: _Shared, tmp_path: Path
) -> None:
    theirs = AccessAuthority.new().sae("alice")
    actor = shared.network.authority.issue("kme-A", ["kme-A"])
    for number, credentials in enumerate(
        (None, theirs, Credentials(actor.certificate, actor.private_key))
    ):
        with pytest.raises(OSError, match=r"alert|reset|EOF|closed|pipe"):
            _handshake(shared, _context(shared, credentials, tmp_path / str(number)))


def test_tls_before_1_3_is_refused(shared: _Shared, tmp_path: Path) -> None:
    own = AccessAuthority.of(shared.folder).sae("alice")
    context = _context(shared, own, tmp_path)
    assert b"kme-A" in _handshake(shared, context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"protocol version|EOF"):
        _handshake(shared, context)


def test_plain_http_gets_no_answer(shared: _Shared) -> None:
    url = urlsplit(announced(shared.folder)["nodes"]["A"]["url"])
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=10) as plain:
        plain.sendall(b"GET /api/v1/keys/alice/status HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = plain.recv(1000)
        assert b"HTTP" not in answer


def test_a_run_with_saes_again_without_them_is_the_same_run(tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path, periods=4)
    network = NetworkWithDoors(tmp_path / "run", 3, experiment)
    material: list[bytes] = []
    refused: list[int] = []

    def work() -> None:
        alice, carol = network.client("alice"), network.client("carol/1")
        for number in (1, 7, 100, 3):
            try:
                given = alice.enc_keys("carol/1", number, 512)
            except AccessError as error:
                refused.append(error.status)
                continue
            material.extend(key.key for key in given)
            assert carol.dec_keys("alice", [key.id for key in given]) == given

    within(60, network.during(work, to_end=True))
    assert len(material) >= 8
    assert refused == [503]  # 200 units are more than there are
    found = audit(tmp_path / "run")
    assert found.ok, found
    assert sae_keys.problems(tmp_path / "run") == []
    _nowhere_in_clear(tmp_path / "run", material)

    record(tmp_path / "run", network.setup)
    asked = (tmp_path / "run" / "asked.jsonl").read_bytes()
    assert asked.count(b"get-key") >= 4
    again = tmp_path / "again"
    again.mkdir()
    text = experiment.read_text() + "\n"
    (again / "tiny.csv").write_bytes((tmp_path / "tiny.csv").read_bytes())
    (again / "asked.jsonl").write_bytes(asked)
    (again / "experiment.yaml").write_text(text.replace("access:", "access:\n  asked: asked.jsonl"))
    alone = LiveNetwork(again / "run", 2, experiment=str(again / "experiment.yaml"))

    async def whole() -> None:
        await alone.start()
        await alone.run()
        await alone.stop()

    within(60, whole())
    assert audit(again / "run").digest == found.digest


def _nowhere_in_clear(folder: Path, material: list[bytes]) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            for key in material:
                assert key not in text, path
                assert base64.b64encode(key) not in text, path
                assert key.hex().encode() not in text, path


@pytest.mark.parametrize("lost", ["host-0", "host-1", "host-2"])
def test_a_process_lost_between_the_ends_loses_no_key(tmp_path: Path, lost: str) -> None:
    network = NetworkWithDoors(tmp_path / "run", 3, write_experiment(tmp_path, periods=30))

    def work(loop: asyncio.AbstractEventLoop) -> None:
        alice, carol = network.client("alice"), network.client("carol/1")
        given = _until_given(alice, "carol/1", 4)
        asyncio.run_coroutine_threadsafe(_lose(network, lost), loop).result(20)
        taken = _patiently(lambda: carol.dec_keys("alice", [key.id for key in given]))
        assert taken == given
        with pytest.raises(AccessError, match="not found"):
            carol.dec_keys("alice", [given[0].id])

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        await network.during(lambda: work(loop))

    within(100, whole())
    assert audit(tmp_path / "run").ok
    assert sae_keys.problems(tmp_path / "run") == []


def test_an_answer_that_was_lost_with_its_process_is_given_to_who_asks_again(
    tmp_path: Path,
) -> None:
    network = NetworkWithDoors(tmp_path / "run", 3, write_experiment(tmp_path, periods=30))

    def work(loop: asyncio.AbstractEventLoop) -> None:
        alice, carol = network.client("alice"), network.client("carol/1")
        (given,) = _until_given(alice, "carol/1", 1)
        home = _home_of(network, "kme-C")

        async def committed_and_lost() -> None:
            call = GetKeyWithIds("carol/1", "alice", (given.id,))
            answer = await network.doors[home].host.callers.ask("kme-C", call)
            assert answer.outcome is Outcome.GIVEN
            await _lose(network, home)  # before anybody notes that the answer has left

        asyncio.run_coroutine_threadsafe(committed_and_lost(), loop).result(20)
        assert _patiently(lambda: carol.dec_keys("alice", [given.id])) == [given]
        with pytest.raises(AccessError, match="not found"):
            carol.dec_keys("alice", [given.id])

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        await network.during(lambda: work(loop))

    within(100, whole())
    assert audit(tmp_path / "run").ok
    assert sae_keys.problems(tmp_path / "run") == []


def test_a_call_whose_caller_has_gone_can_be_made_again(tmp_path: Path) -> None:
    network = NetworkWithDoors(tmp_path / "run", 2, write_experiment(tmp_path, periods=30))

    def work(loop: asyncio.AbstractEventLoop) -> None:
        alice, carol = network.client("alice"), network.client("carol/1")
        given = _until_given(alice, "carol/1", 3)
        hasty = network.client("carol/1")
        hasty.status("carol/1")
        busy = asyncio.run_coroutine_threadsafe(_busy(network, "kme-C", 1.5), loop)
        hasty._connection.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            hasty.dec_keys("alice", [key.id for key in given])
        busy.result(20)
        assert _patiently(lambda: carol.dec_keys("alice", [key.id for key in given])) == given

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        await network.during(lambda: work(loop))

    within(100, whole())
    assert sae_keys.problems(tmp_path / "run") == []


async def _busy(network: NetworkWithDoors, entity: str, for_s: float) -> None:
    """Have the host of an entity run no window for a while."""
    async with network.doors[_home_of(network, entity)].host._at_home:
        await asyncio.sleep(for_s)


def _home_of(network: NetworkWithDoors, entity: str) -> str:
    roles = {name: config.roles for name, config in network.configs.items()}
    return next(name for name, here in roles.items() if entity in {role.entity for role in here})


async def _lose(network: NetworkWithDoors, name: str) -> None:
    await network.lose(name)
    await network.bring_up(name)


def _patiently(call: Any) -> Any:
    """Call again while nobody answers, or what is asked for is unsure: retries are safe."""
    ends_s = time.monotonic() + 30
    while True:
        try:
            return call()
        except (OSError, AccessError) as error:
            if time.monotonic() > ends_s:
                raise
            if isinstance(error, AccessError) and error.status == 401:
                raise
        time.sleep(0.05)
