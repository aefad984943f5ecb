"""The published results that the physics is held to, as one table."""

from __future__ import annotations

from typing import Any

import typer

from emulator.commands.options import Json
from emulator.commands.terminal import OUT, answer, print_table


def validate(json_: Json = False) -> None:
    """Compute every published result that the physics is held to, and compare."""
    rows = table()
    answer(json_, {"rows": rows}, lambda: _show(rows))
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


def table() -> list[dict[str, Any]]:
    """Return every point as a row, with its verdict."""
    from emulator.physics import published as on_the_ground
    from emulator.world import published as in_orbit

    return [point.row() for point in (*on_the_ground.POINTS, *in_orbit.POINTS)]


def _show(rows: list[dict[str, Any]]) -> None:
    print_table(["id", "published", "computed", "tolerance", "ok"], rows)
    missed = [row for row in rows if not row["ok"]]
    for row in missed:
        OUT.print(f"{row['id']} is missed: {row['why'] or 'it is not known why'}")
    met = len(rows) - len(missed)
    OUT.print(f"{met} of {len(rows)} published results are met; --json has sources and inputs")
