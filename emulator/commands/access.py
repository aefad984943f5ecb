"""`qsagin access`: what an SAE needs to take keys from a live run, or an operator to look at it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
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
    out: Annotated[Path, typer.Option(help="A new folder for certificate, key and CA.")],
    sae: Annotated[str, typer.Option(help="The SAE, as in access.saes of the experiment.")] = "",
    operator: Annotated[
        str, typer.Option(help="Or the operator, as in access.operators of the experiment.")
    ] = "",
    json_: Json = False,
) -> None:
    """Issue a certificate to an SAE or an operator of a live run, and print a call that works."""
    from emulator.access.certificates import AccessAuthority, write_credentials
    from emulator.access.opening import announced

    check_format(folder)
    if bool(sae) == bool(operator):
        raise UsageError("--sae", "name one SAE, or one operator with --operator")
    try:
        doors, authority = announced(folder), AccessAuthority.of(folder)
    except FileNotFoundError as error:
        problem = "serves no SAE: it has ended, or was started without --keys"
        raise UsageError(str(folder), problem) from error
    if operator:
        _require_one_of("--operator", operator, doors["operators"])
        node = next(iter(doors["nodes"]))
        credentials, path = authority.operator(operator), "restconf/data/etsi-qkd-sdn-node:qkd_node"
    else:
        _require_one_of("--sae", sae, doors["saes"])
        node = doors["saes"][sae]["node"]
        peer = quote(_peer(folder, sae), safe="")
        credentials, path = authority.sae(sae), f"api/v1/keys/{peer}/status"
    require_empty(out)
    write_credentials(out, credentials, authority.certificate)
    url = doors["nodes"][node]["url"]
    line = _curl(out, f"{url}/{path}")
    who = {"operator": operator} if operator else {"sae": sae}
    document = who | {"node": node, "url": url, "curl": line}
    answer(json_, document, lambda: OUT.print(line, soft_wrap=True, highlight=False, markup=False))


def _require_one_of(option: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UsageError(option, f"must be one of {', '.join(known)}, not {name}")


def _peer(folder: Path, sae: str) -> str:
    """Return an SAE with which another can share keys: its own self if there is no other."""
    setup = read(str(folder / EXPERIMENT), None, None, None)
    section = setup.experiment.access
    nodes = {item.id: item.node for item in section.saes} if section is not None else {}
    reached = accesses_of(setup)[nodes[sae]].requests
    return next((other for other, node in nodes.items() if node in reached), sae)


def _curl(folder: Path, url: str) -> str:
    files = ("--cert", "certificate.pem", "--key", "key.pem", "--cacert", "ca.pem")
    words = [word if word.startswith("--") else str(folder.resolve() / word) for word in files]
    return shlex.join(["curl", *words, url])
