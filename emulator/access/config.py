"""What a host is told of the doors that it opens to SAEs.

Thin on imports on purpose: whoever starts hosts loads it, also without doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from emulator.access.certificates import Credentials
from emulator.net.transport import Endpoint
from emulator.runtime.host import HostConfig

ANNOUNCEMENT = "access.json"
"""The file of a run folder that says where the doors are."""


@dataclass(frozen=True)
class FiberEnd:
    """How one end of a fiber is equipped, and the number of its QKD interface at either node.

    `attenuation_db` is that of the whole fiber.
    """

    peer: str
    interface: int
    peer_interface: int
    protocol: str
    device: str
    wavelengths: int
    attenuation_db: float


@dataclass(frozen=True)
class Site:
    """Where a node is, in words, and its fibers."""

    location: str = ""
    fibers: tuple[FiberEnd, ...] = ()


@dataclass(frozen=True)
class AccessConfig:
    """The doors of one host: where they listen, with which credentials, and whom they know.

    `doors` and `sites` are by node, `saes` all SAEs with their nodes; `operators` see all of a node.  Keys
    are made of units of `unit_bits`; `epoch` is the date of emulated second 0.
    """

    doors: Mapping[str, Credentials]
    authority: bytes
    saes: Mapping[str, str]
    unit_bits: int
    endpoint: Endpoint
    operators: frozenset[str] = frozenset()
    sites: Mapping[str, Site] = field(default_factory=dict)
    epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ServingHostConfig(HostConfig):
    """A host that serves SAEs."""

    access: AccessConfig | None = None


def door_name(node: str) -> str:
    """Return under which name the address of a node's door is published."""
    return f"keys of {node}"
