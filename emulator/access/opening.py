"""Doors to SAEs and operators for a whole run: who opens which, and where they are.

Nodes with SAEs have a door; if there are operators, all nodes do.  `access.json` in the run folder says
where the doors are.  What was asked at them is kept by `recording`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import log10
from pathlib import Path

from emulator.access.certificates import AccessAuthority
from emulator.access.config import (
    ANNOUNCEMENT,
    AccessConfig,
    FiberEnd,
    ServingHostConfig,
    Site,
    door_name,
)
from emulator.build.quantum_links import QuantumLink, links_of
from emulator.build.setup import Setup
from emulator.config.fiber import LinkKind
from emulator.net.addresses import LOOPBACK
from emulator.net.transport import Endpoint
from emulator.runtime.host import HostConfig
from emulator.store.files import write_atomically
from emulator.store.registry import Registry
from protos.core import key_manager_of

_LEAST = 1e-300  # transmittance that can be told in decibel


def with_doors(
    hosts: Sequence[HostConfig], setup: Setup, endpoint: Endpoint, last_window: int
) -> list[HostConfig]:
    """Return hosts that serve SAEs and operators until a window, as far as there are any there."""
    if not hosts:
        return []
    doors = _nodes(setup)
    authority = AccessAuthority.kept(Path(hosts[0].run_folder))
    made: list[HostConfig] = []
    for host in hosts:
        entities = {role.entity for role in host.roles}
        nodes = [node for node in doors if key_manager_of(node) in entities]
        if not nodes:
            made.append(host)
            continue
        addresses = (LOOPBACK, endpoint.host)
        access = AccessConfig(
            {node: authority.door(key_manager_of(node), addresses) for node in nodes},
            authority.certificate,
            _saes(setup),
            setup.experiment.keys.unit_bits,
            endpoint,
            frozenset(_operators(setup)),
            {node: _site(setup, node) for node in nodes},
            setup.experiment.epoch,
        )
        told = {field.name: getattr(host, field.name) for field in fields(host)}
        told |= {"serves_until": last_window, "access": access}
        made.append(ServingHostConfig(**told))
    return made


def announce(run_folder: Path, setup: Setup) -> None:
    """Write down where the doors are."""
    where = Registry(run_folder).everybody()
    document = {
        "nodes": {
            node: {"url": f"https://{where[door_name(node)].address}"}
            for node in _nodes(setup)
            if door_name(node) in where
        },
        "ca": AccessAuthority.of(run_folder).certificate.decode(),
        "saes": {sae: {"node": node} for sae, node in _saes(setup).items()},
        "operators": {operator: {} for operator in _operators(setup)},
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


def _operators(setup: Setup) -> list[str]:
    section = setup.experiment.access
    return [item.id for item in section.operators] if section is not None else []


def _nodes(setup: Setup) -> list[str]:
    """Return the nodes that have a door."""
    if _operators(setup):
        return [node.name for node in setup.topology.nodes]
    return list(dict.fromkeys(_saes(setup).values()))


def _site(setup: Setup, name: str) -> Site:
    """Return how a node is equipped; its interfaces are numbered in the order of the network's fibers."""
    wavelengths, numbers = setup.experiment.network.wavelengths, Counter[str]()
    ends: list[FiberEnd] = []
    for item in links_of(setup):
        here = (item.link.a, item.link.b)
        numbers.update(here)
        if name not in here:
            continue
        peer = here[here[0] == name]
        loss_db = -10 * log10(max(item.rate.transmittance, _LEAST)) * _segments(item)
        rate = item.rate
        numbered = (numbers[name], numbers[peer])
        ends.append(FiberEnd(peer, *numbered, rate.protocol, rate.device, wavelengths, loss_db))
    node = next(node for node in setup.topology.nodes if node.name == name)
    if node.lat_deg is None or node.lon_deg is None:
        return Site(name, tuple(ends))
    return Site(f"{name} ({node.lat_deg:.4f}, {node.lon_deg:.4f})", tuple(ends))


def _segments(item: QuantumLink) -> int:
    """Return of how many stretches like that whose transmittance is known a fiber consists."""
    return item.sections if item.kind is LinkKind.TRUSTED else 1
