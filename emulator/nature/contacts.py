"""Who tracks whom: which passes become contacts where satellites and stations can do so much at a time.

A pass gets at most `contact_s` of the time in which it is open to a contact.  Contacts of one satellite or
of one station are `acquire_s` apart, unless it can hold several at once.  Passes choose in the order of
what they are worth, each the free stretch nearest to its best moment; one that finds none is lost.  That is
a greedy schedule, made from orbits alone before anybody knows weather or demand; it is not the best one.

Pure functions: the same schedule in any process and from any order of openings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SLIDE_S = 10.0  # between the stretches that a pass tries


@dataclass(frozen=True)
class ContactRules:
    """How many contacts at a time (None: any number), how long, and how far apart."""

    per_station: int | None = 1
    per_satellite: int | None = 1
    contact_s: float | None = None
    acquire_s: float = 0.0


@dataclass(frozen=True, order=True)
class Opening:
    """A stretch in which one satellite can serve one station, or two at once; ordered by start."""

    start_s: float
    end_s: float
    satellite: str
    stations: tuple[str, ...]
    best_s: float


@dataclass(frozen=True)
class Slot:
    """What an opening got."""

    opening: Opening
    start_s: float
    end_s: float


def booked(worth: Mapping[Opening, float], rules: ContactRules) -> list[Slot]:
    """Return the contacts of openings, given their worth in any unit, by start."""
    taken: dict[tuple[str, str], list[Slot]] = defaultdict(list)
    found: list[Slot] = []
    for opening in sorted(sorted(worth), key=worth.__getitem__, reverse=True):
        users = [(("satellite", opening.satellite), rules.per_satellite)]
        users += [(("station", name), rules.per_station) for name in opening.stations]
        for slot in stretches(opening, rules.contact_s):
            if all(_has_room(taken[user], slot, most, rules.acquire_s) for user, most in users):
                for user, _ in users:
                    taken[user].append(slot)
                found.append(slot)
                break
    return sorted(found, key=lambda slot: (slot.start_s, slot.opening))


def stretches(opening: Opening, contact_s: float | None) -> Iterator[Slot]:
    """Yield what a contact may be, the nearest to the best moment first."""
    spare_s = 0.0 if contact_s is None else opening.end_s - opening.start_s - contact_s
    if contact_s is None or spare_s <= 0:
        yield Slot(opening, opening.start_s, opening.end_s)
        return
    best_s = min(max(opening.best_s - opening.start_s - contact_s / 2, 0.0), spare_s)
    steps = range(-int(best_s // _SLIDE_S), int((spare_s - best_s) // _SLIDE_S) + 1)
    for step in sorted(steps, key=lambda step: (abs(step), step)):
        start_s = opening.start_s + best_s + step * _SLIDE_S
        yield Slot(opening, start_s, start_s + contact_s)


def _has_room(taken: list[Slot], slot: Slot, most: int | None, apart_s: float) -> bool:
    """Return whether at no instant of a slot, and of the time to acquire it, all contacts are taken."""
    if most is None:
        return True
    first_s, last_s = slot.start_s - apart_s, slot.end_s + apart_s
    near = [other for other in taken if other.start_s < last_s and first_s < other.end_s]
    if len(near) < most:
        return True
    instants = [first_s, *(other.start_s for other in near if other.start_s > first_s)]
    return all(sum(o.start_s <= at_s < o.end_s for o in near) < most for at_s in instants)
