"""Doors to SAEs for a whole run: who opens which, and where they are.

`access.json` in the run folder says where the doors are.  What was asked at them is kept by `recording`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from emulator.access.certificates import AccessAuthority
from emulator.access.config import ANNOUNCEMENT, AccessConfig, ServingHostConfig, door_name
from emulator.build.setup import Setup
from emulator.net.addresses import LOOPBACK
from emulator.net.transport import Endpoint
from emulator.runtime.host import HostConfig
from emulator.store.files import write_atomically
from emulator.store.registry import Registry
from protos.core import key_manager_of


def with_doors(
    hosts: Sequence[HostConfig], setup: Setup, endpoint: Endpoint, last_window: int
) -> list[HostConfig]:
    """Return hosts that serve SAEs until a window, as far as there are any at their nodes."""
    if not hosts:
        return []
    saes = _saes(setup)
    authority = AccessAuthority.kept(Path(hosts[0].run_folder))
    made: list[HostConfig] = []
    for host in hosts:
        entities = {role.entity for role in host.roles}
        nodes = [node for node in dict.fromkeys(saes.values()) if key_manager_of(node) in entities]
        if not nodes:
            made.append(host)
            continue
        addresses = (LOOPBACK, endpoint.host)
        access = AccessConfig(
            {node: authority.door(key_manager_of(node), addresses) for node in nodes},
            authority.certificate,
            saes,
            setup.experiment.keys.unit_bits,
            endpoint,
        )
        told = {field.name: getattr(host, field.name) for field in fields(host)}
        told |= {"serves_until": last_window, "access": access}
        made.append(ServingHostConfig(**told))
    return made


def announce(run_folder: Path, setup: Setup) -> None:
    """Write down where the doors are."""
    saes, where = _saes(setup), Registry(run_folder).everybody()
    document = {
        "nodes": {
            node: {"url": f"https://{where[door_name(node)].address}"}
            for node in dict.fromkeys(saes.values())
            if door_name(node) in where
        },
        "ca": AccessAuthority.of(run_folder).certificate.decode(),
        "saes": {sae: {"node": node} for sae, node in saes.items()},
    }
    write_atomically(run_folder / ANNOUNCEMENT, json.dumps(document, indent=1) + "\n")


def announced(run_folder: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Return what `announce` wrote.  Raises `FileNotFoundError`."""
    found: dict[str, dict[str, dict[str, str]]] = json.loads(
        (run_folder / ANNOUNCEMENT).read_text(encoding="utf-8")
    )
    return found


def _saes(setup: Setup) -> Mapping[str, str]:
    section = setup.experiment.access
    return {sae.id: sae.node for sae in section.saes} if section is not None else {}
