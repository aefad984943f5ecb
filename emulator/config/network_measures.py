"""Where the nodes of a raw network stand, how long its links are, and which attributes say so.

Units are never guessed: they are in the name of the attribute, stated by the format, asked for, or km,
which is then said.  Coordinates that cannot be degrees are those of a drawing; they are set aside, and that
is said too, but in an edge list of our own form they are mistakes.  Lengths that contradict the coordinates
are named, and refused where their unit was only taken for km.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from emulator.config.network_raw import (
    Attributes,
    Edges,
    RawNetwork,
    TopologyError,
    counted,
    listed,
    lowered,
    plain,
    reject,
)
from emulator.world.places import distance_km

LengthUnit = Literal["km", "m", "mi"]
Pair = tuple[Any, Any]
Sites = Mapping[str, tuple[float, float]]
"""Latitude and longitude by node, in degrees; a node without is not there."""

_UNITS_KM = {"km": 1.0, "m": 1e-3, "mi": 1.609344}
_LENGTH_KEYS = {  # and their units, if the name has one
    "length_km": "km",
    "distance_km": "km",
    "dist_km": "km",
    "length_m": "m",
    "distance_m": "m",
    "length_mi": "mi",
    "distance_mi": "mi",
    "dist": "",
    "distance": "",
    "length": "",
    "third_column": "",
}
_ENDS = {"source", "target", "id", "type", "kind", "key"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_AROUND_EARTH_KM = 40_075.0
_LIKE_METRES = 300.0  # times as long as the straight line, in the median


@dataclass(frozen=True)
class LengthChoice:
    """Which lengths are wanted; the first that is given counts, and else those of the file.

    `link_km` is that of every link, `detour` the ratio to the great circle.  `key` names the attribute of
    the file and `unit` its unit.  Links that would be shorter than `least_km`, or of no length, get that.
    """

    link_km: float | None = None
    detour: float | None = None
    key: str | None = None
    unit: LengthUnit | None = None
    least_km: float | None = None


def sites_of(raw: RawNetwork) -> tuple[Sites, tuple[str, ...]]:
    """Return where nodes stand, and notes about it."""
    nodes = [(name, lowered(data)) for name, data in raw.nodes]
    for keys, pair_of in _COORDINATES.items():
        written = {name: pair for name, data in nodes if (pair := pair_of(data)) is not None}
        if not written:
            continue
        places = {name: (_number(lat), _number(lon)) for name, (lat, lon) in written.items()}
        problem = "" if raw.is_edge_list else _unfit(raw, keys, places)
        if problem:
            return {}, (f"coordinates of `{keys}` set aside: {problem}",)
        for name, (lat, lon) in places.items():
            if not (abs(lat) <= 90 and abs(lon) <= 180):
                wrong, own = written[name], "give degrees, lat in -90..90 and lon in -180..180"
                raise TopologyError(
                    raw.file, f"node {name}", f"lat {wrong[0]}, lon {wrong[1]}: {own}"
                )
        some = f" of {len(places)} nodes" if len(places) < len(nodes) else ""
        return places, (f"coordinates from `{keys}`{some}",)
    return {}, ("no coordinates",)


def _by_keys(
    lat_keys: Sequence[str], lon_keys: Sequence[str]
) -> Callable[[Attributes], Pair | None]:
    def pair(data: Attributes) -> Pair | None:
        lat, lon = (
            next((data[k] for k in keys if k in data), None) for keys in (lat_keys, lon_keys)
        )
        return None if lat is None and lon is None else (lat, lon)

    return pair


def _by_list(data: Attributes) -> Pair | None:
    """Return the second and first part of what is written [lon, lat], as in GeoJSON."""
    written = data.get("pos", data.get("coordinates"))
    if isinstance(written, str):
        written = re.findall(r"[^\s,\[\]()]+", written)
    if isinstance(written, dict):
        named = lowered(written)
        return _by_keys(*_LAT_LON)(named) or _by_keys(("y",), ("x",))(named)
    return (
        (written[1], written[0]) if isinstance(written, list) and len(written) in (2, 3) else None
    )


_LAT_LON = (("lat", "latitude"), ("lon", "long", "lng", "longitude"))
_COORDINATES: dict[str, Callable[[Attributes], Pair | None]] = {
    "lat, lon": _by_keys(*_LAT_LON),
    "pos": _by_list,
    "x, y": _by_keys(("y",), ("x",)),
}


def _unfit(raw: RawNetwork, keys: str, places: Sites) -> str:
    """Return why coordinates are not degrees on Earth, if they are not."""
    if raw.coordinates_stated in ("pixel", "projected"):
        return f"the file says that they are {raw.coordinates_stated}"
    numbers = [(lat, lon) for lat, lon in places.values() if not math.isnan(lat + lon)]
    outside = [pair for pair in numbers if abs(pair[0]) > 90 or abs(pair[1]) > 180]
    if outside:
        return f"lat {outside[0][0]:g}, lon {outside[0][1]:g} are no degrees"
    if len(numbers) > 1 and len(set(numbers)) == 1:
        return "all nodes stand at one place"
    is_drawing = keys != "lat, lon" and raw.coordinates_stated != "degrees"
    if is_drawing and len(numbers) > 1 and all(max(abs(x), abs(y)) <= 1 for x, y in numbers):
        return "all within -1..1, as in a drawing"
    return ""


def lengths_of(
    raw: RawNetwork, edges: Edges, sites: Sites, choice: LengthChoice
) -> tuple[list[float], tuple[str, ...]]:
    """Return the lengths of links in km, and notes about them."""
    if choice.link_km is not None:
        return [float(choice.link_km)] * len(edges), (f"every length set to {choice.link_km:g} km",)
    if choice.detour is not None:
        return _along_great_circles(raw, edges, sites, choice)
    written, key, named_unit = _written(raw, edges, choice)
    unit = choice.unit or named_unit or raw.length_unit
    factor = _UNITS_KM[unit or "km"]
    lengths, raised = _at_least(choice.least_km, [_number(value) * factor for value in written])
    wrong = [
        f"{a}-{b} ({value})"
        for (a, b, _), value, km in zip(edges, written, lengths, strict=True)
        if not 0 < km < math.inf
    ]
    problem = (
        "not a positive number of km; correct it (1234.5: a point for decimals, nothing for "
        "thousands), or set link_km, detour or least_km"
    )
    reject(raw.file, "length_km", wrong, problem)
    notes = _implausible(raw, edges, lengths, sites, stated=bool(unit))
    said = f"in {unit}" if unit else "taken for km"
    return lengths, (f"lengths from `{key}`, {said}", *raised, *notes)


def great_circle_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the distance of two sites, as (latitude, longitude) in degrees."""
    return distance_km(*a, *b)


