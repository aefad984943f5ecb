"""How tenants share what a network costs: a part of the demand section of an experiment file."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from emulator.config.section import Section


class SharingMethod(StrEnum):
    """By what the cash of a run is shared among tenants."""

    PROPORTIONAL = "proportional"
    SHAPLEY = "shapley"


class CostSharing(Section):
    """Who pays for what tenants reserve and buy together."""

    method: SharingMethod = Field(
        SharingMethod.PROPORTIONAL,
        description="by demanded units, or by the Shapley value of what is planned for coalitions",
    )
    permutations: int = Field(
        200,
        ge=2,
        le=10_000,
        description="sampled for the Shapley value where coalitions are too many to list",
    )
