"""A process with one HTTP door of a run: `python door.py exporter|page FOLDER REQUEST_S ANSWER_S`.

It is told to end by the end of standard input, and prints two lines: where it is, and when (monotonic) it
had closed the door.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from emulator.live_page import server
from emulator.net import http_server
from emulator.net.identity import Authority
from emulator.store.registry import Registry
from emulator.telemetry.exporter import METRICS, Exporter, ExporterConfig
from emulator.telemetry.reporting import EXPORTER, telemetry
from protos.core import Measure

LINKS = 3_000


async def exporter(folder: Path) -> None:
    """Show as many links as make an answer of half a megabyte, until the end of standard input."""
    identity = Authority().issue(EXPORTER, ())
    door = Exporter(ExporterConfig(str(folder), 0, identity, {"host-0": ("kme-A",)}))
    await door.start()
    told = [Measure("link_qber_ratio", (("link", f"A{n}-B" * 20),), 0.03) for n in range(LINKS)]
    door._reports.keep(telemetry("host-0", 7.0, told))
    found = Registry(folder).find(METRICS)
    assert found is not None
    print(found.address, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await door.stop()


def main(kind: str, folder: Path, request_s: float, answer_s: float) -> None:
    """Open the door, and close it."""
    http_server.REQUEST_S, http_server.ANSWER_S = request_s, answer_s
    if kind == "exporter":
        asyncio.run(exporter(folder))
    else:
        server.os.nice = lambda _: 0  # type: ignore[attr-defined]  # else slow while other tests run
        server.serve(folder, 0, lambda url: print(url, flush=True), attached=True)
    print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
