"""The access section of an experiment file: who outside takes keys from the network, or looks at it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from emulator.config.section import Name, Section
from protos.mib import AccessRole

EXTERNAL = "external"
"""The class of requests whose demand is what SAEs ask."""
MOST_SAES = 10_000
MOST_OPERATORS = 1_000
_MOST_CHARACTERS = 64
MOST_SNMP_USERS = 1_000
_MOST_USM_OCTETS = 32


def _fits_certificate(name: str) -> str:
    if len(name) > _MOST_CHARACTERS:
        raise ValueError(
            f"must have at most {_MOST_CHARACTERS} characters, as a certificate names it"
        )
    return name


def _fits_usm(name: str) -> str:
    if len(name.encode()) > _MOST_USM_OCTETS:
        raise ValueError(f"must have at most {_MOST_USM_OCTETS} octets, as RFC 3414 says")
    return name


class Sae(Section):
    """One secure application entity, and the node whose key manager it speaks to."""

    id: Annotated[Name, AfterValidator(_fits_certificate)]
    node: str


class Operator(Section):
    """Somebody who may look at all nodes (ETSI GS QKD 015), and takes no keys."""

    id: Annotated[Name, AfterValidator(_fits_certificate)]


class SnmpUser(Section):
    """One user of SNMPv3 (authPriv, with AES-128), and what it may see.

    Its two pass phrases, for authentication and privacy, are the lines of the file `secrets`, relative to
    the experiment file; without one they come from the environment.
    """

    name: Annotated[Name, AfterValidator(_fits_usm)]
    role: AccessRole = AccessRole.OBSERVER
    authentication: Literal["sha-256", "sha-384", "sha-512"] = "sha-256"
    secrets: str | None = None


class SnmpCommunity(Section):
    """One community of SNMPv2c, which is heard on loopback only; its name is no secret."""

    name: Annotated[Name, AfterValidator(_fits_usm)]
    role: AccessRole = AccessRole.OBSERVER


class Snmp(Section):
    """Who may look at a run by SNMP; see docs/management.md."""

    users: list[SnmpUser] = Field(default_factory=list, max_length=MOST_SNMP_USERS)
    communities: list[SnmpCommunity] = Field(default_factory=list, max_length=MOST_SNMP_USERS)


class Access(Section):
    """Applications outside the network (SAEs, ETSI GS QKD 014).

    A pair of SAEs draws on the request of class `external` from the node of the one that asks
    to that of the other.
    """

    saes: list[Sae] = Field(default_factory=list, max_length=MOST_SAES)
    operators: list[Operator] = Field(
        default_factory=list,
        max_length=MOST_OPERATORS,
        description="who may look at all nodes over RESTCONF; with one, every node has a door",
    )
    snmp: Snmp | None = None
    asked: str | None = Field(
        None,
        description="what they asked in a former run, to be asked again: the `asked.jsonl` of its "
        "folder; relative to the experiment file",
    )
