"""Mistakes in an experiment file, and what pydantic finds wrong with one in the words of that file.

Pydantic names the forms that it tried for a field as if they were fields, and speaks of Python's types;
whoever writes YAML knows neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from emulator.config.section import NoNumber

Location = tuple[int | str, ...]

_FORMS = {
    "prices": "must be paper, or a table of prices",
    "demand.correlated": "must be true, false, or a number from 0 to 1",
    "demand.shortfall_cost": "must be a price, or a price for each class",
    "keys.store_units": "must be reserved, a number of units, or one of these by class or request",
    "plan.risk.radius_units": "must be a number of units, at least 0, or one for each class",
    "demand.requests": "must be the number of requests of each class, or a list of requests",
}
_FORMER = {
    "plan.pools": "is the former name of limits; leave it out",
    "limits.shortfall_cost": "is the former name of demand.shortfall_cost; leave it out",
}
_MAPPING = "must be a mapping of fields"
_NUMBER, _WHOLE = "must be a number", "must be a whole number"
_TRUTH = "must be true or false"
_TIME = "must be a date and a time, as 2026-01-01T05:00:00Z"
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_UNITS = {
    "_km_h": " km/h",
    "_m_s": " m/s",
    "_s": " s",
    "_km": " km",
    "_deg": " degrees",
    "_db": " dB",
    "_bps": " bit/s",
    "_bits": " bit",
    "_hz": " Hz",
    "_units": " units",
}
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "unknown field; remove it or correct its name",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be text; put it in quotes",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "int_parsing_size": "is too large a number",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "union_tag_not_found": "kind: is required",
}


class Mistake(BaseModel):
    """One mistake in an input: where, and what would be right."""

    field: str
    message: str


def mistakes(error: ValidationError) -> Iterator[Mistake]:
    """Yield what is wrong.  Where a field may have one of two forms, it is about the form that it has."""
    items = error.errors()
    inside = [_field(item["loc"]) for item in items if not _is_form(item["loc"])]
    formless = {_field(item["loc"]): None for item in items if _is_form(item["loc"])}
    for item in items:
        if not _is_form(item["loc"]):
            yield _mistake(item)
    for field in formless:
        if not any(other.startswith(f"{field}.") for other in inside):
            yield Mistake(field=field, message=_FORMS[field])


def _is_form(location: Location) -> bool:
    """Return whether the mistake is only that a field does not have this one of its forms."""
    return ".".join(_words(location)[:-1]) in _FORMS


def _words(location: Location) -> list[str]:
    """Return the way to a field without the measure of a risk, which pydantic puts before its fields."""
    words = [str(part) for part in location]
    if words[:2] == ["plan", "risk"]:
        del words[2:3]
    return words


def _field(location: Location) -> str:
    """Return the way to a field as the file has it, without the form that was tried."""
    words = _words(location)
    for end in range(1, len(words)):
        if ".".join(words[:end]) in _FORMS or (words[0] == "faults" and end == 2):
            del words[end]
            break
    return ".".join(words) or "file"


def _mistake(item: ErrorDetails) -> Mistake:
    field, words = _field(item["loc"]), item["msg"].removeprefix("Value error, ")
    for python in ("Input should", "String should", "List should", "Tuple should"):
        words = words.replace(python, "must")
    words = _MESSAGES.get(item["type"], words.replace(" after validation", ""))
    if item["type"] in _BOUNDS:
        words += next((unit for end, unit in _UNITS.items() if field.endswith(end)), "")
    if words in (_NUMBER, _WHOLE):
        words += _of_number(item["input"])
    if item["type"] == "union_tag_invalid":
        words = f"kind: must be one of {item['ctx']['expected_tags']}, not {item['ctx']['tag']}"
    if field == "plan.risk" and words.startswith("kind: "):
        field, words = "plan.risk.measure", words.removeprefix("kind: ")
    head, colon, tail = words.partition(": ")
    if field == "file" and colon and " " not in head:
        field, words = head, tail
    if item["type"] == "extra_forbidden" and field in _FORMER:
        words = _FORMER[field]
    return Mistake(field=field, message=words)


def _of_number(given: object) -> str:
    """Return what to say of something that is no number."""
    written = given.written if isinstance(given, NoNumber) else given
    if isinstance(written, str) and _DECIMAL_COMMA.fullmatch(written):
        return f"; write {written.replace(',', '.')[:40]} with a decimal point"
    if isinstance(written, bool):
        return f", not {str(written).lower()}"
    return f", not {written[:40]!r}" if isinstance(written, str) else ""
