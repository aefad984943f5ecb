"""`qsagin access`: what an SAE needs to take keys from a live run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from emulator.build.access import accesses_of
from emulator.commands.options import Json, UsageError, read, require_empty
from emulator.commands.terminal import OUT, answer
from emulator.store.files import EXPERIMENT, check_format


def access(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a live run.")],
    sae: Annotated[str, typer.Option(help="The SAE, as in access.saes of the experiment.")],
    out: Annotated[Path, typer.Option(help="A new folder for certificate, key and CA.")],
    json_: Json = False,
) -> None:
    """Issue a certificate to an SAE of a live run, and print a call that works."""
    from emulator.access.certificates import AccessAuthority, write_credentials
    from emulator.access.opening import announced

    check_format(folder)
    try:
        doors, authority = announced(folder), AccessAuthority.of(folder)
    except FileNotFoundError as error:
        problem = "serves no SAE: it has ended, or was started without --keys"
        raise UsageError(str(folder), problem) from error
    saes = doors["saes"]
    if sae not in saes:
        raise UsageError("--sae", f"must be one of {', '.join(saes)}, not {sae}")
    require_empty(out)
    write_credentials(out, authority.sae(sae), authority.certificate)
    url = doors["nodes"][saes[sae]["node"]]["url"]
    line = _curl(out, url, _peer(folder, sae))
    document = {"sae": sae, "node": saes[sae]["node"], "url": url, "curl": line}
    answer(json_, document, lambda: OUT.print(line, soft_wrap=True, highlight=False, markup=False))


def _peer(folder: Path, sae: str) -> str:
    """Return an SAE with which another can share keys: its own self if there is no other."""
    setup = read(str(folder / EXPERIMENT), None, None, None)
    section = setup.experiment.access
    nodes = {item.id: item.node for item in section.saes} if section is not None else {}
    reached = accesses_of(setup)[nodes[sae]].requests
    return next((other for other, node in nodes.items() if node in reached), sae)


def _curl(folder: Path, url: str, peer: str) -> str:
    files = ("--cert", "certificate.pem", "--key", "key.pem", "--cacert", "ca.pem")
    words = [word if word.startswith("--") else str(folder.resolve() / word) for word in files]
    return shlex.join(["curl", *words, f"{url}/api/v1/keys/{quote(peer, safe='')}/status"])
