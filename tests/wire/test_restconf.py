"""Nodes that are looked at over RESTCONF: who sees what, what is told, and what that changes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from doors import NetworkWithDoors, RunningNetwork, write_experiment
from live_network import LiveNetwork, within

from emulator.access import AccessError, Client
from emulator.access.certificates import AccessAuthority, write_credentials
from emulator.access.notifications import MOST_READERS
from emulator.access.opening import announced
from emulator.access.sdn_node import association_uuid, fiber_uuid, node_uuid
from emulator.results.audit import audit

NODE = "/restconf/data/etsi-qkd-sdn-node:qkd_node"
MEDIA_TYPE = "application/yang-data+json"
_ISSUING = threading.Lock()


def connection_of(folder: Path, role: str, name: str, node: str) -> HTTPSConnection:
    """Return a connection of an operator or an SAE to a node's door."""
    authority = AccessAuthority.of(folder)
    where = folder / "clients" / f"{role}-{name.replace('/', '~')}"
    with _ISSUING:  # tests look from several threads
        if not where.exists():
            issued = authority.operator(name) if role == "operator" else authority.sae(name)
            write_credentials(where, issued, authority.certificate)
    pem = [where / file for file in ("certificate.pem", "key.pem", "ca.pem")]
    return Client(announced(folder)["nodes"][node]["url"], *pem, timeout_s=20)._connection


