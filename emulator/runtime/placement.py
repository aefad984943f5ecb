"""On which machine of a cluster each actor of a run is started.

*spread* deals actors to machines in turn.  *pack* fills one machine, an actor a CPU, before it takes the
next.  *domains* keeps each failure domain of the topology together: a domain goes to the machine that
bears its name as the label `qsagin-domain`, others are dealt to the machines that bear no such label; what
belongs to no domain (manager, controllers, clock, exporter) stays where the run was started.

A placement is a wish: an actor whose machine is lost is started on another.  Nothing here knows Ray.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle

LABEL = "qsagin-domain"


class Placement(StrEnum):
    """See the module."""

    SPREAD = "spread"
    PACK = "pack"
    DOMAINS = "domains"


@dataclass(frozen=True)
class Machine:
    """One machine of a cluster: Ray's name for it, its IP address, its CPUs, the domain it is meant for."""

    key: str
    address: str
    cpus: int
    domain: str = ""


def place(
    placement: Placement, domains: Mapping[str, str], machines: Sequence[Machine]
) -> dict[str, Machine]:
    """Return the machine of each actor; `domains` tells the domain of each, empty for none.

    The first machine is where the run was started.
    """
    if placement is Placement.DOMAINS:
        return _by_domain(domains, machines)
    slots = _packed(len(domains), machines) if placement is Placement.PACK else machines
    return dict(zip(domains, cycle(slots), strict=False))


def _packed(actors: int, machines: Sequence[Machine]) -> list[Machine]:
    """Return a slot a CPU, machine after machine; as many times as it takes to seat everybody."""
    cpus = [machine.cpus for machine in machines]
    rounds = max(1, math.ceil(actors / sum(cpus)))
    return [
        machine
        for machine, count in zip(machines, cpus, strict=True)
        for _ in range(count * rounds)
    ]


def _by_domain(domains: Mapping[str, str], machines: Sequence[Machine]) -> dict[str, Machine]:
    homes = {machine.domain: machine for machine in reversed(machines) if machine.domain}
    free = cycle([machine for machine in machines if not machine.domain] or machines)
    for domain in sorted(set(domains.values()) - {""}):
        if domain not in homes:
            homes[domain] = next(free)
    homes[""] = machines[0]
    return {actor: homes[domain] for actor, domain in domains.items()}
