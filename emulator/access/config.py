"""What a host is told of the doors that it opens to SAEs.

Thin on imports on purpose: whoever starts hosts loads it, also without doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulator.access.certificates import Credentials
from emulator.net.transport import Endpoint
from emulator.runtime.host import HostConfig

ANNOUNCEMENT = "access.json"
"""The file of a run folder that says where the doors are."""


@dataclass(frozen=True)
class AccessConfig:
    """The doors of one host: where they listen, with which credentials, and whom they know.

    `doors` are by node, `saes` all SAEs with their nodes; keys are made of units of `unit_bits`.
    """

    doors: Mapping[str, Credentials]
    authority: bytes
    saes: Mapping[str, str]
    unit_bits: int
    endpoint: Endpoint


@dataclass(frozen=True)
class ServingHostConfig(HostConfig):
    """A host that serves SAEs."""

    access: AccessConfig | None = None


def door_name(node: str) -> str:
    """Return under which name the address of a node's door is published."""
    return f"keys of {node}"
