"""A node as ETSI GS QKD 015 has it: its document, its parts, and what is notified of it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.access.config import FiberEnd, Site
from emulator.access.notifications import changes
from emulator.access.sdn_node import SdnNode
from emulator.access.yang_tree import (
    QKD_NODE,
    Branch,
    Choice,
    NoSuchNodeError,
    WrongParameterError,
    part_of,
)
from protos.node_status import ApplicationStatus, AssociationStatus, FiberStatus, NodeStatus

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FIBER = FiberStatus("B", 10, 5_000.7, 1_000.0, 0.0214, is_up=True, has_key=True)
LINK = AssociationStatus(3, "C", "", "B", 512.0, 512.0, has_key=True, missing_units=0)
TUNNEL = ApplicationStatus("alice", ("carol",), "C", (3,), 5.0, 1_024, is_sae=True, is_active=True)
AVATAR = ApplicationStatus("r1", (), "B", (0,), 2.0, 2**40, is_sae=False, is_active=True)
SITE = Site("A", (FiberEnd("B", 1, 4, "bb84", "gys", 80, 4.2),))


def node(**changed: Any) -> SdnNode:
    """Return a node, with other values where they are given."""
    status = NodeStatus("A", 61.5, (FIBER,), (LINK,), (AVATAR, TUNNEL))
    return SdnNode(replace(status, **changed), SITE, EPOCH)


def chosen(*steps: str, **query: str) -> Any:
    """Return the answer to a GET below the node."""
    return part_of(QKD_NODE, node().document(), steps).chosen(Choice.of(list(query.items())))


def test_a_document_says_what_the_node_shows() -> None:
    found = node().document()
    fiber, link = found["qkd_links"]["qkd_link"]
    assert fiber["qkdl_status"] == "etsi-qkd-node-types:ACTIVE"
    assert fiber["qkdl_performance"] == {
        "expected_consumption": 1000,
        "skr": 5000,
        "eskr": 4000,
        "phys_perf": [{"perf_type": "etsi-qkd-node-types:QBER", "value": "0.021"}],
    }
    assert fiber["qkdl_remote"]["qkdi_id"] == 4
    assert fiber["phys_channel_att"] == "4.200"
    assert fiber["qkdl_applications"] == [link["qkdl_id"]]
    avatar, tunnel = found["qkd_applications"]["qkd_app"]
    assert link["qkdl_applications"] == [tunnel["app_id"]]
    assert tunnel["client_app_id"] == ["urn:qsagin:sae:carol"]
    assert tunnel["creation_time"] == "2026-01-01T00:00:05.000Z"
    assert avatar["app_statistics"]["statistics"][0]["consumed_bits"] == 2**32 - 1


def test_both_ends_call_a_thing_alike() -> None:
    here = node().document()
    there_status = NodeStatus(
        "B",
        61.5,
        (replace(FIBER, peer="A"),),
        (replace(LINK, peer="", upstream="A", downstream="C"),),
        (),
    )
    site = Site("B", (replace(SITE.fibers[0], peer="A", interface=4, peer_interface=1),))
    there = SdnNode(there_status, site, EPOCH).document()
    ours, theirs = (item["qkd_links"]["qkd_link"] for item in (here, there))
    assert [item["qkdl_id"] for item in ours] == [item["qkdl_id"] for item in theirs]
    assert ours[0]["qkdl_remote"] == theirs[0]["qkdl_local"]
    assert "qkdl_remote" not in theirs[1]  # a relay does not know the ends


@pytest.mark.parametrize(
    ("fiber", "state"),
    [
        (FIBER, "ACTIVE"),
        (replace(FIBER, skr_bps=0.0, is_up=False), "PASSIVE"),
        (replace(FIBER, skr_bps=0.0, has_key=False), "PENDING"),
        (replace(FIBER, skr_bps=0.0, is_up=False, has_key=False), "OFF"),
    ],
)
def test_a_fiber_is_in_one_of_four_states(fiber: FiberStatus, state: str) -> None:
    (found, _) = node(fibers=(fiber,)).document()["qkd_links"]["qkd_link"]
    assert found["qkdl_status"] == f"etsi-qkd-node-types:{state}"


def test_an_sae_sees_its_own_applications_and_no_link() -> None:
    found = node().document_for("carol")
    assert [item["server_app_id"] for item in found["qkd_applications"]["qkd_app"]] == [
        "urn:qsagin:sae:alice"
    ]
    assert node().document_for("bob")["qkd_applications"] == {"qkd_app": []}
    assert found.keys().isdisjoint(("qkd_links", "qkd_interfaces"))


_names = st.text(min_size=1, max_size=8)
_rates = st.floats(0, 1e15)
_statuses = st.builds(
    NodeStatus,
    st.just("A"),
    st.floats(0, 1e12),
    st.lists(
        st.builds(
            FiberStatus,
            st.just("B"),
            st.integers(0, 99),
            _rates,
            _rates,
            st.none() | st.floats(0, 0.5),
            is_up=st.booleans(),
            has_key=st.booleans(),
        ),
        max_size=1,
    ).map(tuple),
    st.lists(
        st.builds(
            AssociationStatus,
            st.integers(0, 9),
            _names,
            _names,
            _names,
            _rates,
            _rates,
            st.booleans(),
            st.integers(0, 9),
        ),
        max_size=3,
        unique_by=lambda item: item.request,
    ).map(tuple),
    st.lists(
        st.builds(
            ApplicationStatus,
            _names,
            st.lists(_names, max_size=2, unique=True).map(tuple),
            _names,
            st.lists(st.integers(0, 9), max_size=2, unique=True).map(tuple),
            st.floats(0, 1e12),
            st.integers(0, 2**70),
            is_sae=st.booleans(),
            is_active=st.booleans(),
        ),
        unique_by=lambda item: (item.server, item.clients, item.is_sae),
        max_size=3,
    ).map(tuple),
    is_out=st.booleans(),
)


@given(_statuses)
def test_whatever_a_node_shows_the_document_has_only_what_the_model_has(status: NodeStatus) -> None:
    document = SdnNode(status, SITE, EPOCH).document()
    _fits(document, QKD_NODE.branch)
    assert changes(SdnNode(status, SITE, EPOCH), SdnNode(status, SITE, EPOCH)) == []


def _fits(value: Any, branch: Branch) -> None:
    if isinstance(value, list):
        if branch.key:
            keys = [item[branch.key] for item in value]
            assert len(set(keys)) == len(keys)
        for item in value:
            _fits(item, branch)
    elif isinstance(value, dict):
        assert value.keys() <= branch.children.keys()
        for name, item in value.items():
            _fits(item, branch.children[name])
            if name in ("qkdn_id", "local_qkdn_id", "remote_qkdn_id", "qkdl_id", "app_id"):
                assert UUID.fullmatch(item)
    else:
        assert isinstance(value, str) or 0 <= value < 2**32


def test_a_path_names_a_part_and_its_answer_is_named_after_it() -> None:
    name = node().document()["qkd_links"]["qkd_link"][1]["qkdl_id"]
    assert chosen("qkdn_location_id") == {"etsi-qkd-sdn-node:qkdn_location_id": "A"}
    (entry,) = chosen("qkd_links", f"qkd_link={name}")["etsi-qkd-sdn-node:qkd_link"]
    assert entry["qkdl_id"] == name
    rate = chosen("etsi-qkd-sdn-node:qkd_links", f"qkd_link={name}", "qkdl_performance", "skr")
    assert rate == {"etsi-qkd-sdn-node:skr": 512}
    interface = chosen("qkd_interfaces", "qkd_interface=1", "qkdi_id")
    assert interface == {"etsi-qkd-sdn-node:qkdi_id": 1}


@pytest.mark.parametrize(
    "steps",
    [
        ("nothing",),
        ("",),
        ("qkdn_id", "more"),
        ("qkdn_id=1",),
        ("qkd_links", "qkd_link=1"),
        ("qkd_links", "qkd_link", "qkdl_id"),
        ("qkd_links=1",),
        ("app_id",),
        ("other:qkd_links",),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(steps: tuple[str, ...]) -> None:
    with pytest.raises(NoSuchNodeError):
        chosen(*steps)


def test_what_no_document_can_satisfy_is_given_to_those_who_name_it() -> None:
    def fiber(fields: str | None) -> Any:
        found = chosen("qkd_links", **({"fields": fields} if fields else {}))
        return found["etsi-qkd-sdn-node:qkd_links"]["qkd_link"][0]

    assert "phys_channel_att" not in fiber(None)
    assert fiber(None)["qkdl_performance"].keys() == {"expected_consumption", "skr", "eskr"}
    named = fiber("qkd_link(phys_channel_att;qkdl_performance/phys_perf)")
    assert named.keys() == {"qkdl_id", "phys_channel_att", "qkdl_performance"}
    assert named["qkdl_performance"]["phys_perf"][0]["value"] == "0.021"


def test_depth_counts_from_the_part_that_is_asked_for() -> None:
    assert chosen(depth="1") == {"etsi-qkd-sdn-node:qkd_node": {}}
    (found,) = chosen(depth="2").values()
    assert found["qkd_links"] == {}
    assert found["qkdn_id"]
    (found,) = chosen("qkd_links", depth="2").values()
    assert [item.keys() for item in found["qkd_link"]] == [{"qkdl_id"}] * 2
    assert chosen(depth="65535") == chosen(depth="unbounded") == chosen()


def test_content_tells_state_from_configuration() -> None:
    (state,), (config,) = (chosen(content=name).values() for name in ("nonconfig", "config"))
    assert "qkdn_status" in state
    assert "qkdn_version" not in state
    assert "qkdn_status" not in config
    assert "qkdl_performance" not in config["qkd_links"]["qkd_link"][0]
    assert state["qkd_links"]["qkd_link"][0].keys() == {"qkdl_id", "qkdl_performance"}


@pytest.mark.parametrize(
    "query",
    [
        {"depth": "0"},
        {"depth": "65536"},
        {"depth": "²"},
        {"content": "everything"},
        {"fields": ""},
        {"fields": "nothing"},
        {"fields": "qkd_links/nothing"},
        {"fields": "qkd_links("},
        {"fields": "qkd_links(qkd_link))"},
        {"fields": "(" * 1000},
        {"fields": "/".join(["qkd_links"] * 1000)},
        {"with-defaults": "trim"},
    ],
)
def test_a_parameter_that_is_not_as_it_must_be_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(WrongParameterError):
        chosen(**query)


@given(st.text(alphabet="qkd_links/();ab", max_size=40) | st.text(max_size=20))
def test_any_fields_are_read_or_refused(text: str) -> None:
    try:
        found = chosen(fields=text)
    except WrongParameterError:
        return
    _fits(found["etsi-qkd-sdn-node:qkd_node"], QKD_NODE.branch)


def test_of_fields_that_name_a_node_and_a_part_of_it_the_node_is_given() -> None:
    whole = chosen(fields="qkdn_capabilities")
    assert chosen(fields="qkdn_capabilities/link_stats_support;qkdn_capabilities") == whole
    assert chosen(fields="qkdn_capabilities;qkdn_capabilities/link_stats_support") == whole
    assert len(chosen(fields="qkdn_capabilities/link_stats_support;qkdn_id").popitem()[1]) == 2


def _told(**changed: Any) -> list[str]:
    return [item.name.removeprefix("sdqkdn_") for item in changes(node(), node(**changed))]


def test_a_change_is_told_once_and_by_its_name() -> None:
    cut = replace(FIBER, skr_bps=0.0, is_up=False)
    assert _told(fibers=(cut,)) == ["link_down", "link_perf_update"]
    assert [i.name for i in changes(node(fibers=(cut,)), node())] == [
        "event",
        "sdqkdn_link_perf_update",
    ]
    assert _told(fibers=(replace(FIBER, qber=0.05),)) == ["link_perf_update"]
    assert _told(associations=(replace(LINK, made_bps=0.0),)) == ["link_down"]
    assert _told(associations=(replace(LINK, missing_units=2),)) == ["link_overloaded"]
    assert _told(applications=(AVATAR,)) == []
    assert _told(applications=(AVATAR, replace(TUNNEL, is_active=False))) == [
        "application_disconnected"
    ]
    assert _told(is_out=True) == ["interface_down"]
    assert [i.name for i in changes(node(is_out=True), node())] == ["event"]


def test_a_new_application_is_told_to_those_whose_it_is() -> None:
    (found,) = changes(node(applications=(AVATAR,)), node())
    assert found.saes == {"alice", "carol"}
    told = found.document("2026-01-01T00:00:00Z")["ietf-restconf:notification"]
    assert told.keys() == {"eventTime", "etsi-qkd-sdn-node:sdqkdn_application_new"}
