"""Experiments with fields drawn from the schema: at their bounds, within, beyond, or no value of the kind.

The schema is read as anybody may read it (`qsagin schema`), so that a new field is tried by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

from emulator.build.loading import schema

Fields = dict[str, Any]
Way = tuple[str, ...]

SCHEMA = schema()
NASTY: tuple[Any, ...] = (
    None, True, False, "", " ", "yes", "80,5", "1e999", "\u0663", "a\0b", "\x1b[2J", "x" * 5_000,
    "#", "[/]", -1, 0, 2**31, 2**63, 10**19, 10**39, -(2**63), 0.5, -0.0, 1e-320, 1e308, -1e308,
    float("inf"), float("nan"), [], {}, [[]], {"a": 1}, ["A", "B"], [True], {"": 1}, {"1": {}},
    "2001-99-99", "0001-01-01T00:00:00+14:00",
)  # fmt: skip
WORDS = {
    "topology": ("tiny.csv", "usnet", "nsfnet", "gone.csv"),
    "protocol": ("bb84", "mdi", "bbm92", "tf", "cv", "none"),
    "name": ("drawn", "x" * 101),
    "replay": ("sky.csv", "gone.csv", "/dev/zero"),
    "tle": ("gone.tle", "/dev/zero"),
    "file": ("past.csv", "gone.csv", "/dev/zero"),
    "entity": ("A", "global-manager", "uav-controller", "Z"),
    "actor": ("A", "clock", "Z"),
}
NODES = ("A", "B", "C", "Z")
_KINDS = {"$ref", "type", "const", "enum", "items", "anyOf", "oneOf"}


def drawn(base: Fields, random: Random) -> Fields:
    """Return an experiment with some fields replaced."""
    fields = copy.deepcopy(base)
    places = list(_places(SCHEMA, ()))
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        way, form = random.choice(places)
        is_nasty = random.random() < 0.3
        _put(fields, way, random.choice(NASTY) if is_nasty else _value(form, random, way[-1]))
    return fields


def _put(fields: Any, way: Way, value: Any) -> None:
    for name in way[:-1]:
        if not isinstance(fields, dict):
            return
        if not isinstance(fields.get(name), dict):
            fields[name] = {}
        fields = fields[name]
    fields[way[-1]] = value


def _places(form: Fields, way: Way) -> Iterator[tuple[Way, Fields]]:
    """Yield every field of every section, and the sections too."""
    for one in _forms(form):
        for name, inner in one.get("properties", {}).items():
            yield (*way, name), inner
            yield from _places(inner, (*way, name))


def _forms(form: Fields) -> list[Fields]:
    if "$ref" in form:
        return _forms(SCHEMA["$defs"][form["$ref"].rsplit("/", 1)[1]])
    parts = form.get("anyOf") or form.get("oneOf")
    if parts and all(_KINDS & set(part) for part in parts):
        return [inner for part in parts for inner in _forms(part)]
    return [form]


def _value(form: Fields, random: Random, name: str) -> Any:
    """Draw a value that the schema allows, more often at its bounds than not."""
    one = random.choice(_forms(form))
    if "const" in one or "enum" in one:
        return random.choice(one.get("enum") or [one["const"]])
    if one.get("type") in ("integer", "number"):
        return _number(one, random)
    if one.get("type") == "array":
        return _items(one, random, name)
    if one.get("type") == "object":
        return _mapping(one, random, name)
    words = WORDS.get(name, NODES)
    return random.choice(
        {"null": (None,), "boolean": (True, False), "string": words}.get(one.get("type"), NASTY)
    )


def _number(form: Fields, random: Random) -> float:
    low = form.get("minimum", form.get("exclusiveMinimum", -1e6))
    high = form.get("maximum", form.get("exclusiveMaximum", 1e6))
    middle = low + (high - low) * random.random() ** random.choice((1, 4, 16))
    value = random.choice((low, high, form.get("default", low), middle, middle, 1, 3))
    if form["type"] == "integer" and value is not None:
        step = form.get("multipleOf", 1)
        return int(value) // step * step
    return 0.0 if value is None else value


def _items(form: Fields, random: Random, name: str) -> list[Any]:
    if "prefixItems" in form:
        return [_value(item, random, name) for item in form["prefixItems"]]
    least = form.get("minItems", 0)
    count = 24 if form.get("items", {}).get("maximum") == 1_000 else least + random.randint(0, 2)
    return [_value(form["items"], random, name) for _ in range(count)]


def _mapping(form: Fields, random: Random, name: str) -> Fields:
    if "properties" not in form:
        key = "1" if name == "counts" else random.choice(("avatar", "ai-model"))
        inner = form.get("additionalProperties")
        return {key: _value(inner, random, key)} if isinstance(inner, dict) else {}
    wanted = form.get("required", [])
    return {
        field: _value(inner, random, field)
        for field, inner in form["properties"].items()
        if field in wanted or random.random() < 0.3
    }
