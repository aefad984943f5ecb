"""Replacing fields of an experiment file by their dotted ways (`demand.requests.avatar`), unchecked."""

from __future__ import annotations

from typing import Any


class ChangeError(Exception):
    """A way leads nowhere."""

    def __init__(self, way: str, problem: str) -> None:
        super().__init__(way, problem)
        self.way, self.problem = way, problem

    def __str__(self) -> str:
        return f"{self.way}: {self.problem}"


def change(fields: dict[str, Any], way: str, value: Any) -> None:
    """Put a value in its place; sections on the way that are left out are made.  Raises `ChangeError`.

    Elements of a list are named by number, from 0.  Whether the field exists is not known here.
    """
    *heads, last = way.split(".")
    section: Any = fields
    for place, head in enumerate(heads, 1):
        key = _key(section, head, way)
        if isinstance(section, dict) and section.get(key) is None:
            section[key] = {}
        section = section[key]
        if not isinstance(section, dict | list):
            raise ChangeError(way, f"{'.'.join(heads[:place])} is {section!r}, which has no fields")
    section[_key(section, last, way)] = value


def _key(section: dict[Any, Any] | list[Any], name: str, way: str) -> str | int:
    if isinstance(section, list):
        if not name.isdecimal() or int(name) >= len(section):
            right = f"a number from 0 to {len(section) - 1}" if section else "a whole list"
            raise ChangeError(way, f"there is a list; give {right}, not {name}")
        return int(name)
    return int(name) if name.isdecimal() and int(name) in section else name
