"""yanglint judges every answer of a node over RESTCONF, against the data model of ETSI GS QKD 015 V2.1.1.

The published modules are taken from the folder that QSAGIN_ETSI_015 names, and must be those; without it, a
restatement of the model in `yang` stands in for them, which has the same tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doors import RunningNetwork
from test_restconf import NODE, connection_of, events, get, look

from emulator.access.certificates import AccessAuthority, write_credentials
from emulator.access.opening import announced

pytestmark = pytest.mark.system
PUBLISHED = {
    "etsi-qkd-node-types.yang": "7883ff57519ae201581d8171ea26b4f0fba92cc0c7bdc0bbf9d71568296f9f33",
    "etsi-qkd-sdn-node.yang": "4b7b3fdbdbbf258cb9a4231d2617d87c2f51f094ad7e5413605727cb04a38030",
}


class Judge:
    """yanglint with the two modules; a valid document has an empty verdict."""

    def __init__(self, scratch: Path) -> None:
        folder = Path(os.environ.get("QSAGIN_ETSI_015", Path(__file__).with_name("yang")))
        if "QSAGIN_ETSI_015" in os.environ:
            for name, digest in PUBLISHED.items():
                assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
        self._words = ["yanglint", "-p", str(folder), *(str(folder / name) for name in PUBLISHED)]
        self._file = scratch / "document.json"

    def verdict(self, document: Any, kind: str = "data", *more: str) -> str:
        """Return what is wrong."""
        self._file.write_text(json.dumps(document))
        words = [*self._words, *more, "-t", kind, str(self._file)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        wrong = [line for line in done.stderr.splitlines() if "libyang err" in line]
        assert bool(wrong) == bool(done.returncode), done.stderr
        return "\n".join(wrong)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """The judge."""
    assert shutil.which("yanglint"), "needs the packages of .ci/apt.txt"
    return Judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a network that runs while the tests of this module do."""
    found = RunningNetwork(tmp_path_factory.mktemp("looks"))
    yield found.folder
    found.end()


def _key_is_asked(folder: Path) -> None:
    connection = connection_of(folder, "sae", "alice", "A")
    get(connection, "/api/v1/keys/carol/enc_keys?number=3").read()
    connection.close()


def test_every_answer_is_valid_from_the_first_window_on(folder: Path, judge: Judge) -> None:
    rates = set()
    for number in range(60):
        if number == 20:
            _key_is_asked(folder)
        node = "ABC"[number % 3]
        found = look(folder, node)
        assert judge.verdict(found) == ""
        links = found["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"]
        rates.update(item["qkdl_performance"]["skr"] for item in links)
        time.sleep(0.1)
    assert len(rates) > 2  # nothing at first, then what fibers and reservations make
    own = look(folder, "A", role="sae", who="alice")
    assert judge.verdict(own) == ""
    assert own["etsi-qkd-sdn-node:qkd_node"]["qkd_applications"]["qkd_app"]


@pytest.mark.parametrize(
    "query",
    [
        "depth=4",
        "content=nonconfig",
        "content=all",
        "fields=qkdn_id;qkd_links/qkd_link/qkdl_status",
    ],
)
def test_reduced_answers_are_valid_too(folder: Path, judge: Judge, query: str) -> None:
    kind = "get" if query.startswith("content=nonconfig") else "data"
    assert judge.verdict(look(folder, "B", f"{NODE}?{query}"), kind) == ""


def test_configuration_alone_is_valid_as_configuration(folder: Path, judge: Judge) -> None:
    assert judge.verdict(look(folder, "B", f"{NODE}?content=config"), "config") == ""


def test_what_is_asked_for_by_name_is_valid_but_for_conditions_that_cannot_be_met(
    folder: Path, judge: Judge
) -> None:
    fields = "qkdn_id;qkd_links/qkd_link(qkdl_type;virt_bandwidth;qkdl_performance/phys_perf)"
    found = look(folder, "B", f"{NODE}?fields={fields}")
    assert judge.verdict(found, "get") == ""
    assert "When condition" in judge.verdict(found)


def test_the_judge_refuses_what_is_not_valid(folder: Path, judge: Judge) -> None:
    def changed(name: str, value: Any) -> Any:
        found = look(folder, "A")
        (link, *_) = found["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"]
        (link if name.startswith("qkdl") else link["qkdl_performance"])[name] = value
        return found

    for name, value in (
        ("qkdl_id", "A-B"),
        ("skr", -1),
        ("skr", 2**32),
        ("qkdl_status", "ACTIVE"),
        ("qkdl_status", "etsi-qkd-node-types:PHYS"),
        ("qkdl_colour", "red"),
    ):
        assert judge.verdict(changed(name, value)) != "", (name, value)


def test_the_list_of_modules_is_valid(folder: Path, judge: Judge) -> None:
    """Of the two lists in that module, RFC 8525 has retired the one that a whole datastore would need."""
    found = look(folder, "A", "/restconf/data/ietf-yang-library:yang-library")
    (library,) = Path("/usr/share/yang/modules").rglob("ietf-yang-library@2019-01-04.yang")
    (datastores,) = Path("/usr/share/yang/modules").rglob("ietf-datastores@2018-02-14.yang")
    words = ["yanglint", "-t", "get", str(datastores), str(library), str(judge._file)]
    judge._file.write_text(json.dumps(found))
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_notification_has_the_error_ratio_and_is_valid(folder: Path, judge: Judge) -> None:
    fields = "qkd_link(qkdl_id;qkdl_performance(skr;eskr;phys_perf))"
    found = look(folder, "A", f"{NODE}/qkd_links?fields={fields}")
    (link, *_) = found["etsi-qkd-sdn-node:qkd_links"]["qkd_link"]
    assert link["qkdl_performance"]["phys_perf"]
    content = {"qkdl_id": link["qkdl_id"], "performance": link["qkdl_performance"]}
    told = {"etsi-qkd-sdn-node:sdqkdn_link_perf_update": {"qkd_link": content}}
    assert judge.verdict(told, "notif") == ""


def test_what_is_told_is_valid(folder: Path, judge: Judge) -> None:
    names = set()
    ends_s = time.monotonic() + 60
    _key_is_asked(folder)
    for item in events(folder, "A"):
        if item is None:
            _key_is_asked(folder)
            continue
        name, content = item
        names.add(name)
        assert judge.verdict({f"etsi-qkd-sdn-node:{name}": content}, "notif") == ""
        if names & {"sdqkdn_application_disconnected", "sdqkdn_link_overloaded"}:
            break
        assert time.monotonic() < ends_s
    assert names


def test_curl_sees_a_node_with_what_the_command_writes(folder: Path, tmp_path: Path) -> None:
    authority = AccessAuthority.of(folder)
    write_credentials(tmp_path, authority.operator("noc"), authority.certificate)
    options = zip(("cert", "key", "cacert"), ("certificate", "key", "ca"), strict=True)
    pem = [
        word for option, file in options for word in (f"--{option}", str(tmp_path / f"{file}.pem"))
    ]
    url = f"{announced(folder)['nodes']['B']['url']}{NODE}/qkdn_location_id"
    words = ["curl", "-sS", "--fail", *pem, url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout) == {"etsi-qkd-sdn-node:qkdn_location_id": "B"}
