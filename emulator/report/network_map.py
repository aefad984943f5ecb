"""The map of report.html: nodes, links coloured by the key that they carried, and links that were struck.

If all nodes have coordinates, it shows coasts and borders (Natural Earth, as TopoJSON: an arc that
neighbours share is drawn once); else it is a spring layout.  A node whose name the font cannot write is
labelled by its number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

import numpy as np

from emulator.config.topology import Topology
from emulator.report.layout import Layout, layout_of
from emulator.report.plotting import (
    COLOURS,
    INK,
    Axes,
    Figure,
    Line2D,
    LineCollection,
    ListedColormap,
    Normalize,
    PolyCollection,
    ScalarMappable,
    colormaps,
    drawable,
)

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
    text = files("emulator.report").joinpath("vendor", name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


CUT, TAPPED = COLOURS["shortfall"], COLOURS["plan"]


TROUBLES = {CUT: "was cut, dimmed or down", TAPPED: "was listened to"}
_VISIBLE = ListedColormap(colormaps["viridis_r"](np.linspace(0.15, 1.0, 128)))  # on white
_WIDTH = 9.2


_LABELLED_NODES, _DRAWN_NODES = 60, 300


_SEA, _LAND, _BORDER = "#eef3f7", "#fbfaf6", "#c3c9ce"


def draw(
    topology: Topology,
    carried_bits: Sequence[int],
    troubles: Mapping[frozenset[str], str],
    requests: Mapping[str, int],
) -> Figure:
    """Draw a network; `troubles` gives the colour of links that were cut or listened to.

    `carried_bits` is in the order of links; `requests` says in how many each node is an end.
    """
    layout = layout_of(topology)
    figure, axes = _canvas(layout)
    lines = _lines(topology, layout)
    _draw_links(figure, axes, lines, carried_bits)
    ends = [frozenset((link.a, link.b)) for link in topology.links]
    _draw_troubles(axes, lines, [troubles.get(pair) for pair in ends])
    _draw_nodes(axes, layout, requests)
    return figure


def draw_network(topology: Topology) -> Figure:
    """Draw a network of which nothing is known but where it is."""
    layout = layout_of(topology)
    figure, axes = _canvas(layout)
    many = len(topology.links) > _DRAWN_NODES
    width, lines = 0.5 if many else 1.4, _lines(topology, layout)
    axes.add_collection(LineCollection(lines, colors=COLOURS["fiber"], lw=width, zorder=2))
    _draw_nodes(axes, layout, {})
    return figure


def _canvas(layout: Layout) -> tuple[Figure, Axes]:
    """Return a map without the network."""
    frame, aspect = _frame(layout)
    west, east, south, north = frame
    height = _WIDTH * 0.86 * aspect * (north - south) / (east - west)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(west, east), ylim=(south, north), aspect=aspect, xticks=[], yticks=[])
    if layout.on_earth:
        _draw_earth(axes, frame)
    for spine in axes.spines.values():
        spine.set_color(_BORDER)
    return figure, axes


def _lines(topology: Topology, layout: Layout) -> list[Line]:
    return [[layout.places[link.a], layout.places[link.b]] for link in topology.links]


def _frame(layout: Layout) -> tuple[Frame, float]:
    """Return what a map shows, about three parts wide for two high at most, and the aspect of a degree."""
    xs, ys = zip(*layout.places.values(), strict=True)
    middle_x, middle_y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    aspect = 1 / math.cos(math.radians(middle_y)) if layout.on_earth else 1.0
    wide, high = (max(xs) - min(xs)) * 1.12, (max(ys) - min(ys)) * 1.2 * aspect
    wide, high = max(wide, high * 1.5, 1e-3), max(high, wide / 4, 1e-3)
    half_x, half_y = wide / 2, high / 2 / aspect
    return (middle_x - half_x, middle_x + half_x, middle_y - half_y, middle_y + half_y), aspect


def _draw_earth(axes: Axes, frame: Frame) -> None:
    axes.set_facecolor(_SEA)
    axes.add_collection(PolyCollection(list(land(frame)), fc=_LAND, ec="none", zorder=0))
    lines = [line for line in borders(frame) if len(line) > 1]
    axes.add_collection(LineCollection(lines, colors=_BORDER, linewidths=0.5, zorder=1))


def _draw_links(
    figure: Figure, axes: Axes, lines: Sequence[Line], carried_bits: Sequence[int]
) -> None:
    many = len(lines) > _DRAWN_NODES
    kilobits = np.array(carried_bits) / 1e3
    scale, colours = Normalize(0, max(*kilobits, 1.0)), _VISIBLE
    widths = (0.5, 1.5) if many else (1.2, 3.2)
    drawn = LineCollection(
        lines,
        colors=colours(scale(kilobits)),
        linewidths=widths[0] + widths[1] * scale(kilobits),
        zorder=2,
        rasterized=many,
    )
    axes.add_collection(drawn)
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=axes, shrink=0.7, pad=0.01)
    bar.set_label("key carried (kbit)")
    bar.ax.spines["outline"].set_visible(False)


def _draw_troubles(axes: Axes, lines: Sequence[Line], colours: list[str | None]) -> None:
    handles = []
    for colour, words in TROUBLES.items():
        struck = [line for line, own in zip(lines, colours, strict=True) if own == colour]
        if struck:
            axes.add_collection(LineCollection(struck, colors="white", linewidths=4.6, zorder=3))
            axes.add_collection(LineCollection(struck, colors=colour, lw=2.6, ls="--", zorder=4))
            handles.append(Line2D([], [], color=colour, lw=2.6, ls="--", label=words))
    if handles:
        axes.legend(handles=handles, loc="lower left", fontsize=8, framealpha=0.9)


def _draw_nodes(axes: Axes, layout: Layout, requests: Mapping[str, int]) -> None:
    many, few = len(layout.places) > _DRAWN_NODES, len(layout.places) <= _LABELLED_NODES
    names = list(layout.places)
    most = max([*requests.values(), 1])
    sizes = [(3 if many else 22) * (0.4 + 2 * requests.get(name, 0) / most) for name in names]
    longitudes, latitudes = zip(*layout.places.values(), strict=True)
    axes.scatter(
        longitudes, latitudes, sizes, color=INK, ec="white", lw=0.2 if many else 0.7, zorder=5,
        rasterized=many,
    )  # fmt: skip
    for number, name in enumerate(names if few else (), 1):
        label = name if drawable(name) == name else f"node {number}"
        axes.annotate(
            label, layout.places[name], (5, 4), textcoords="offset points", fontsize=7.5, color=INK,
            zorder=6, bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.75},
        )  # fmt: skip
