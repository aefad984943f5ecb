"""`qsagin topology`: what is read of a network file, its map, and the network in our own form."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.commands.options import Json, UsageError
from emulator.commands.terminal import OUT, answer, print_fields, tell
from emulator.config.topology import (
    LengthUnit,
    ParallelLinks,
    ReadingOptions,
    Topology,
    load,
    save_csv,
)


def topology(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A network file or a built-in name.")],
    out: Annotated[Path | None, typer.Option(help="A new CSV file for the network.")] = None,
    map_: Annotated[
        Path | None, typer.Option("--map", help="A new PNG or SVG file for its map.")
    ] = None,
    link_km: Annotated[float | None, typer.Option(help="Length of every link.")] = None,
    detour: Annotated[
        float | None,
        typer.Option(min=1, max=10, help="Lengths are great circles between nodes times this."),
    ] = None,
    length: Annotated[
        str | None, typer.Option(help="Attribute or column that has the lengths.")
    ] = None,
    length_unit: Annotated[LengthUnit | None, typer.Option(help="Unit of the lengths.")] = None,
    least_km: Annotated[
        float | None, typer.Option(help="Length of shorter links, and of those at one place.")
    ] = None,
    largest_piece: Annotated[
        bool, typer.Option("--largest-piece", help="Leave out nodes not connected to most others.")
    ] = False,
    parallel_links: Annotated[
        ParallelLinks,
        typer.Option(help="Which become one link: equally long ones, or all, the shortest kept."),
    ] = "equal",
    json_: Json = False,
) -> None:
    """Show what is read of a network file; draw it, or write it as CSV."""
    for option, path, suffixes in (("--out", out, (".csv",)), ("--map", map_, (".png", ".svg"))):
        if path is not None:
            _require_new(option, path, suffixes)
    if link_km is not None and detour is not None:
        raise UsageError("--detour", "gives every length, and so does --link-km; leave out one")
    if least_km is not None and not 0 < least_km < math.inf:
        raise UsageError("--least-km", f"must be a positive number, not {least_km:g}")
    options = ReadingOptions(length, length_unit, detour, largest_piece, parallel_links, least_km)
    network = load(file, link_km, options)
    files = [*_written(network, out), *_drawn(network, map_)]
    tell(f"{file}: {network.reading}")
    document = _summary(network) | {"files": files}
    answer(json_, document | _parts(network), lambda: _show(document))


def _require_new(option: str, path: Path, suffixes: tuple[str, ...]) -> None:
    if path.suffix.lower() not in suffixes:
        raise UsageError(option, f"{path} must end in {' or '.join(suffixes)}")
    if path.exists() or not path.absolute().parent.is_dir():
        raise UsageError(option, f"{path} must be a new file in a folder that is there")
    nodes = path.with_name(f"{path.stem}.nodes.csv")
    if option == "--out" and nodes.exists():
        raise UsageError(option, f"{nodes} is there and would be read with it; name another file")


def _written(network: Topology, out: Path | None) -> list[str]:
    if out is None:
        return []
    save_csv(network, out, comment=network.provenance)
    nodes = out.with_name(f"{out.stem}.nodes.csv")
    return [str(path) for path in (out, nodes) if path.exists()]


def _drawn(network: Topology, path: Path | None) -> list[str]:
    if path is None:
        return []
    from emulator.report.network_map import draw_network

    draw_network(network).savefig(path, dpi=150)
    return [str(path)]


def _summary(network: Topology) -> dict[str, Any]:
    lengths = [link.length_km for link in network.links]
    return {
        "name": network.name,
        "node_count": len(network.nodes),
        "link_count": len(network.links),
        "shortest_km": min(lengths),
        "longest_km": max(lengths),
        "total_km": sum(lengths),
        "provenance": network.provenance,
    }


def _parts(network: Topology) -> dict[str, Any]:
    return {
        "reading": network.reading,
        "nodes": [
            {"name": node.name, "lat": node.lat_deg, "lon": node.lon_deg, "domain": node.domain}
            for node in network.nodes
        ],
        "links": [
            {"a": link.a, "b": link.b, "length_km": link.length_km, "kind": link.kind}
            for link in network.links
        ],
    }


def _show(document: dict[str, Any]) -> None:
    files = document["files"]
    print_fields({name: value for name, value in document.items() if name != "files"})
    if files:
        OUT.print("\n".join(files), soft_wrap=True)
