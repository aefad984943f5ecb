"""Numbers that replace those of a device whose setup has parts, like a link and a receiver.

A name is that of a field, wherever it stands: `telescope_m` is that of both telescopes, `telescope_m_a`
that of the first.  What counts for nothing in a setup cannot be set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from emulator.input_checks import ParameterError

S = TypeVar("S")


def with_parameters(setup: S, values: Mapping[str, float], unused: frozenset[str]) -> S:
    """Return a setup with other numbers.

    Raises ParameterError for an unknown name, one among `unused`, or a value out of range.
    """
    places, changes = _places(setup, unused), dict[Part, dict[str, float]]()
    for name, value in values.items():
        if name not in places:
            known = ", ".join(sorted(places))
            raise ParameterError(name, f"is no parameter of this device; known are {known}")
        for part, field in places[name]:
            changes.setdefault(part, {})[field] = _like(_part(setup, part), field, value)
    for part, changed in changes.items():
        setup = _changed(setup, part, changed)
    return setup


def parameters(setup: Any, unused: frozenset[str]) -> dict[str, float]:
    """Return every number of a setup that can be replaced, by name; of two alike the first."""
    found: dict[str, float] = {}
    for part, name in _numbers(setup, unused):
        found.setdefault(name, float(getattr(_part(setup, part), name)))
    return found


Part = str | None
"""The name of a part of a setup; None is the setup itself."""


def _places(setup: Any, unused: frozenset[str]) -> dict[str, list[tuple[Part, str]]]:
    """Return the parts and fields that a name means."""
    places: dict[str, list[tuple[Part, str]]] = {}
    for part, name in _numbers(setup, unused):
        places.setdefault(name, []).append((part, name))
        if part is not None and part[-2:] in ("_a", "_b"):
            places.setdefault(name + part[-2:], []).append((part, name))
    return places


def _numbers(setup: Any, unused: frozenset[str]) -> Iterator[tuple[Part, str]]:
    for field in fields(setup):
        value = getattr(setup, field.name)
        if is_dataclass(value):
            yield from ((field.name, name) for _, name in _numbers(value, unused))
        elif isinstance(value, int | float) and field.name not in unused:
            yield None, field.name


def _part(setup: Any, part: Part) -> Any:
    return setup if part is None else getattr(setup, part)


def _changed(setup: Any, part: Part, values: dict[str, float]) -> Any:
    changed = replace(_part(setup, part), **values)
    return changed if part is None else replace(setup, **{part: changed})


def _like(part: Any, name: str, value: float) -> float:
    """Return a value as whole a number as that which it replaces."""
    kind = type(getattr(part, name))
    if kind not in (int, bool):
        return value
    if value != int(value):
        raise ParameterError(name, f"must be a whole number, not {value}")
    return int(kind(value))
