"""Networks in rows: a CSV edge list with its companion of nodes, Gephi's export, FUSION's three columns.

The header tells what separates cells: a comma, a semicolon or a tab.  Only with a semicolon may numbers
have decimal commas.  Every row has as many cells as the header.  Lines that begin with `#` are comments
before the header, and nodes after it.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from emulator.config.network_raw import Attributes, RawNetwork, TopologyError, plain, reject

Row = dict[str, Any]

_SEPARATORS = (",", ";", "\t")
_TEXT_COLUMNS = ("source", "target", "node", "kind", "domain", "city", "label", "id", "type")
_DEGREES = ("lat", "latitude", "lon", "long", "lng", "longitude")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_DECIMAL_POINT = re.compile(r"[+-]?\d+\.\d+")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}([.,]\d{3})+")


def read_edge_list(
    file: str, name: str, text: str, companion: tuple[str, str] | None
) -> RawNetwork:
    """Read a table of links, and of nodes if there is a companion: its file and text."""
    comments, rows, notes = _table(file, text, ("source", "target"))
    edges: list[tuple[str, str, Attributes]] = [(row["source"], row["target"], row) for row in rows]
    names = dict.fromkeys(end for a, b, _ in edges for end in (a, b))
    nodes: list[tuple[str, Attributes]] = [(end, {}) for end in names]
    if companion is not None:
        more, sites, others = _table(*companion, ("node",))
        nodes = [(row["node"], row) for row in sites]
        comments, notes = comments + more, notes + others
    return RawNetwork(
        file,
        name,
        nodes,
        edges,
        directed=_is_directed(file, rows),
        is_edge_list=True,
        comments=tuple(comments),
        notes=tuple(dict.fromkeys(notes)),
    )


def read_columns(file: str, name: str, text: str) -> RawNetwork:
    """Read rows of source, target and km between blanks, without a header, as FUSION has them."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and {"source", "target"} <= set(re.split(r"[\s,;]+", lines[0].lower().strip("# "))):
        return read_edge_list(file, name, text, None)
    edges: list[tuple[str, str, Attributes]] = []
    for number, line in enumerate(lines, 1):
        cells = line.split()
        if len(cells) != 3:
            problem = (
                f"{len(cells)} values in {line.strip()!r}; a .txt file is SNDlib's native format, or "
                "has source, target and km in every row, as in FUSION"
            )
            raise TopologyError(file, f"row {number}", problem)
        edges.append((cells[0], cells[1], {"third column": cells[2]}))
    names = dict.fromkeys(end for a, b, _ in edges for end in (a, b))
    nodes: list[tuple[str, Attributes]] = [(end, {}) for end in names]
    return RawNetwork(file, name, nodes, edges, directed=True, length_unit="km")


def _table(file: str, text: str, needed: tuple[str, ...]) -> tuple[list[str], list[Row], list[str]]:
    """Return comments, rows by plain column names, and notes."""
    lines = text.splitlines(keepends=True)
    start = next((n for n, line in enumerate(lines) if line.strip() and line[0] != "#"), len(lines))
    comments = [line.lstrip("# ").rstrip() for line in lines[:start] if line.strip()]
    separator, header = _header(file, lines[start : start + 1], needed)
    reject(
        file, "header", sorted({name for name in header if header.count(name) > 1 and name}),
        "more than one column is called so; keep one",
    )  # fmt: skip
    cells = list(
        csv.reader(io.StringIO("".join(lines[start + 1 :]), newline=None), delimiter=separator)
    )
    rows = []
    for number, row in enumerate((row for row in cells if any(map(str.strip, row))), 1):
        rows.append(_row(file, number, header, [cell.strip() for cell in row], needed))
    if separator != ";":
        return comments, rows, []
    return comments, *_with_points(file, header, rows)


def _header(file: str, lines: Sequence[str], needed: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return what separates cells, and the names of the columns."""
    for separator in _SEPARATORS:
        header = [plain(cell) for cell in next(csv.reader(lines, delimiter=separator), [])]
        if set(needed) <= set(header):
            return separator, header
    header = [plain(cell) for cell in next(csv.reader(lines), [])]
    missing = ", ".join(column for column in needed if column not in header)
    columns = "source,target,length_km" if "source" in needed else "node,lat,lon"
    problem = f"has no column {missing}; the first line must be {columns}"
    raise TopologyError(file, "header", problem)


def _row(
    file: str, number: int, header: list[str], cells: list[str], needed: tuple[str, ...]
) -> Row:
    row: Row = dict(zip(header, cells, strict=False))
    where, shown = f"row {number}", ",".join(cells)
    empty = [column for column in needed if not row.get(column)]
    while len(cells) > len(header) and not cells[-1]:
        cells = cells[:-1]
    if len(cells) >= len(needed) and empty:
        problem = f"{', '.join(empty)} is empty in {shown!r}; name a node there"
        raise TopologyError(file, where, problem)
    if len(cells) != len(header):
        subject = "-".join(str(row.get(column, "")) for column in needed)
        absent = f"; no {', '.join(header[len(cells) :])}" if len(cells) < len(header) else ""
        problem = (
            f"{subject}: {len(cells)} values for {len(header)} columns in {shown!r}{absent}; "
            "decimals take a point, separators in a text take quotes, comments stand before the header"
        )
        raise TopologyError(file, where, problem)
    return row


def _with_points(file: str, header: list[str], rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Return rows with decimal points in place of decimal commas, and a note if there were any."""
    columns = [name for name in header if name not in _TEXT_COLUMNS]
    written = [str(row[name]) for row in rows for name in columns]
    commas = [value for value in written if _DECIMAL_COMMA.fullmatch(value)]
    points = [value for value in written if _DECIMAL_POINT.fullmatch(value)]
    if commas and points:
        problem = f"{commas[0]} and {points[0]}: use one decimal sign"
        raise TopologyError(file, "numbers", problem)
    for name in columns:
        own = [str(row[name]) for row in rows if re.search(r"\d[.,]\d", str(row[name]))]
        if own and name not in _DEGREES and all(_THOUSANDS.fullmatch(value) for value in own):
            problem = f"{own[0]} may be thousands or a decimal; write it without separator"
            raise TopologyError(file, name, problem)
    if not commas:
        return rows, []
    changed = [
        {
            name: value.replace(",", ".")
            if name in columns and _DECIMAL_COMMA.fullmatch(value)
            else value
            for name, value in row.items()
        }
        for row in rows
    ]
    return changed, ["decimal commas read"]


def _is_directed(file: str, rows: list[Row]) -> bool:
    """Return what Gephi's column `Type` says; False without one."""
    types = {str(row.get("type", "")).lower() for row in rows}
    if types == {"directed", "undirected"}:
        raise TopologyError(file, "type", "both Directed and Undirected; write one")
    return types == {"directed"}
