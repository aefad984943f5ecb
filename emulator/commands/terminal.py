"""What commands print: the answer on stdout, as JSON or for people; everything else on stderr.

Whatever files and names hold, nothing in them commands the terminal: control characters are shown as their
codes, and brackets are brackets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from emulator.input_checks import visible


class PlainConsole(Console):
    """Shows text as it is: no markup in it, and no control character."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return what is shown of a text."""
        return super().render_str(visible(text), **options)


OUT = PlainConsole(highlight=False, markup=False, emoji=False)
ERR = PlainConsole(stderr=True, highlight=False, markup=False, emoji=False)


def answer(json_: bool, document: Any, show: Callable[[], object]) -> None:
    """Print a document as JSON if that is asked for; else show it."""
    if json_:
        print_json(document)
    else:
        show()


def print_json(document: Any) -> None:
    """Print a document on stdout."""
    print(json.dumps(document, indent=1))  # noqa: T201


def print_fields(fields: dict[str, Any]) -> None:
    """Print names and values, one below the other."""
    print_table(["field", "value"], [{"field": k, "value": _shown(v)} for k, v in fields.items()])


def print_table(columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Print rows under the names of their columns, numbers to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        is_number = bool(rows) and isinstance(rows[0][name], int | float)
        table.add_column(
            name.replace("_", " "), justify="right" if is_number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(_shown(row[name]) for name in columns))
    OUT.print(table)


def tell(line: str) -> None:
    """Print a line on stderr, as it is but for control characters."""
    print(visible(line), file=sys.stderr)  # noqa: T201


def fail(problem: str) -> NoReturn:
    """Print what went wrong, and end with exit status 1."""
    tell(problem)
    raise typer.Exit(1)


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(_shown(item) for item in value)
    return str(value)
