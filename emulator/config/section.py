"""What every section of an experiment file has in common: frozen, no unknown fields, no infinity.

Every number has bounds, generous ones: emulated time ends after a century, and no rate, price or count is
so great or so small that sums over a whole run leave the numbers that computers have.  A number is
written in digits, with a decimal point; `true` is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)

MOST_S = 3_200_000_000.0
"""A century, in seconds: no run is longer, and nothing in one."""
MOST_PRICE = 1_000_000_000
MOST_BYTES_OF_A_NAME = 200
"""In UTF-8; names are part of SNMP strings, which have at most 255 octets."""

_DECIMAL = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")


@dataclass(frozen=True)
class NoNumber:
    """Stands in the place of a number for what is none: true, or text other than digits."""

    written: Any


def _number(value: Any) -> Any:
    """Return a value as it is, unless it only looks like a number to Python."""
    is_other_text = isinstance(value, str) and not _DECIMAL.fullmatch(value)
    return NoNumber(value) if isinstance(value, bool) or is_other_text else value


def _plain(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must have no control characters")
    if len(name.encode("utf-8", "replace")) > MOST_BYTES_OF_A_NAME:
        raise ValueError(f"must have at most {MOST_BYTES_OF_A_NAME} bytes in UTF-8")
    return name


IsNumber = BeforeValidator(_number)
"""For numbers inside lists and mappings; fields of a section are held to it anyway."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(ge=1e-12, le=1e15, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=MOST_S)]
PositiveSeconds = Annotated[float, Field(ge=1e-6, le=MOST_S)]
Rate = Annotated[float, Field(ge=0.01, le=1e12)]
"""In bit/s."""
Price = Annotated[int, Field(ge=0, le=MOST_PRICE)]
Length = Annotated[float, Field(ge=1e-6, le=100_000)]
"""In km: at most two and a half times round the Earth."""
Name = Annotated[str, Field(min_length=1), AfterValidator(_plain)]


Parameters = dict[str, Annotated[float, Field(allow_inf_nan=False), IsNumber]]
"""Numbers of a device by name, as they replace what its preset has."""


class Section(BaseModel):
    """A mapping of fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _can_be_computed(cls, fields: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """Refuse what only looks like a number, and values with which a check cannot even compute."""
        if isinstance(fields, dict):
            numbers = _numbers(cls)
            fields = {
                name: _number(value) if name in numbers else value for name, value in fields.items()
            }
        try:
            return handler(fields)
        except ArithmeticError as error:
            raise ValueError(f"holds a value that is far too large or small ({error})") from error


@cache
def _numbers(section: type[BaseModel]) -> frozenset[str]:
    """Return the fields of a section that are numbers and may be nothing else, but for None."""
    kinds = {name: field.annotation for name, field in section.model_fields.items()}
    return frozenset(
        name for name, kind in kinds.items() if _kinds(kind) - {type(None)} in ({int}, {float})
    )


def _kinds(kind: Any) -> set[Any]:
    """Return the types that a value may have, without what is said of them."""
    if get_origin(kind) is Annotated:
        return _kinds(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return set().union(*map(_kinds, get_args(kind)))
    return {kind}


class Strikes(StrEnum):
    """What a fault strikes, which says whom it concerns and by which signs it is noticed."""

    LINK = "link"
    NODE = "node"
    ENTITY = "entity"  # or what entities say to one another
    SATELLITE = "satellite"
    UAV = "uav"
    DEMAND = "demand"
    PROCESS = "process"  # which changes no outcome
    OPERATION = "operation"  # no fault, but what an operator does


class Timed(Section):
    """Something that happens at a time, and is over at another."""

    at_s: Seconds = Field(description="emulated time")
    until_s: PositiveSeconds | None = Field(None, description="None: for good")

    @field_validator("until_s")
    @classmethod
    def _after(cls, until_s: float | None, info: ValidationInfo) -> float | None:
        at_s = info.data.get("at_s", 0.0)
        if until_s is not None and until_s <= at_s:
            raise ValueError(f"must be after at_s, {at_s:g}")
        return until_s
