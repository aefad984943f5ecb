"""Secret key rates: of one link, or of all protocols over distance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.commands.options import Json, UsageError, require_writable
from emulator.commands.terminal import OUT, answer, print_fields

if TYPE_CHECKING:
    from emulator.physics.raman import Coexistence


def skr(
    protocol: Annotated[
        str,
        typer.Option(help="bb84, mdi, gg02, bbm92, router, plob, ...; an unknown name lists all."),
    ],
    length_km: Annotated[float, typer.Option(help="Length of the fiber.")],
    device: Annotated[
        str | None, typer.Option(help="A device preset; an unknown name lists all.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="K=V", help="Replace a parameter; an unknown name lists all."
        ),
    ] = None,
    intercepted: Annotated[
        float, typer.Option(help="Fraction of pulses that an eavesdropper measures and resends.")
    ] = 0.0,
    coexistence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K=V",
            help="Classical channels in the fiber, as in fiber.coexistence: launch_dbm=0, channels=4, ...",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Compute a secret key rate."""
    from dataclasses import asdict

    from emulator.physics.skr import secret_key_rate

    overrides = _overrides(set_ or [])
    light = _light(coexistence) if coexistence else None
    rate = asdict(
        secret_key_rate(protocol, length_km, device, overrides, intercepted, coexistence=light)
    )
    if math.isinf(rate["bound_bps"]):
        rate["bound_bps"] = None  # no loss, no ceiling; JSON has no infinity
    answer(json_, rate, lambda: print_fields(rate))


def rates(
    out: Annotated[Path, typer.Option(help="Folder to write to.")], json_: Json = False
) -> None:
    """Draw the secret key rates of all protocols over distance, with the PLOB bound."""
    from emulator.report.rate_figure import draw

    require_writable(out)
    files = [str(path) for path in draw(out)]
    answer(json_, {"files": files}, lambda: OUT.print("\n".join(files)))


def _light(items: list[str]) -> Coexistence:
    """Return the classical channels that are asked for."""
    from pydantic import ValidationError

    from emulator.config.fiber import Coexistence as Fields

    given = dict(item.partition("=")[::2] for item in items)
    try:
        return Fields.model_validate(given).light()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise UsageError("--coexistence", f"{field}: {first['msg']}") from error


def _overrides(items: list[str]) -> dict[str, float]:
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError("--set", f"must be NAME=NUMBER, not {item}")
    return found
