"""The access section of an experiment file: who outside takes keys from the network, or looks at it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from emulator.config.section import Name, Section

EXTERNAL = "external"
"""The class of requests whose demand is what SAEs ask."""
MOST_SAES = 10_000
MOST_OPERATORS = 1_000
_MOST_CHARACTERS = 64


def _fits_certificate(name: str) -> str:
    if len(name) > _MOST_CHARACTERS:
        raise ValueError(
            f"must have at most {_MOST_CHARACTERS} characters, as a certificate names it"
        )
    return name


class Sae(Section):
    """One secure application entity, and the node whose key manager it speaks to."""

    id: Annotated[Name, AfterValidator(_fits_certificate)]
    node: str


class Operator(Section):
    """Somebody who may look at all nodes (ETSI GS QKD 015), and takes no keys."""

    id: Annotated[Name, AfterValidator(_fits_certificate)]


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
    asked: str | None = Field(
        None,
        description="what they asked in a former run, to be asked again: the `asked.jsonl` of its "
        "folder; relative to the experiment file",
    )
