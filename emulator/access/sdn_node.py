"""A node as ETSI GS QKD 015 V2.1.1 describes it to SDN controllers, in JSON (RFC 7951).

A pure function of what the key manager shows and of how the site is equipped.  UUIDs are derived from
names, so all nodes call a thing alike, in every run.  A QKD interface stands for all transceivers at one
end of a fiber; a fiber is a physical link, a reservation a virtual one.  Rates are in whole bit/s, and what
does not fit 32 bits is the most that does.  Dates count emulated time from the experiment's epoch.

The model has leaves that depend on the type of a link (`when`), by a comparison that no document can meet:
it names no module (RFC 7950, 9.10.3).  They are in the document, and `yang_tree` gives them only to those
who ask for them by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from emulator.access.config import FiberEnd, Site
from protos.node_status import ApplicationStatus, AssociationStatus, FiberStatus, NodeStatus

MODULE = "etsi-qkd-sdn-node"
TYPES = "etsi-qkd-node-types"
_MOST = 2**32 - 1
_LAST_DATE = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_CONTINUOUS = ("cv", "gg02")

Document = dict[str, Any]


def node_uuid(node: str) -> str:
    """Return the UUID of a node."""
    return _uuid("node", node)


def fiber_uuid(a: str, b: str) -> str:
    """Return the UUID of a fiber, which has no direction."""
    return _uuid("fiber", *sorted((a, b)))


def association_uuid(request: int) -> str:
    """Return the UUID of a reservation."""
    return _uuid("request", str(request))


def application_uuid(item: ApplicationStatus) -> str:
    """Return the UUID of an application, the same at all of its nodes."""
    return _uuid("sae" if item.is_sae else "application", item.server, *item.clients)


def typed(identity: str) -> str:
    """Return an identity of the standard as JSON has it."""
    return f"{TYPES}:{identity}"


@dataclass(frozen=True)
class SdnNode:
    """One node: what it shows, how it is equipped, and which date emulated second 0 has."""

    status: NodeStatus
    site: Site
    epoch: datetime

    def document(self) -> Document:
        """Return the content of `qkd_node`."""
        return self._head() | {
            "qkd_applications": {"qkd_app": [self.application(i) for i in self._applications()]},
            "qkd_interfaces": {"qkd_interface": [self._interface(end) for end in self.site.fibers]},
            "qkd_links": {"qkd_link": [*self._fibers(), *self._associations()]},
        }

    def document_for(self, sae: str) -> Document:
        """Return what an SAE may see: the node as such, and its own applications."""
        own = [i for i in self._applications() if i.is_sae and sae in (i.server, *i.clients)]
        return self._head() | {"qkd_applications": {"qkd_app": [self.application(i) for i in own]}}

    def date(self, at_s: float) -> str:
        """Return an instant of emulated time."""
        room_s = (_LAST_DATE - self.epoch).total_seconds()
        found = self.epoch + timedelta(seconds=min(at_s, room_s))
        return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def application(self, item: ApplicationStatus) -> Document:
        """Return an application."""
        backing = [association_uuid(request) for request in item.requests]
        statistics = {
            "end_time": self.date(self.status.at_s),
            "start_time": self.date(min(item.since_s, self.status.at_s)),
            "consumed_bits": _whole(item.taken_bits),
        }
        return {
            "app_id": application_uuid(item),
            "app_status": typed("ON" if item.is_active else "DISCONNECTED"),
            **application_details(item),
            "creation_time": self.date(item.since_s),
            "app_statistics": {"statistics": [statistics]},
            **({"backing_qkdl_id": backing} if backing else {}),
            "local_qkdn_id": node_uuid(self.status.node),
            **({"remote_qkdn_id": node_uuid(item.remote)} if item.remote else {}),
        }

    def _head(self) -> Document:
        return {
            "qkdn_id": node_uuid(self.status.node),
            "qkdn_status": typed("DOWN" if self.status.is_out else "OPERATING"),
            "qkdn_version": f"qsagin {version('qsagin')}",
            "qkdn_location_id": self.site.location,
            "qkdn_capabilities": {
                "link_stats_support": True,
                "application_stats_support": True,
                "key_relay_mode_enable": True,
            },
        }

    def _applications(self) -> Iterable[ApplicationStatus]:
        """Return applications, of which no two are called alike."""
        return {application_uuid(item): item for item in self.status.applications}.values()

    def _interface(self, end: FiberEnd) -> Document:
        return {
            "qkdi_id": end.interface,
            "qkdi_model": end.device,
            "qkdi_type": typed("CV-QKD" if end.protocol.startswith(_CONTINUOUS) else "DV-QKD"),
            "qkdi_att_point": {"device": f"fiber to {end.peer}", "port": end.interface},
            "qkdi_capabilities": {
                "role_support": typed("TRANSCEIVER"),
                "wavelength_range": _range(end.wavelengths),
            },
            "qkdi_status": typed(interface_state(self.status)),
        }

    def _fibers(self) -> Iterable[Document]:
        ends = {end.peer: end for end in self.site.fibers}
        carried: dict[str, list[str]] = {}
        for item in self.status.associations:
            for peer in (item.upstream, item.downstream):
                carried.setdefault(peer, []).append(association_uuid(item.request))
        for fiber in self.status.fibers:
            yield self._fiber(fiber, ends[fiber.peer], carried.get(fiber.peer, []))

    def _fiber(self, fiber: FiberStatus, end: FiberEnd, carried: list[str]) -> Document:
        return {
            "qkdl_id": fiber_uuid(self.status.node, fiber.peer),
            "qkdl_status": typed(fiber_state(fiber)),
            "qkdl_enable": True,
            "qkdl_local": {"qkdn_id": node_uuid(self.status.node), "qkdi_id": end.interface},
            "qkdl_remote": {"qkdn_id": node_uuid(fiber.peer), "qkdi_id": end.peer_interface},
            "qkdl_type": typed("PHYS"),
            **({"qkdl_applications": carried} if carried else {}),
            "phys_channel_att": _decimal(end.attenuation_db),
            "phys_qkd_role": typed("TRANSCEIVER"),
            "qkdl_performance": fiber_performance(fiber),
        }

    def _associations(self) -> Iterable[Document]:
        users: dict[int, list[str]] = {}
        for item in self._applications():
            for request in item.requests:
                users.setdefault(request, []).append(application_uuid(item))
        for link in self.status.associations:
            yield self._association(link, users.get(link.request, []))

    def _association(self, link: AssociationStatus, users: list[str]) -> Document:
        here = node_uuid(self.status.node)
        ends: Document = {"qkdl_local": {"qkdn_id": here}}
        if link.peer:
            ends |= {"qkdl_remote": {"qkdn_id": node_uuid(link.peer)}}
        hops: Document = {"virt_bandwidth": _whole(link.reserved_bps)}
        if link.upstream:
            hops |= {"virt_prev_hop": node_uuid(link.upstream)}
        if link.downstream:
            hops |= {"virt_next_hop": [node_uuid(link.downstream)]}
        return {
            "qkdl_id": association_uuid(link.request),
            "qkdl_status": typed(association_state(link)),
            "qkdl_enable": True,
            **ends,
            "qkdl_type": typed("VIRT"),
            **({"qkdl_applications": users} if users else {}),
            **hops,
            "qkdl_performance": association_performance(link),
        }


def application_details(item: ApplicationStatus) -> Document:
    """Return what a notification of a new application tells too."""
    kind = "sae" if item.is_sae else "application"
    clients = [f"urn:qsagin:{kind}:{quote(name, safe='')}" for name in item.clients]
    return {
        "app_type": typed("CLIENT"),
        "server_app_id": f"urn:qsagin:{kind}:{quote(item.server, safe='')}",
        **({"client_app_id": clients} if clients else {}),
    }


def fiber_state(fiber: FiberStatus) -> str:
    """Return the status of a fiber as the standard calls it."""
    if fiber.skr_bps > 0:
        return "ACTIVE"
    if fiber.has_key:
        return "PASSIVE"
    return "PENDING" if fiber.is_up else "OFF"


def association_state(link: AssociationStatus) -> str:
    """Return the status of a reservation as the standard calls it."""
    if link.made_bps > 0:
        return "ACTIVE"
    if link.has_key:
        return "PASSIVE"
    return "PENDING" if link.reserved_bps > 0 else "OFF"


def interface_state(status: NodeStatus) -> str:
    """Return the status of all interfaces: they work if the node does."""
    return "DISABLED" if status.is_out else "ENABLED"


def fiber_performance(fiber: FiberStatus) -> Document:
    """Return rates, and the measured quantum bit error ratio as a fraction."""
    measured = [] if fiber.qber is None else [("QBER", fiber.qber)]
    perf = [{"perf_type": typed(name), "value": _decimal(value)} for name, value in measured]
    return {
        "expected_consumption": _whole(fiber.consumed_bps),
        "skr": _whole(fiber.skr_bps),
        "eskr": _whole(max(0.0, fiber.skr_bps - fiber.consumed_bps)),
        **({"phys_perf": perf} if perf else {}),
    }


def association_performance(link: AssociationStatus) -> Document:
    """Return rates; all key of a reservation is for its applications."""
    made = _whole(link.made_bps)
    return {"expected_consumption": _whole(link.reserved_bps), "skr": made, "eskr": made}


def _uuid(*words: str) -> str:
    return str(uuid5(NAMESPACE_URL, ":".join(["urn:qsagin", *(quote(w, safe="") for w in words)])))


def _whole(value: float) -> int:
    return min(_MOST, int(value))


def _decimal(value: float) -> str:
    """Return a decimal64 of three digits."""
    return f"{value:.3f}"


def _range(wavelengths: int) -> str:
    """Return wavelengths from 1 on, as far as the standard counts them."""
    most = min(wavelengths, 9999)
    return "1" if most == 1 else f"1-{most}"
