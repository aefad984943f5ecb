"""Rules that concern applications outside the network, and the requests on which they draw."""

from __future__ import annotations

from emulator.build.faults import Mistakes
from emulator.build.setup import Setup
from emulator.config.access import EXTERNAL


def external_requests(setup: Setup) -> Mistakes:
    """Refuse requests of SAEs that nobody can use, or whose use is not clear."""
    demand, access = setup.experiment.demand, setup.experiment.access
    if isinstance(demand.requests, dict):
        if demand.requests.get(EXTERNAL):
            yield f"demand.requests.{EXTERNAL}", "list these requests, with the nodes of the SAEs"
        return
    where = {sae.node for sae in access.saes} if access else set()
    seen: dict[tuple[str, str], str] = {}
    for index, item in enumerate(demand.requests):
        if item.application != EXTERNAL:
            continue
        for end, node in (("source", item.source), ("target", item.target)):
            if node not in where:
                right = f"no SAE is at node {node}; name one in access.saes"
                yield f"demand.requests.{index}.{end}", right
        other = seen.setdefault((item.source, item.target), item.id)
        if other != item.id:
            yield f"demand.requests.{index}", f"{other} is between the same nodes; keep one"


def snmp_names(setup: Setup) -> Mistakes:
    """Refuse users and communities whose names are not their own."""
    access = setup.experiment.access
    snmp = access.snmp if access is not None else None
    if snmp is None:
        return
    for field, names in (
        ("users", [user.name for user in snmp.users]),
        ("communities", [community.name for community in snmp.communities]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                yield f"access.snmp.{field}.{index}.name", f"{name} is used twice"


def saes(setup: Setup) -> Mistakes:
    """Refuse SAEs at nodes that are not there, and names that two of them, or two operators, have."""
    names, seen = {node.name for node in setup.topology.nodes}, set()
    ids = [item.id for item in setup.experiment.access.operators] if setup.experiment.access else []
    for index, name in enumerate(ids):
        if name in ids[:index]:
            yield f"access.operators.{index}.id", f"{name} is used twice"
    for index, sae in enumerate(setup.experiment.access.saes if setup.experiment.access else ()):
        if sae.node not in names:
            yield f"access.saes.{index}.node", f"no node {sae.node} in the network"
        if sae.id in seen:
            yield f"access.saes.{index}.id", f"{sae.id} is used twice"
        seen.add(sae.id)