def _along_great_circles(
    raw: RawNetwork, edges: Edges, sites: Sites, choice: LengthChoice
) -> tuple[list[float], tuple[str, ...]]:
    ends = dict.fromkeys(name for a, b, _ in edges for name in (a, b))
    nowhere = [name for name in ends if name not in sites]
    reject(raw.file, "detour", nowhere, "no coordinates; lengths cannot come from them")
    detour = choice.detour or 1.0
    direct = [detour * great_circle_km(sites[a], sites[b]) for a, b, _ in edges]
    lengths, raised = _at_least(choice.least_km, direct)
    same = [f"{a}-{b}" for (a, b, _), km in zip(edges, lengths, strict=True) if km <= 0]
    reject(raw.file, "detour", same, "both ends stand at one place; set least_km")
    return lengths, (f"lengths are {detour:g} times the great circle", *raised)


def _at_least(least_km: float | None, lengths: list[float]) -> tuple[list[float], tuple[str, ...]]:
    """Return lengths of which none is shorter, but negative ones as they are; and a note on it."""
    if least_km is None:
        return lengths, ()
    short = sum(0 <= km < least_km for km in lengths)
    note = f"{counted(short, 'length')} below {least_km:g} km raised to that"
    raised = [float(least_km) if 0 <= km < least_km else km for km in lengths]
    return raised, (note,) if short else ()


def _written(raw: RawNetwork, edges: Edges, choice: LengthChoice) -> tuple[list[Any], str, str]:
    """Return what is written as lengths, under which key, and the unit that the key names."""
    data = [lowered(item) for _, _, item in edges]
    keys = _LENGTH_KEYS if choice.key is None else (plain(choice.key),)
    key = next((key for key in keys if any(key in item for item in data)), "")
    names = sorted(
        {str(name) for _, _, item in edges for name, value in item.items() if value} - _ENDS
    )
    others = f" (links have {listed(names)}; network.length can name one)" if names else ""
    if not key and choice.key is not None:
        raise TopologyError(raw.file, choice.key, f"no link has it{others}")
    missing = [
        f"{a}-{b}" for (a, b, _), item in zip(edges, data, strict=True) if item.get(key) is None
    ]
    remedy = "write length_km, or set link_km for all links, or detour for lengths from coordinates"
    reject(raw.file, "length_km", missing, f"no length; {remedy}{'' if key else others}")
    shown = next((n for _, _, item in edges for n in item if plain(n) == key), "length_km")
    return [item[key] for item in data], str(shown), _LENGTH_KEYS.get(key, "")


def _implausible(
    raw: RawNetwork, edges: Edges, lengths: Sequence[float], sites: Sites, *, stated: bool
) -> tuple[str, ...]:
    """Name lengths that cannot be; refuse them where their unit is only taken for km."""
    huge = [
        f"{a}-{b}" for (a, b, _), km in zip(edges, lengths, strict=True) if km > _AROUND_EARTH_KM
    ]
    if not stated:
        remedy = "longer than around the Earth if they are km; set length_unit"
        reject(raw.file, "lengths", huge, remedy)
    straight = [
        great_circle_km(sites[a], sites[b]) if a in sites and b in sites else 0.0
        for a, b, _ in edges
    ]
    compared = [
        (f"{a}-{b} {km:.4g} km", km / direct, direct)
        for (a, b, _), km, direct in zip(edges, lengths, straight, strict=True)
        if direct > 0
    ]
    ratio = median([ratio for _, ratio, _ in compared]) if compared else 1.0
    if not stated and ratio >= _LIKE_METRES:
        problem = (
            f"{ratio:.0f} times as long as straight lines if they are km; set length_unit (m?)"
        )
        reject(raw.file, "lengths", [text for text, _, _ in compared], problem)
    odd = [
        f"{text} (straight {direct:.4g})"
        for text, ratio, direct in compared
        if ratio < 0.9 or ratio > 10
    ]
    notes = [f"longer than around the Earth: {listed(huge, 3)}"] if huge else []
    return (*notes, f"implausible lengths: {listed(odd, 3)}") if odd else tuple(notes)


def _number(value: object) -> float:
    """Return a number as JSON or a table has it; NaN if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e300 else math.nan
    return float(str(value)) if _NUMBER.fullmatch(str(value)) else math.nan
