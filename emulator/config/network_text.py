"""Networks in text of their own: GML (Topology Zoo, topohub) and SNDlib's native format.

GML is read as UTF-8, whatever its standard says, with HTML entities too; a key that is repeated is a list.
"""

import html
import re
from collections.abc import Iterator
from typing import Any

from emulator.config.network_raw import Attributes, RawNetwork, TopologyError, renamed

_MOST_DEPTH = 50
_GML_TOKEN = re.compile(r'\s+|#[^\n]*|"([^"]*)"|([\[\]])|([^\s\[\]"]+)')
_SNDLIB_NODE = re.compile(r"\s*(\S+)\s*\(\s*(\S+)\s+(\S+)\s*\)\s*")
_SNDLIB_LINK = re.compile(r"\s*(\S+)\s*\(\s*(\S+)\s+(\S+)\s*\)(\s.*)?")

Pairs = list[tuple[str, Any]]


def read_gml(file: str, name: str, text: str) -> RawNetwork:
    """Read the one graph of a GML file."""
    graphs = [value for key, value in _gml_pairs(file, text) if key == "graph"]
    if len(graphs) != 1 or not isinstance(graphs[0], list):
        raise TopologyError(
            file, "graph", f"there are {len(graphs)}; a GML file has one: graph [ ... ]"
        )
    keyed: list[tuple[str, Attributes]] = []
    edges: list[tuple[str, str, Attributes]] = []
    about = [(key, value) for key, value in graphs[0] if key not in ("node", "edge")]
    for key, value in graphs[0]:
        if key not in ("node", "edge"):
            continue
        if not isinstance(value, list):
            raise TopologyError(file, key, f"must be {key} [ ... ], not {value}")
        data = _merged(value)
        for needed in ("id",) if key == "node" else ("source", "target"):
            if not isinstance(data.get(needed), str):
                raise TopologyError(file, key, f"one has no {needed}, or more than one")
        if key == "node":
            keyed.append((data["id"], data))
        else:
            edges.append((data["source"], data["target"], data))
    directed = str(_merged(about).get("directed", "0"))
    if directed not in ("0", "1"):
        raise TopologyError(file, "directed", f"must be 0 or 1, not {directed}")
    nodes, joined, notes = renamed(keyed, edges)
    return RawNetwork(file, name, nodes, joined, directed=directed == "1", notes=notes)


def _gml_pairs(file: str, text: str) -> Pairs:
    """Return keys and values; a value is text, or again such a list."""
    stack: list[Pairs] = [[]]
    key = ""
    for word, is_text in _gml_tokens(file, text):
        opens, closes = (not is_text and word == bracket for bracket in "[]")
        if not key and not is_text and re.match(r"[A-Za-z_]", word):
            key = word
        elif closes and not key and len(stack) > 1:
            stack.pop()
        elif not key or closes:
            raise TopologyError(file, "file", f"is not valid gml at {word[:40]!r}; export it again")
        else:
            inner: Pairs = []
            stack[-1].append((key, inner if opens else word))
            stack += [inner] if opens else []
            key = ""
        if len(stack) > _MOST_DEPTH:
            raise TopologyError(file, "file", f"nests deeper than {_MOST_DEPTH} lists")
    if key or len(stack) > 1:
        raise TopologyError(file, "file", "is not valid gml: it ends too early; export it again")
    return stack[0]


def _gml_tokens(file: str, text: str) -> Iterator[tuple[str, bool]]:
    """Yield every token, and whether it is a quoted text."""
    position = 0
    while position < len(text):
        match = _GML_TOKEN.match(text, position)
        if match is None:
            problem = f"is not valid gml at {text[position : position + 40]!r}; export it again"
            raise TopologyError(file, "file", problem)
        position = match.end()
        quoted, bracket, bare = match.groups()
        if quoted is not None:
            yield html.unescape(quoted), True
        elif bracket or bare:
            yield bracket or bare, False


def _merged(pairs: Pairs) -> dict[str, Any]:
    """Return values by key, those of a repeated key as a list."""
    found: dict[str, list[Any]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def read_sndlib(file: str, name: str, text: str) -> RawNetwork:
    """Read SNDlib's native format: nodes with x and y, and links; capacities and costs are not lengths."""
    keyed: list[tuple[str, Attributes]] = []
    for line in _section(file, text, "NODES"):
        match = _SNDLIB_NODE.fullmatch(line)
        if match is None:
            raise TopologyError(file, "NODES", f"SNDlib: {line.strip()!r} is not NAME ( X Y )")
        keyed.append((match[1], {"x": match[2], "y": match[3]}))
    edges: list[tuple[str, str, Attributes]] = []
    for line in _section(file, text, "LINKS"):
        match = _SNDLIB_LINK.fullmatch(line)
        if match is None:
            raise TopologyError(
                file, "LINKS", f"SNDlib: {line.strip()!r} is not ID ( FROM TO ) ..."
            )
        edges.append((match[2], match[3], {}))
    return RawNetwork(file, name, keyed, edges)


def _section(file: str, text: str, name: str) -> list[str]:
    lines = [line.split("#")[0].rstrip() for line in text.splitlines()]
    start = next(
        (n for n, line in enumerate(lines) if re.match(rf"\s*{name}\s*\(\s*$", line)), None
    )
    if start is None:
        raise TopologyError(file, name, f"SNDlib: there is no section {name} (")
    end = next((n for n in range(start, len(lines)) if lines[n].strip() == ")"), None)
    if end is None:
        raise TopologyError(file, name, "SNDlib: the section has no end")
    return [line for line in lines[start + 1 : end] if line.strip()]
