"""Folders of runs of `tiny` over real gRPC, with a fault injected: to the end, and cut off before."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from live_network import LiveNetwork, within

from emulator import run
from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.engines.job import Job, Options, record_plan
from emulator.report import summary
from emulator.runtime import injection
from emulator.runtime.pacing import Pace
from emulator.store.files import Engine
from emulator.store.journal import FOLDER

HOSTS, CUT = 3, 80
FAULT = {"kind": "fiber-cut", "link": ["A", "B"], "for_s": 20}


async def _run(folder: Path, cut: Path) -> int:
    """Run `tiny`, with a fault injected, to its end; copy the folder on the way; return the last window."""
    network = LiveNetwork(folder, HOSTS, experiment=str(folder / "experiment.yaml"))
    await network.start()
    running = asyncio.create_task(network.clock.run(network.last_window, Pace(200.0)))
    while network.clock.window < CUT // 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.to_thread(injection.submit, folder, FAULT)
    while network.clock.window < CUT:  # noqa: ASYNC110
        await asyncio.sleep(0)
    shutil.copytree(folder, cut, ignore=lambda *_: {FOLDER})
    (cut / FOLDER).mkdir()
    for path in (folder / FOLDER).glob("*.sqlite"):
        copy = cut / FOLDER / path.name
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
    await running
    await network.stop()
    return network.clock.window


def keep(kept: Path) -> Path:
    """Make `ended`, a run to its end, `cut`, the same run before, and `other`, of another seed."""
    windows = {}
    for name, seed in (("ended", None), ("other", 99)):
        setup = read("tiny", seed)
        run._prepare(kept / name, setup, Engine.PROCESSES)
        cut = kept / ("cut" if name == "ended" else "cut-other")
        windows[name] = within(60, _run(kept / name, cut))
    folder = kept / "ended"
    injection.record(folder)
    begun = read("tiny")
    book = assemble(begun)
    record_plan(Job(begun, book, folder, Options(Pace(None))))
    ending = summary.Ending(windows["ended"], float(windows["ended"]), wall_s=1.0)
    summary.write(folder, read(str(folder / "experiment.yaml")), book, ending)
    return kept
