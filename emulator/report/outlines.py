"""Coasts and borders for a map, from vendored TopoJSON files, as far as they lie in its frame.

Degrees; lines are straight between points, as on a map whose axes are longitude and latitude.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

Line = Sequence[tuple[float, float]]
Frame = tuple[float, float, float, float]
"""West, east, south, north, in degrees."""


def land(frame: Frame) -> Iterator[Line]:
    """Yield the rings of all land that reaches into a frame."""
    world = _read("countries-110m.json")
    for polygon in world["objects"]["land"]["geometries"][0]["arcs"]:
        ring = [point for number in polygon[0] for point in _arc(world, number)[:-1]]
        if _reaches(ring, frame):
            yield ring


def borders(frame: Frame) -> Iterator[Line]:
    """Yield coasts and borders of countries, and borders of the states of the USA."""
    for name in ("countries-110m.json", "states-10m.json"):
        topology = _read(name)
        for number in range(len(topology["arcs"])):
            line = _arc(topology, number)
            if _reaches(line, frame):
                yield line


def _reaches(line: Line, frame: Frame) -> bool:
    """Return whether the box around a line overlaps the frame."""
    west, east, south, north = frame
    longitudes, latitudes = [x for x, _ in line], [y for _, y in line]
    abreast = min(longitudes) <= east and max(longitudes) >= west
    return abreast and min(latitudes) <= north and max(latitudes) >= south


def _arc(topology: dict[str, Any], number: int) -> Line:
    """Return an arc in degrees; ~n is arc n backwards."""
    if number < 0:
        return _arc(topology, ~number)[::-1]
    (scale_x, scale_y), (move_x, move_y) = (
        topology["transform"][k] for k in ("scale", "translate")
    )
    steps = topology["arcs"][number]
    return [
        (x * scale_x + move_x, y * scale_y + move_y)
        for x, y in accumulate(steps, lambda at, step: (at[0] + step[0], at[1] + step[1]))
    ]


@cache
def _read(name: str) -> dict[str, Any]:
    text = files("emulator.views").joinpath("vendor", name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
