"""Orbits as they are published: two-line elements, AMSAT bulletins, and Orbit Mean-Elements Messages.

A text is recognised by how it begins.  Two-line elements may be indented, have a line for the name or
none, and stand in a bulletin among prose; messages (CCSDS 502.0) are JSON, CSV, XML or lines of
`KEYWORD = value`, as Celestrak and Space-Track give them.  What is damaged is refused; what is sound but
not emulated is left out and told, as is all but one of several element sets of one object.  Satellites of
one name are told apart by their catalogue numbers.  No text is repeated in an error at length.
Nothing here reads a file, or knows for what satellites are used.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from sgp4 import omm

from emulator.world.orbits import (
    Constellation,
    OmmOrbit,
    OrbitError,
    OutsideModelError,
    PublishedOrbit,
    TleOrbit,
    age_days_of,
    astray,
    require_fresh,
)

_REQUIRED = {
    "EPOCH", "MEAN_MOTION", "ECCENTRICITY", "INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER",
    "MEAN_ANOMALY", "BSTAR", "NORAD_CAT_ID",
}  # fmt: skip
_FIXED = {
    "CENTER_NAME": ("EARTH",),
    "REF_FRAME": ("TEME",),
    "TIME_SYSTEM": ("UTC",),
    "MEAN_ELEMENT_THEORY": ("SGP4", "SGP/SGP4"),
}
_BULLETIN = re.compile(
    r"(HR AMSAT|SB KEPS|BID: ?\$|DECODE 2-LINE|TO ALL RADIO AMATEURS|.*ORBITAL ELEMENTS FOR AMATEUR|/EX)",
    re.IGNORECASE,
)
_BULLETIN_KEY = re.compile(r"[12] A{5}")
_LONG_FORM = re.compile(r"^\s*(Satellite|Catalog number|Epoch time)\s*:", re.MULTILINE)
_DAY_OF_YEAR = re.compile(r"(\d{4})-(\d{3})T(.*)")
_LONGEST_NAME = 100
_NAMED = 10  # satellites that a sentence names


@dataclass(frozen=True)
class Selection:
    """The satellites of a text that can be emulated, and a word on each that cannot."""

    orbits: tuple[PublishedOrbit, ...]
    left_out: tuple[str, ...]

    def sentence(self, file: str, epoch: datetime) -> str:
        """Return what was taken, how old it is at an instant, and what was left out."""
        oldest_days = max(abs(age_days_of(orbit, epoch)) for orbit in self.orbits)
        days = sorted({f"{orbit.elements_at:%Y-%m-%d}" for orbit in self.orbits})
        count = "one satellite" if len(self.orbits) == 1 else f"{len(self.orbits)} satellites"
        of = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        head = f"{file}: elements of {count}, of {of}, up to {oldest_days:.1f} days from the epoch"
        named, more = "; ".join(self.left_out[:_NAMED]), len(self.left_out) - _NAMED
        rest = f"{named}; and {more} more" if more > 0 else named
        return head + (f"; left out {len(self.left_out)}: {rest}" if named else "")


def from_tle(text: str, epoch: datetime) -> Constellation:
    """Return all satellites of a text of two-line elements.

    Raises OrbitError if any cannot be emulated, and as `parse` does.
    """
    found = parse(text)
    for each in found:
        if isinstance(each, OutsideModelError):
            raise each
    orbits = tuple(each for each in found if not isinstance(each, OutsideModelError))
    return Constellation(orbits, epoch)


def select(text: str, epoch: datetime, end_s: float) -> Selection:
    """Return what of a text can be emulated from an instant until `end_s` later.

    Raises OrbitError for a text that is damaged, or of which nothing can.
    """
    found, left_out = list[PublishedOrbit](), list[OrbitError]()
    for each in parse(text):
        try:
            if isinstance(each, OutsideModelError):
                raise each
            require_fresh(each, epoch)
        except OutsideModelError as error:
            left_out.append(error)
        else:
            found.append(each)
    found, doubled = _one_each(found, epoch)
    lost = astray(found, epoch, end_s)
    left_out += [*doubled, *lost.values()]
    kept = _apart([each for number, each in enumerate(found) if number not in lost])
    if not kept and len(left_out) == 1:
        raise left_out[0]
    if not kept:
        reasons = "; ".join(map(str, left_out[:_NAMED])) or "it holds none"
        raise OrbitError("elements", f"must be one or more that can be emulated; {reasons}")
    return Selection(tuple(kept), tuple(map(str, left_out)))


def parse(text: str) -> list[PublishedOrbit | OutsideModelError]:
    """Return what a text holds, in its order; elements that are not emulated as the reason why.

    Raises OrbitError for a text that is none of these, or in which anything is damaged.
    """
    try:
        return _parse(text)
    except OrbitError:
        raise
    except Exception as error:  # parsers raise many kinds, and all mean the same here
        raise OrbitError("elements", f"cannot be read: {str(error)[:200]}") from error


def _parse(text: str) -> list[PublishedOrbit | OutsideModelError]:
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith(("[", "{")):
        return [_from_message(fields) for fields in _json(start)]
    if start.startswith("<"):
        return [_from_message(fields) for fields in _xml(start)]
    if start.startswith("CCSDS_OMM_VERS"):
        return [_from_message(fields) for fields in _keywords(start)]
    header = start.partition("\n")[0]
    if "," in header and "MEAN_MOTION" in header:
        return [_from_message(fields) for fields in _csv(start)]
    if _LONG_FORM.search(start) and not re.search(r"^\s*1 [\dA-Z ]{5}[UCS ] ", start, re.MULTILINE):
        problem = "are in AMSAT's long form, which lacks the drag; give two-line elements or an OMM"
        raise OrbitError("elements", problem)
    return _two_lines(start)


def _two_lines(text: str) -> list[PublishedOrbit | OutsideModelError]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    is_bulletin = any(_BULLETIN.match(line) for line in lines)
    found: list[PublishedOrbit | OutsideModelError] = []
    lines, name = [line for line in lines if not _BULLETIN_KEY.match(line)][::-1], ""
    while lines:
        line = lines.pop()
        if not line.startswith("1 "):
            if (name and not is_bulletin) or line.startswith("2 "):
                raise OrbitError("elements", f"expected a first line, found {line[:80]!r}")
            name = line.removeprefix("0 ").strip()
            if len(name) > _LONGEST_NAME and not is_bulletin:
                raise OrbitError("elements", f"expected a name, found {name[:80]!r}")
            continue
        second = lines.pop() if lines else ""
        try:
            orbit = TleOrbit(name[:_LONGEST_NAME] or line[2:7].strip(), line, second)
            found.append(orbit if name else replace(orbit, name=_number_text(orbit)))
        except OutsideModelError as error:
            found.append(error)
        name = ""
    if name and not is_bulletin:
        raise OrbitError("elements", f"end after the name {name[:80]!r}")
    return found


def _number_text(orbit: TleOrbit) -> str:
    """Return a catalogue number as it is written, but that of Alpha-5 in digits."""
    written = orbit.line1[2:7].strip()
    return written if written.isdigit() else str(orbit.number)


def _from_message(fields: Mapping[str, str]) -> PublishedOrbit | OutsideModelError:
    name = fields.get("OBJECT_NAME") or fields.get("NORAD_CAT_ID") or "an object"
    if len(name) > _LONGEST_NAME:
        raise OrbitError(name[:80], f"names have at most {_LONGEST_NAME} characters")
    missing = sorted(_REQUIRED - fields.keys())
    if missing:
        raise OrbitError(name, f"lacks {', '.join(missing)}")
    for keyword, right in _FIXED.items():
        if fields.get(keyword, right[0]).upper() not in right:
            problem = f"is {fields[keyword][:80]}, which is not emulated; {right[0]} is"
            return OutsideModelError(f"{name} {keyword}", problem)
    try:
        return OmmOrbit(
            name=name,
            number=_whole(name, fields, "NORAD_CAT_ID"),
            elements_at=_instant(name, fields["EPOCH"]),
            turns_per_day=_number(name, fields, "MEAN_MOTION"),
            eccentricity=_number(name, fields, "ECCENTRICITY"),
            inclination_deg=_number(name, fields, "INCLINATION"),
            raan_deg=_number(name, fields, "RA_OF_ASC_NODE"),
            perigee_deg=_number(name, fields, "ARG_OF_PERICENTER"),
            anomaly_deg=_number(name, fields, "MEAN_ANOMALY"),
            bstar=_number(name, fields, "BSTAR"),
            mean_motion_dot=_number(name, fields, "MEAN_MOTION_DOT"),
            mean_motion_ddot=_number(name, fields, "MEAN_MOTION_DDOT"),
            ephemeris_type=_whole(name, fields, "EPHEMERIS_TYPE"),
        )
    except OutsideModelError as error:
        return error


def _number(name: str, fields: Mapping[str, str], keyword: str) -> float:
    text = fields.get(keyword, "0")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not text.isascii():
        raise OrbitError(f"{name} {keyword}", f"must be a number, not {text[:80]!r}")
    return value


def _whole(name: str, fields: Mapping[str, str], keyword: str) -> int:
    text = fields.get(keyword, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise OrbitError(f"{name} {keyword}", f"must have up to nine digits, not {text[:80]!r}")
    return int(text)


def _instant(name: str, text: str) -> datetime:
    """Return an instant in UTC, written with a month and day or with a day of the year."""
    try:
        dated = _DAY_OF_YEAR.fullmatch(text)
        if dated:
            year, day, clock = dated.groups()
            date = datetime(int(year), 1, 1) + timedelta(days=int(day) - 1)  # noqa: DTZ001
            text = f"{date:%Y-%m-%d}T{clock}"
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        problem = f"must be an instant like 2026-01-31T12:00:00, not {text[:80]!r}"
        raise OrbitError(f"{name} EPOCH", problem) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _json(text: str) -> Iterator[Mapping[str, str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OrbitError("elements", f"are no readable JSON: {str(error)[:200]}") from error
    for each in document if isinstance(document, list) else [document]:
        if not isinstance(each, dict):
            raise OrbitError("elements", f"must be objects of JSON, not {str(each)[:80]!r}")
        yield _plain(each)


def _csv(text: str) -> Iterator[Mapping[str, str]]:
    try:
        rows = list(omm.parse_csv(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise OrbitError("elements", f"are no readable CSV: {str(error)[:200]}") from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise OrbitError("elements", f"row {number} has not as many cells as the header")
        yield _plain(row)


def _xml(text: str) -> Iterator[Mapping[str, str]]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise OrbitError("elements", "must be XML without a document type")
    yield from map(_plain, omm.parse_xml(io.StringIO(text)))


def _keywords(text: str) -> Iterator[Mapping[str, str]]:
    for message in text.split("CCSDS_OMM_VERS")[1:]:
        pairs = (line.partition("=") for line in message.splitlines()[1:] if "=" in line)
        yield {key.strip(): value.partition("[")[0].strip() for key, _, value in pairs}


def _plain(fields: Mapping[Any, Any]) -> Mapping[str, str]:
    """Return the fields that say something, as text."""
    found = {str(key).strip(): str(value).strip() for key, value in fields.items()}
    return {key: value for key, value in found.items() if value not in ("", "None")}


def _one_each(
    orbits: Sequence[PublishedOrbit], epoch: datetime
) -> tuple[list[PublishedOrbit], list[OrbitError]]:
    """Return the elements of each object that are nearest to the epoch, and a word on the others."""
    best: dict[int, PublishedOrbit] = {}
    for each in orbits:
        other = best.setdefault(each.number, each)
        if abs(age_days_of(each, epoch)) < abs(age_days_of(other, epoch)):
            best[each.number] = each
    lost = [each for each in orbits if best[each.number] is not each]
    again: list[OrbitError] = [
        OutsideModelError(each.name, f"is given again, of {each.elements_at:%Y-%m-%d %H:%M}")
        for each in lost
    ]
    return [each for each in orbits if best[each.number] is each], again


def _apart(orbits: Sequence[PublishedOrbit]) -> list[PublishedOrbit]:
    """Return the orbits, with the catalogue number in every name that more than one has."""
    times = Counter(each.name for each in orbits)
    return [
        each if times[each.name] == 1 else replace(each, name=f"{each.name} ({each.number})")
        for each in orbits
    ]
