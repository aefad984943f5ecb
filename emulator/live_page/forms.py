"""Forms for the faults that a viewer may inject, made from the schema of an experiment's `faults`.

The run decides when a fault begins; a duration (`for_s`) replaces the time at which it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from emulator.config.schedule import FaultEvent, RandomEvent

_TIMES = {"kind", "at_s", "until_s", "from_period"}
_LASTS = {"name": "for_s", "type": "number", "words": "duration in seconds; empty: for good"}


def fault_forms() -> list[dict[str, Any]]:
    """Return a form for every kind of fault that can be injected."""
    document = TypeAdapter(FaultEvent).json_schema()
    kinds = [document["$defs"][item["$ref"].rpartition("/")[2]] for item in document["oneOf"]]
    return [
        {
            "kind": kind["properties"]["kind"]["const"],
            "words": kind["description"],
            "fields": list(_fields(kind, document["$defs"])),
        }
        for kind in kinds
        if kind["title"] != RandomEvent.__name__
    ]


def _fields(kind: dict[str, Any], shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, found in kind["properties"].items():
        if name in _TIMES:
            continue
        options = [item for item in found.get("anyOf", [found]) if item.get("type") != "null"]
        value = (
            shared[options[0]["$ref"].rpartition("/")[2]] if "$ref" in options[0] else options[0]
        )
        yield {
            "name": name,
            "type": _type(name, value),
            "words": found.get("description", ""),
            "required": name in kind["required"],
            "choices": value.get("enum", []),
            "default": found.get("default"),
        }
    if "until_s" in kind["properties"]:
        yield _LASTS | {"required": False, "choices": [], "default": None}


def _type(name: str, value: dict[str, Any]) -> str:
    """Return the kind of input of a field."""
    if name in {"link", "node"}:
        return name
    if "enum" in value:
        return "choice"
    if value["type"] == "array":
        return "groups" if value["items"]["type"] == "array" else "names"
    return {"boolean": "switch", "string": "text"}.get(value["type"], "number")
