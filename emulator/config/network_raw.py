"""A network as some file writes it: names and attributes, with nothing judged yet.

Every format becomes the same lists, in the order of the file.  What is said twice, wrongly or not at all is
still there afterwards.  Attributes are text, numbers, lists or mappings, under the names of the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.input_checks import InputFileError

Attributes = Mapping[str, Any]
Nodes = Sequence[tuple[str, Attributes]]
Edges = Sequence[tuple[str, str, Attributes]]

_NAME_KEYS = ("label", "name")
_SHOWN = 10


class TopologyError(InputFileError):
    """A network cannot be used as written; its text is one line, whatever the file has."""

    def __init__(self, file: str, field: str, problem: str) -> None:
        super().__init__(file, printable(field), printable(problem))


@dataclass(frozen=True)
class RawNetwork:
    """A network as written.

    `is_edge_list` means one that people write by hand, in our own form: it has degrees, and each link once.
    `length_unit` is that of lengths whose name has none, if the format or the file states it;
    `coordinates_stated` tells what the file says of its coordinates ("pixel", "degrees"), if anything.
    """

    file: str
    name: str
    nodes: Nodes
    edges: Edges
    directed: bool = False
    is_edge_list: bool = False
    length_unit: str = ""
    coordinates_stated: str = ""
    comments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def listed(culprits: Sequence[str], most: int = _SHOWN) -> str:
    """Return the first culprits by name, and how many more there are."""
    more = f" and {len(culprits) - most} more" if len(culprits) > most else ""
    return f"{', '.join(culprits[:most])}{more}"


def printable(text: str) -> str:
    """Return a text with escapes in place of control characters and line breaks."""
    letters = (x if x.isprintable() else x.encode("unicode_escape").decode() for x in text)
    return "".join(letters)


def counted(number: int, noun: str) -> str:
    """Return a number of things, in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def reject(file: str, part: str, culprits: Sequence[str], problem: str) -> None:
    """Raise with the culprits by name, if there are any."""
    if culprits:
        raise TopologyError(file, part, f"{listed(culprits)}: {problem}")


def plain(key: object) -> str:
    """Return the name of an attribute as others write it: `Length (km)` is `length_km`."""
    words = "".join(letter if letter.isalnum() else " " for letter in str(key).lower()).split()
    return "_".join(words)


def lowered(data: Attributes) -> dict[str, Any]:
    """Return attributes under their plain names; those that are empty are not there."""
    return {plain(key): value for key, value in data.items() if value not in (None, "")}


def names_of(keyed: Sequence[tuple[str, Attributes]]) -> tuple[list[str], tuple[str, ...]]:
    """Return what nodes are called, and a note about it.

    That is their `label` or `name`, if all have one and no two the same; else their ids.
    """
    repeated = ""
    for key in _NAME_KEYS:
        found = [" ".join(str(lowered(data).get(key, "")).split()) for _, data in keyed]
        if not found or "" in found:
            continue
        if len(set(found)) == len(found):
            ids = [" ".join(name.split()) for name, _ in keyed]
            return found, () if found == ids else (f"names from `{key}`",)
        first = next(name for name in found if found.count(name) > 1)
        repeated = repeated or f"names are ids, for `{key}` repeats ({first})"
    return [name.strip() for name, _ in keyed], (repeated,) if repeated else ()


def renamed(
    keyed: Sequence[tuple[str, Attributes]], edges: Edges
) -> tuple[Nodes, Edges, tuple[str, ...]]:
    """Return nodes by name, in place of their ids, with their edges; and a note about it."""
    names, notes = names_of(keyed)
    by_key = {key: name for (key, _), name in zip(keyed, names, strict=True)}
    nodes = [(name, data) for name, (_, data) in zip(names, keyed, strict=True)]
    return nodes, [(by_key.get(a, a), by_key.get(b, b), data) for a, b, data in edges], notes