def get(connection: HTTPSConnection, path: str, verb: str = "GET", **headers: str) -> HTTPResponse:
    """Return the head of an answer; its body is still to be read."""
    connection.request(verb, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return connection.getresponse()


def look(
    folder: Path, node: str, path: str = NODE, role: str = "operator", who: str = "noc"
) -> Any:
    """Return what is answered, which must be a document."""
    connection = connection_of(folder, role, who, node)
    try:
        answer = get(connection, path)
        assert answer.headers["content-type"] == MEDIA_TYPE
        found = json.loads(answer.read())
        assert answer.status == 200, found
    finally:
        connection.close()
    return found


def refusal(folder: Path, node: str, path: str, role: str = "operator", who: str = "noc") -> Any:
    """Return status and tag of an answer that is none."""
    connection = connection_of(folder, role, who, node)
    try:
        answer = get(connection, path)
        (error,) = json.loads(answer.read())["ietf-restconf:errors"]["error"]
        return answer.status, error["error-tag"]
    finally:
        connection.close()


def events(folder: Path, node: str, role: str = "operator", who: str = "noc") -> Iterator[Any]:
    """Yield what a node tells, as (name, content); None first, when it is listened to."""
    connection = connection_of(folder, role, who, node)
    try:
        answer = get(connection, "/streams/NETCONF", Accept="text/event-stream")
        assert answer.headers["content-type"].startswith("text/event-stream")
        while line := answer.readline():
            if line.startswith(b":"):
                yield None
            elif line.startswith(b"data: "):
                told = json.loads(line[6:])["ietf-restconf:notification"]
                assert told.pop("eventTime").endswith("Z")
                ((name, content),) = told.items()
                yield name.removeprefix("etsi-qkd-sdn-node:"), content
    finally:
        connection.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a network that runs while the tests of this module do."""
    found = RunningNetwork(tmp_path_factory.mktemp("looks"))
    _until(lambda: _rate(found.folder) > 0)
    yield found.folder
    found.end()


def _rate(folder: Path) -> int:
    (fiber, *_) = look(folder, "A")["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"]
    return int(fiber["qkdl_performance"]["skr"])


def _until(condition: Any) -> None:
    ends_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_an_operator_sees_every_node_with_its_links(folder: Path) -> None:
    for node, neighbours in (("A", "B"), ("B", "AC"), ("C", "B")):
        found = look(folder, node)["etsi-qkd-sdn-node:qkd_node"]
        assert found["qkdn_id"] == node_uuid(node)
        links = {item["qkdl_id"]: item for item in found["qkd_links"]["qkd_link"]}
        assert {fiber_uuid(node, peer) for peer in neighbours} < links.keys()
        assert links[association_uuid(0)]["qkdl_status"] == "etsi-qkd-node-types:ACTIVE"
        assert len(found["qkd_interfaces"]["qkd_interface"]) == len(neighbours)


def test_rates_and_errors_are_what_the_metrics_say(folder: Path) -> None:
    fields = "qkd_link(qkdl_id;qkdl_performance(skr;expected_consumption;phys_perf))"
    found = look(folder, "A", f"{NODE}/qkd_links?fields={fields}")
    (fiber, *_) = found["etsi-qkd-sdn-node:qkd_links"]["qkd_link"]
    perf = fiber["qkdl_performance"]
    assert 0.001 < float(perf["phys_perf"][0]["value"]) < 0.11
    assert perf["skr"] > perf["expected_consumption"] > 0


def test_an_sae_sees_its_applications_at_its_own_node_only(folder: Path) -> None:
    alice = _client(folder, "alice", "A")
    _until(lambda: _is_given(alice, "carol/1"))
    found = look(folder, "A", role="sae", who="alice")["etsi-qkd-sdn-node:qkd_node"]
    (own,) = found["qkd_applications"]["qkd_app"]
    assert own["server_app_id"] == "urn:qsagin:sae:alice"
    assert own["client_app_id"] == ["urn:qsagin:sae:carol%2F1"]
    assert own["app_statistics"]["statistics"][0]["consumed_bits"] >= 256
    assert "qkd_links" not in found
    there = look(folder, "A", role="sae", who="anna")["etsi-qkd-sdn-node:qkd_node"]
    assert there["qkd_applications"] == {"qkd_app": []}
    assert refusal(folder, "B", NODE, "sae", "alice") == (403, "access-denied")
    assert refusal(folder, "A", NODE, "operator", "somebody") == (403, "access-denied")
    assert refusal(folder, "A", NODE, "sae", "nobody") == (403, "access-denied")
    whole = look(folder, "A")["etsi-qkd-sdn-node:qkd_node"]["qkd_applications"]["qkd_app"]
    assert own["app_id"] in {item["app_id"] for item in whole}


def _client(folder: Path, sae: str, node: str) -> Client:
    connection_of(folder, "sae", sae, node)
    where = folder / "clients" / f"sae-{sae}"
    pem = [where / file for file in ("certificate.pem", "key.pem", "ca.pem")]
    return Client(announced(folder)["nodes"][node]["url"], *pem)


def _is_given(client: Client, slave: str) -> bool:
    try:
        return bool(client.enc_keys(slave))
    except AccessError as error:
        if error.status != 503:
            raise
        return False


def test_an_operator_takes_no_key(folder: Path) -> None:
    connection = connection_of(folder, "operator", "noc", "A")
    answer = get(connection, "/api/v1/keys/carol/enc_keys")
    assert answer.status == 401
    assert "names no SAE" in json.loads(answer.read())["message"]
    connection.close()


def test_the_root_is_found_as_the_standard_says(folder: Path) -> None:
    connection = connection_of(folder, "operator", "noc", "A")
    answer = get(connection, "/.well-known/host-meta", Accept="application/xrd+xml")
    assert answer.headers["content-type"].startswith("application/xrd+xml")
    assert b"<Link rel='restconf' href='/restconf'/>" in answer.read()
    connection.close()
    assert look(folder, "A", "/restconf")["ietf-restconf:restconf"].keys() == {
        "data",
        "operations",
        "yang-library-version",
    }
    assert look(folder, "A", "/restconf/operations") == {"ietf-restconf:operations": {}}
    assert look(folder, "A", "/restconf/data")["ietf-restconf:data"].keys() == {
        "etsi-qkd-sdn-node:qkd_node",
        "ietf-yang-library:yang-library",
        "ietf-restconf-monitoring:restconf-state",
    }
    state = "/restconf/data/ietf-restconf-monitoring:restconf-state"
    where = look(folder, "A", f"{state}/streams/stream=NETCONF/access=json/location")
    assert where["ietf-restconf-monitoring:location"].endswith("/streams/NETCONF")


@pytest.mark.parametrize(
    ("path", "status", "tag"),
    [
        (f"{NODE}/nothing", 404, "invalid-value"),
        (f"{NODE}/qkd_links/qkd_link=1", 404, "invalid-value"),
        (f"{NODE}/qkd_links/qkd_link=%2F%00%0A", 404, "invalid-value"),
        ("/restconf/data/other:thing", 404, "invalid-value"),
        ("/restconf/nothing", 404, "invalid-value"),
        (f"{NODE}?depth=0", 400, "invalid-value"),
        (f"{NODE}?fields=nothing", 400, "invalid-value"),
        (f"{NODE}?depth=1&depth=2", 400, "invalid-value"),
        (f"{NODE}?insert=first", 400, "invalid-value"),
        ("/streams/NETCONF?start-time=2026-01-01T00:00:00Z", 400, "invalid-value"),
    ],
)
def test_what_is_not_there_is_refused_in_the_form_of_the_standard(
    folder: Path, path: str, status: int, tag: str
) -> None:
    assert refusal(folder, "A", path) == (status, tag)


def test_nothing_can_be_written(folder: Path) -> None:
    connection = connection_of(folder, "operator", "noc", "A")
    for verb in ("POST", "PUT", "PATCH", "DELETE"):
        answer = get(connection, NODE, verb)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        (error,) = json.loads(answer.read())["ietf-restconf:errors"]["error"]
        assert error["error-tag"] == "operation-not-supported"
    answer = get(connection, NODE, "OPTIONS")
    assert (answer.status, answer.headers["allow"], answer.read()) == (
        200,
        "GET, HEAD, OPTIONS",
        b"",
    )
    answer = get(connection, NODE, "HEAD")
    assert (answer.status, answer.headers["content-type"], answer.read()) == (200, MEDIA_TYPE, b"")
    answer = get(connection, NODE, Accept="application/yang-data+xml")
    assert answer.status == 406
    answer.read()
    for accept in ("application/yang-data+json;q=0.5, text/html", "*/*", "application/json"):
        answer = get(connection, NODE, Accept=accept)
        assert answer.status == 200
        answer.read()
    connection.close()


def test_who_listens_is_told_of_a_new_application_once(folder: Path) -> None:
    listeners = [
        events(folder, "A"),
        events(folder, "A", "sae", "anna"),
    ]
    for listener in listeners:
        assert next(listener) is None
    anna = _client(folder, "anna", "A")
    assert anna.enc_keys("alice")
    for listener in listeners:
        name, content = next(item for item in listener if "application" in item[0])
        assert name == "sdqkdn_application_new"
        assert content["qkd_application"]["server_app_id"] == "urn:qsagin:sae:anna"
        assert content["qkd_application"]["client_app_id"] == ["urn:qsagin:sae:alice"]
    assert anna.enc_keys("alice")
    name, _ = next(item for item in listeners[1] if "application" in item[0])
    assert name == "sdqkdn_application_disconnected"  # and nothing before
    for listener in listeners:
        listener.close()  # type: ignore[attr-defined]


def test_of_too_many_readers_the_oldest_makes_room(folder: Path) -> None:
    first = events(folder, "B")
    assert next(first) is None
    others = [events(folder, "B") for _ in range(MOST_READERS)]
    assert [next(item) for item in others] == [None] * MOST_READERS
    assert all("sdqkdn" in name or name == "event" for name, _ in first)  # comes to its end
    for listener in others:
        listener.close()  # type: ignore[attr-defined]


def test_a_cut_fiber_is_told_and_seen(tmp_path: Path) -> None:
    path = write_experiment(tmp_path, periods=40)
    path.write_text(
        path.read_text() + "faults: [{kind: fiber-cut, link: [A, B], at_s: 100, until_s: 200}]\n"
    )
    network = NetworkWithDoors(tmp_path / "run", 3, path)

    def work() -> list[Any]:
        heard = []
        listener = events(network.folder, "A")
        for item in listener:
            heard.append(item)
            if item and item[0] == "sdqkdn_link_down":
                break
        assert item[1]["qkd_link"]["qkdl_id"] in (fiber_uuid("A", "B"), association_uuid(0))
        found = look(network.folder, "A")["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"]
        assert found[0]["qkdl_performance"]["skr"] == 0
        for item in listener:
            heard.append(item)
            link = item[1].get("link", {"qkdl_id": ""}) if item[0] == "event" else {"qkdl_id": ""}
            if link["qkdl_id"] == fiber_uuid("A", "B") and link["qkdl_status"].endswith("ACTIVE"):
                break
        return heard

    heard = within(120, network.during(work))
    down = [c for n, c in filter(None, heard) if n == "sdqkdn_link_down"]
    assert sum(c["qkd_link"]["qkdl_id"] == fiber_uuid("A", "B") for c in down) == 1


def test_a_run_that_is_looked_at_is_the_same_run(tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path, periods=3)
    alone = LiveNetwork(tmp_path / "alone", 2, experiment=str(experiment))

    async def whole() -> None:
        await alone.start()
        await alone.run()
        await alone.stop()

    within(60, whole())
    watched = NetworkWithDoors(tmp_path / "watched", 3, experiment)
    looks: list[Any] = []

    def work() -> None:
        listener = events(watched.folder, "C")
        threading.Thread(target=lambda: list(listener), daemon=True).start()
        while watched.clock.window < 0.8 * watched.last_window:  # doors close at the end
            looks.append(look(watched.folder, "ABC"[len(looks) % 3]))

    within(100, watched.during(work, since_window=1, to_end=True))
    assert len(looks) > 20  # however slow this machine is
    assert audit(tmp_path / "watched").ok
    assert audit(tmp_path / "watched").digest == audit(tmp_path / "alone").digest
